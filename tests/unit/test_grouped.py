"""Games of several groups: states and functions by group, and contact matrices, pair by pair."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from mesocosm import (
    ContactGraph,
    FiniteStateGame,
    InputError,
    Transition,
)
from mesocosm.grouped import grouped
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
