"""A game and the mixing of its types that hold for a while, and regimes that follow each other on a time grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from mesocosm.game import FiniteStateGame, Transition
from mesocosm.mixing import Mixing

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Regime:
    """A game and the mixing of its types: the right-hand sides of the mean-field equations (see `equilibrium`).

    Occupancy, control and value have the shape [type, state], a field [type, channel].
    """

    game: FiniteStateGame
    mixing: Mixing

    @cached_property
    def states(self) -> IntArray:
        """State numbers, shape [type, state]."""
        return np.tile(np.arange(len(self.game.states)), (len(self.mixing.types), 1))

    @cached_property
    def _table(self) -> list[tuple[int, int, Transition]]:
        index = self.game.states.index
        return [(index(item.source), index(item.target), item) for item in self.game.transitions]

    def field(self, t: float, occupancy: FloatArray, control: FloatArray) -> FloatArray:
        """Field of every type from occupancy and control."""
        emission: FloatArray = self.game.emission(t, self.states, control)
        return self.mixing.field((occupancy[:, None, :] @ emission)[:, 0])

    def check(self, t: float, occupancy: FloatArray, control: FloatArray) -> None:
        """Raise `DynamicsError` for an intensity that is negative or not finite, at shares that are sound."""
        field = self.field(t, occupancy, control)
        for source, _, transition in self._table:
            self.game.checked_intensity(transition, t, field, control[:, source])

    def rate_of_change(
        self, t: float, occupancy: FloatArray, control: FloatArray, field: FloatArray | None = None
    ) -> FloatArray:
        """The right-hand side of the Kolmogorov equation; in the field of the population itself, or in a given one."""
        felt = self.field(t, occupancy, control) if field is None else field
        change = np.zeros_like(occupancy)
        for source, target, transition in self._table:
            moved = occupancy[:, source] * self.game.intensity(transition, t, felt, control[:, source])
            change[:, source] -= moved
            change[:, target] += moved
        return change

    def hamiltonian(self, t: float, field: FloatArray, value: FloatArray, control: FloatArray) -> FloatArray:
        """Running cost, and the expected change of value by jumps: -u' of a given control."""
        result = np.array(self.game.running_cost(t, self.states, self.by_state(field), control), np.float64)
        for source, target, transition in self._table:
            rate = self.game.intensity(transition, t, field, control[:, source])
            result[:, source] += rate * (value[:, target] - value[:, source])
        return result

    def terminal_cost(self, field: FloatArray) -> FloatArray:
        """Cost at the horizon."""
        return np.array(self.game.terminal_cost(self.states, self.by_state(field)), np.float64)

    def neutral(self) -> FloatArray:
        """The neutral control."""
        return np.asarray(self.game.neutral_control(np.zeros(self.states.shape)), np.float64)

    def by_state(self, field: FloatArray) -> FloatArray:
        """A field for an agent in every state: [type, state, channel]."""
        return np.repeat(field[:, None, :], len(self.game.states), axis=1)

    @cached_property
    def transposed(self) -> Mixing:
        """The transpose of the mixing: what each type's emission does to all others."""
        mixing = self.mixing
        matrix = None if mixing.matrix is None else mixing.matrix.T
        return replace(mixing, matrix=matrix, left=mixing.right, right=mixing.left)

    def scaled(self, share: float) -> Regime:
        """The same with a share of what agents feel of each other."""
        mixing = self.mixing
        matrix = None if mixing.matrix is None else share * mixing.matrix
        left = None if mixing.left is None else share * mixing.left
        return Regime(self.game, replace(mixing, matrix=matrix, left=left))


@dataclass(frozen=True, eq=False)
class Course:
    """Regimes that follow each other on a half-step grid.

    Where one regime takes over from another, the grid has a step of length zero: its left node is before, its right node
    after the change, both at the same time. So at every node one regime holds, and in every other step only one.

    Attributes
    ----------
    numbers: number of the regime at each node, shape [node].
    regime: number -> regime; with the same types in all.
    games: all games that occur.
    """

    numbers: IntArray
    regime: Callable[[int], Regime]
    games: tuple[FiniteStateGame, ...]

    def at(self, node: int) -> Regime:
        """The regime at a node."""
        return self.regime(int(self.numbers[node]))

    def scaled(self, share: float) -> Course:
        """The same with a share of what agents feel of each other."""
        scaled = lru_cache(maxsize=8)(lambda number: self.regime(number).scaled(share))
        return replace(self, regime=scaled)
