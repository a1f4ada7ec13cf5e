"""Every scenario of the gallery has its figure and its numbers, and they are from a run of what stands in the file now."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import mesocosm
from mesocosm import ScenarioError

TINY = """
mesocosm: 1
name: tiny
seed: 1
time: {end: 4, save_every: 1, unit: day}
population: {size: 50, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.8, gamma: 0.3}
dynamics:
  mean_field: {kind: classical_mfg}
  observed: {kind: table, file: seen.csv, observable: occupancy.I, column: ill, scale: 50}
"""


BANKS = """
mesocosm: 1
name: banks
seed: 1
time: {end: 1, save_every: 0.5}
population: {size: 10}
graph: {kind: complete}
game: {kind: interbank}
dynamics:
  limit: {kind: classical_mfg}
  none: {kind: classical_mfg, policy: none}
"""


@pytest.fixture
def gallery(site: Path, tmp_path: Path) -> Any:
    """A gallery of one tiny scenario, with sources of its own."""
    import gallery

    for folder in ("docs", "scenarios", "sources"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scenarios" / "tiny.yaml").write_text(TINY, encoding="utf-8")
    (tmp_path / "scenarios" / "seen.csv").write_text("ill\n5\n9\n14\n16\n15\n", encoding="utf-8")
    (tmp_path / "sources" / "code.py").write_text("x = 1\n", encoding="utf-8")
    return gallery.Gallery(tmp_path / "docs", tmp_path / "scenarios", (tmp_path / "sources",))


@pytest.fixture
def runs(site: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the scenarios that were run, in order. Nothing is drawn, which is what takes long."""
    import gallery

    found: list[str] = []
    really = mesocosm.run

    def run(scenario: Any, *arguments: Any, **options: Any) -> Any:
        found.append(scenario.name)
        return really(scenario, *arguments, **options)

    monkeypatch.setattr(mesocosm, "run", run)
    monkeypatch.setattr(gallery, "save", lambda _, path: path.write_text("<svg/>", encoding="utf-8"))
    return found


def figures_of(fragment: str, docs: Path) -> list[Path]:
    """The files of the figures that a fragment shows."""
    return [docs / address for address in re.findall(r"^:::\{image\} /(\S+)$", fragment, re.M)]


def test_the_spread_is_drawn_from_the_run_of_the_gallery(gallery: Any, runs: list[str]) -> None:
    """Catches a second run for the figure of spreads, a panel that is lost, and bands of another dynamics."""
    import numpy as np
    from spread import spread, spread_figure

    from mesocosm.observables import quantiles_of

    (gallery.scenarios / "banks.yaml").write_text(BANKS, encoding="utf-8")
    gallery.fragment("banks", "variance.reserve")
    shown = spread(gallery, "banks", "none", "limit")
    assert runs == ["banks"]
    (figure,) = figures_of(shown, gallery.docs)
    assert figure.is_file()
    results = mesocosm.open_results(next(figure.parent.glob("*/results.nc")))
    panels = spread_figure(results, ("none", "limit")).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["none", "limit"]
    for axes, label in zip(panels, ("none", "limit"), strict=True):
        recorded = results.trajectories()[label]
        last = quantiles_of(recorded)["reserve"][0, -1]
        highest = max(float(band.get_paths()[0].vertices[:, 1].max()) for band in axes.collections)
        assert highest == pytest.approx(np.interp(0.95, recorded.coordinates["level"], last), rel=1e-6)


def test_every_scenario_has_a_figure_in_the_gallery(site: Path, root: Path) -> None:
    """Catches a scenario without a figure, and one that shows the figure of another."""
    from pages import GENERATED, MARK

    text = (root / "docs" / "gallery.md").read_text(encoding="utf-8")
    sections = {name.strip(): body for name, _, body in (part.partition("\n") for part in text.split("\n## ")[1:])}
    for path in (root / "scenarios").glob("*.yaml"):
        marks = [(mark[1], mark[2].split()) for mark in MARK.finditer(sections[path.stem])]
        assert [generated for generated, _ in marks].count("gallery") == 1, path.stem
        for generated, (scenario, *shown) in marks:
            assert generated in GENERATED
            assert scenario == path.stem
            assert shown, path.stem


def test_a_fragment_has_figure_and_table_of_its_run(gallery: Any) -> None:
    """Catches a figure or table that is lost, numbers that the run did not give, and a figure without words for the blind."""
    from mesocosm.measures import cells

    fragment = gallery.fragment("tiny", "occupancy.I")
    (figure,) = figures_of(fragment, gallery.docs)
    assert figure.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    assert ":alt: tiny: occupancy.I over time (day) of mean_field and observed." in fragment
    assert "\n:::{table} Against mean\\_field: " in fragment
    (file,) = gallery.docs.rglob("results.nc")
    (row,) = (row for row in mesocosm.open_results(file).rows() if row.measure == "sup_gap")
    assert f"\n| **observed** | I largest gap | {' | '.join(cells(row)[:4])} | unknown |\n" in fragment
    assert "occupancy.S" not in fragment


