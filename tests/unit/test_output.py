"""The comparison on the terminal: nothing is cut."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from mesocosm.cli.output import SHOWN, print_rows
from mesocosm.measures import MEASURES, Row, cells

ORDINARY = Row("agents", "occupancy.I", "sup_gap", 0.3, 0.2, 0.1, 0.09, 0.11, True)
CHOSEN = Row("agents", "control.caught", "sup_gap", 0.3, 0.2, 0.1, 0.09, 0.11, True)
EXACT = Row("agents", "occupancy.S", "cost", 12345.678901, 12345.678, -0.0012, -0.0012001, 0.0013, False)
LONG = Row("other", "group_occupancy.north_of_the_river.I", "peak_time", 30.0, 20.0, 10.0, 8.0, 12.0, None)
TINY = Row("other", "occupancy.I", "peak_size", 0.3, 0.3, 1e-9, 0.9e-9, 2e-9, True)


def printed(rows: Sequence[Row], width: int) -> list[str]:
    """The lines of a terminal of this width."""
    stream = io.StringIO()
    print_rows(Console(file=stream, width=width), rows)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_cut(width: int) -> None:
    """Catches a verdict that reads `beyo`, a number that loses digits, and a name that loses its end."""
    rows = [ORDINARY, CHOSEN, EXACT, LONG, TINY]
    lines = printed(rows, width)
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    # A name that is broken goes on below, in the first column; numbers stand in its first line.
    names = "".join(line[: line.index("value")] if "value" in line else line.split("  ")[0] for line in lines)
    for row in rows:
        (line,) = (line for line in lines if all(cell in line.split() for cell in cells(row)[:2]) and row_of(row, line))
        for cell in cells(row)[:4]:
            assert cell in line
        assert {True: "beyond", False: "within", None: "unknown"}[row.exceeds_noise] in line.split()
        if row.measure != "cost":
            assert row.observable.removeprefix("occupancy.") in names
    assert all(row.measure in SHOWN for row in rows)


def row_of(row: Row, line: str) -> bool:
    """Whether a line is that of a row, and not of another with the same numbers."""
    return line.startswith(row.observable.removeprefix("occupancy.")[:5] if row.measure != "cost" else MEASURES["cost"])


def test_an_ordinary_table_fits_80_columns() -> None:
    """Catches a table that a terminal of the usual width breaks."""
    for rows in ([ORDINARY], [ORDINARY, CHOSEN], [ORDINARY, CHOSEN, LONG]):
        assert max(map(len, printed(rows, 80))) <= 80


def test_tables_of_one_comparison_are_aligned() -> None:
    """Catches columns that shift from one dynamics to the next."""
    heads = [line for line in printed([ORDINARY, EXACT, LONG], 80) if "value" in line]
    assert len(heads) == 2
    assert len(set(heads)) == 1
