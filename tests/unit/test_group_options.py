"""Groups in a scenario: what they set for themselves, contact matrices, who starts where; every fault has its place."""

from __future__ import annotations

import numpy as np
import pytest

import mesocosm
from mesocosm import GroupedGame, ScenarioError
from mesocosm.explaining import Faults
from mesocosm.scenario import Choice
from mesocosm.varying import varied
from mesocosm_games.options import EffortOptions, SIROptions

SCENARIO = """\
mesocosm: 1
name: g
seed: 1
time: {end: 2, save_every: 1}
population:
  initial: {I: 0.1}
  groups:
    old: {game: {gamma: 0.05, effort.cost: 3}}
graph: {kind: contact_matrix, groups: {young: 60, old: 20}, contacts: {young: {young: 4, old: 2}, old: {young: 6, old: 1}}}
game: {kind: sir, beta: 0.03, gamma: 0.1, effort: {cost: 1}}
"""


def test_options_are_changed_as_a_whole() -> None:
    """Catches a dotted option that is taken for a new one, a lost default, and a model that checks only what is changed."""
    faults: Faults = []
    choice = Choice("sir", SIROptions(beta=0.3, gamma=0.1))
    found = varied(choice, {"gamma": 0.2, "effort.cost": 3}, SIROptions, faults)
    assert faults == []
    assert found is not None
    assert found.options == SIROptions(beta=0.3, gamma=0.2, effort=EffortOptions(cost=3))
    nested = varied(choice, {"effort": {"cost": 3}, "gamma": 0.2}, SIROptions, faults)
    assert nested == found
    assert varied(choice, {"effort.cots": 3, "gamma": -1}, SIROptions, faults) is None
    assert sorted(path for path, _ in faults) == [("effort.cots",), ("gamma",)]
    assert choice.options == SIROptions(beta=0.3, gamma=0.1)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "gamma: 0.05",
            "gama: 0.05",
            "scenario:8:18: population.groups.old.game.gama: unknown option; did you mean 'gamma'?",
        ),
        (
            "gamma: 0.05",
            "gamma: -1",
            "scenario:8:18: population.groups.old.game.gamma: -1 must be greater than or equal to 0",
        ),
        ("effort.cost: 3", "effort.cost: none", "scenario:8:31: population.groups.old.game.effort.cost: "),
        (
            "effort.cost: 3",
            "effort.minimum: 0.5",
            "scenario:8:11: population.groups.old.game: control of group 'old': contact level from 0.5 to 1",
        ),
        (
            "    old: {",
            "    odl: {",
            "scenario:8:5: population.groups.odl: no node is in group 'odl'; did you mean 'old'?",
        ),
        ("{game: {gamma: 0.05, effort.cost: 3}}", "{}", "scenario:8:5: population.groups.old: nothing is different"),
        ("old: 1}}", "old: 1}, x: {}}", "scenario:9:1: graph: 'x' is no group, in contacts"),
        ("{young: 6, old: 1}", "{young: 6}", "'old' is missing in contacts.old"),
        ("{young: 6, old: 1}", "{young: 5, old: 1}", "young have 120 contacts with old, who have 100 with young"),
    ],
)
def test_faults_have_their_place(old: str, new: str, fault: str) -> None:
    """Catches an option of a group that is not checked, or whose fault is shown at the option of the whole game."""
    assert old in SCENARIO
    with pytest.raises(ScenarioError) as caught:
        mesocosm.build(mesocosm.parse(SCENARIO.replace(old, new)))
    assert fault in str(caught.value)


def test_all_faults_of_groups_are_shown_at_once() -> None:
    """Catches a check that stops at the first fault."""
    text = SCENARIO.replace("gamma: 0.05, effort.cost: 3", "gama: 0.05, effort.cost: -3").replace(
        "beta: 0.03", "beta: 0.03, x: 1"
    )
    with pytest.raises(ScenarioError) as caught:
        mesocosm.parse(text)
    assert [fault.path for fault in caught.value.faults] == ["game.x"]
    with pytest.raises(ScenarioError) as caught:
        mesocosm.parse(text.replace(", x: 1", "").replace("seed: 1", "seed: -1"))
    assert {fault.path for fault in caught.value.faults} == {
        "seed",
        "population.groups.old.game.gama",
        "population.groups.old.game.effort.cost",
    }


