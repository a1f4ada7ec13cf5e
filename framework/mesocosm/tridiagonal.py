"""Compiled kernels for diffusions on a line of nodes: exponentially fitted rates, and implicit Euler steps.

With drift b, diffusivity D = sigma^2/2 and spacing h, a Markov chain on the nodes has the same first two moments as the
diffusion, up to order h^2. Its rates up and down are, with B(z) = z / (e^z - 1),

    up = D / (h d) B(-b d / D),        down = D / (h d) B(b d / D),        d = h, or the distance to a wall

never negative, whatever b and D; without noise they are the upwind rates. Sources: A. M. Il'in, Math. Notes 6, 596 (1969);
D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16, 64 (1969); J. S. Chang, G. Cooper, J. Comput. Phys. 6, 1
(1970).

A step of length dt solves (I - dt L) u = r for values, and with the transposed matrix for masses. Both use one elimination
that never subtracts, so that masses are not negative and each number has a small relative error even where it is tiny
(W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33, 1107 (1985)). The last node is eliminated last: on a periodic
line, where it is coupled to the first one, that takes one more row and one more column.

Arrays are [line, node], one independent line for each row; arrays of one side of the lines are [line].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

STEEP = 40.0
"""Of |b| d / D: from here on the rate against the drift is below rounding."""

CENTRAL = 2.0
"""Of |b| d / D: up to here central differences are monotone, too."""

TINY = 1e-200
"""A mass below this is nothing; it keeps the arithmetic out of the slow range of denormal numbers."""


def compiled(function: Function) -> Function:
    """`numba.njit` without the interpreter lock, cached on disk, keeping the type of what it decorates."""
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


@compiled
def rate_pair(drift: float, diffusivity: float, spacing: float, distance: float) -> tuple[float, float]:
    """The rates down and up over a distance, out of a cell of width `spacing`."""
    speed = abs(drift)
    if STEEP * diffusivity <= speed * distance:
        against, along = 0.0, speed / spacing
    else:
        z = speed * distance / diffusivity
        share = z / np.expm1(z) if z > 1e-8 else 1.0 - 0.5 * z
        scale = diffusivity / (spacing * distance)
        against, along = scale * share, scale * (share + z)
    if drift > 0:
        return against, along
    return along, against


@compiled
def fitted_rates(
    drift: FloatArray, diffusivity: FloatArray, spacing: float, cyclic: bool, low: FloatArray, high: FloatArray,
    distances: tuple[float, float], down: FloatArray, up: FloatArray,
) -> None:  # fmt: skip
    """Write the rates of every node. `low` and `high` are the shares of the ends of each line that are walls which absorb,
    at the `distances` from the outermost nodes; on a cyclic line the ends are neighbours of each other."""
    last = drift.shape[1] - 1
    for line in range(drift.shape[0]):
        for node in range(last + 1):
            pair = rate_pair(drift[line, node], diffusivity[line, node], spacing, spacing)
            down[line, node], up[line, node] = pair
        if not cyclic:
            first = rate_pair(drift[line, 0], diffusivity[line, 0], spacing, distances[0])
            down[line, 0] = low[line] * first[0]
            final = rate_pair(drift[line, last], diffusivity[line, last], spacing, distances[1])
            up[line, last] = high[line] * final[1]


@compiled
def eliminate(down: FloatArray, up: FloatArray, length: float, cyclic: bool, work: FloatArray) -> None:
    """Factors of I - dt L for one line: rates [node], dt = `length`; writes `work` [5, node].

    Rows of `work`: 1 / pivot; entry to the next node; entry to the last node; multiplier of the next row; of the last row.
    """
    last = len(down) - 1
    slack, entry = 1.0, 0.0
    slack_of_last, below = 1.0, 0.0
    if cyclic:
        entry, below = length * down[0], length * up[last]
    else:
        slack += length * down[0]
        slack_of_last += length * up[last]
    for node in range(last):
        ahead = length * up[node]
        if node == last - 1:
            entry, ahead = entry + ahead, 0.0
            below += length * down[last]
        pivot = slack + ahead + entry
        share = below / pivot
        slack_of_last += share * slack
        multiplier = length * down[node + 1] / pivot if node < last - 1 else 0.0
        work[0, node], work[1, node], work[2, node], work[3, node], work[4, node] = (
            1.0 / pivot,
            ahead,
            entry,
            multiplier,
            share,
        )
        below = share * ahead if share * ahead > TINY else 0.0
        entry = multiplier * entry if multiplier * entry > TINY else 0.0
        slack = 1.0 + multiplier * slack
    work[0, last] = 1.0 / slack_of_last


@compiled
def step_values(
    values: FloatArray, source: FloatArray, down: FloatArray, up: FloatArray, length: float, parts: int, cyclic: bool,
    walls: tuple[FloatArray, FloatArray, FloatArray, FloatArray], result: FloatArray,
) -> None:  # fmt: skip
    """Values a time `length` earlier, in `parts` implicit steps: (I - dt L) u = v + dt source in each.

    `walls` are the values at the lower and the upper ends at the earlier time, and the same at the later time; they are
    linear in between.
    """
    lines, count = values.shape
    last, work, dt = count - 1, np.empty((5, count)), length / parts
    for line in range(lines):
        eliminate(down[line], up[line], dt, cyclic, work)
        row = result[line]
        row[:] = values[line]
        for part in range(parts):
            later = (parts - 1 - part) / parts
            for node in range(count):
                row[node] += dt * source[line, node]
            if not cyclic:
                row[0] += dt * down[line, 0] * ((1 - later) * walls[0][line] + later * walls[2][line])
                row[last] += dt * up[line, last] * ((1 - later) * walls[1][line] + later * walls[3][line])
            for node in range(last - 1):
                row[node + 1] += work[3, node] * row[node]
            for node in range(last):
                row[last] += work[4, node] * row[node]
            row[last] *= work[0, last]
            for node in range(last - 1, -1, -1):
                row[node] = (row[node] + work[1, node] * row[node + 1] + work[2, node] * row[last]) * work[0, node]


@compiled
def step_masses(
    masses: FloatArray, down: FloatArray, up: FloatArray, length: float, parts: int, cyclic: bool,
    result: FloatArray, low_left: FloatArray, high_left: FloatArray,
) -> None:  # fmt: skip
    """Masses a time `length` later, by the transposed steps; what reaches a wall is written to the sides."""
    lines, count = masses.shape
    last, work, dt = count - 1, np.empty((5, count)), length / parts
    for line in range(lines):
        eliminate(down[line], up[line], dt, cyclic, work)
        row = result[line]
        row[:] = masses[line]
        low_left[line], high_left[line] = 0.0, 0.0
        for _ in range(parts):
            gathered, before = row[last], 0.0
            for node in range(last):
                mass = row[node] + before
                mass = mass * work[0, node] if mass > TINY else 0.0
                row[node], before = mass, work[1, node] * mass
                gathered += work[2, node] * mass
            row[last] = gathered * work[0, last]
            for node in range(last - 1, -1, -1):
                row[node] += work[3, node] * row[node + 1] + work[4, node] * row[last]
            if not cyclic:
                low_left[line] += dt * down[line, 0] * row[0]
                high_left[line] += dt * up[line, last] * row[last]


@compiled
def slope_between(below: float, above: float, drift: float, diffusivity: float, distance: float) -> float:
    """The gradient from the slopes to both sides: their mean while |b| d / D is below 2, upwind far above it."""
    speed = abs(drift)
    if STEEP * diffusivity <= speed * distance:
        share = 0.0 if speed > 0 else 0.5
    else:
        z = max(0.0, speed * distance / diffusivity - CENTRAL)
        rest = np.expm1(z)
        share = ((rest + 1.0) * z - rest) / rest**2 if z > 1e-3 else 0.5 - z / 6.0
    if drift > 0:
        return share * below + (1.0 - share) * above
    return (1.0 - share) * below + share * above


@compiled
def slopes(
    values: FloatArray, drift: FloatArray, diffusivity: FloatArray, spacing: float, cyclic: bool,
    shares: tuple[FloatArray, FloatArray], distances: tuple[float, float], walls: tuple[FloatArray, FloatArray],
    goes_on: tuple[bool, bool], result: FloatArray,
) -> None:  # fmt: skip
    """Gradient of values along each line: central differences, and towards the upwind one where the cells are too wide for
    them, as the fitted rates weight both sides there; a control for central slopes would then chatter.

    `shares` and `walls` are those of the lower and upper ends. Beyond an end that reflects the value is the same; where the
    line `goes_on`, it continues straight.
    """
    lines, count = values.shape
    last = count - 1
    for line in range(lines):
        row = values[line]
        for node in range(count):
            speed, spread = drift[line, node], diffusivity[line, node]
            if 0 < node < last or cyclic:
                below = (row[node] - row[node - 1 if node > 0 else last]) / spacing
                above = (row[node + 1 if node < last else 0] - row[node]) / spacing
                result[line, node] = slope_between(below, above, speed, spread, spacing)
                continue
            end = 0 if node == 0 else 1
            inner = (row[1] - row[0]) / spacing if end == 0 else (row[last] - row[last - 1]) / spacing
            sign = 1.0 if end == 0 else -1.0
            outer = sign * (row[node] - walls[end][line]) / distances[end]
            beyond = inner if goes_on[end] else 0.0
            at_wall = slope_between(
                outer if end == 0 else inner, inner if end == 0 else outer, speed, spread, distances[end]
            )
            closed = slope_between(beyond if end == 0 else inner, inner if end == 0 else beyond, speed, spread, spacing)
            share = shares[end][line]
            result[line, node] = share * at_wall + (1.0 - share) * closed
