"""What a comparison says: one row per dynamics, observable and measure, and the table that people read.

sup_gap      largest distance over time between the curves of the means
l2_gap       root mean square over time of that distance
w1_gap       largest distance over time between the distributions of the agents' places, Wasserstein's of order 1
w2_gap       the same of order 2
peak_size    largest value of each replicate, averaged over replicates
peak_time    the first time at which it is reached, averaged over replicates
attack_rate  one minus the share still at risk at the end
cost         expected cost per agent
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mesocosm.equilibria import Equilibrium, equilibria_table

MEASURES: Mapping[str, str] = {
    "sup_gap": "largest gap",
    "l2_gap": "root mean square gap",
    "w1_gap": "W1 distance",
    "w2_gap": "W2 distance",
    "peak_size": "peak size",
    "peak_time": "peak time",
    "attack_rate": "attack rate",
    "cost": "cost",
}
"""Every measure, in the order of a table, and its name for people."""


MISSING = "\N{EN DASH}"
"""What stands in a table where there is no number."""


@dataclass(frozen=True)
class Row:
    """One measure of one observable: a dynamics against the reference.

    Attributes
    ----------
    dynamics, observable, measure: its label, such as `occupancy.I`, and one of `MEASURES`.
    value, reference_value: the measure on either side. For `sup_gap` the two means at the time of the largest distance;
        NaN for `l2_gap`, `w1_gap` and `w2_gap`.
    gap: the distance between the curves, never negative; for numbers `value - reference_value`.
    low, high: 95 % interval of the gap; NaN where the noise of a side is unknown.
    exceeds_noise: whether the gap is more than the Monte Carlo noise of the two sides; None where that is unknown.
    """

    dynamics: str
    observable: str
    measure: str
    value: float
    reference_value: float
    gap: float
    low: float
    high: float
    exceeds_noise: bool | None


@dataclass(frozen=True)
class Comparison:
    """Every dynamics against the one labelled `reference`, and how far each is from an equilibrium where there are costs."""

    reference: str
    rows: tuple[Row, ...] = ()
    equilibria: tuple[Equilibrium, ...] = ()

    def table(self) -> str:
        """The rows as a plain-text table, and below it the equilibrium measures."""
        return tables(self.rows, self.reference, self.equilibria)


def _scale(row: Row) -> float:
    """The size of what a row is about; 1 where its two values are not known."""
    if math.isnan(row.value):
        return max(1.0, row.gap)
    return max(abs(row.value), abs(row.reference_value), abs(row.gap))


def is_exact(row: Row) -> bool:
    """Whether a gap has no noise but that of floating-point sums: neither side is random, or none of it varies."""
    return row.high - row.low <= 1e-9 * _scale(row)


def decimals(row: Row) -> int:
    """Decimal places that a row supports: two digits of the half width of its interval, else three of the gap."""
    scale, half = _scale(row), (row.high - row.low) / 2
    size, digits = (abs(row.gap), 3) if math.isnan(half) or is_exact(row) else (half, 2)
    if size <= 1e-9 * scale:
        size = scale or 1.0
    return max(0, digits - 1 - math.floor(math.log10(size)))


def number(value: float, places: int) -> str:
    """A number with a fixed count of decimals and no negative zero; a dash where there is none."""
    if not math.isfinite(value):
        return MISSING
    return f"{round(value, places) + 0.0:.{places}f}"


def verdict(row: Row) -> str:
    """Whether the gap of a row is real, in two words."""
    return {True: "beyond noise", False: "within noise", None: "noise unknown"}[row.exceeds_noise]


def cells(row: Row) -> tuple[str, str, str, str, str]:
    """The numbers of a row for people: value, reference value, gap, interval, verdict."""
    places = decimals(row)
    interval = f"[{number(row.low, places)}, {number(row.high, places)}]" if math.isfinite(row.low) else MISSING
    if is_exact(row):
        interval = "exact"
    value, reference_value, gap = (number(item, places) for item in (row.value, row.reference_value, row.gap))
    return value, reference_value, gap, interval, verdict(row)


def table_of(rows: Iterable[Row], reference: str) -> str:
    """Rows as aligned text, one line each under a header; one sentence where there are none."""
    lines = [("dynamics", "observable", "measure", "value", reference, "gap", "95 % interval", "against noise")]
    lines += [(row.dynamics, row.observable, MEASURES[row.measure], *cells(row)) for row in rows]
    if len(lines) == 1:
        return f"nothing to compare with {reference}" if reference else "nothing was compared"
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(_aligned(line, widths) for line in lines)


def tables(rows: Iterable[Row], reference: str, equilibria: Iterable[Equilibrium]) -> str:
    """The table of the rows, and below it that of the equilibrium measures, where there are any."""
    below = equilibria_table(equilibria)
    return table_of(rows, reference) + (f"\n\n{below}" if below else "")


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    padded = [
        cell.rjust(width) if 3 <= column <= 6 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def largest_gap(rows: Iterable[Row], dynamics: str) -> Row | None:
    """The row that answers how far a dynamics is from the reference: its largest `sup_gap` of an occupancy, else its largest
    `w1_gap` of places, else its largest `sup_gap` of anything."""
    own = [row for row in rows if row.dynamics == dynamics]
    gaps = [row for row in own if row.measure == "sup_gap"]
    shares = [row for row in gaps if row.observable.startswith("occupancy.")]
    places = [row for row in own if row.measure == "w1_gap"]
    return max(shares or places or gaps, key=lambda row: row.gap, default=None)
