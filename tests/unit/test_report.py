"""The report: complete, self-contained, safe, and true to the rows."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mesocosm import figures
from mesocosm.comparing import Comparison, Row, compare
from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.hooks import hookimpl
from mesocosm.measures import cells
from mesocosm.registry import Registry
from mesocosm.report import answers, headline, write_report, write_run_report
from mesocosm.results import Results
from mesocosm.store import RunFolder

TIMES = np.arange(9.0)
DIMENSIONS = ("replicate", "time", "state")
STATES = {"state": ("S", "I")}
MANIFEST = {
    "name": "school <1>",
    "created": "2026-01-01T10:00:00+00:00",
    "status": "done",
    "seed": 7,
    "device": {"requested": "auto", "name": "cpu"},
    "precision": "float64",
    "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    "plugins": [{"kind": "dynamics", "name": "agent_based", "distribution": "mesocosm", "version": "0.1.0"}],
    "dynamics": {
        "agents": {
            "kind": "agent_based",
            "wall_seconds": {"prepare": 0.01, "advance": 12.34},
            "peak_memory_bytes": 2**28,
        }
    },
    "warnings": ["plugin x: hook raised <oops>"],
}
SCENARIO = "# does it spread & <script>alert(1)</script>?\nmesocosm: 1\n"


def item(label, infected, *, stochastic, **more) -> Trajectories:
    infected = np.atleast_2d(infected)
    occupancy = Labelled(DIMENSIONS, np.stack([1 - infected, infected], axis=-1))
    return Trajectories(label, "test", TIMES, {"occupancy": occupancy, **more}, STATES, stochastic)


@pytest.fixture
def results() -> Results:
    """Agents with noise, a solver that chooses, a learner with scores, and data with gaps."""
    generator = np.random.default_rng(3)
    curve = 0.4 * np.exp(-((TIMES - 4) ** 2) / 6)
    control = np.ones((1, 9, 2))
    control[0, :, 0] -= curve
    found = {
        "agents": item("agents", curve + generator.normal(0, 0.01, (20, 9)), stochastic=True),
        "nash": item(
            "nash",
            0.8 * curve,
            stochastic=False,
            control=Labelled(DIMENSIONS, control),
            residual=Labelled(("iteration",), np.array([1.0, 0.1, 0.0])),
            value=Labelled((), np.array(1.25)),
            converged=Labelled((), np.array(0.0)),
        ),
        "learned": item(
            "learned",
            curve + generator.normal(0, 0.01, (20, 9)),
            stochastic=True,
            loss=Labelled(("training_step",), np.array([1.0, 0.5, 0.25])),
            heldout_score=Labelled(("seed",), np.array([0.03, 0.05])),
            heldout_score_persistence=Labelled((), np.array(0.09)),
        ),
        "data": item("data", np.where(TIMES < 2, np.nan, curve), stochastic=True),
    }
    return Results.of(found, compare(found, "agents", at_risk="S"), {"time_unit": "day"})


class Page(HTMLParser):
    """The text of a page, its headings and table rows, and every address that it refers to."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        self.addresses += [value for name, value in attributes if name in {"src", "href", "srcset", "data", "action"}]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        self.texts.append(data)


def page_of(results, tmp_path, manifest=MANIFEST, sections=()) -> Page:
    path = tmp_path / "report.html"
    write_report(results, manifest, SCENARIO, path, sections)
    return Page(path.read_text(encoding="utf-8"))


def test_report_has_every_part(results, tmp_path):
    """Would catch a part that is silently left out, or elements that are not closed."""
    page = page_of(results, tmp_path, sections=[("Extra & more", "<p>by a <em>plugin</em></p>")])
    assert page.headings == [
        "Comparison with agents",
        "Costs and equilibrium",
        "Held-out scores",
        "Trajectories",
        "Control",
        "Solvers",
        "Training",
        "Held-out scores by seed",
        "Numbers of each dynamics",
        "What was run",
        "Extra & more",
    ]
    assert page.open == []
    assert "em" in page.tags
    text = "".join(page.texts)
    for part in ("seed 7", "numpy 2.4.6", "float64", "dynamics agent_based (mesocosm 0.1.0)", "hook raised <oops>"):
        assert part in text
    assert ["agents", "agent_based", "", "0.01", "12.34", "256 MiB"] in page.rows


def test_table_holds_every_row(results, tmp_path):
    """Would catch a number in the wrong column or under the wrong verdict."""
    page = page_of(results, tmp_path)
    expected = [list(cells(row)) for row in results.rows()]
    shown = [row[3:] for row in page.rows if row[-1] in {"beyond noise", "within noise", "noise unknown"}]
    assert shown == expected


