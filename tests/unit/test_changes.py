"""Graphs that change in time, and sums of layers: pieces, what is kept, weights, attributes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

import mesocosm.changes
from mesocosm import ContactGraph, GraphChanges, GraphRecord, InputError, Piece
from mesocosm.layers import _joined, _parted

NODES = 4


def pair_graph(number: int) -> ContactGraph:
    """One edge, another for every number up to 6."""
    first, second = np.triu_indices(NODES, 1)
    return ContactGraph.from_edges(NODES, [int(first[number])], [int(second[number])])


def record(times: list[float], numbers: list[int], *, loop: bool | None = True, afterwards: int = 0) -> GraphRecord:
    return GraphRecord(times, numbers, pair_graph, loop=loop, afterwards=afterwards)


def dense(graph: ContactGraph) -> NDArray[np.float64]:
    if graph.is_complete:
        return (1 - np.eye(graph.node_count)) / (graph.node_count - 1)
    return graph.adjacency.toarray()


def check_cover(pieces: list[Piece], start: float, stop: float) -> None:
    assert pieces[0].start == start
    assert pieces[-1].stop == stop
    for before, after in pairwise(pieces):
        assert before.stop == after.start
        assert before.number != after.number
    assert all(piece.start < piece.stop for piece in pieces)


def test_pieces_of_a_looped_record() -> None:
    """Catches a piece that is lost, repeated or shifted over turns, and neighbours with the same graph that stay apart.

    The reference finds the graph of an instant in exact fractions.
    """
    generator = np.random.default_rng(5)
    for _ in range(50):
        count = int(generator.integers(1, 7))
        ticks = np.append(0, np.cumsum(generator.integers(1, 5, size=count)))
        numbers = generator.integers(0, 3, size=count)
        played = record((ticks / 8).tolist(), numbers.tolist())
        period = Fraction(int(ticks[-1]), 8)
        start, stop = np.sort(generator.choice(np.arange(400), size=2, replace=False)) / 16.0
        pieces = list(played.pieces(float(start), float(stop)))
        check_cover(pieces, float(start), float(stop))
        for instant in np.arange(start + 1 / 64, stop, 1 / 32):
            within = Fraction(float(instant)) % period
            wanted = numbers[np.searchsorted(ticks, float(within * 8), side="right") - 1]
            assert [piece.number for piece in pieces if piece.start < instant < piece.stop] == [wanted]


def test_turns_do_not_drift() -> None:
    """Catches beginnings that are found by adding up lengths: after 100,000 turns of a day they would be off by 1e-7."""
    seconds = list(range(0, 86401, 20))
    played = record([second / 86400 for second in seconds], [number % 5 for number in range(len(seconds) - 1)])
    turn = 100_000
    pieces = list(played.pieces(float(turn), turn + 1.0))
    begins = np.array([piece.start for piece in pieces])
    exact = [float(Fraction(turn) + Fraction(second, 86400)) for second in seconds[:-1]]
    assert np.abs(begins - exact).max() <= 4 * np.spacing(float(turn))
    assert len(pieces) == len(seconds) - 1


def test_rounding_makes_no_slivers() -> None:
    """Catches a piece of length 1e-17 where a save and a beginning are the same but for rounding."""
    tenths = record([0.1 * k for k in range(11)], [k % 2 for k in range(10)])
    for k in range(200):
        start, stop = k / 10, (k + 1) / 10
        pieces = list(tenths.pieces(start, stop))
        assert [(piece.start, piece.stop, piece.number) for piece in pieces] == [(start, stop, k % 2)]


def test_after_the_record() -> None:
    """Catches a record that is looped unasked, one that ends in silence unasked, and a last piece that is split."""
    played = record([0, 1, 3], [1, 2], loop=False, afterwards=3)
    assert [(p.start, p.stop, p.number) for p in played.pieces(0.5, 9)] == [(0.5, 1, 1), (1, 3, 2), (3, 9, 3)]
    assert [(p.start, p.stop, p.number) for p in played.pieces(5, 9)] == [(5, 9, 3)]
    lasting = record([0, 1, 3], [1, 2], loop=False, afterwards=2)
    assert [(p.start, p.stop, p.number) for p in lasting.pieces(0.5, 9)] == [(0.5, 1, 1), (1, 9, 2)]
    played.check(9)
    unsaid = record([0, 1, 3], [1, 2], loop=None)
    unsaid.check(3)
    with pytest.raises(InputError, match=r"graph\.loop: the record ends at time 3, the run at 4; .*give loop: true"):
        unsaid.check(4)
    with pytest.raises(InputError, match="increase from 0"):
        record([0, 1, 1], [0, 1])


def test_graphs_are_built_once_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches graphs that are built at every look, and memory that grows with the record."""
    built: list[int] = []

    def build(number: int) -> ContactGraph:
        built.append(number)
        return pair_graph(number)

    played = GraphRecord([0, 1, 2, 3], [0, 1, 2], build, loop=True, afterwards=0)
    assert built == []
    for number in (0, 1, 2, 0, 1, 2):
        assert played.graph(number) is played.graph(number)
    assert built == [0, 1, 2]
    monkeypatch.setattr(mesocosm.changes, "KEPT_BYTES", 5000)
    for number in (3, 4, 3, 4, 0):
        played.graph(number)
    assert built == [0, 1, 2, 3, 4, 0]


