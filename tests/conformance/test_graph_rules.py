"""Every rule for builders of contact graphs finds the fault that it is for, and blames no other rule for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesocosm import Registry
from mesocosm.testing import graph_checks
from mesocosm.testing.check import outcome_of
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.graphs import GRAPH_RULES

RULES = [rule.name for rule in GRAPH_RULES if rule not in ENTRY_RULES]
LIGHTNESS = {"registers_lightly", "options_stay_light"}
MANIFOLD = {"changes_cover_the_time", "layers_add_up"}
IN_PROCESS = {*LIGHTNESS, "loads_with_only_what_it_declares", "same_graph_in_another_process"}
LAW = {"degree_law_is_a_law", "mean_degree_follows_the_law"}
HASHED = "same_graph_in_another_process"


@pytest.mark.parametrize("name", [name for name in RULES if name != HASHED])
def test_a_broken_builder_breaks_its_rule(broken: Registry, ended: Any, name: str) -> None:
    """Catches a rule that overlooks its fault, and one that fails for the fault of another."""
    options = {"law": 1.05} if name == "mean_degree_follows_the_law" else {}
    found = ended(graph_checks(name, options=options, registry=broken))
    assert found["failed"] == {name}


@pytest.fixture(scope="module")
def files() -> Registry:
    """The same builders, loaded as a single file, which another process can load as well."""
    registry = Registry()
    registry.add_file(Path(__file__).with_name("broken_graphs.py"))
    return registry


def test_a_graph_that_depends_on_the_process(files: Registry, ended: Any) -> None:
    """Catches a rule that draws twice in the same process, where text hashes alike."""
    assert ended(graph_checks(HASHED, registry=files))["failed"] == {HASHED}


def test_a_cache_that_forgets_the_seed(tmp_path: Path, ended: Any) -> None:
    """Catches a rule that does not see what the first graph of a process does to all later ones."""
    path = tmp_path / "cached_graph.py"
    path.write_text(CACHED)
    registry = Registry()
    registry.add_file(path)
    assert ended(graph_checks("cached", registry=registry))["failed"] == {HASHED}


CACHED = '''\
"""A builder that keeps the first graph of each size."""

import numpy as np
from mesocosm import Component, ContactGraph, InputError, Options, hookimpl

KEPT = {}


class Nothing(Options):
    """No options."""


def cached(options, size, generator):
    if not size or size < 8:
        raise InputError("8 agents at least")
    if size not in KEPT:
        order = generator.permutation(size)
        KEPT[size] = ContactGraph.from_edges(size, order[1:], order[:-1])
    return KEPT[size]


@hookimpl
def mesocosm_components():
    yield Component("graph", "cached", f"{__name__}:cached", f"{__name__}:Nothing", summary="for tests")
'''


def test_every_rule_has_a_broken_builder(broken: Registry) -> None:
    """Catches a rule that nothing was ever held against, and a broken builder that is not looked at."""
    assert {entry.component.name for entry in broken.entries("graph")} == {*RULES, "sound"}


def test_a_sound_builder_breaks_none(broken: Registry, files: Registry, ended: Any) -> None:
    """Catches a false alarm, and a rule that does not apply where it should."""
    found = ended(graph_checks("sound", registry=broken))
    assert found["failed"] == set()
    assert found["not applicable"] == LAW | IN_PROCESS | MANIFOLD
    found = ended(graph_checks("sound", registry=files))
    assert found["failed"] == set()
    assert found["not applicable"] == LAW | LIGHTNESS | MANIFOLD


def test_statistical_rules_say_what_they_find() -> None:
    """Catches a statistical rule whose sensitivity nobody states, and a statement without a test below."""
    assert {rule.name: rule.detects for rule in GRAPH_RULES if rule.detects} == {
        "mean_degree_follows_the_law": "an error of 5 % in the mean degree"
    }


@pytest.mark.parametrize("law", [0.95, 1.0, 1.05])
def test_the_mean_degree_is_found_wrong_by_five_percent(broken: Registry, law: float) -> None:
    """Catches a test that misses the fault that it claims to find, or takes a true law for a wrong one.

    Sixteen independent sets of graphs: 0.99 or more of probability for each to be found, 1e-5 or less for a false alarm.
    """
    wanted = "passed" if law == 1.0 else "failed"
    statuses = []
    for salt in 5000 * np.arange(16):
        options = {"law": law, "salt": int(salt)}
        checks = graph_checks("mean_degree_follows_the_law", options=options, size=100, registry=broken)
        (check,) = (check for check in checks if check.detects)
        statuses.append(outcome_of(check).status)
    assert statuses == [wanted] * 16


def test_a_law_that_takes_too_many_graphs_is_not_tested(broken: Registry) -> None:
    """Catches a statistical test that passes because it drew too few graphs."""
    checks = graph_checks("mean_degree_follows_the_law", options={"mean": 0.1, "law": 1.2}, size=20, registry=broken)
    (outcome,) = (outcome_of(check) for check in checks if check.detects)
    assert outcome.status == "not applicable"
    assert "graphs of this size to test the mean degree; give a larger size" in outcome.message