def test_nothing_is_run_twice(gallery: Any, runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Catches a cache that never serves, and a run that nobody is told of."""
    first = gallery.fragment("tiny", "occupancy.I")
    assert "gallery: tiny runs ... " in capsys.readouterr().err
    assert gallery.fragment("tiny", "occupancy.I") == first
    assert gallery.fragment("tiny", "occupancy.I", "occupancy.S") != first
    assert runs == ["tiny"]
    assert not capsys.readouterr().err


def test_a_change_is_run_again(gallery: Any, runs: list[str], tmp_path: Path) -> None:
    """Catches a stale run that is served after its scenario, its data or the sources changed."""
    before = gallery.fragment("tiny", "occupancy.I")
    changes = [
        ("scenarios/tiny.yaml", "beta: 0.8", "beta: 0.2"),
        ("scenarios/seen.csv", "16", "40"),
        ("sources/code.py", "x = 1", "x = 2"),
    ]
    for count, (file, old, new) in enumerate(changes, 2):
        changed = tmp_path / file
        changed.write_text(changed.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        after = gallery.fragment("tiny", "occupancy.I")
        assert len(runs) == count, file
        assert (numbers(before) != numbers(after)) == ("scenarios" in file), file
        assert all(path.is_file() for path in figures_of(after, gallery.docs))
        assert not any(path.exists() for path in figures_of(before, gallery.docs)), "what nobody shows any more stays"
        before = after


def numbers(fragment: str) -> list[str]:
    """The lines of the tables of a fragment."""
    return [line for line in fragment.splitlines() if line.startswith("|")]


def test_a_run_that_failed_is_not_served(gallery: Any, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches half a run that is taken for a whole one when the site is built again."""
    from mesocosm import results

    with monkeypatch.context() as patch:
        patch.setattr(results.Results, "save", failing)
        with pytest.raises(RuntimeError):
            gallery.fragment("tiny", "occupancy.I")
    assert list(gallery.docs.rglob("manifest.json"))
    assert figures_of(gallery.fragment("tiny", "occupancy.I"), gallery.docs)
    assert runs == ["tiny", "tiny"]


def failing(*_: Any) -> None:
    """What a full disk does."""
    raise RuntimeError("no room")


def test_a_scenario_whose_data_are_not_here_says_so(
    gallery: Any, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a build that breaks, or leaves a hole, where nobody said where the public data are."""
    path = gallery.scenarios / "tiny.yaml"
    path.write_text(TINY.replace("seen.csv", "data:seen.csv"), encoding="utf-8")
    monkeypatch.delenv("MESOCOSM_DATA", raising=False)
    said = gallery.fragment("tiny", "occupancy.I")
    assert "`MESOCOSM_DATA`" in said
    assert len(re.findall(r"\.(?=\W*$)", said)) == 1
    assert not runs
    monkeypatch.setenv("MESOCOSM_DATA", str(gallery.scenarios))
    assert figures_of(gallery.fragment("tiny", "occupancy.I"), gallery.docs)


def test_data_that_are_not_in_their_folder_break_the_build(gallery: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a data set that was moved, taken for one that nobody asked for."""
    (gallery.scenarios / "tiny.yaml").write_text(TINY.replace("seen.csv", "data:gone.csv"), encoding="utf-8")
    monkeypatch.setenv("MESOCOSM_DATA", str(gallery.scenarios))
    with pytest.raises(ScenarioError, match=r"gone\.csv"):
        gallery.fragment("tiny", "occupancy.I")


def test_missing_data_hide_no_other_fault(gallery: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a scenario that is wrong, and whose fault is taken for data that are not here."""
    wrong = TINY.replace("seen.csv", "data:seen.csv").replace("beta", "betta")
    (gallery.scenarios / "tiny.yaml").write_text(wrong, encoding="utf-8")
    monkeypatch.delenv("MESOCOSM_DATA", raising=False)
    with pytest.raises(ScenarioError, match="betta"):
        gallery.fragment("tiny", "occupancy.I")


def test_a_mark_of_the_gallery_is_replaced(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a mark whose arguments are not read, which would stay an invisible comment in the page."""
    import pages

    monkeypatch.setitem(pages.GENERATED, "gallery", lambda *words: f"[{'|'.join(words)}]")
    source = ["text\n<!-- generated: gallery tiny occupancy.I control.S -->\n"]
    pages._fill(None, "gallery", source)
    assert source == ["text\n[tiny|occupancy.I|control.S]\n"]