def random_layers(seed: int) -> dict[str, ContactGraph]:
    generator = np.random.default_rng(seed)
    first, second = np.triu_indices(6, 1)
    layers = {}
    for name in ("household", "school", "work"):
        chosen = generator.random(len(first)) < 0.5
        weights = generator.uniform(0.5, 2, size=chosen.sum()) if name != "work" else None
        layers[name] = ContactGraph.from_edges(6, first[chosen], second[chosen], weights, {name: np.arange(6)})
    return layers


def test_layers_add_up() -> None:
    """Catches weights that are not added where layers overlap, and a closed layer that leaves contacts or takes others."""
    layers = random_layers(3)
    whole = ContactGraph.from_layers(layers)
    assert np.allclose(dense(whole), sum(dense(layer) for layer in layers.values()), rtol=1e-15)
    assert set(whole.attributes) == {"household", "school", "work"}
    assert list(whole.layers) == list(layers)
    left = whole.without(frozenset({"school"}))
    assert np.allclose(dense(left), dense(layers["household"]) + dense(layers["work"]), rtol=1e-15)
    assert set(left.layers) == {"household", "work"}
    assert set(left.attributes) == set(whole.attributes)
    assert whole.without(frozenset()) is whole
    assert whole.without(frozenset({"school", "household"})).weights is None
    nobody = whole.without(frozenset(layers))
    assert (nobody.edge_count, nobody.node_count, dict(nobody.layers)) == (0, 6, {})
    doubled = layers["work"].scaled(2.5)
    assert np.array_equal(dense(doubled), 2.5 * dense(layers["work"]))


def test_layers_that_do_not_fit() -> None:
    """Catches layers on different nodes, a node with two values of an attribute, and names of layers that there are not."""
    layers = random_layers(4)
    with pytest.raises(InputError, match="layer 'other' has 4 nodes, layer 'household' has 6"):
        ContactGraph.from_layers({**layers, "other": pair_graph(0)})
    other = ContactGraph.from_edges(6, [0], [1], attributes={"school": np.zeros(6)})
    with pytest.raises(InputError, match="'school' is not the same in the layers 'school' and 'other'"):
        ContactGraph.from_layers({**layers, "other": other})
    same = ContactGraph.from_edges(6, [0], [1], attributes={"school": np.arange(6)})
    assert ContactGraph.from_layers({**layers, "other": same}).layers["other"] is same
    with pytest.raises(InputError, match="no layer is called 'scool'; did you mean 'school'"):
        ContactGraph.from_layers(layers).without(frozenset({"scool"}))
    with pytest.raises(InputError, match="this graph has no layers"):
        pair_graph(0).without(frozenset({"school"}))
    with pytest.raises(InputError, match="at least one"):
        ContactGraph.from_layers({})
    with pytest.raises(InputError, match="times 0"):
        pair_graph(0).scaled(0.0)


