"""What a run leaves behind, and what its bytes depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm

AGENTS = "agents: {kind: agent_based, replicates: 3, step: 0.5}"


def run(bench: Any, path: Path, *arguments: str) -> Path:
    """Run in this process; returns the run folder."""
    before = set(bench.runs())
    bench("run", path, "--no-report", "--quiet", *arguments)
    (folder,) = set(bench.runs()) - before
    return Path(folder)


def arrays(folder: Path, label: str) -> dict[str, bytes]:
    found = mesocosm.open_results(folder).trajectories()[label]
    return {name: value.values.tobytes() for name, value in found.variables.items()}


def test_a_finished_run_has_these_files_and_no_others(bench: Any) -> None:
    """Catches a file that is missing, or temporary ones left behind."""
    bench("run", bench.scenario())
    (folder,) = bench.runs()
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {
        "manifest.json", "scenario.yaml", "scenario.resolved.json", "events.jsonl", "results.nc", "report.html",
    }  # fmt: skip
    assert (folder / "scenario.yaml").read_bytes() == (bench.folder / "s.yaml").read_bytes()
    assert [path.name for path in (bench.folder / "runs").iterdir()] == [folder.name]


def test_the_manifest_says_what_was_run(bench: Any) -> None:
    """Catches a manifest from which a result could not be traced back."""
    folder = run(bench, bench.scenario(), "--device", "auto")
    manifest = json.loads((folder / "manifest.json").read_text())
    scenario = mesocosm.load(folder / "scenario.resolved.json", registry=registry(bench))
    assert manifest["status"] == "done"
    assert manifest["scenario_sha256"] == scenario.digest()
    assert manifest["seed"] == 5
    assert manifest["device"] == {"requested": "auto", "name": mesocosm.resolve_device("auto").name}
    assert manifest["versions"]["numpy"] == np.__version__
    assert {(item["kind"], item["name"], item["distribution"]) for item in manifest["plugins"]} >= {
        ("game", "sir", "mesocosm"),
        ("graph", "complete", "mesocosm"),
        ("dynamics", "toy", str(bench.plugin)),
    }
    for label in ("first", "second"):
        entry = manifest["dynamics"][label]
        assert (entry["kind"], entry["status"]) == ("toy", "done")
        assert set(entry["wall_seconds"]) == {"prepare", "advance"}
        assert entry["peak_memory_bytes"] > 0
    assert manifest["warnings"] == []


def registry(bench: Any) -> mesocosm.Registry:
    return mesocosm.Registry.discover([bench.plugin])


def test_events_tell_the_story_in_order(bench: Any) -> None:
    """Catches events that are missing or out of order."""
    folder = run(bench, bench.scenario())
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [(event["event"], event.get("label")) for event in events] == [
        ("run_started", None),
        ("dynamics_started", "first"),
        ("dynamics_finished", "first"),
        ("dynamics_started", "second"),
        ("dynamics_finished", "second"),
        ("run_finished", None),
    ]


def test_results_hold_what_the_dynamics_recorded(bench: Any) -> None:
    """Catches an array that changes on its way through the file."""
    folder = run(bench, bench.scenario())
    scenario = mesocosm.load(bench.folder / "s.yaml", registry=registry(bench))
    problem = mesocosm.build(scenario, registry(bench))
    toy = registry(bench).factory("dynamics", "toy")
    direct = mesocosm.simulate(problem, {"first": toy.bind(scenario.dynamics["first"].options)})["first"]
    saved = mesocosm.open_results(folder).trajectories()["first"]
    assert set(saved.variables) == set(direct.variables) == {"occupancy", "cost"}
    for name, labelled in direct.variables.items():
        assert saved.variables[name].dims == labelled.dims
        assert np.array_equal(saved.array(name), labelled.values)
    assert list(saved.coordinates["state"]) == ["S", "I", "R"]
    assert np.array_equal(saved.times, direct.times)


def test_the_same_seed_gives_the_same_bytes(bench: Any) -> None:
    """Catches a clock, a path or global randomness in the results."""
    bench.scenario(("second: {kind: toy}", AGENTS))
    np.random.default_rng().random()
    first, second = (run(bench, bench.folder / "s.yaml") for _ in range(2))
    assert first != second
    assert (first / "results.nc").read_bytes() == (second / "results.nc").read_bytes()
    assert (first / "scenario.resolved.json").read_bytes() == (second / "scenario.resolved.json").read_bytes()


@pytest.mark.parametrize("label", ["first", "agents"])
def test_another_seed_gives_another_result(bench: Any, label: str) -> None:
    """Catches a seed that reaches nothing."""
    bench.scenario(("second: {kind: toy}", AGENTS))
    first, second = (run(bench, bench.folder / "s.yaml", "--set", f"seed={seed}") for seed in (5, 6))
    assert arrays(first, label) != arrays(second, label)


OBSERVER = '''\
"""An observer that follows everything and draws random numbers of its own."""

import random

import numpy as np

from mesocosm import hookimpl

heard = []


@hookimpl
def mesocosm_run_started(run):
    np.random.default_rng(run["seed"]).random(10)
    random.seed(1)
    heard.append(("started", tuple(run["labels"])))


@hookimpl
def mesocosm_interval_finished(label, interval, observation):
    random.random()
    heard.append((label, interval.index, observation["occupancy"].shape))


@hookimpl
def mesocosm_run_finished(run, results):
    heard.append(("finished", results.labels, (run["folder"] / "results.nc").is_file()))
'''


def test_another_dynamics_or_observer_changes_nothing(bench: Any) -> None:
    """Catches randomness shared between dynamics, or disturbed by who watches."""
    alone = run(
        bench, bench.scenario(("  first: {kind: toy}\n", ""), ("second: {kind: toy}", AGENTS), name="alone.yaml")
    )
    path = bench.scenario(
        ("first: {kind: toy}", f"zeroth: {{kind: toy}}\n  {AGENTS}"), ("graph:", "compare: {reference: agents}\ngraph:")
    )
    (bench.folder / "observer.py").write_text(OBSERVER)
    before = set(bench.runs())
    bench("-p", bench.folder / "observer.py", "run", path, "--no-report")
    (together,) = set(bench.runs()) - before
    assert arrays(alone, "agents") == arrays(together, "agents")
    assert arrays(together, "zeroth") != arrays(together, "second")
    import sys

    heard = sys.modules["mesocosm_file_observer"].heard
    assert heard[0] == ("started", ("zeroth", "agents", "second"))
    assert heard[1:5] == [("zeroth", index, (3, 3)) for index in range(4)]
    assert heard[-1] == ("finished", ("zeroth", "agents", "second"), True)
    assert len(heard) == 14


def test_a_hook_that_raises_is_kept_as_a_warning(bench: Any) -> None:
    """Catches an observer that stops a run, or whose fault nobody hears of."""
    (bench.folder / "observer.py").write_text(
        "from mesocosm import hookimpl\n\n@hookimpl\ndef mesocosm_run_started(run):\n    raise OSError('sulks')\n"
    )
    done = bench("-p", bench.folder / "observer.py", "run", bench.scenario(), "--no-report")
    (folder,) = bench.runs()
    says = "hook mesocosm_run_started raised OSError: sulks"
    assert says in json.loads((folder / "manifest.json").read_text())["warnings"][0]
    assert says in done.stderr


def test_the_python_functions_do_the_same(bench: Any) -> None:
    """Catches a command line that does more than the public functions: run, resume and open_results."""
    path = bench.scenario()
    results = mesocosm.run(path, bench.folder / "runs", report=False, registry=registry(bench))
    by_command = run(bench, path)
    assert results.folder is not None
    assert (results.folder / "results.nc").read_bytes() == (by_command / "results.nc").read_bytes()
    assert mesocosm.open_results(results.folder).labels == results.labels == ("first", "second")


def test_a_report_that_fails_keeps_the_results(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches results thrown away because a figure could not be drawn; going on needs no second simulation."""
    import mesocosm.report

    def broken(*_: Any) -> None:
        raise mesocosm.StoreError("no paper")

    original = mesocosm.report.write_run_report
    monkeypatch.setattr(mesocosm.report, "write_run_report", broken)
    bench("run", bench.scenario(), code=1)
    (folder,) = bench.runs()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "failed"
    results = (folder / "results.nc").read_bytes()
    monkeypatch.setattr(mesocosm.report, "write_run_report", original)
    times = json.loads((folder / "manifest.json").read_text())["dynamics"]
    bench("resume", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["dynamics"] == times
    assert (folder / "results.nc").read_bytes() == results
    assert (folder / "report.html").is_file()


def test_resuming_from_another_folder_finds_the_data(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Catches a relative data file that is looked for in the run folder, or in the folder where one happens to be."""
    (bench.folder / "e.csv").write_text("0,1\n1,2\n")
    bench.scenario(
        ("graph: {kind: complete}", "graph: {kind: edges, file: e.csv}"),
        ("size: 50, ", ""),
        ("second: {kind: toy}", "second: {kind: toy, fault: interrupt}"),
    )
    bench("run", "s.yaml", code=130)
    (folder,) = bench.runs()
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    with pytest.raises(KeyboardInterrupt):
        mesocosm.resume(folder, registry=registry(bench))