def test_report_needs_no_network_and_runs_no_script(results, tmp_path):
    """Would catch a font, style or image from elsewhere, and a scenario whose text becomes HTML."""
    page = page_of(results, tmp_path)
    assert len(page.addresses) == 5
    for address in page.addresses:
        assert address.startswith("data:image/svg+xml;base64,")
        picture = base64.b64decode(address.partition(",")[2]).decode()
        assert not re.search(r'(?:href|src)="(?!#)', picture)
    assert "script" not in page.tags
    assert SCENARIO in page.texts
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(", source)


def test_same_results_same_report(results, tmp_path):
    """Would catch a date or random names inside the pictures."""
    pages = []
    for name in ("one.html", "two.html"):
        write_report(results, MANIFEST, SCENARIO, tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


def test_answers_state_the_largest_gap_and_its_verdict(results):
    """Would catch an answer that contradicts the table."""
    found = dict(answers(results))
    assert list(found) == ["nash", "learned", "data"]
    for label, sentence in found.items():
        gaps = [row for row in results.rows() if row.dynamics == label and row.measure == "sup_gap"]
        worst = max((row for row in gaps if row.observable.startswith("occupancy.")), key=lambda row: row.gap)
        assert worst.observable in sentence
        assert ("no more than Monte Carlo noise" in sentence) is (worst.exceeds_noise is False)
    assert headline(results) == "Against agents: nash differs from it beyond noise; learned and data stay within noise."


def test_unknown_noise_is_said_to_be_unknown(results):
    """Would catch a verdict where no side shows its noise."""
    row = Row("nash", "occupancy.I", "sup_gap", 0.3, 0.2, 0.1, np.nan, np.nan, None)
    pair = {label: results.trajectories()[label] for label in ("nash", "data")}
    alone = Results.of(pair, Comparison("data", (row,)), {})
    assert headline(alone) == "Against data: whether nash differs from it is unknown."
    assert "unknown" in dict(answers(alone))["nash"]
    silent = Results.of(pair, Comparison("data"), {})
    assert "observes nothing that the reference observes" in dict(answers(silent))["nash"]


def test_report_of_a_run_folder_takes_the_sections_of_plugins(results, tmp_path):
    """Would catch a plugin's section that is lost, or a plugin without one that breaks the report."""

    class Silent:
        @hookimpl
        def mesocosm_report_sections(self, results):
            return None

    class Talkative:
        @hookimpl
        def mesocosm_report_sections(self, results):
            yield "Labels", f"<p>{len(results.labels)} dynamics</p>"

    registry = Registry()
    for name, plugin in (("silent", Silent()), ("talkative", Talkative())):
        registry.add(plugin, name, "tests", "1")
    folder = RunFolder.create(tmp_path, "school", SCENARIO, {}, {"seed": 7})
    path = write_run_report(results, folder, registry)
    page = Page(path.read_text(encoding="utf-8"))
    assert path == folder.path / "report.html"
    assert page.headings[-1] == "Labels"
    assert "4 dynamics" in page.texts
    assert SCENARIO in page.texts


def test_smallest_report(results, tmp_path):
    """Would catch a crash where there is one dynamics, no comparison and an almost empty manifest."""
    alone = Results.of({"agents": results.trajectories()["agents"]}, None, {})
    page = page_of(alone, tmp_path, manifest={"name": "alone", "status": "interrupted"})
    assert page.headings == ["Trajectories", "What was run"]
    assert "interrupted" in page.texts


def test_legend_covers_no_data(results):
    """Would catch a legend that lies over a panel."""
    figure = figures.trajectory_figure(results.trajectories(), "agents", unit="day")
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    for axes in figure.axes:
        assert not legend.overlaps(axes.get_tightbbox())
        assert axes.get_xlabel() == "time (day)"
        assert axes.get_ylabel() == "share"


@pytest.mark.parametrize("names", [["occupancy.I"], ["occupancy.I", "occupancy.S"]])
def test_legend_is_inside_the_figure(results, names):
    """Would catch a label that is cut at the right border: four do not fit side by side above a single panel."""
    found = results.trajectories() | {"homogeneous": item("homogeneous", 0.3 + 0 * TIMES, stochastic=False)}
    figure = figures.trajectory_figure(found, "agents", names)
    for width in (figure.get_figwidth(), 12.0, 4.0):
        figure.set_figwidth(width)
        figures.legend(figure)
        figure.draw_without_rendering()
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.get_texts()] == list(found)
        assert legend.get_window_extent().x0 >= 0
        assert legend.get_window_extent().x1 <= figure.bbox.width
        lines = {text.get_window_extent().y0.round() for text in legend.get_texts()}
        assert (len(lines) == 1) == (width > 6)


def test_a_figure_without_curves_has_no_legend():
    """Would catch a legend of nothing that divides by zero."""
    figure = figures.Figure()
    figure.add_subplot()
    figures.legend(figure)
    assert not figure.legends


def test_solver_traces_skip_what_a_logarithm_cannot_show(results):
    """Would catch a residual of exactly 0 that breaks the logarithmic axis, and a solver that is left out."""
    figure = figures.solver_figure(results.trajectories(), "agents")
    (line,) = figure.axes[0].lines
    assert figure.axes[0].get_yscale() == "log"
    assert list(line.get_xdata()) == [1, 2, 3]
    assert np.isnan(line.get_ydata()[2])
