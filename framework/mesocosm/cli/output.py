"""What a person sees: progress while a run goes on, one table at its end."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from mesocosm.equilibria import Equilibrium, equilibria_table
from mesocosm.hooks import hookimpl
from mesocosm.measures import MEASURES, Comparison, Row, cells

if TYPE_CHECKING:
    import xarray

    from mesocosm.registry import Registry
    from mesocosm.results import Results

SHOWN = ("sup_gap", "w1_gap", "peak_size", "peak_time", "attack_rate", "cost")
"""Measures on the terminal; the report has all of them."""

COLUMNS = {"": 12, "value": 7, "reference": 9, "gap": 7, "95 % interval": 17, "noise": 7}
"""Heads and least widths of the table: together they fit 80 columns."""


class Progress:
    """Follows a run through the hooks: one bar for each phase of each dynamics, on the error stream."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bars = Bars(
            TextColumn("{task.description:<28}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"),
            console=self.console,
        )  # fmt: skip
        self.tasks: dict[tuple[str, str], TaskID] = {}

    @hookimpl
    def mesocosm_run_started(self, run: Mapping[str, Any]) -> None:
        self.console.print(f"{run['name']} on {run['device']}, seed {run['seed']}: {', '.join(run['labels'])}")
        if self.console.is_terminal:
            self.bars.start()

    @hookimpl
    def mesocosm_phase_advanced(self, label: str, phase: str, fraction: float, note: str) -> None:
        key = (label, phase)
        if key not in self.tasks:
            self.tasks[key] = self.bars.add_task(f"{label}: {phase}", total=1.0, note="")
        ends = fraction >= 1.0 and not self.bars.tasks[self.tasks[key]].finished
        self.bars.update(self.tasks[key], completed=fraction, note=note)
        if ends and not self.console.is_terminal:
            self.console.print(f"{label}: {phase} done {note}".rstrip())

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self.console.is_terminal:
            self.bars.stop()


@contextmanager
def following(registry: Registry, quiet: bool) -> Iterator[None]:
    """Show progress while a run goes on, and leave the terminal as it was however the run ends."""
    if quiet:
        yield
        return
    progress = Progress()
    with registry.observed_by(progress, "progress"):
        try:
            yield
        finally:
            progress.stop()


def print_results(results: Results) -> None:
    """The comparison of a run, what its solvers found, and where everything is."""
    console = Console()
    if results.reference:
        console.print(f"\n{results.attributes['name']}: how far from '{results.reference}'?")
        print_rows(console, results.rows())
        console.print()
    print_equilibria(console, results.equilibria())
    for table in results.findings():
        console.print(f"{table.title}. {table.caption}\n{table.text()}\n", highlight=False, soft_wrap=True)
    for line in _solver_lines(results):
        console.print(line, highlight=False)
    if results.folder is not None:
        console.print(f"run folder  {results.folder}", highlight=False, soft_wrap=True)
        if (results.folder / "report.html").is_file():
            console.print(f"report      {results.folder / 'report.html'}", highlight=False, soft_wrap=True)


def print_comparison(comparison: Comparison) -> None:
    """The table of a comparison."""
    console = Console()
    console.print(f"how far from '{comparison.reference}'?", soft_wrap=True)
    print_rows(console, comparison.rows)
    console.print()
    print_equilibria(console, comparison.equilibria)


def print_rows(console: Console, rows: Iterable[Row]) -> None:
    """A small table for each dynamics, of what people ask for first; intervals cover 95 %.

    Nothing is cut: numbers get the room that they need, and a long name is broken. Where that does not suffice, lines are
    longer than the terminal is wide.
    """
    shown = [row for row in rows if row.measure in SHOWN]
    lines = [_line(row) for row in shown]
    name, *others = (
        max([least, *(len(line[column]) for line in lines)]) for column, least in enumerate(COLUMNS.values())
    )
    between = 2 * len(COLUMNS) - 1  # a space after each cell, and one from column to column
    widths = [max(COLUMNS[""], min(name, console.width - sum(others) - between)), *others]
    for dynamics, own in itertools.groupby(zip(shown, lines, strict=True), key=lambda pair: pair[0].dynamics):
        console.print(f"\n[bold]{dynamics}[/bold]", highlight=False, soft_wrap=True)
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, width=sum(widths) + between)
        for head, width in zip(COLUMNS, widths, strict=True):
            table.add_column(head, justify="left" if head in ("", "noise") else "right", width=width, overflow="fold")
        for _, cell in own:
            table.add_row(*cell)
        console.print(table, crop=False)


def _last_residual(data: xarray.Dataset) -> float:
    """The residual in the end, the largest over seeds where each has one; NaN where none is told."""
    if "residual" not in data:
        return float("nan")
    found = data["residual"]
    return float(found[-1] if found.dims == ("iteration",) else found.max())


def _start(results: Results, label: str) -> str:
    """From where a solver started, since another start may lead to another equilibrium; '' where it is not told."""
    scenario = json.loads(str(results.attributes.get("scenario", "{}")))
    guess = scenario.get("dynamics", {}).get(label, {}).get("initial_guess")
    return "" if guess is None else f", from policy {guess if isinstance(guess, str) else json.dumps(guess)}"


def print_equilibria(console: Console, measures: Sequence[Equilibrium]) -> None:
    """Costs, and how far each policy is from an equilibrium; nothing where there are no costs."""
    text = equilibria_table(measures)
    if text:
        console.print("what it costs per agent, and what deviating would save", soft_wrap=True)
        console.print(text, highlight=False, soft_wrap=True)
        console.print()


def _line(row: Row) -> tuple[str, ...]:
    """The cells of a row, in the order of `COLUMNS`."""
    name = MEASURES[row.measure]
    if row.measure not in ("attack_rate", "cost"):
        name = f"{row.observable.removeprefix('occupancy.')} {name}"
    return name, *cells(row)[:4], {True: "beyond", False: "within", None: "unknown"}[row.exceeds_noise]


def _solver_lines(results: Results) -> list[str]:
    """Convergence of the dynamics that solve for something."""
    lines = []
    for label in results.labels:
        data = results[label]
        if "converged" in data:
            verdict = "converged" if float(data["converged"]) else "NOT converged"
            residual = _last_residual(data)
            words = "" if math.isnan(residual) else f", residual {residual:.1e}"
            lines.append(f"{label}: {verdict} in {int(data['iterations'])} iterations{words}{_start(results, label)}")
    return lines
