"""Bad input through the whole program: one clear message on the error stream, exit code 2 or 1, no traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest

import mesocosm

EDGES = "graph: {kind: edges, file: e.csv}"
GRAPH = "graph: {kind: complete}"


def refused(bench: Any, *changes: tuple[str, str], arguments: tuple[str, ...] = (), command: str = "run") -> str:
    """Run a wrong scenario; exit code 2, nothing printed as a result, no run folder."""
    done = bench(command, bench.scenario(*changes), *arguments, code=2)
    assert done.stdout == ""
    assert bench.runs() == []
    assert done.stderr.count("error: ") == 1
    return done.stderr


@pytest.mark.parametrize("command", ["run", "validate"])
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("beta: 0.5", "beta: 0.5, betta: 1", "s.yaml:7:30: game.betta: unknown option; did you mean 'beta'?"),
        ("beta: 0.5", "beta: '0.5'", 's.yaml:7:19: game.beta: "0.5" must be a valid number'),
        ("beta: 0.5", "beta: -0.5", "s.yaml:7:19: game.beta: -0.5 must be greater than or equal to 0"),
        ("{I: 0.1}", "{I: 0.7, R: 0.7}", "s.yaml:5:24: population.initial: the shares add up to 1.4"),
        (
            "second: {kind: toy}",
            "second: {kind: tpy}",
            "s.yaml:10:12: dynamics.second.kind: no dynamics is called 'tpy'",
        ),
        (
            "first: {kind: toy}",
            "first: {kind: toy, learn: {from: second}}\n  third: {kind: toy, learn: {from: third}}",
            "dynamics refer to each other in a circle: third -> third",
        ),
        (GRAPH, EDGES, "s.yaml:6:22: graph.file: no file 'e.csv'"),
        ("seed: 5", "seed: 5\nseed: 6", "s.yaml:4:1: seed: given twice; first at line 3"),
        ("seed: 5", "seed: [5", "not valid YAML"),
    ],
)
def test_what_the_scenario_shows(bench: Any, command: str, old: str, new: str, says: str) -> None:
    """Catches a fault that `validate` overlooks or that `run` meets only later, as a traceback or with another exit code."""
    assert says in refused(bench, (old, new), command=command)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ([("{I: 0.1}", "{J: 0.1}")], "s.yaml:5:34: population.initial.J: the game 'sir' has no state 'J'"),
        (
            [(GRAPH, "graph: {kind: lattice, shape: [3, 5]}")],
            "s.yaml:5:14: population.size: 50 agents, but the contact graph 'lattice' has 15 nodes",
        ),
        ([("seed: 5", "seed: 5\ndevice: mps")], "s.yaml:4:1: device: device: 'mps' asked for"),
    ],
)
def test_what_building_shows(bench: Any, changes: list[tuple[str, str]], says: str) -> None:
    """Catches a population cut to fit the graph, an unknown state, a device replaced by another one."""
    import platform

    if "device" in says and platform.system() == "Darwin":
        changes, says = [("seed: 5", "seed: 5\ndevice: cuda")], "'cuda' asked for"
    assert says in refused(bench, *changes)


def test_cuda_on_a_machine_without_it(bench: Any) -> None:
    """Catches a silent fall back to the CPU; where there are CUDA devices, the one after the last is asked for."""
    from mesocosm.device import cuda_device_count

    count = cuda_device_count()
    name = f"cuda:{count}" if count else "cuda"
    told = refused(bench, ("seed: 5", f"seed: 5\ndevice: {name}"))
    assert f"s.yaml:4:1: device: device: '{name}' asked for, but this machine has {count} CUDA device" in told
    assert f"this machine has {count} CUDA device" in refused(bench, arguments=("--device", name))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("0,1\n1,2\n2,x,y,z\n", "e.csv:3"),
        ("0,1\n1,2\n2,2\n", "e.csv:3"),
        ("0,1,1\n1,2,-3\n", "e.csv:2"),
        ("", "e.csv"),
    ],
)
def test_a_malformed_graph_file(bench: Any, content: str, says: str) -> None:
    """Catches a bad row that is skipped, or an error without file and line."""
    (bench.folder / "e.csv").write_text(content)
    assert says in refused(bench, (GRAPH, EDGES), ("size: 50, ", ""))


def test_all_faults_at_once(bench: Any) -> None:
    """Catches a program that shows one fault per attempt."""
    told = refused(bench, ("beta: 0.5", "beta: -1"), ("seed: 5", "seed: x"), arguments=("--set", "time.end=-1"))
    assert [part in told for part in ("s.yaml:3:1: seed", "s.yaml:7:19: game.beta", "--set time.end=-1")] == [True] * 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run",), "Missing argument 'FILE'"),
        (("run", "absent.yaml"), "absent.yaml: no such file"),
        (("run", "s.yaml", "--set", "seed"), "--set seed: write --set key=value"),
        (("run", "s.yaml", "--out", "toy.py"), "cannot make the run folder"),
        (("run", "s.yaml", "--devise", "cpu"), "No such option"),
        (("rnu", "s.yaml"), "No such command 'rnu'"),
        (("resume", "."), "no run folder at '.'"),
        (("-p", "absent.py", "plugins"), "absent.py"),
    ],
)
def test_wrong_arguments(bench: Any, arguments: tuple[str, ...], says: str) -> None:
    """Catches a wrong command line that ends in a traceback, or with exit code 0."""
    bench.scenario()
    assert says in bench(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("nan", "dynamics 'second' (toy) at time 2: 'occupancy' is not finite in replicate 1"),
        ("mass", "dynamics 'second' (toy) at time 2: 'occupancy' adds up to 0.99"),
        ("shape", "dynamics 'second' (toy) at time 2: 'occupancy' has shape (3, 2)"),
        ("raise", "dynamics 'second', between times 1 and 2: ValueError: the toy is broken"),
    ],
)
def test_a_dynamics_that_fails(bench: Any, fault: str, says: str) -> None:
    """Catches NaN in the results, and a failed run whose folder does not say so or has lost what was computed."""
    done = bench("run", bench.scenario(("second: {kind: toy}", f"second: {{kind: toy, fault: {fault}}}")), code=1)
    assert f"error: {says}" in done.stderr
    (folder,) = bench.runs()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert says in manifest["message"]
    assert manifest["dynamics"]["first"]["status"] == "done"
    assert not (folder / "results.nc").exists()
    kept = mesocosm.open_results(folder / "checkpoints" / "first.nc").trajectories()["first"]
    assert kept.array("occupancy").shape == (3, 5, 3)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "run_failed"
    assert f"failed       {manifest['created']}  runs/{folder.name}" in bench("runs").stdout


def test_a_plugin_that_cannot_be_imported(bench: Any, install: Any) -> None:
    """Catches one broken plugin stopping everything; it is a warning, and an error only where it is needed."""
    path = install("weather", announcement="import no_such_library\n")
    reason = "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'"
    listed = bench.process("plugins", PYTHONPATH=path)
    (line,) = [line for line in listed.stdout.splitlines() if "weather" in line]
    assert line.split(maxsplit=6) == ["plugin", "weather", "weather-package", "0.1", "failed", "weather", reason]
    assert "agent_based" in listed.stdout
    fine = bench.process("validate", bench.scenario(), PYTHONPATH=path)
    assert fine.stderr == f"warning: plugin 'weather' (weather-package 0.1) failed and is left out: {reason}\n"
    needed = bench.process(
        "validate", bench.scenario(("second: {kind: toy}", "second: {kind: weather}")), code=2, PYTHONPATH=path
    )
    assert "s.yaml:10:12: dynamics.second.kind: no dynamics is called 'weather'" in needed.stderr
    assert f"plugin 'weather' (weather-package 0.1) failed: {reason}" in needed.stderr
    assert "disabled" in bench.process("--no-plugin", "weather", "plugins", PYTHONPATH=path).stdout
    assert bench.process("validate", bench.scenario(), PYTHONPATH=path, MESOCOSM_DISABLE_PLUGINS="weather").stderr == ""


def test_two_plugins_with_the_same_component(bench: Any, install: Any) -> None:
    """Catches one of them silently winning."""
    module = "from toy import *\nfrom toy import mesocosm_components\n"
    path = install("double", announcement=module)
    told = bench.process("validate", bench.scenario(), code=2, PYTHONPATH=path).stderr
    assert "dynamics 'toy' is registered by plugin 'double' (double-package 0.1) and by plugin 'toy'" in told


@pytest.mark.parametrize(("change", "code"), [("beta: -1", 2), ("beta: 1", 1)])
def test_exit_codes_of_a_process(bench: Any, change: str, code: int) -> None:
    """Catches an exit code that is lost on the way out; the error stream holds the message, and no traceback unless asked."""
    scenario = bench.scenario(("second: {kind: toy}", "second: {kind: toy, fault: raise}"), ("beta: 0.5", change))
    assert bench.process("run", scenario, code=code).stderr.count("error: ") == 1
    with bench.start("--traceback", "run", scenario) as process:
        _, told = process.communicate()
    assert process.returncode == code
    assert told.count("Traceback (most recent call last)") >= 1
    assert told.count("error: ") == 1
