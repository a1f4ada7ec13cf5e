"""The report of a run: one HTML file with the answer, the numbers, the figures and what was run. It needs no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from mesocosm import figures, maps
from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.equilibria import equilibria_cells
from mesocosm.measures import MEASURES, MISSING, Row, cells, decimals, is_exact, largest_gap, number
from mesocosm.results import Results
from mesocosm.store import RunFolder, write_atomically

if TYPE_CHECKING:
    from mesocosm.registry import Registry

_ELSEWHERE = frozenset({"name", "dynamics", "versions", "plugins", "process", "warnings", "status", "message"})
"""Entries of a manifest that have a place of their own in the report, or mean nothing to its reader."""


def write_run_report(results: Results, folder: RunFolder, registry: Registry) -> Path:
    """Write `report.html` into a run folder, with the sections of plugins; returns its path."""
    sections = [
        section for answer in registry.notify("mesocosm_report_sections", results=results) for section in answer or ()
    ]
    scenario = (folder.path / "scenario.yaml").read_text(encoding="utf-8")
    path = folder.path / "report.html"
    write_report(results, folder.manifest(), scenario, path, sections)
    return path


def write_report(
    results: Results,
    manifest: Mapping[str, Any],
    scenario_text: str,
    path: Path,
    sections: Iterable[tuple[str, str]] = (),
) -> None:
    """Write the report of a run to `path`, whole or not at all.

    Parameters
    ----------
    manifest: what is known of the run: name, created, seed, device, versions, plugins, and per dynamics wall seconds.
    scenario_text: the scenario as it was written.
    sections: (title, HTML) pairs that go below the built-in ones; the HTML is trusted and goes in as it is.

    Errors: `StoreError` where the file cannot be written.
    """
    trajectories, unit = results.trajectories(), str(results.attributes.get("time_unit", ""))
    page = _template().render(
        name=manifest.get("name", "run"),
        manifest=manifest,
        reference=results.reference,
        unit=unit,
        headline=headline(results),
        answers=answers(results),
        groups=_groups(results.rows(), unit),
        figures=_figures(trajectories, results.reference, unit),
        summaries=_summaries(trajectories),
        equilibria=equilibria_cells(results.equilibria()),
        findings=results.findings(),
        labels=results.labels,
        runs=_runs(manifest),
        facts=_facts(manifest),
        plugins=[_plugin(item) for item in manifest.get("plugins", ())],
        scenario=scenario_text,
        sections=[(title, Markup(content)) for title, content in sections],
    )
    write_atomically(path, page.encode())


def headline(results: Results) -> str:
    """The whole comparison in one sentence."""
    rows, others = results.rows(), [label for label in results.labels if label != results.reference]
    gaps = [gap for label in others if (gap := largest_gap(rows, label))]
    if not gaps:
        return f"{_listed(results.labels)} ran; nothing was compared."
    beyond = [gap.dynamics for gap in gaps if gap.exceeds_noise]
    within = [gap.dynamics for gap in gaps if gap.exceeds_noise is False]
    unknown = [gap.dynamics for gap in gaps if gap.exceeds_noise is None]
    parts = [
        (beyond, "{} differs from it beyond noise", "{} differ from it beyond noise"),
        (within, "{} stays within noise", "{} stay within noise"),
        (unknown, "whether {} differs from it is unknown", "whether {} differ from it is unknown"),
    ]
    found = [(one if len(labels) == 1 else many).format(_listed(labels)) for labels, one, many in parts if labels]
    return f"Against {results.reference}: {'; '.join(found)}."


def answers(results: Results) -> list[tuple[str, str]]:
    """For each dynamics but the reference: its label, and its largest gap in one sentence."""
    rows, found = results.rows(), []
    for label in results.labels:
        if label != results.reference:
            row = largest_gap(rows, label)
            found.append((label, _sentence(row) if row else "observes nothing that the reference observes too."))
    return found


def _sentence(row: Row) -> str:
    places = decimals(row)
    what = f"the distribution of {row.observable}" if row.measure == "w1_gap" else row.observable
    size = f"is up to {row.gap:.{places}f} away in {what}"
    if row.exceeds_noise is None:
        return f"{size}; whether that is noise is unknown, since neither side has replicates to show it."
    if is_exact(row):
        return f"{size}; there is no noise on either side."
    interval = f"95 % interval {row.low:.{places}f} to {row.high:.{places}f}"
    return f"{size} ({interval}): {'more than' if row.exceeds_noise else 'no more than'} Monte Carlo noise."


def _listed(labels: Iterable[str]) -> str:
    names = list(labels)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"


def _groups(rows: Iterable[Row], unit: str) -> dict[str, list[tuple[Row, str, tuple[str, ...]]]]:
    """Rows by dynamics, each with the name of its measure and its cells."""
    groups: dict[str, list[tuple[Row, str, tuple[str, ...]]]] = {}
    for row in rows:
        words = MEASURES[row.measure] + (f" ({unit})" if unit and row.measure == "peak_time" else "")
        groups.setdefault(row.dynamics, []).append((row, words, cells(row)))
    return groups


@dataclass(frozen=True)
class Picture:
    """A figure of the report: a heading, what it shows, the image as a data address, and whether it fills the page."""

    title: str
    caption: str
    source: str
    is_wide: bool


def _figures(trajectories: Mapping[str, Trajectories], reference: str, unit: str) -> list[Picture]:
    controls = figures.control_names(trajectories)
    band = "Lines are means over replicates, bands hold 90 % of the replicates, points are observed data."
    drawn = [
        ("Trajectories", band, figures.trajectory_figure(trajectories, reference, unit=unit)),
        (
            "Control",
            "What agents choose in each state where they have a choice; lines are means, bands hold 90 % of the replicates.",
            figures.trajectory_figure(trajectories, reference, controls, unit=unit) if controls else None,
        ),
        (
            "Where agents are",
            "Density of the agents still inside, averaged over replicates; colours on a square-root scale.",
            maps.density_figure(trajectories, unit=unit),
        ),
        ("When agents leave", "Share that leaves per unit time.", maps.exit_figure(trajectories, reference, unit=unit)),
        (
            "Value functions",
            "Expected cost to come of an agent at a time and place, where a solver found it.",
            maps.value_figure(trajectories, unit=unit),
        ),
        ("Solvers", "What each solver recorded at every iteration.", figures.solver_figure(trajectories, reference)),
        ("Training", "What was recorded at every training step.", figures.training_figure(trajectories, reference)),
        (
            "Held-out scores by seed",
            "Judged on times that were not learned from: bars are means, dots single training seeds.",
            figures.heldout_figure(trajectories),
        ),
    ]
    return [
        Picture(title, caption, _image(figure), float(figure.get_figwidth()) >= figures.WIDTH)
        for title, caption, figure in drawn
        if figure is not None
    ]


def _image(figure: Figure) -> str:
    """A figure as an SVG data address; the same figure gives the same text."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "mesocosm"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _summaries(trajectories: Mapping[str, Trajectories]) -> dict[str, list[str]]:
    """Numbers that are not over time: name -> one cell per dynamics, blank where it has none."""
    names = dict.fromkeys(
        name for item in trajectories.values() for name, value in item.variables.items() if _cell(name, value)
    )
    return {
        name: [_cell(name, item.variables[name]) if name in item.variables else "" for item in trajectories.values()]
        for name in names
    }


