"""The grid of a diffusion: equal cells with a node in the middle of each, walls, and one step of the chain on its nodes.

A side that absorbs lies one spacing beyond the outermost node, where it is a node of its own that holds the exit cost and
collects the masses that leave; the half cell next to it holds nothing. Any other side, also one with a door, lies half a
spacing beyond. A door that covers a part of a cell's face lets that part of the rate through.

In two dimensions a step is split (Lie): values go through the axes in one order, masses in the other, each with the transposed
matrix, so that sum(u m) + what is paid on leaving is the same before and after, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm.box import Axis
from mesocosm.diffusion import DiffusionGame
from mesocosm.tridiagonal import fitted_rates, slopes, step_masses, step_values

FloatArray = NDArray[np.float64]
Walls = tuple[FloatArray, ...]
"""Numbers at the ends of lines, [line]: for each axis, first of the lower side and then of the upper."""


@dataclass(frozen=True, eq=False)
class GridAxis:
    """The nodes of one axis, and the lines of the grid along it.

    Attributes
    ----------
    number: which axis. nodes: shape [cells]. spacing: h, also the width of a cell.
    distances: from the outermost nodes to the lower and the upper wall.
    low, high: for every line, the share of its lower and upper end that absorbs, shape [line].
    goes_on: whether the lower and the upper side are open.
    """

    number: int
    nodes: FloatArray
    spacing: float
    cyclic: bool
    distances: tuple[float, float]
    low: FloatArray
    high: FloatArray
    goes_on: tuple[bool, bool]

    @property
    def edges(self) -> FloatArray:
        """Borders of the cells, shape [cells + 1]."""
        return np.append(self.nodes - self.spacing / 2, self.nodes[-1] + self.spacing / 2)

    def lines(self, values: FloatArray) -> FloatArray:
        """Numbers on the grid as lines along this axis: [line, node], contiguous."""
        if values.ndim == 1:
            return np.ascontiguousarray(values)[None]
        return np.ascontiguousarray(values.T if self.number == 0 else values)

    def grid(self, lines: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """The inverse of `lines`."""
        return lines.T if self.number == 0 and len(shape) == 2 else lines.reshape(shape)

    def rates(self, drift: FloatArray, diffusivity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Rates down and up of every node, [line, node], from drift and diffusivity on the grid."""
        speed, spread = self.lines(drift), self.lines(diffusivity)
        down, up = np.empty_like(speed), np.empty_like(speed)
        fitted_rates(speed, spread, self.spacing, self.cyclic, self.low, self.high, self.distances, down, up)
        return down, up


