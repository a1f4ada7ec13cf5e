"""The gallery: every bundled scenario is run when the site is built; figure and comparison come from that run.

A page says where they go by `<!-- generated: gallery SCENARIO OBSERVABLE... -->`. The observables are those that are drawn
and compared there. A finished run is kept under `_build/gallery`, so that a build runs only what has changed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from docstrings import escape
from matplotlib.figure import Figure

import mesocosm
from mesocosm import Results, Scenario, ScenarioError
from mesocosm.equilibria import NOTHING, equilibria_cells
from mesocosm.figures import WIDTH, heldout_figure, legend
from mesocosm.maps import density_figure, value_figure
from mesocosm.measures import MEASURES, Row, cells
from mesocosm.report import headline
from mesocosm.store import versions, write_atomically

NEEDS_DATA = (
    "*Figure and table are here where the site is built with `MESOCOSM_DATA` set to the folder of public data.*\n"
)
"""What stands below a scenario whose data are not on this machine."""

OF_A_CURVE = ("sup_gap", "peak_size", "peak_time")
"""Measures that are shown for every observable that is drawn."""

OF_A_RUN = ("attack_rate", "w1_gap", "cost")
"""Measures that are shown whatever is drawn, since they sum up a whole run."""

NOISE = {True: "beyond", False: "within", None: "unknown"}
COLUMNS = ("", "measure", "value", "reference", "gap", "95 % interval", "noise")
WIDE, NARROW = (7.5, 3.1), (3.7, 2.5)
"""Sizes of figures in inches. A wide one fills the column of text, so that letters keep the size at which they are drawn."""


@dataclass(frozen=True)
class Gallery:
    """Where scenarios are, and the site that shows them.

    Attributes
    ----------
    docs: the folder of the site's pages; runs and figures are kept under its `_build/gallery`.
    scenarios: the folder of the scenario files.
    sources: folders of Python files on which every run depends.
    """

    docs: Path
    scenarios: Path
    sources: tuple[Path, ...]

    def fragment(self, name: str, *observables: str) -> str:
        """Figure and comparison of a scenario as Markdown; one sentence where its data are not on this machine."""
        found = self.found(name)
        if found is None:
            return NEEDS_DATA
        scenario, folder = found
        drawn = folder / _digest([Path(__file__).read_bytes(), *(name.encode() for name in observables)])
        page = drawn / "fragment.md"
        if not page.is_file():
            results = finished(folder) or run(scenario, folder)
            for other in folder.parent.iterdir():  # what an earlier state of scenario or sources gave
                if other != folder:
                    shutil.rmtree(other)
            drawn.mkdir(parents=True, exist_ok=True)
            address = f"/{drawn.relative_to(self.docs).as_posix()}"
            text = "\n\n".join(parts(results, observables, drawn, address))
            write_atomically(page, f"{text}\n".encode())
        return page.read_text(encoding="utf-8")

    def found(self, name: str) -> tuple[Scenario, Path] | None:
        """A scenario, and the folder of its run; None where its data are not on this machine."""
        try:
            scenario = mesocosm.load(self.scenarios / f"{name}.yaml")
        except ScenarioError as error:
            if lacks_data(error):
                return None
            raise
        return scenario, self.docs / "_build" / "gallery" / name / self.key(scenario)

    def key(self, scenario: Scenario) -> str:
        """What a run depends on, in one short name: scenario, files that it reads, device, versions and sources."""
        words = [scenario.digest(), mesocosm.resolve_device(scenario.device).name, json.dumps(versions())]
        files = sorted(path for folder in self.sources for path in folder.rglob("*.py"))
        return _digest(
            [*(word.encode() for word in words), *(path.read_bytes() for path in [*reads(scenario), *files])]
        )


def lacks_data(error: ScenarioError) -> bool:
    """Whether a scenario is at fault only because nobody said where the public data are."""
    return not os.environ.get("MESOCOSM_DATA") and all("MESOCOSM_DATA" in fault.what for fault in error.faults)


def reads(scenario: Scenario) -> list[Path]:
    """The files that a scenario names in its options; its own digest knows their names only."""
    choices = [scenario.graph, scenario.game, *scenario.dynamics.values()]
    return sorted({path for choice in choices for path in _paths(choice.options.model_dump())})


def _paths(value: Any) -> Iterator[Path]:
    """The paths among options, however deep."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _paths(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _paths(inner)


