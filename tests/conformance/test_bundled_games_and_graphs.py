"""The games and builders of contact graphs that come with mesocosm pass the conformance kit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mesocosm import Registry
from mesocosm.testing import game_checks, graph_checks

EFFORT = {"cost": 2.5, "infection_cost": 0.3, "minimum": 0.25}
CHOICE = {"control_is_a_range", "best_control_is_a_control", "best_control_minimises"}
RECURRENT = {"at_risk_is_a_state", "absorbing_states_absorb"}

LAW = {"degree_law_is_a_law", "mean_degree_follows_the_law"}
WEIGHTS, ATTRIBUTES = {"weights_are_positive_and_mutual"}, {"attributes_have_one_entry_per_node"}
FIXED = {"different_seeds_differ"}
OWN_SIZE = {"has_the_size_asked_for"}
POWER_LAW = {"power_law": {"exponent": 2.5, "minimum": 2, "maximum": 12}}

GAMES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("sir", {"beta": 0.3, "gamma": 0.1}, CHOICE),
    ("sir", {"beta": 0.3, "gamma": 0.1, "effort": EFFORT}, set()),
    ("sis", {"beta": 0.3, "gamma": 0.1}, CHOICE | RECURRENT),
    ("sis", {"beta": 0.3, "gamma": 0.1, "effort": EFFORT}, RECURRENT),
    ("seir", {"beta": 0.3, "gamma": 0.1, "sigma": 0.2}, CHOICE),
    ("seir", {"beta": 0.3, "gamma": 0.1, "sigma": 0.2, "effort": EFFORT}, set()),
]

ON_A_LINE = {"a_periodic_axis_has_no_seam"}
NO_CHOICE = {"the_best_control_minimises"}
SPATIAL = {"scheduled": 3, "quorum": 0.9, "sigma": 1, "start": {"normal": [-3, 0.5]}}

GAMES += [
    ("effort", {}, set()),
    ("vaccination", {}, {"at_risk_is_a_state"}),
    ("meeting", SPATIAL, ON_A_LINE),
    ("meeting", {"form": "static", "scheduled": 12}, set()),
    ("el_farol", {}, set()),
    ("interbank", {"correlation": 0.2}, ON_A_LINE),
    ("torus", {}, set()),
    ("congestion", {"bandwidth": 0.1}, ON_A_LINE),
    ("opinion", {}, ON_A_LINE | NO_CHOICE),
    ("opinion", {"controlled": True}, ON_A_LINE),
    ("synchronisation", {}, NO_CHOICE),
    ("synchronisation", {"controlled": True}, set()),
    ("rock_paper_scissors", {}, set()),
    ("left_right", {}, set()),
    ("susceptible_infected", {}, set()),
    ("beach_bar", {}, set()),
]

MANIFOLD = {"changes_cover_the_time", "layers_add_up"}
SPEAKS = {"contacts": {"changes_cover_the_time"}, "snapshots": {"changes_cover_the_time"}, "layers": {"layers_add_up"}}
HOME = {"graph": {"kind": "households", "sizes": {"3": 1.0}}, "weight": 2.0}
WORK = {"graph": {"kind": "erdos_renyi", "mean_degree": 5}}

GRAPHS: list[tuple[str, dict[str, Any], int | None, set[str]]] = [
    ("complete", {}, 60, LAW | WEIGHTS | ATTRIBUTES | FIXED),
    ("erdos_renyi", {"mean_degree": 6}, 60, WEIGHTS | ATTRIBUTES),
    ("configuration", {"degrees": {"poisson": 4}}, 60, WEIGHTS | ATTRIBUTES),
    ("configuration", {"degrees": POWER_LAW}, 60, WEIGHTS | ATTRIBUTES),
    ("configuration", {"degrees": [3] * 20 + [2] * 20}, None, WEIGHTS | ATTRIBUTES | OWN_SIZE),
    ("barabasi_albert", {"m": 2}, 60, LAW | WEIGHTS | ATTRIBUTES),
    ("watts_strogatz", {"k": 4, "p": 0.1}, 60, LAW | WEIGHTS | ATTRIBUTES),
    ("regular", {"degree": 4}, 60, WEIGHTS | ATTRIBUTES),
    ("blocks", {"sizes": [20, 40], "mean_degrees": [[3, 2], [1, 4]], "names": ["a", "b"]}, 60, LAW | WEIGHTS),
    ("contact_matrix", {"groups": {"a": 20, "b": 40}, "contacts": [[3, 2], [1, 4]]}, 60, LAW | WEIGHTS | FIXED),
    ("lattice", {}, 64, LAW | WEIGHTS | FIXED),
    ("networkx", {"generator": "powerlaw_cluster_graph", "m": 2, "p": 0.3}, 60, LAW | WEIGHTS | ATTRIBUTES),
    ("edges", {"file": "edges.csv", "nodes": "nodes.csv"}, None, LAW | FIXED | OWN_SIZE),
    ("contacts", {"file": "contacts.csv", "seconds_per_unit": 60, "loop": True}, None, LAW | FIXED | OWN_SIZE),
    (
        "snapshots",
        {"table": "snapshots.csv", "end": 5, "loop": True, "nodes": "nodes.csv"},
        None,
        LAW | FIXED | OWN_SIZE,
    ),
    ("households", {"sizes": {"1": 0.3, "2": 0.3, "4": 0.4}}, 60, LAW | WEIGHTS),
    ("layers", {"layers": {"home": HOME, "work": WORK}}, 60, LAW),
]


@pytest.fixture(scope="module")
def everything() -> Registry:
    """All installed plugins."""
    return Registry.discover()


@pytest.mark.parametrize(("name", "options", "silent"), GAMES)
def test_bundled_games_conform(
    everything: Registry, ended: Any, name: str, options: Mapping[str, Any], silent: set[str]
) -> None:
    """Catches a bundled game that breaks a rule, and a rule that silently stops to apply to it."""
    found = ended(game_checks(name, options=options, registry=everything))
    assert found["failed"] == set()
    assert found["not applicable"] == silent


@pytest.mark.parametrize(("name", "options", "size", "silent"), GRAPHS)
def test_bundled_builders_conform(
    everything: Registry,
    ended: Any,
    tmp_path: Path,
    name: str,
    options: dict[str, Any],
    size: int | None,
    silent: set[str],
) -> None:
    """Catches a bundled builder that breaks a rule, and a rule that silently stops to apply to it."""
    (tmp_path / "edges.csv").write_text("from,to,weight\na,b,1\nb,c,2\na,c,0.5\n")
    (tmp_path / "nodes.csv").write_text("id,group\na,north\nb,south\nc,north\nd,south\n")
    (tmp_path / "contacts.csv").write_text("20,a,b\n40,a,b\n40,b,c\n80,a,c\n")
    (tmp_path / "snapshots.csv").write_text("0,a,b,1\n2,a,b,2\n2,b,c,0.5\n")
    given = {key: str(tmp_path / value) if ".csv" in str(value) else value for key, value in options.items()}
    found = ended(graph_checks(name, options=given, size=size, registry=everything))
    assert found["failed"] == set()
    assert found["not applicable"] == silent | (MANIFOLD - SPEAKS.get(name, set()))


@pytest.mark.parametrize("kind", ["game", "graph"])
def test_none_is_left_out(everything: Registry, kind: str) -> None:
    """Catches a bundled game or builder that nobody held against the kit."""
    bundled = {entry.component.name for entry in everything.entries(kind) if entry.plugin.distribution == "mesocosm"}
    tested = GAMES if kind == "game" else GRAPHS
    assert bundled == {item[0] for item in tested}