def test_a_contact_matrix_may_be_rows_or_not_reciprocal() -> None:
    """Catches rows matched with sorted names instead of the order in which groups are written."""
    named = mesocosm.build(mesocosm.parse(SCENARIO)).graph
    rows = "contacts: [[4, 2], [6, 1]]}"
    text = SCENARIO[: SCENARIO.index("contacts: {")] + rows + "\n" + SCENARIO[SCENARIO.index("game: {kind") :]
    by_rows = mesocosm.build(mesocosm.parse(text)).graph
    assert named.contact_matrix is not None
    assert named.contact_matrix.tolist() == [[1, 6], [2, 4]]
    assert by_rows.contact_matrix is not None
    assert by_rows.contact_matrix.tolist() == [[1, 6], [2, 4]]
    lopsided = SCENARIO.replace("{young: 6, old: 1}}", "{young: 5, old: 1}}, reciprocal: false")
    assert mesocosm.build(mesocosm.parse(lopsided)).graph.node_count == 80
    # Published matrices are rounded.
    assert mesocosm.build(mesocosm.parse(SCENARIO.replace("{young: 6, old: 1}", "{young: 5.95, old: 1}")))


def test_agents_start_in_their_own_group() -> None:
    """Catches agents in states of another group, and shares of a group that are lost."""
    text = SCENARIO.replace("old: {game:", "old: {initial: {I: 0.5}, game:")
    problem = mesocosm.build(mesocosm.parse(text))
    game = problem.finite_game
    assert isinstance(game, GroupedGame)
    states = problem.initial_states(problem.graph, np.random.default_rng(1))
    _, group = problem.graph.group_index()
    assert (states // 3 == group).all()
    counts = np.bincount(states, minlength=6)
    assert counts.tolist() == [10, 10, 0, 54, 6, 0]
    expected = counts / 80
    assert problem.type_shares(problem.graph.mixing("homogeneous"))[0] == pytest.approx(expected)
    by_group = problem.type_shares(problem.graph.mixing("group"))
    assert by_group == pytest.approx(np.array([[0.5, 0.5, 0, 0, 0, 0], [0, 0, 0, 0.9, 0.1, 0]]))
    assert problem.node_shares(problem.graph).mean(axis=0) == pytest.approx(expected)


def test_few_first_cases_are_not_lost_among_many_groups() -> None:
    """Catches counts that are rounded within each group: 5 infected among 20 groups of 10 stay 5."""
    groups = ", ".join(f"g{number:02}: 10" for number in range(20))
    rows = str([[0.5] * 20] * 20)
    text = SCENARIO[: SCENARIO.index("population:")] + (
        f"population: {{initial_counts: {{I: 5}}}}\ngraph: {{kind: contact_matrix, groups: {{{groups}}}, contacts: {rows}}}\n"
        "game: {kind: sir, beta: 0.03, gamma: 0.1}\n"
    )
    problem = mesocosm.build(mesocosm.parse(text))
    states = problem.initial_states(problem.graph, np.random.default_rng(1))
    assert int((states % 3 == 1).sum()) == 5


@pytest.mark.parametrize(
    ("graph_line", "game", "own", "says"),
    [
        (
            "{kind: blocks, sizes: [9, 9], mean_degrees: [[2, 1], [1, 2]]}",
            "{kind: opinion}",
            "confidence: 0.3",
            "game Opinion",
        ),
        (
            "{kind: blocks, sizes: [9, 9], mean_degrees: [[2, 1], [1, 2]]}",
            "{kind: sir, beta: 1, gamma: 1, rewiring: {rate: 0.5}}",
            "gamma: 2",
            "game SIR with a rule of rewiring",
        ),
        ("{kind: complete}", "{kind: sir, beta: 1, gamma: 1}", "gamma: 2", "no node attribute 'group'"),
    ],
)
def test_games_and_graphs_that_cannot_have_groups(graph_line: str, game: str, own: str, says: str) -> None:
    """Catches groups that are silently left out of a game of another kind, or of a graph without groups."""
    text = (
        "mesocosm: 1\nname: g\nseed: 1\ntime: {end: 2, save_every: 1}\n"
        f"population: {{size: 18, groups: {{'0': {{game: {{{own}}}}}}}}}\ngraph: {graph_line}\ngame: {game}\n"
    )
    with pytest.raises(ScenarioError, match=says) as caught:
        mesocosm.build(mesocosm.parse(text))
    assert "population.groups" in str(caught.value)
