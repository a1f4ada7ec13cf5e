"""What is said about the memory of a graph before it is built."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest

from mesocosm import ContactGraph, InputError, check_memory, memory_of


def on_a_machine_of(gibibytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gibibytes * 2**18}.__getitem__)


def test_large_graphs_are_announced_and_too_large_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """1e7 nodes with 1e8 entries: 2.6 GiB. Would catch a refusal where there is room, silence, or a wrong number."""
    nodes, entries = 10**7, 10**8
    assert memory_of(nodes, entries) / 2**30 == pytest.approx(2.64, abs=0.01)
    on_a_machine_of(24, monkeypatch)
    with pytest.warns(
        UserWarning, match=r"10000000 nodes and 50000000 edges needs about 2\.6 GiB .*; there are 24\.0 GiB"
    ):
        check_memory(nodes, entries)
    check_memory(10**6, 10**7)
    on_a_machine_of(2, monkeypatch)
    with pytest.raises(
        InputError, match=r"needs about 2\.6 GiB .* this machine has 2\.0 GiB of memory; use fewer"
    ) as caught:
        check_memory(nodes, entries, where="graph.m")
    assert caught.value.where == "graph.m"


def test_a_system_that_does_not_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch a crash where there is no sysconf."""
    monkeypatch.delattr(os, "sysconf")
    with pytest.warns(UserWarning, match="GiB of memory while it is built$"):
        check_memory(10**9, 10**11)


@pytest.mark.parametrize("weighted", [False, True])
def test_edges_to_rows_within_the_memory_that_is_said(weighted: bool) -> None:
    """Would catch another copy of all entries between the edges and their rows; the edges themselves are in the figure."""
    nodes, edges = 50_000, 400_000
    target = np.concatenate([np.arange(step, nodes + step) % nodes for step in range(1, 9)])
    source = np.tile(np.arange(nodes), 8)
    weights = np.ones(edges) if weighted else None
    ContactGraph.from_edges(3, [0], [1])
    tracemalloc.start()
    ContactGraph.from_edges(nodes, source, target, weights)
    peak = (
        tracemalloc.get_traced_memory()[1]
        + source.nbytes
        + target.nbytes
        + (weights.nbytes if weights is not None else 0)
    )
    tracemalloc.stop()
    assert 0.75 <= peak / memory_of(nodes, 2 * edges, weighted) <= 1.0
