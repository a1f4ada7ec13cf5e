"""What a game in discrete time must be, the policies for it, and the four bundled ones written out by hand.

Catches tables of the wrong shape or that hold no probabilities and are not refused, a policy that is played where it does not
fit, and a term of a bundled game that is wrong, missing or on the wrong state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import DiscretePolicy, DiscreteTimeGame, InputError, ScenarioError

SCENARIO = """
mesocosm: 1
name: discrete
seed: 1
time: {{end: {end}, save_every: 1}}
population: {{size: 10{initial}}}
graph: {{kind: complete}}
game: {{kind: {kind}{options}}}
"""


def build(kind: str, *, end: int = 1, initial: str = "", options: str = "") -> mesocosm.Problem:
    """The problem of one bundled game."""
    return mesocosm.build(mesocosm.parse(SCENARIO.format(end=end, kind=kind, initial=initial, options=options)))


class Coin(DiscreteTimeGame):
    """Two states; `broken` spoils one entry."""

    states = ("heads", "tails")
    actions = ("keep", "flip")

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def transition(self, t: Any, mean_field: Any) -> Any:
        moves = np.zeros((2, 2, 2))
        moves[:, 0], moves[:, 1] = np.eye(2), np.eye(2)[::-1]
        if self.broken == "sum":
            moves[0, 0, 1] = 0.1
        if self.broken == "negative":
            moves[0, 0] = (1.5, -0.5)
        return moves[:1] if self.broken == "shape" else moves

    def cost(self, t: Any, mean_field: Any) -> Any:
        cost = np.array([[0.0, 1.0], [1.0, 2.0]])
        if self.broken == "cost":
            return cost / np.where(mean_field.sum(axis=-1)[..., None] > 0, 1.0, 0.0)
        return cost


def test_a_sound_game_passes_its_check() -> None:
    """Catches a check that refuses what is right."""
    Coin().check()
    assert Coin().has_costs
    assert Coin().state_index("tails") == 1


@pytest.mark.parametrize(
    ("broken", "says"),
    [("shape", "shape"), ("sum", "1.1"), ("negative", "-0.5"), ("cost", "a cost is")],
)
def test_a_broken_game_is_refused(broken: str, says: str) -> None:
    """Catches tables that are no probabilities, and costs without a value, which would surface as a strange equilibrium."""
    with np.errstate(all="ignore"), pytest.raises(InputError, match=says):
        Coin(broken).check()


def test_an_unknown_state_is_named() -> None:
    """Catches a state name that is looked up without an error."""
    with pytest.raises(InputError, match="did you mean 'tails'"):
        Coin().state_index("tail")


def test_policies_hold_probabilities_at_increasing_times() -> None:
    """Catches a table that sums to something else, is negative, or belongs to other times."""
    even = DiscretePolicy.uniform(Coin(), np.array([0.0, 1.0]))
    assert even.probabilities.tolist() == [[[0.5, 0.5]] * 2] * 2
    for table in (np.full((2, 2, 2), 0.4), np.tile([1.5, -0.5], (2, 2, 1))):
        with pytest.raises(InputError, match="probabilities"):
            DiscretePolicy(even.times, table)
    for times in (np.array([0.0]), np.array([1.0, 0.0])):
        with pytest.raises(InputError, match="increasing times"):
            DiscretePolicy(times, even.probabilities)


def test_a_policy_is_played_only_where_it_fits() -> None:
    """Catches a policy for other times, states or actions that is played all the same."""
    even = DiscretePolicy.uniform(Coin(), np.array([0.0, 1.0]))
    assert even.on(Coin(), np.array([0.0, 1.0]), where="here") is even.probabilities
    for times in (np.array([0.0, 2.0]), np.array([0.0, 1.0, 2.0])):
        with pytest.raises(InputError, match="here: a policy of shape"):
            even.on(Coin(), times, where="here")
    with pytest.raises(InputError, match="only a game in discrete time"):
        even.control(0.0, np.zeros(1, np.int64), np.zeros(1, np.int64), None)


def test_the_problem_hands_out_its_game_by_kind() -> None:
    """Catches a game of another kind that is taken for one in discrete time, and the reverse."""
    assert build("left_right").discrete_game.actions == ("left", "right")
    with pytest.raises(InputError, match="a finite-state game is needed"):
        build("left_right").finite_game  # noqa: B018
    with pytest.raises(InputError, match="a game in discrete time is needed"):
        build("sir", options=", beta: 0.3, gamma: 0.1").discrete_game  # noqa: B018


def test_agents_start_where_the_scenario_says() -> None:
    """Catches initial shares by state name that are lost."""
    assert build("left_right").population.shares.tolist() == [1.0, 0.0, 0.0]
    assert build("susceptible_infected", initial=", initial: {S: 0.4, I: 0.6}").population.shares.tolist() == [0.4, 0.6]
    with pytest.raises(ScenarioError, match="has no state 'X'"):
        build("left_right", initial=", initial: {X: 1}")


def test_a_bar_beyond_the_beach_is_refused() -> None:
    """Catches a bar at a place that does not exist."""
    with pytest.raises(ScenarioError, match="the bar is at place 4"):
        build("beach_bar", options=", bar: 4")


def spread(*shares: float, actions: int) -> np.ndarray:
    """Agents with these shares of states, all actions alike."""
    return np.repeat(np.array(shares)[:, None] / actions, actions, axis=1)


def test_rock_paper_scissors_is_the_game_of_the_paper() -> None:
    """Catches rewards of the paper (2 m_S - m_P, 4 m_R - 2 m_S, 6 m_P - 3 m_R) with a wrong sign or partner."""
    game = build("rock_paper_scissors").discrete_game
    cost = game.cost(1.0, spread(0.0, 0.5, 0.3, 0.2, actions=3))
    expected = -np.array([0.0, 2 * 0.2 - 0.3, 4 * 0.5 - 2 * 0.2, 6 * 0.3 - 3 * 0.5])
    assert cost == pytest.approx(np.repeat(expected[:, None], 3, axis=1), abs=1e-15)
    assert game.transition(0.0, spread(1.0, 0.0, 0.0, 0.0, actions=3))[0].argmax(axis=-1).tolist() == [1, 2, 3]


def test_left_right_is_the_game_of_the_paper() -> None:
    """Catches rewards of the paper (-m_L, -2 m_R) on the wrong side."""
    game = build("left_right").discrete_game
    assert game.cost(1.0, spread(0.0, 0.7, 0.3, actions=2))[:, 0] == pytest.approx([0.0, 0.7, 0.6], abs=1e-15)


def test_susceptible_infected_is_the_game_of_the_paper() -> None:
    """Catches an infection that distancing does not prevent, a wrong recovery, or a wrong cost."""
    game = build("susceptible_infected").discrete_game
    field = spread(0.4, 0.6, actions=2)
    infected = 0.81 * 0.6
    expected = [[[1 - infected, infected], [1.0, 0.0]], [[0.3, 0.7], [0.3, 0.7]]]
    assert game.transition(0.0, field) == pytest.approx(np.array(expected), abs=1e-15)
    assert game.cost(0.0, field).tolist() == [[0.0, 0.5], [1.0, 1.5]]


def test_beach_bar_is_the_game_of_the_paper() -> None:
    """Catches a wrong distance, price of a move, pressure of the crowd, or reflection at the ends."""
    game = build("beach_bar").discrete_game
    field = spread(0.1, 0.2, 0.3, 0.4, actions=3)
    expected = (
        np.array([2.0, 1.0, 0.0, 1.0])[:, None] + np.array([0.25, 0.0, 0.25]) + np.log([0.1, 0.2, 0.3, 0.4])[:, None]
    )
    assert game.cost(0.0, field) == pytest.approx(expected, abs=1e-14)
    moves = game.transition(0.0, field)
    assert moves[0, 0].tolist() == [1.0 - 0.25 + 0.25, 0.0, 0.0, 0.0]
    assert moves[1, 2].tolist() == [0.0, 0.25, 0.5, 0.25]
    assert moves[3, 1].tolist() == [0.0, 0.0, 0.25, 0.75]


@pytest.mark.parametrize("kind", ["rock_paper_scissors", "left_right", "susceptible_infected", "beach_bar"])
def test_many_mean_fields_at_once_are_as_one_by_one(kind: str) -> None:
    """Catches a game whose functions mix up the leading axes."""
    game = build(kind).discrete_game
    shape = (len(game.states), len(game.actions))
    fields = np.random.default_rng(3).dirichlet(np.ones(shape[0] * shape[1]), (2, 5)).reshape(2, 5, *shape)
    times = np.arange(10.0).reshape(2, 5)
    for function, tail in ((game.cost, shape), (game.transition, (*shape, shape[0]))):
        together = np.broadcast_to(function(times, fields), (2, 5, *tail))
        for index in np.ndindex(2, 5):
            assert together[index] == pytest.approx(function(times[index], fields[index]), abs=1e-14)