def _digest(parts: Iterable[bytes]) -> str:
    """A short name for some contents, in their order."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def finished(folder: Path) -> Results | None:
    """The results of a run that is kept in a folder; None where no run was finished there."""
    kept = sorted(folder.glob("*/results.nc"))
    return mesocosm.open_results(kept[-1]) if kept else None


def run(scenario: Scenario, folder: Path) -> Results:
    """Run a scenario into a folder, and tell how long it took."""
    sys.stderr.write(f"gallery: {scenario.name} runs ... ")
    sys.stderr.flush()
    started = time.perf_counter()
    try:
        results = mesocosm.run(scenario, folder, report=False)
    except BaseException:
        sys.stderr.write("failed\n")
        raise
    sys.stderr.write(f"{time.perf_counter() - started:.1f} s\n")
    return results


def parts(results: Results, observables: Sequence[str], folder: Path, address: str) -> Iterator[str]:
    """What is shown of a run: curves and comparison; maps of diffusions; costs; held-out scores where something was learned.

    Figures are written into `folder`, which pages know by `address`.
    """
    unit = str(results.attributes["time_unit"])
    words = f"{listed(observables)} over time{f' ({unit})' if unit else ''} of {listed(results.labels)}."
    yield picture(results, results.plot(observables), WIDE, "curves", words, folder, address)
    yield table(headline(results), COLUMNS, comparison(results.rows(), observables))
    recorded = results.trajectories()
    for kind, drawn, words in (
        ("density", density_figure(recorded, unit=unit), "density of the agents over time and place."),
        ("value", value_figure(recorded, unit=unit), "expected cost to come, over time and place."),
    ):
        if drawn is not None:
            width = WIDE[0] * min(1.0, drawn.get_figwidth() / WIDTH)
            size = (width, width * drawn.get_figheight() / drawn.get_figwidth())
            yield picture(results, drawn, size, kind, words, folder, address)
    measures = results.equilibria()
    if any(cell != NOTHING for row in measures for cell in row.cells()[1:]):
        head, *lines = equilibria_cells(measures)
        bold = [(f"**{escape(line[0])}**", *line[1:]) for line in lines]
        yield table("What it costs per agent, and what deviating would save.", ("", *head[1:]), bold)
    scores = heldout_figure(recorded)
    if scores is not None:
        words = "held-out scores of what was learned, of persistence and of the unlearned game."
        yield picture(results, scores, NARROW, "scores", words, folder, address)
    for found in results.findings():
        bold = [(f"**{escape(line[0])}**", *line[1:]) for line in found.lines]
        yield table(f"{found.title}. {found.caption}", ("", *found.head[1:]), bold)


def picture(
    results: Results, figure: Figure, size: tuple[float, float], kind: str, words: str, folder: Path, address: str
) -> str:
    """Write a figure of a run, and give the directive that shows it; `words` are for those who do not see it."""
    name = str(results.attributes["name"])
    figure.set_size_inches(*size)
    if figure.legends:
        legend(figure)
    save(figure, folder / f"{name}-{kind}.svg")
    return f":::{{image}} {address}/{name}-{kind}.svg\n:alt: {name}: {words}\n:class: gallery\n:::"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same figure gives the same file."""
    with mpl.rc_context({"svg.hashsalt": "mesocosm"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def comparison(rows: Iterable[Row], observables: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The lines of the comparison; a dynamics is named in the first of its lines."""
    chosen = [row for row in rows if row.measure in OF_A_RUN or _is_shown(row, observables)]
    for dynamics, own in itertools.groupby(chosen, key=lambda row: row.dynamics):
        for number, row in enumerate(own):
            words = MEASURES[row.measure]
            if row.measure in (*OF_A_CURVE, "w1_gap"):
                words = f"{row.observable.removeprefix('occupancy.')} {words}"
            yield f"**{escape(dynamics)}**" if number == 0 else "", words, *cells(row)[:4], NOISE[row.exceeds_noise]


def _is_shown(row: Row, observables: Sequence[str]) -> bool:
    return row.measure in OF_A_CURVE and row.observable in observables


def table(caption: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table with a caption: words to the left, numbers to the right."""
    marks = [":--" if name in ("", "measure", "noise", "model", "parameter") else "--:" for name in head]
    rows = [head, marks, *lines]
    body = "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows)
    return f":::{{table}} {escape(caption)}\n:class: gallery\n\n{body}\n:::"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) if names else "nothing"