def _cell(name: str, labelled: Labelled) -> str:
    """A summary variable for people; empty for what is no summary."""
    if not np.issubdtype(labelled.values.dtype, np.floating) and labelled.dims:
        return ""
    values = np.asarray(labelled.values, np.float64)
    if not labelled.dims:
        if name == "converged":
            return "yes" if values else "no"
        return f"{float(values):.5g}"
    if labelled.dims == ("iteration",):
        return f"{values[-1]:.2g} at the end" if len(values) else ""
    if labelled.dims == ("seed",):
        spread = f" ({values.min():.4g} to {values.max():.4g})" if len(values) > 1 else ""
        return f"{values.mean():.4g}{spread}"
    if labelled.dims == ("replicate",):
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        return f"{values.mean():.5g}" + (f" ± {error:.2g}" if error > 0 else "")
    return ""


def _runs(manifest: Mapping[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """Per dynamics: label, kind, device, seconds of prepare and advance, peak memory."""
    lines = []
    for label, item in manifest.get("dynamics", {}).items():
        seconds = item.get("wall_seconds", {})
        prepare, advance = (number(float(seconds.get(phase, np.nan)), 2) for phase in ("prepare", "advance"))
        memory = item.get("peak_memory_bytes")
        size = f"{memory / 2**20:.0f} MiB" if memory else MISSING
        lines.append((label, str(item.get("kind", "")), str(item.get("device", "")), prepare, advance, size))
    return lines


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything else in the manifest, flattened to names and texts."""
    facts: list[tuple[str, str]] = []
    for name, value in manifest.items():
        if name in _ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            facts += [(f"{name} {key}", str(item)) for key, item in value.items()]
        else:
            facts.append((name, str(value)))
    return [(name.replace("_", " "), text) for name, text in facts]


def _plugin(item: Any) -> str:
    """One component that was used: its kind and name, and where it comes from."""
    if not isinstance(item, Mapping):
        return str(item)
    origin = " ".join(str(item[key]) for key in ("distribution", "version") if item.get(key))
    return f"{item.get('kind', '')} {item.get('name', '')}".strip() + (f" ({origin})" if origin else "")


def _template() -> jinja2.Template:
    text = resources.files("mesocosm").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)
