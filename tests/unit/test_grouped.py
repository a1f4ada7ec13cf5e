"""Games of several groups: states and functions by group, contact matrices, places in a scenario, folding of records."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import mesocosm
from mesocosm import (
    ContactGraph,
    Dynamics,
    FiniteStateGame,
    GroupedGame,
    InputError,
    Options,
    ScenarioError,
    Transition,
)
from mesocosm.explaining import Faults
from mesocosm.grouped import grouped
from mesocosm.scenario import Choice
from mesocosm.varying import varied
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import EffortOptions, SIROptions

SIZES = {"old": 2, "young": 6}
MATRIX = np.array([[1.0, 6.0], [2.0, 4.0]])


def sir(beta: float = 0.3, gamma: float = 0.1, cost: float = 1.0, infection_cost: float = 1.0) -> SIR:
    return SIR(SIROptions(beta=beta, gamma=gamma, effort=EffortOptions(cost=cost, infection_cost=infection_cost)))


def graph(matrix: np.ndarray | None = None) -> ContactGraph:
    names = [name for name, size in SIZES.items() for _ in range(size)]
    return ContactGraph.complete(8, {"group": names}, matrix)


OWN = {"old": sir(gamma=0.05, cost=3.0, infection_cost=7.0)}
NUMBERS = np.arange(6)


def test_every_group_has_the_states_and_transitions_of_its_own_game() -> None:
    """Catches parameters of one group in another, and jumps from group to group."""
    game = grouped(sir(), OWN, graph())
    assert game.states == ("S@old", "I@old", "R@old", "S@young", "I@young", "R@young")
    assert game.control is not None
    assert game.control.states == ("S@old", "S@young")
    assert game.table().splitlines() == [
        "S@old   -> I@old    at 0.3 * field[infected] * control",
        "I@old   -> R@old    at 0.05",
        "S@young -> I@young  at 0.3 * field[infected] * control",
        "I@young -> R@young  at 0.1",
    ]
    assert game.has_group_parameters
    assert game.copies("I") == (1, 4)
    assert game.plain.states == ("S", "I", "R")


class Anxious(SIR):
    """SIR in which the field costs something too, now and at the end."""

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return super().running_cost(t, state, field, control) + self.options.gamma * field[..., 0]

    def terminal_cost(self, state: Any, field: Any) -> Any:
        return field[..., 0] * (state == 1) * self.options.gamma


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("matrix", [None, MATRIX])
def test_functions_are_those_of_the_group(library: str, matrix: np.ndarray | None) -> None:
    """Catches a state read as another group's, and a group that feels another's channel, with arrays of both libraries."""
    games = {"old": Anxious(OWN["old"].options), "young": Anxious(sir().options)}
    game = grouped(games["young"], {"old": games["old"]}, graph(matrix))
    field = np.array([1.2]) if matrix is None else np.array([1.2, 0.7])
    numbers, control, value = (
        NUMBERS,
        np.array([0.3, 0.9, 1.0, 0.5, 0.8, 1.0]),
        np.array([0.0, 1.5, 0.2, 0.1, 2.0, 0.3]),
    )
    if library == "torch":
        torch = pytest.importorskip("torch")
        field, numbers, control, value = (torch.from_numpy(each) for each in (field, numbers, control, value))
    spread = field + 0.0 * control[:, None]
    running, last = game.running_cost(2.0, numbers, spread, control), game.terminal_cost(numbers, spread)
    best = game.best_control(2.0, field, value)
    for number, alone in enumerate(games.values()):
        inside, felt = slice(3 * number, 3 * number + 3), slice(None) if matrix is None else slice(number, number + 1)
        own = spread[inside, felt]
        assert np.allclose(running[inside], alone.running_cost(2.0, numbers[:3], own, control[inside]))
        assert np.allclose(last[inside], alone.terminal_cost(numbers[:3], own))
        assert np.allclose(best[inside], alone.best_control(2.0, field[felt], value[inside]))
    assert 0.2 < float(best[3]) < float(best[0]) < 0.9


def test_intensities_feel_the_channel_of_their_group() -> None:
    """Catches a susceptible who is infected by what reaches another group."""
    game = grouped(sir(), {"old": sir(beta=0.5)}, graph(MATRIX))
    assert game.channels == ("infected@old", "infected@young")
    rates = [float(game.intensity(each, 0.0, np.array([2.0, 7.0]), np.array(1.0))) for each in game.transitions]
    assert rates == pytest.approx([0.5 * 2, 0.1, 0.3 * 7, 0.1])


def test_a_contact_matrix_weighs_pairs_by_both_groups() -> None:
    """Catches a matrix that is transposed, or shared among all agents instead of those of a group: every pair by hand.

    The old have 1 contact with the old and 5 with the young, the young 2 and 4 (not reciprocal, to tell rows from columns);
    N = 8, so that i in g meets j in h with weight C[g, h] 8 / (N_h 7).
    """
    lopsided = np.array([[1.0, 5.0], [2.0, 4.0]])
    game, graph_ = grouped(sir(), {}, graph(lopsided)), graph(lopsided)
    names, group = graph_.group_index()
    assert names == game.groups == ("old", "young")
    plain = np.array([1, 0, 1, 1, 0, 0, 0, 2])
    states = game.placed(plain, group)
    felt = graph_.field(game.emission(0.0, states, np.ones(8)))
    sizes = np.array([2, 6])
    weights = lopsided[group[:, None], group[None, :]] * 8 / (sizes[group] * 7) * (1 - np.eye(8))
    expected = weights @ (plain == 1)
    assert felt[np.arange(8), group] == pytest.approx(expected)


def test_a_game_that_averages_divides_each_row_by_its_sum() -> None:
    """Catches averages over contacts that grow with their number."""

    class Voter(FiniteStateGame):
        states: ClassVar[tuple[str, ...]] = ("no", "yes")
        channels: ClassVar[tuple[str, ...]] = ("yes",)
        normalise: ClassVar[str] = "mean"
        transitions = (Transition.general("no", "yes", lambda t, field, control: field[..., 0]),)

        def emission(self, t: float, state: Any, control: Any) -> Any:
            return self.stack([state == 1], like=control)

    game = grouped(Voter(), {}, graph(MATRIX))
    everyone = game.placed(np.ones(8, int), graph().group_index()[1])
    mean = game.emission(0.0, everyone, np.ones(8)).mean(axis=0)
    assert mean == pytest.approx([1.0, 1.0])
    assert game.normalise == "mean"
    assert float(game.intensity(game.transitions[1], 0.0, np.array([0.2, 0.6]), np.array(1.0))) == 0.6


class Odd(SIR):
    """Another order of states, or another channel, than SIR."""

    states: ClassVar[tuple[str, ...]] = ("S", "R", "I")


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (Odd(SIROptions(beta=1, gamma=1)), "states of group 'old'"),
        (SIR(SIROptions(beta=1, gamma=1, effort=EffortOptions(minimum=0.5))), "control of group 'old'"),
    ],
)
def test_groups_differ_in_parameters_only(own: SIR, says: str) -> None:
    """Catches a state, or a range of the control, that means different things in different groups."""
    with pytest.raises(InputError, match=says):
        grouped(sir(), {"old": own}, graph())


def test_a_group_may_choose_nothing() -> None:
    """Catches a group without effort that is given a choice, or costs it does not have."""
    game = grouped(sir(), {"old": SIR(SIROptions(beta=0.3, gamma=0.1))}, graph())
    assert game.control is not None
    assert game.control.states == ("S@young",)
    cost = game.running_cost(0.0, NUMBERS, np.ones((6, 1)), np.full(6, 0.5))
    assert cost == pytest.approx([0, 0, 0, 0.125, 1, 0])
    assert game.best_control(0.0, np.ones(1), np.zeros(6))[:3] == pytest.approx([1, 1, 1])


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


class Shown(Dynamics):
    """Shows fixed shares and controls; `extra` and the coordinates are set by tests."""

    expresses: ClassVar[frozenset[str]] = frozenset({"groups"})
    extra: ClassVar[dict[str, tuple[str, ...]]] = {}
    names: ClassVar[dict[str, Any]] = {}
    shares: ClassVar[np.ndarray] = np.array([[0.10, 0.15, 0.0, 0.45, 0.0, 0.30]])
    choice: ClassVar[np.ndarray] = np.array([[0.2, 1.0, 1.0, 0.6, 1.0, 1.0]])

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "control": ("replicate", "state"), **self.extra}

    def coordinates(self) -> dict[str, Any]:
        return self.names

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Any) -> int:
        return state + 1

    def observe(self, state: int) -> dict[str, np.ndarray]:
        found = {"occupancy": self.shares, "control": self.choice}
        if "group_occupancy" in self.extra:
            found["group_occupancy"] = np.repeat(self.shares[:, None], 3, axis=1)
        if "dread" in self.extra:
            found["dread"] = self.choice + 1
        return found


def record(**changes: Any) -> mesocosm.Trajectories:
    problem = mesocosm.build(mesocosm.parse(SCENARIO))
    kind = type("Shown", (Shown,), changes)
    return mesocosm.simulate(problem, {"shown": kind.bind(Options())})["shown"]


def test_records_are_folded_back_to_plain_states() -> None:
    """Catches results by expanded states, shares of groups that do not sum to one, and a control that is not weighed.

    A quarter of the agents are old. Of all susceptible 0.10 are old and choose 0.2, and 0.45 young and choose 0.6.
    """
    found = record()
    assert found.coordinates["state"] == ("S", "I", "R")
    assert found.coordinates["group"] == ("old", "young")
    assert found.array("occupancy")[0, 1] == pytest.approx([0.55, 0.15, 0.30])
    assert found.array("group_occupancy")[0, 1] == pytest.approx(np.array([[0.4, 0.6, 0], [0.6, 0, 0.4]]))
    assert found.array("control")[0, 1] == pytest.approx([(0.10 * 0.2 + 0.45 * 0.6) / 0.55, 1, 1])
    assert found.array("group_control")[0, 1] == pytest.approx(Shown.choice.reshape(2, 3))


def test_a_control_where_nobody_is_weighs_all_agents() -> None:
    """Catches NaN for an empty state: the mean is then over all agents, as without groups."""
    found = record(shares=np.array([[0.0, 0.25, 0.0, 0.0, 0.75, 0.0]]))
    assert found.array("control")[0, 0, 0] == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)


def test_groups_of_another_kind_keep_their_name() -> None:
    """Catches the groups of a closure by another attribute taken for those of the game."""
    dims = {"group_occupancy": ("replicate", "group", "state")}
    found = record(extra=dims, names={"group": ("x", "y", "z")})
    assert found.coordinates["group"] == ("x", "y", "z")
    assert found.coordinates["game_group"] == ("old", "young")
    assert found.array("group_occupancy").shape == (1, 3, 3, 3)
    assert found.variables["group_control"].dims == ("replicate", "time", "game_group", "state")


def test_what_else_is_recorded_over_states_keeps_the_group() -> None:
    """Catches a variable of a plugin that is added up although it is no share."""
    found = record(extra={"dread": ("replicate", "state")})
    assert found.variables["dread"].dims == ("replicate", "time", "group", "state")
    assert found.array("dread")[0, 0] == pytest.approx(Shown.choice.reshape(2, 3) + 1)
    with pytest.raises(InputError, match="the last one is the state"):
        record(extra={"dread": ("state", "replicate")})


def test_a_dynamics_that_names_its_states_is_not_folded() -> None:
    """Catches data by plain states that are cut into groups."""
    found = record(
        names={"state": ("S", "I", "R")}, shares=np.array([[0.5, 0.3, 0.2]]), choice=np.array([[0.5, 1.0, 1.0]])
    )
    assert found.array("occupancy")[0, 0] == pytest.approx([0.5, 0.3, 0.2])
    assert "group_control" not in found.variables


def test_the_share_at_risk_counts_every_group() -> None:
    """Catches an attack rate of the first group alone."""
    game = mesocosm.build(mesocosm.parse(SCENARIO)).finite_game
    assert float(game.share_at_risk(Shown.shares[0])) == pytest.approx(0.55)
    assert float(sir().share_at_risk(np.array([0.3, 0.2, 0.5]))) == pytest.approx(0.3)


def test_a_dynamics_refuses_groups_unless_it_says_otherwise() -> None:
    """Catches a plugin that would run the states of all groups as if they were one."""
    with pytest.raises(InputError, match="cannot express groups with parameters of their own"):
        record(expresses=frozenset())


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
