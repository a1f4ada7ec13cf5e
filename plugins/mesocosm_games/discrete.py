"""Four games in discrete time on which solvers of mean-field games are compared. Costs; rewards are negative costs.

With m[s] the share of agents in state s:

    rock_paper_scissors    start -> rock, paper or scissors, as chosen; there,
                           cost = loss * m[what beats one] - win * m[what one beats]
    left_right             start -> left or right, as chosen; there, cost = 1 m[left], or 2 m[right]
    susceptible_infected   S goes out: infected with probability 0.81 m[I]; S keeps its distance: never, at cost 0.5 (I too);
                           I recovers with probability 0.3, and pays 1 a step
    beach_bar              one moves by -1, 0 or 1 place as chosen, then by -1, 0 or 1 at random, not beyond the ends;
                           cost = distance to the bar round the circle + 1/n if one moves + log(m[place] + floor)

Defaults are those of MFGLib 0.3.0. Its horizons are 1, 1, 50 and 2 steps, and agents start in the first state, but in
`susceptible_infected` at 0.4 susceptible, 0.6 infected, and in `beach_bar` evenly spread.

Sources: Cui and Koeppl, AISTATS 2021, arXiv 2102.01585 (left_right, rock_paper_scissors after Shapley 1964, and their SIS);
Perrin et al., NeurIPS 2020, arXiv 2007.03458 (beach bar); Guo et al., MFGLib, arXiv 2304.08630.

Equilibria known in closed form: left_right by default 2/3 left, at a cost of 2/3; rock_paper_scissors by default rock, paper,
scissors at 26/77, 20/77, 31/77, at a cost of -6/11.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiscreteTimeGame
from mesocosm_games.discrete_options import (
    BeachBarOptions,
    LeftRightOptions,
    RockPaperScissorsOptions,
    SusceptibleInfectedOptions,
)

FloatArray = NDArray[np.float64]


def _chosen_place(states: int, actions: int) -> FloatArray:
    """Transitions to the state 1 + a from everywhere, [state, action, next state]."""
    moves = np.zeros((states, actions, states))
    for action in range(actions):
        moves[:, action, 1 + action] = 1.0
    return moves


def _by_state(cost: FloatArray, actions: int) -> FloatArray:
    """A cost of the state alone, [..., state] to [..., state, action]."""
    return np.repeat(cost[..., None], actions, axis=-1)


class RockPaperScissors(DiscreteTimeGame):
    """A cyclic game that is not zero-sum (see the module docstring)."""

    states = ("start", "rock", "paper", "scissors")
    actions = ("rock", "paper", "scissors")

    def __init__(self, options: RockPaperScissorsOptions) -> None:
        self.options = options
        self._moves = _chosen_place(4, 3)
        # Rock beats scissors, paper beats rock, scissors beat paper; rows are the player, columns what the others play.
        beaten, beats = np.roll(np.eye(3), -1, axis=1), np.roll(np.eye(3), 1, axis=1)
        self._table = np.zeros((4, 4))
        self._table[1:, 1:] = np.array(options.losses)[:, None] * beats - np.array(options.wins)[:, None] * beaten

    def transition(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return self._moves

    def cost(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return _by_state(mean_field.sum(axis=-1) @ self._table.T, 3)


class LeftRight(DiscreteTimeGame):
    """Two sides, each with its price of crowding (see the module docstring)."""

    states = ("start", "left", "right")
    actions = ("left", "right")

    def __init__(self, options: LeftRightOptions) -> None:
        self._moves = _chosen_place(3, 2)
        self._price = np.array([0.0, options.left, options.right])

    def transition(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return self._moves

    def cost(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return _by_state(mean_field.sum(axis=-1) * self._price, 2)


class SusceptibleInfected(DiscreteTimeGame):
    """Susceptible, infected, susceptible again, in steps; one may keep one's distance (see the module docstring)."""

    states = ("S", "I")
    actions = ("out", "distance")

    def __init__(self, options: SusceptibleInfectedOptions) -> None:
        self.options = options
        distancing, ill = options.distancing_cost, options.infection_cost
        self._cost = np.array([[0.0, distancing], [ill, ill + distancing]])

    def transition(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        infected = self.options.infection * mean_field[..., 1, :].sum(axis=-1)
        result = np.zeros((*mean_field.shape, 2))
        result[..., 0, 0, 1] = infected
        result[..., 0, 0, 0] = 1.0 - infected
        result[..., 0, 1, 0] = 1.0
        result[..., 1, :, 0] = self.options.recovery
        result[..., 1, :, 1] = 1.0 - self.options.recovery
        return result

    def cost(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return self._cost


class BeachBar(DiscreteTimeGame):
    """Near the bar, away from the crowd (see the module docstring)."""

    actions = ("back", "stay", "forth")

    def __init__(self, options: BeachBarOptions) -> None:
        self.options = options
        count, still = options.places, options.still
        self.states = tuple(f"place_{number}" for number in range(count))
        places = np.arange(count)
        self._moves = np.zeros((count, 3, count))
        for push, probability in ((-1, (1 - still) / 2), (0, still), (1, (1 - still) / 2)):
            for action in range(3):
                self._moves[places, action, np.clip(places + action - 1 + push, 0, count - 1)] += probability
        away = np.minimum((places - options.bar) % count, (options.bar - places) % count)
        self._cost = away[:, None] + np.array([1.0, 0.0, 1.0]) / count

    def transition(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        return self._moves

    def cost(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        crowd = np.log(mean_field.sum(axis=-1) + self.options.crowd_floor)
        result: FloatArray = self._cost + crowd[..., None]
        return result
