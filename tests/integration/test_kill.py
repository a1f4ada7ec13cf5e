"""A run that is killed at any moment leaves a readable folder, and goes on to the results of an uninterrupted one."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import mesocosm
import mesocosm.store

SLOW = ("second: {kind: toy}", "second: {kind: toy, pause: 0.25, learn: {from: first}}")
MAKING_THE_FOLDER = 7
"""Calls before the run folder gets its name."""

WRITES = 26
"""Calls of fsync and rename in an uninterrupted run of the scenario without a report."""


def check_readable(folder: Path) -> str:
    """Everything under a final name is whole; returns the status."""
    manifest = mesocosm.store.RunFolder(folder).manifest()
    for path in folder.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in folder.rglob("*.nc"):
        assert mesocosm.open_results(path).labels
    for line in (
        (folder / "events.jsonl").read_text(encoding="utf-8").splitlines() if (folder / "events.jsonl").exists() else ()
    ):
        json.loads(line)
    if (folder / "results.nc").exists():
        assert set(mesocosm.open_results(folder).labels) == {"first", "second"}
    return str(manifest["status"])


def arrays(folder: Path) -> dict[str, bytes]:
    found = mesocosm.open_results(folder).trajectories()
    return {
        f"{label}.{name}": value.values.tobytes()
        for label, recorded in found.items()
        for name, value in recorded.variables.items()
    }


def check_resumes(bench: Any, folder: Path, uninterrupted: Path) -> None:
    """Going on completes the run, with the same bytes."""
    bench("resume", folder, "--no-report")
    assert check_readable(folder) == "done"
    assert arrays(folder) == arrays(uninterrupted)
    assert (folder / "results.nc").read_bytes() == (uninterrupted / "results.nc").read_bytes()


KILLS = sorted(random.Random(3).sample(range(MAKING_THE_FOLDER + 2, WRITES), 4))


@pytest.mark.parametrize("moment", [MAKING_THE_FOLDER, MAKING_THE_FOLDER + 1, *KILLS, WRITES])
def test_killed_while_writing(bench: Any, moment: int) -> None:
    """Catches a file that appears under its final name before it is whole, and a kill after which a run cannot go on.

    The process is killed just before its write number `moment` reaches the disk or its final name.
    """
    scenario = bench.scenario()
    bench("run", scenario, "--no-report")
    (uninterrupted,) = bench.runs()
    process = bench.start("run", scenario, "--no-report", TOY_KILL_AT=str(moment))
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    found = set(bench.runs()) - {uninterrupted}
    if moment <= MAKING_THE_FOLDER:
        assert not found
        return
    (folder,) = found
    assert check_readable(folder) == "killed"
    check_resumes(bench, folder, uninterrupted)


def test_the_number_of_writes(bench: Any) -> None:
    """Catches a constant above that no longer covers the run: it lives when it would be killed at the write after the last."""
    scenario = bench.scenario()
    bench.process("run", scenario, "--no-report", TOY_KILL_AT=str(WRITES + 1))


def wait_for_folder(bench: Any) -> Path:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        found = [path for path in bench.runs() if (path / "manifest.json").exists()]
        if found:
            return Path(found[0])
        time.sleep(0.02)
    raise AssertionError("no run folder within a minute")


@pytest.mark.parametrize("delay", [random.Random(5).uniform(0, 1.2), random.Random(6).uniform(0, 1.2)])
def test_killed_at_a_random_time(bench: Any, tmp_path: Path, delay: float) -> None:
    """Catches a folder that is unreadable, or reads `running`, after a kill between two writes."""
    bench.scenario(SLOW, name="slow.yaml")
    process = bench.start("run", "slow.yaml", "--no-report")
    folder = wait_for_folder(bench)
    time.sleep(delay)
    process.kill()
    process.communicate(timeout=120)
    status = check_readable(folder)
    assert status == "killed"
    assert not (folder / "results.nc").exists()
    bench("run", "slow.yaml", "--no-report", "--out", "other")
    (uninterrupted,) = (tmp_path / "other").glob("*")
    check_resumes(bench, folder, uninterrupted)


def test_a_run_under_way_and_a_finished_one_do_not_resume(bench: Any) -> None:
    """Catches two processes writing into one folder, and finished results that are overwritten."""
    bench.scenario(SLOW, name="slow.yaml")
    process = bench.start("run", "slow.yaml", "--no-report")
    folder = wait_for_folder(bench)
    assert "the run is running" in bench("resume", folder, code=2).stderr
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert "the run is done" in bench("resume", folder, code=2).stderr


def test_interrupted_with_control_c(bench: Any, tmp_path: Path) -> None:
    """Catches an interrupted run that reads failed or killed, a traceback, or another exit code than 130."""
    bench.scenario(SLOW, name="slow.yaml")
    process = bench.start("run", "slow.yaml", "--no-report")
    folder = wait_for_folder(bench)
    while not (folder / "checkpoints" / "first.nc").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert told.rstrip().endswith("interrupted")
    assert "Traceback" not in told
    assert check_readable(folder) == "interrupted"
    assert json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["event"] == "run_interrupted"
    bench("run", "slow.yaml", "--no-report", "--out", "other")
    (uninterrupted,) = (tmp_path / "other").glob("*")
    check_resumes(bench, folder, uninterrupted)


def test_what_was_finished_is_not_run_again(bench: Any) -> None:
    """Catches a resume that starts from nothing: the first dynamics keeps its times."""
    bench("run", bench.scenario(("second: {kind: toy}", "second: {kind: toy, fault: interrupt}")), code=130)
    (folder,) = bench.runs()
    before = json.loads((folder / "manifest.json").read_text())["dynamics"]["first"]
    bench("resume", folder, code=130)
    assert json.loads((folder / "manifest.json").read_text())["dynamics"]["first"] == before
