"""What a person sees: progress while a run goes on, one table at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from mesocosm.hooks import hookimpl

if TYPE_CHECKING:
    from mesocosm.compare import Comparison, Row
    from mesocosm.results import Results

MEASURES = ("sup_gap", "peak_size", "peak_time", "attack_rate", "cost")


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

    @hookimpl
    def mesocosm_run_finished(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self.console.is_terminal:
            self.bars.stop()


def print_results(results: Results) -> None:
    """The comparison of a run, and where everything is."""
    console = Console()
    rows = results.rows()
    if rows:
        console.print(comparison_table(rows, f"{results.attributes['name']}: against {_reference(results)}"))
    for line in _solver_lines(results):
        console.print(line, highlight=False)
    if results.folder is not None:
        console.print(f"run folder  {results.folder}", highlight=False, soft_wrap=True)
        if (results.folder / "report.html").is_file():
            console.print(f"report      {results.folder / 'report.html'}", highlight=False, soft_wrap=True)


def print_comparison(comparison: Comparison) -> None:
    """The table of a comparison."""
    Console().print(comparison_table(comparison.rows, f"against {comparison.reference}"))


def comparison_table(rows: Any, title: str) -> Table:
    """One line per dynamics, observable and measure that people ask for first."""
    table = Table(
        title=title, title_justify="left", caption="interval: 95 %; noise: of the replicates", caption_justify="left"
    )
    for head, side in (
        ("dynamics", "left"), ("observable", "left"), ("measure", "left"), ("value", "right"), ("reference", "right"),
        ("gap", "right"), ("interval", "right"), ("beyond noise", "left"),
    ):  # fmt: skip
        table.add_column(head, justify="right" if side == "right" else "left", no_wrap=True)
    before = None
    for row in rows:
        if row.measure not in MEASURES:
            continue
        if before not in (None, row.dynamics):
            table.add_section()
        before = row.dynamics
        table.add_row(
            row.dynamics, row.observable, row.measure.replace("_", " "), _number(row.value), _number(row.reference_value),
            _number(row.gap), _interval(row), {True: "yes", False: "no", None: "unknown"}[row.exceeds_noise],
        )  # fmt: skip
    return table


def _reference(results: Results) -> str:
    return str(results.comparison.attrs.get("reference", ""))


def _solver_lines(results: Results) -> list[str]:
    lines = []
    for label in results.labels:
        data = results[label]
        if "converged" in data:
            verdict = "converged" if float(data["converged"]) else "NOT converged"
            lines.append(
                f"{label}: {verdict} in {int(data['iterations'])} iterations, residual {float(data['residual'][-1]):.1e}"
            )
        if "exploitability" in data and data["exploitability"].ndim == 0:
            value, gain = float(data["value"]), float(data["exploitability"])
            lines.append(f"{label}: cost per agent {value:.5g}, exploitability {gain:.2e}")
    return lines


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _interval(row: Row) -> str:
    return "" if math.isnan(row.low) else f"{_number(row.low)} .. {_number(row.high)}"
