"""Ctrl-C: a dynamics that does not listen is named, and the second press ends it with the run folder sound."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

NAMED = "plugin 'weather' (weather-package 0.1)"

DEAF = """
import time

class Made(Toy):
    def advance(self, state, interval):
        if interval.index == 1:
            while True:
                try:
                    print("working", flush=True)
                    time.sleep(0.05)
                except KeyboardInterrupt:
                    if self.options.pause:
                        return super().advance(state, interval)
        return super().advance(state, interval)
"""
"""A dynamics that ignores Ctrl-C, or with `pause` goes on to the next save."""


def second(bench: Any, options: str = "") -> Path:
    """The scenario with the deaf dynamics in second place."""
    return bench.scenario(("second: {kind: toy}", f"second: {{kind: weather{options}}}"))  # type: ignore[no-any-return]


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints until it says `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"never said {text!r}")


def test_a_dynamics_that_hangs_on_ctrl_c(bench: Any, install: Any) -> None:
    """Catches a run that cannot be ended, or that ends without naming what was in the way or without keeping what was done."""
    with bench.start(
        "run", second(bench), "--no-report", PYTHONPATH=install("weather", install.parts + DEAF)
    ) as process:
        wait_for(process, "working")
        process.send_signal(signal.SIGINT)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    who = f"dynamics 'second' (weather of {NAMED})"
    assert f"{who} does not stop; press Ctrl-C again to end the program" in told
    assert f"interrupted: {who} did not stop at Ctrl-C" in told
    (folder,) = bench.runs()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["status"], manifest["dynamics"]["first"]["status"]) == ("interrupted", "done")
    assert who in manifest["message"]


def test_a_dynamics_that_swallows_ctrl_c(bench: Any, install: Any) -> None:
    """Catches a run that goes on to its end because a dynamics caught the interruption."""
    scenario = second(bench, options=", pause: 0.01")
    with bench.start("run", scenario, "--no-report", PYTHONPATH=install("weather", install.parts + DEAF)) as process:
        wait_for(process, "working")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    manifest = json.loads((bench.runs()[0] / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
