"""Is it an equilibrium, and what does it cost? One line for each dynamics whose game has costs.

    cost              per agent: over replicates as mean and standard error, or the expected cost that a solver found
    exploitability    what one agent would save by its best response to the mean-field flow of the policy that is played
    deviation gain    what one agent saved by deviating alone among N agents on the actual contact graph: mean, standard error
    consistency       largest distance between the flow that was recorded and the mean-field flow of the policy
    price of anarchy  cost at equilibrium over the least cost that all together could have

Each is read from what a dynamics recorded: `cost` or `value`, `exploitability`, `deviation_gain` with
`deviation_gain_error`, `consistency`, `price_of_anarchy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mesocosm.dynamics import Trajectories

HEADS = ("dynamics", "cost", "exploitability", "deviation gain", "consistency", "price of anarchy")
NOTHING = "\N{EN DASH}"

NEGLIGIBLE = 1e-5
"""Errors below this share of a number are not shown."""


@dataclass(frozen=True)
class Equilibrium:
    """The measures of one dynamics; NaN where it has none. Errors are standard errors, 0 where a number is exact."""

    dynamics: str
    cost: float
    cost_error: float
    exploitability: float
    deviation_gain: float
    deviation_gain_error: float
    consistency: float
    price_of_anarchy: float

    def cells(self) -> tuple[str, ...]:
        """The numbers for people, in the order of `HEADS` after the first."""
        return (
            _with_error(self.cost, self.cost_error),
            _plain(self.exploitability),
            _with_error(self.deviation_gain, self.deviation_gain_error),
            _plain(self.consistency),
            NOTHING if np.isnan(self.price_of_anarchy) else f"{self.price_of_anarchy:.5g}",
        )


def equilibria(trajectories: Mapping[str, Trajectories]) -> list[Equilibrium]:
    """The measures of every dynamics that knows a cost, in the order given."""
    return [_of(label, item) for label, item in trajectories.items() if not np.isnan(_cost(item)[0])]


def equilibria_cells(rows: Iterable[Equilibrium]) -> list[tuple[str, ...]]:
    """The measures as lines of a table, the head first, without columns in which nobody has a number; empty for no rows."""
    lines = [HEADS, *((row.dynamics, *row.cells()) for row in rows)]
    if len(lines) == 1:
        return []
    kept = [0, *(n for n in range(1, len(HEADS)) if any(line[n] != NOTHING for line in lines[1:]))]
    return [tuple(line[column] for column in kept) for line in lines]


def equilibria_table(rows: Iterable[Equilibrium]) -> str:
    """The measures as aligned text; empty where there are none."""
    return aligned(equilibria_cells(rows))


def aligned(lines: Sequence[Sequence[str]], words: int = 1) -> str:
    """Lines of equally many cells as text, in columns: the first `words` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _of(label: str, item: Trajectories) -> Equilibrium:
    cost, error = _cost(item)
    return Equilibrium(
        label,
        cost,
        error,
        _number(item, "exploitability"),
        _number(item, "deviation_gain"),
        _number(item, "deviation_gain_error"),
        _number(item, "consistency"),
        _number(item, "price_of_anarchy"),
    )


def _cost(item: Trajectories) -> tuple[float, float]:
    """Mean and standard error of the cost per agent."""
    for name in ("cost", "value"):
        if name in item.variables and item.variables[name].values.size:
            values = np.asarray(item.variables[name].values, np.float64).ravel()
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            return float(values.mean()), float(error)
    return np.nan, np.nan


def _number(item: Trajectories, name: str) -> float:
    if name not in item.variables or item.variables[name].values.size == 0:
        return np.nan
    return float(np.asarray(item.variables[name].values, np.float64).mean())


def _plain(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3g}"


def _with_error(value: float, error: float) -> str:
    if np.isnan(value):
        return NOTHING
    if np.isnan(error) or error < NEGLIGIBLE * abs(value) or error == 0.0:
        return f"{value:.5g}"
    places = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{places}f} ± {error:.{places}f}"