def test_a_complete_layer_is_written_out() -> None:
    """Catches a complete layer that is lost, since it stores no edges, and one so large that memory would not do."""
    together = ContactGraph.from_layers({"all": ContactGraph.complete(6), "some": random_layers(2)["work"]})
    assert np.allclose(dense(together), 0.2 * (1 - np.eye(6)) + dense(random_layers(2)["work"]))
    with pytest.raises(InputError, match="a complete layer of 3000 nodes; at most 2000"):
        ContactGraph.from_layers({"all": ContactGraph.complete(3000)})


class Blinking(GraphChanges):
    """Graph 0 and graph 1 in turns, each for `length`."""

    def __init__(self, length: float, graphs: list[ContactGraph]) -> None:
        self.length, self.graphs = length, graphs

    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        while start < stop:
            place = int(start // self.length)
            end = min(stop, (place + 1) * self.length)
            yield Piece(start, end, place % 2)
            start = end

    def graph(self, number: int) -> ContactGraph:
        return self.graphs[number]

    def check(self, end: float) -> None:
        if end > 100:
            raise InputError("too long")


def blinking(length: float, first: int, second: int) -> ContactGraph:
    graphs = [pair_graph(first), pair_graph(second)]
    average = ContactGraph.from_layers(dict(zip("ab", graphs, strict=True))).scaled(0.5)
    return ContactGraph(NODES, average.indptr, average.indices, average.weights, changes=Blinking(length, graphs))


def test_numbers_of_layers_together() -> None:
    """Catches two combinations of layers that share a number, and one that is taken apart into others."""
    every = [[a, b, c] for a in range(12) for b in range(12) for c in range(12)] + [[7, 10**6, 3], [2**40, 2**41, 1]]
    joined = [_joined(numbers) for numbers in every]
    assert len(set(joined)) == len(every)
    assert [_parted(number, 3) for number in joined] == every
    assert _parted(_joined([5]), 1) == [5]


def test_layers_that_change() -> None:
    """Catches a sum whose pieces miss a beginning of one of its layers, or have the graph of another time."""
    layers = {"still": pair_graph(0), "fast": blinking(0.25, 0, 1).scaled(3.0), "slow": blinking(1.0, 1, 2)}
    whole = ContactGraph.from_layers(layers)
    assert np.allclose(dense(whole), sum(dense(layer) for layer in layers.values()))
    assert whole.changes is not None
    pieces = list(whole.changes.pieces(0.125, 5.1))
    check_cover(pieces, 0.125, 5.1)
    assert len(pieces) == 21
    for piece in pieces:
        middle = (piece.start + piece.stop) / 2
        now = dense(pair_graph(0))
        now += 3 * dense(pair_graph([0, 1][int(middle // 0.25) % 2])) + dense(pair_graph([1, 2][int(middle) % 2]))
        assert np.array_equal(dense(whole.changes.graph(piece.number)), now)
        alone = whole.changes.graph(piece.number).without(frozenset({"slow", "still"}))
        assert np.array_equal(dense(alone), 3 * dense(pair_graph([0, 1][int(middle // 0.25) % 2])))
    assert len({piece.number for piece in pieces}) == 4
    again = ContactGraph.from_layers(layers).changes
    assert again is not None
    assert np.array_equal(dense(again.graph(pieces[-1].number)), dense(whole.changes.graph(pieces[-1].number)))
    left = whole.without(frozenset({"slow"}))
    assert left.changes is not None
    assert len(list(left.changes.pieces(0, 4))) == 16
    assert whole.without(frozenset({"slow", "fast"})).changes is None
    whole.changes.check(100)
    with pytest.raises(InputError, match="too long"):
        whole.changes.check(101)