@dataclass(frozen=True, eq=False)
class StateGrid:
    """The grid of a game with so many `cells` along each axis; a step is `parts` implicit steps of the same chain."""

    game: DiffusionGame
    cells: tuple[int, ...]
    parts: int = 1

    @cached_property
    def axes(self) -> tuple[GridAxis, ...]:
        """One for each axis of the game."""
        placed = [_place(axis, count) for axis, count in zip(self.game.axes, self.cells, strict=True)]
        return tuple(self._axis(number, *parts) for number, parts in enumerate(placed))

    def _axis(self, number: int, nodes: FloatArray, spacing: float, distances: tuple[float, float]) -> GridAxis:
        axis = self.game.axes[number]
        sides = (axis.lower, axis.upper)
        others = [
            _place(self.game.axes[other], self.cells[other]) for other in range(len(self.cells)) if other != number
        ]
        lines = len(others[0][0]) if others else 1
        shares = [np.full(lines, float(side == "absorbing")) for side in sides]
        for door in self.game.doors:
            if door.axis == number and others:
                across, width, _ = others[0]
                covered = np.minimum(across + width / 2, door.stop) - np.maximum(across - width / 2, door.start)
                share = shares[int(door.upper)]
                share[:] = np.minimum(1.0, share + covered.clip(0.0) / width)
        goes_on = (sides[0] == "open", sides[1] == "open")
        return GridAxis(number, nodes, spacing, axis.is_periodic, distances, shares[0], shares[1], goes_on)

    @cached_property
    def nodes(self) -> FloatArray:
        """Place of every node, shape [cells..., axis]."""
        return np.stack(np.meshgrid(*(axis.nodes for axis in self.axes), indexing="ij"), axis=-1)

    @cached_property
    def volume(self) -> float:
        """Of a cell."""
        return float(np.prod([axis.spacing for axis in self.axes]))

    @cached_property
    def start(self) -> FloatArray:
        """Masses at time 0, [cells...]."""
        return self.game.start.masses([axis.edges for axis in self.axes])

    @cached_property
    def exits(self) -> FloatArray:
        """Place of every wall node, [exit, axis]: for each axis, first the lower side and then the upper."""
        places = []
        for axis, here in zip(self.axes, self.game.axes, strict=True):
            for lines, wall in zip(self._ends[axis.number], (here.low, here.high), strict=True):
                row = np.full((len(lines), len(self.axes)), wall)
                if len(self.axes) == 2:
                    row[:, 1 - axis.number] = self.axes[1 - axis.number].nodes[lines]
                places.append(row)
        return np.concatenate(places)

    @cached_property
    def open_cells(self) -> NDArray[np.bool_]:
        """Which cells are outermost at an open side, [cells...]."""
        found = np.zeros(self.cells, bool)
        for number, axis in enumerate(self.game.axes):
            along = np.moveaxis(found, number, 0)
            along[0] |= axis.lower == "open"
            along[-1] |= axis.upper == "open"
        return found

    @cached_property
    def _ends(self) -> list[list[NDArray[np.int64]]]:
        """For each axis and side, the lines that end at a wall."""
        return [[np.flatnonzero(share) for share in (axis.low, axis.high)] for axis in self.axes]

    def at_walls(self, exits: FloatArray) -> list[Walls]:
        """Numbers of the exits, [time, exit], as numbers of the ends of all lines: an item for each time."""
        found, first = [], 0
        for axis, ends in zip(self.axes, self._ends, strict=True):
            for lines in ends:
                rows = np.zeros((len(exits), len(axis.low)))
                rows[:, lines] = exits[:, first : first + len(lines)]
                found.append(rows)
                first += len(lines)
        return list(zip(*found, strict=True))

    def gradient(self, values: FloatArray, walls: Walls, drift: FloatArray, diffusivity: FloatArray) -> FloatArray:
        """Gradient of values [cells...] with those at the walls, weighted as drift and diffusivity are: [cells..., axis]."""
        result = np.empty((*self.cells, len(self.axes)))
        for axis in self.axes:
            ends = (walls[2 * axis.number], walls[2 * axis.number + 1])
            lines = axis.lines(values)
            speed, spread = axis.lines(drift[..., axis.number]), axis.lines(diffusivity[..., axis.number])
            slope = np.empty_like(lines)
            shares = (axis.low, axis.high)
            slopes(lines, speed, spread, axis.spacing, axis.cyclic, shares, axis.distances, ends, axis.goes_on, slope)
            result[..., axis.number] = axis.grid(slope, self.cells)
        return result

    def backward(
        self, values: FloatArray, source: FloatArray, walls: tuple[Walls, Walls], drift: FloatArray,
        diffusivity: FloatArray, length: float,
    ) -> FloatArray:  # fmt: skip
        """Values a time `length` earlier; `source` [cells...] per unit time, `walls` at the earlier and at the later time.

        Drift and diffusivity are [cells..., axis].
        """
        for axis in reversed(self.axes):
            low, high = 2 * axis.number, 2 * axis.number + 1
            lines = axis.lines(values)
            down, up = axis.rates(drift[..., axis.number], diffusivity[..., axis.number])
            result = np.empty_like(lines)
            added = axis.lines(source) if axis is self.axes[-1] else np.zeros_like(lines)
            ends = (walls[0][low], walls[0][high], walls[1][low], walls[1][high])
            step_values(lines, added, down, up, length, self.parts, axis.cyclic, ends, result)
            values = axis.grid(result, self.cells)
        return values

    def forward(
        self, masses: FloatArray, drift: FloatArray, diffusivity: FloatArray, length: float
    ) -> tuple[FloatArray, FloatArray]:
        """Masses a time `length` later, and the masses [exit] that left meanwhile."""
        left: list[FloatArray] = []
        for axis in self.axes:
            lines = axis.lines(masses)
            down, up = axis.rates(drift[..., axis.number], diffusivity[..., axis.number])
            result, low, high = np.empty_like(lines), np.empty(len(lines)), np.empty(len(lines))
            step_masses(lines, down, up, length, self.parts, axis.cyclic, result, low, high)
            masses = axis.grid(result, self.cells)
            lower, upper = self._ends[axis.number]
            left += [low[lower], high[upper]]
        return masses, np.concatenate(left)


def _place(axis: Axis, count: int) -> tuple[FloatArray, float, tuple[float, float]]:
    """Nodes of an axis, their spacing, and the distances from the outermost ones to the sides."""
    before, after = (1.0 if side == "absorbing" else 0.5 for side in (axis.lower, axis.upper))
    spacing = axis.length / (count - 1 + before + after)
    nodes = axis.low + spacing * (before + np.arange(count, dtype=np.float64))
    return nodes, spacing, (before * spacing, after * spacing)


def cells_of(axes: Sequence[Axis], longest: int) -> tuple[int, ...]:
    """Cells along each axis: `longest` along the longest one, equal spacing in all, at least 8."""
    length = max(axis.length for axis in axes)
    return tuple(max(8, round(longest * axis.length / length)) for axis in axes)
