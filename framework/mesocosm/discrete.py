"""Games in discrete time: finitely many states and actions, a finite horizon, and a mean field of both.

At every save time of the scenario, 0 and the horizon included, an agent in state s chooses an action a, pays a cost, and moves
to its next state; at the horizon it chooses and pays, and the game is over. The others matter through the **mean field**
L[s, a], the share of agents that are in s and choose a:

    cost          c(t, L)[s, a]
    transition    P(t, L)[s, a, s']            probability that the next state is s'
    flow          L_t[s, a] = m_t[s] pi_t[s, a],   m_{t+1}[s'] = sum_{s, a} L_t[s, a] P(t, L_t)[s, a, s']
    total cost    J(pi'; L) = E[ sum_t c(t, L_t)[s_t, a_t] ]

A policy pi_t[s, a] is randomised. At an equilibrium no other policy pays less against its own flow.
Source: Cui and Koeppl, AISTATS 2021, arXiv 2102.01585, section 2; Guo, Hu, Zhang, arXiv 2206.09608.

A complete game: everyone picks one of two doors, and the wait at a door is the share of agents that picked it, twice as long
at the second. Two thirds pick the first, and wait two thirds.

>>> import numpy as np
>>> import mesocosm
>>> from mesocosm import DiscreteTimeGame
>>> class Doors(DiscreteTimeGame):
...     states = ("outside", "at the first", "at the second")
...     actions = ("first", "second")
...     def transition(self, t, mean_field):
...         chosen = np.zeros((3, 2, 3))
...         chosen[:, 0, 1] = chosen[:, 1, 2] = 1.0
...         return chosen
...     def cost(self, t, mean_field):
...         share = mean_field.sum(axis=-1)
...         wait = share * np.array([0.0, 1.0, 2.0])
...         return np.broadcast_to(wait[..., None], mean_field.shape)
>>> game = Doors()
>>> game.check()
>>> outside = np.array([[2 / 3, 1 / 3], [0.0, 0.0], [0.0, 0.0]])
>>> after = np.einsum("sa,sax->x", outside, game.transition(0.0, outside))
>>> game.cost(1.0, after[:, None] / 2 * np.ones(2))[1:].round(4).tolist()
[[0.6667, 0.6667], [0.6667, 0.6667]]
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm.errors import InputError, suggestion
from mesocosm.game import Game
from mesocosm.policy import FloatArray, IntArray, Policy

ROUNDING = 1e-9
"""By how much probabilities may miss their sum of 1."""


class DiscreteTimeGame(Game):
    """A game in steps, one for each save interval. You must write: `states`, `actions`, `transition` and `cost`.

    Both functions are called for many mean fields at once: `mean_field` has shape [..., state, action], `t` is one time or has
    shape [...]; no branches on them. A result that depends on neither may leave out the leading axes, which is faster.
    """

    states: tuple[str, ...]
    """State names; agents start in the first one unless the scenario says otherwise."""

    actions: tuple[str, ...]
    """Action names."""

    channels: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def transition(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        """Probability of every next state: [..., state, action] to [..., state, action, next state]."""

    @abstractmethod
    def cost(self, t: float | FloatArray, mean_field: FloatArray) -> FloatArray:
        """What an agent pays in one step: [..., state, action] to [..., state, action]. What it gains is negative."""

    @property
    def has_costs(self) -> bool:
        """True: a game in discrete time is about costs."""
        return True

    def state_index(self, name: str) -> int:
        """Number of a state; an error suggests the nearest name."""
        if name not in self.states:
            raise InputError(f"state '{name}'", where=f"game {type(self).__name__}", hint=suggestion(name, self.states))
        return self.states.index(name)

    def check(self) -> None:
        """Raise `InputError` for tables of the wrong shape, probabilities that are none, and costs that are not finite.

        They are looked at where agents are spread evenly, and where all are in one state.
        """
        where = f"game {type(self).__name__}"
        count, actions = len(self.states), len(self.actions)
        if not count or not actions:
            raise InputError(f"{count} states and {actions} actions", where=where, rule="at least one of each")
        spread = np.vstack([np.full(count, 1 / count), np.eye(count)])
        fields = np.repeat(spread[:, :, None], actions, axis=-1) / actions
        for number, field in enumerate(fields):
            at = "spread evenly" if number == 0 else f"all in '{self.states[number - 1]}'"
            moves, cost = np.asarray(self.transition(0.0, field)), np.asarray(self.cost(0.0, field))
            if moves.shape != (count, actions, count) or cost.shape != (count, actions):
                raise InputError(
                    f"transition of shape {moves.shape} and cost of shape {cost.shape}",
                    where=where,
                    rule=f"for {count} states and {actions} actions: {(count, actions, count)} and {(count, actions)}",
                )
            if not np.isfinite(cost).all():
                raise InputError(f"a cost is {cost[~np.isfinite(cost)][0]}, agents {at}", where=where, rule="finite")
            if not (moves >= -ROUNDING).all() or not (np.abs(moves.sum(axis=-1) - 1.0) <= ROUNDING).all():
                raise InputError(
                    f"transition is {moves.min():g} at least and adds up to {moves.sum(axis=-1).min():g} "
                    f"to {moves.sum(axis=-1).max():g}, agents {at}",
                    where=where,
                    rule="probabilities of the next state are not negative and add up to 1",
                )


@dataclass(frozen=True, eq=False)
class DiscretePolicy(Policy):
    """The probability of every action, by time and state.

    Attributes
    ----------
    times: shape [M], increasing: when agents choose.
    probabilities: shape [M, state, action]; not negative, and 1 in sum over actions.
    """

    times: FloatArray
    probabilities: FloatArray

    def __post_init__(self) -> None:
        table = self.probabilities
        if table.ndim != 3 or len(table) != len(self.times) or not (np.diff(self.times) > 0).all():
            raise InputError(
                f"a table of shape {table.shape} over {len(self.times)} times",
                where="policy",
                rule="increasing times, and probabilities of shape [time, state, action]",
            )
        if not (table >= 0.0).all() or not (np.abs(table.sum(axis=-1) - 1.0) <= ROUNDING).all():
            raise InputError(
                "a table that holds no probabilities",
                where="policy",
                rule="probabilities of actions are not negative and add up to 1",
            )

    @classmethod
    def uniform(cls, game: DiscreteTimeGame, times: FloatArray) -> DiscretePolicy:
        """Every action with the same probability, always: what `policy: none` is in discrete time."""
        shape = (len(times), len(game.states), len(game.actions))
        return cls(times, np.full(shape, 1.0 / len(game.actions)))

    def on(self, game: DiscreteTimeGame, times: FloatArray, *, where: str) -> FloatArray:
        """Its probabilities for a game at these times, [time, state, action]. Errors: `InputError` where it has others."""
        expected = (len(times), len(game.states), len(game.actions))
        if self.probabilities.shape != expected or not np.allclose(self.times, times, rtol=0.0, atol=ROUNDING):
            raise InputError(
                f"a policy of shape {self.probabilities.shape} from time {self.times[0]:g} to {self.times[-1]:g}",
                where=where,
                rule=f"here it is {expected}, [time, state, action], from time {times[0]:g} to {times[-1]:g}",
            )
        return self.probabilities

    def control(self, t: float, row: IntArray, state: NDArray[np.generic], field: FloatArray | None) -> FloatArray:
        """There is none: actions are drawn. Errors: `InputError`, always."""
        raise InputError("probabilities of actions", where="policy", rule="only a game in discrete time can play them")
