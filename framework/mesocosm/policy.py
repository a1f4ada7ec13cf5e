"""Policies: what an agent chooses, given the time, who it is, its state and the field that it receives.

Policies travel: the Nash policy of a mean-field closure can be played by agents on a graph. To that end a policy sorts the
nodes of any graph into *rows* (`rows(graph)`), the types that it distinguishes, and `control` takes the row of each agent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm.errors import InputError
from mesocosm.game import Control, FiniteStateGame, Game
from mesocosm.graph import ContactGraph
from mesocosm.mixing import Mixing

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Policy(ABC):
    """A control for every time, row, state and field."""

    uses_field: ClassVar[bool] = False
    """Whether `control` looks at the field; where it does not, engines tabulate it once per step."""

    def rows(self, graph: ContactGraph) -> IntArray:
        """The row of each node of a graph, shape [N]; all zero where a policy treats everyone alike."""
        return np.zeros(graph.node_count, np.int64)

    @property
    def row_count(self) -> int:
        """Number of rows."""
        return 1

    @abstractmethod
    def control(self, t: float, row: IntArray, state: IntArray, field: FloatArray | None) -> FloatArray:
        """Control of agents: `row` and `state` of shapes that broadcast to [...], field [..., channel] or None."""

    def table(self, t: float, state_count: int) -> FloatArray:
        """Control of every row in every state at time t, shape [row_count, state]; for policies that ignore the field."""
        rows, states = np.arange(self.row_count)[:, None], np.arange(state_count)[None, :]
        values = np.broadcast_to(self.control(t, rows, states, None), (self.row_count, state_count))
        return np.array(values, np.float64)


@dataclass(frozen=True, eq=False)
class ConstantPolicy(Policy):
    """One value in the states where agents choose, the neutral control in the others."""

    by_state: FloatArray

    @classmethod
    def of(cls, value: float) -> ConstantPolicy:
        """One value, for a game without states."""
        return cls(np.array([value]))

    def control(self, t: float, row: IntArray, state: IntArray, field: FloatArray | None) -> FloatArray:
        shape = np.broadcast_shapes(np.shape(row), np.shape(state))
        return np.broadcast_to(self.by_state[state], shape)


def no_control(game: FiniteStateGame) -> ConstantPolicy:
    """The policy `none`: the neutral control everywhere."""
    return ConstantPolicy(np.full(len(game.states), game.control.neutral if game.control else 1.0))


def constant_control(game: FiniteStateGame, value: float) -> ConstantPolicy:
    """The policy `{constant: value}`; an error where the game has no control or the value is out of its range."""
    control = require_control(game)
    control.check(value)
    by_state = np.full(len(game.states), control.neutral)
    by_state[[game.state_index(name) for name in control.states]] = value
    return ConstantPolicy(by_state)


@dataclass(frozen=True, eq=False)
class TabulatedPolicy(Policy):
    """A table over time, linear in between. Where a time stands more than once the control jumps, from its first entry there
    to its last one, which holds from then on.

    Attributes
    ----------
    times: shape [M], not decreasing, with two different ones at either end. values: shape [M, row, state].
    closure, types, degrees: the types of the closure that it was solved for, which decide the row of a node of any
        graph: by nearest degree, by group name, or node by node.
    group: the node attribute of the group closure.
    """

    times: FloatArray
    values: FloatArray
    closure: str
    types: tuple[str, ...]
    degrees: FloatArray
    group: str = "group"

    def __post_init__(self) -> None:
        expected = (len(self.times), len(self.types))
        gaps = np.diff(self.times)
        ordered = len(gaps) > 0 and gaps[0] > 0 and gaps[-1] > 0 and bool((gaps >= 0).all())
        if not ordered or self.values.shape[:2] != expected:
            raise InputError(
                f"a table of shape {self.values.shape} over {len(self.times)} times",
                where="policy",
                rule=f"at least two times in order, and a row for each of {len(self.types)} types: [time, row, state]",
            )

    @classmethod
    def of(cls, times: FloatArray, values: FloatArray, mixing: Mixing, group: str = "group") -> TabulatedPolicy:
        """A policy with one row for each type of a closure."""
        return cls(times, values, mixing.closure, mixing.types, mixing.degrees, group)

    @property
    def row_count(self) -> int:
        return int(self.values.shape[1])

    def rows(self, graph: ContactGraph) -> IntArray:
        if self.closure == "homogeneous":
            return np.zeros(graph.node_count, np.int64)
        if self.closure == "degree":
            order = np.argsort(self.degrees)
            middles = (self.degrees[order][1:] + self.degrees[order][:-1]) / 2
            return order[np.searchsorted(middles, graph.strengths)].astype(np.int64)
        if self.closure == "group":
            names, index = graph.group_index(self.group)
            missing = sorted(set(names) - set(self.types))
            if missing:
                raise InputError(
                    f"the graph has group '{missing[0]}'",
                    where="policy",
                    rule=f"it was solved for the groups {', '.join(self.types)}",
                )
            return np.array([self.types.index(name) for name in names], np.int64)[index]
        if graph.node_count != self.row_count:
            raise InputError(
                f"a graph of {graph.node_count} nodes",
                where="policy",
                rule=f"it was solved node by node for {self.row_count} nodes",
                hint="solve with closure: degree or homogeneous to play elsewhere",
            )
        return np.arange(graph.node_count, dtype=np.int64)

    def control(self, t: float, row: IntArray, state: IntArray, field: FloatArray | None) -> FloatArray:
        right = int(np.clip(np.searchsorted(self.times, t, side="right"), 1, len(self.times) - 1))
        left = right - 1
        span = self.times[right] - self.times[left]
        weight = float(np.clip((t - self.times[left]) / span, 0.0, 1.0))
        table = (1.0 - weight) * self.values[left] + weight * self.values[right]
        result: Any = table[row, state]
        return np.asarray(result, np.float64)


def require_control(game: Game) -> Control:
    """The control of a game; an error where agents choose nothing."""
    control: Control | None = getattr(game, "control", None)
    if control is None:
        raise InputError(
            "the game has no control",
            where="policy",
            rule="a policy other than 'none' needs one",
            hint="give the game one (for sir, sis, seir: the option effort)",
        )
    return control
