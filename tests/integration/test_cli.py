"""The program: each command does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import mesocosm
import mesocosm.cli
import mesocosm.source

COMMANDS = ("run", "resume", "validate", "compare", "report", "runs", "plugins", "schema")


def test_help_lists_every_command(bench: Any) -> None:
    """Catches a command that is not registered, or one without a help text."""
    told = bench("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", told, re.MULTILINE)
        assert "Usage: mesocosm" in bench(command, "--help").stdout


def test_version(bench: Any) -> None:
    """Catches a version that is not that of the installed distribution."""
    from importlib import metadata

    assert metadata.version("mesocosm") in bench("--version").stdout


def test_validate(bench: Any) -> None:
    """Catches a right scenario that is refused, or settings that are not applied; shows the order of the run."""
    changed = bench.scenario(("first: {kind: toy}", "first: {kind: toy, learn: {from: second}}"))
    assert bench("validate", changed).stdout.endswith("s.yaml: valid; would run second, first\n")
    assert "did you mean 'beta'?" in bench("validate", changed, "--set", "game.btea=1", code=2).stderr


def test_plugins_lists_components(bench: Any) -> None:
    """Catches a component or its origin missing from the list."""
    lines = bench("plugins").stdout.splitlines()
    assert lines[0].split() == ["kind", "name", "distribution", "version", "status", "plugin", "summary"]
    words = [line.split() for line in lines]
    assert ["game", "sir", "mesocosm", mesocosm.__version__, "loaded"] in [word[:5] for word in words]
    assert any(word[:2] == ["dynamics", "toy"] and word[-2:] == ["for", "tests"] for word in words)


def test_schema_is_json_with_the_plugins_of_the_command_line(bench: Any) -> None:
    """Catches a schema that is no JSON, or that misses a plugin given with -p."""
    schema = json.loads(bench("schema").stdout)
    scenario = mesocosm.source.read_document(bench.scenario().read_text(), "s").value
    assert Draft7Validator(schema).is_valid(scenario)
    scenario["dynamics"]["first"]["puase"] = 1
    assert not Draft7Validator(schema).is_valid(scenario)


def test_run_prints_the_comparison_and_the_folder(bench: Any) -> None:
    """Catches a run that ends without saying where its results are; settings and device reach the run."""
    done = bench("run", bench.scenario(), "--set", "game.beta=0.25", "--set", "seed=9", "--device", "cpu")
    (folder,) = bench.runs()
    assert f"runs/{folder.name}" in done.stdout
    assert "report" in done.stdout
    assert "second" in done.stdout
    assert "toys on cpu, seed 9: first, second" in done.stderr
    resolved = json.loads((folder / "scenario.resolved.json").read_text())
    assert (resolved["game"]["beta"], resolved["seed"], resolved["device"]) == (0.25, 9, "cpu")


def test_quiet_and_no_report(bench: Any) -> None:
    """Catches progress that is printed though nobody wants it, and a report that is written anyway."""
    done = bench("run", bench.scenario(), "--quiet", "--no-report", "--out", "elsewhere/deep")
    assert done.stderr == ""
    (folder,) = (bench.folder / "elsewhere" / "deep").iterdir()
    assert not (folder / "report.html").exists()
    assert bench.runs() == []


def test_runs_compare_and_report(bench: Any) -> None:
    """Catches commands that cannot read what `run` wrote."""
    assert bench("runs").stdout == "no runs under runs\n"
    for seed in (1, 2):
        bench("run", bench.scenario(), "--no-report", "--quiet", "--set", f"seed={seed}")
    first, second = bench.runs()
    lines = bench("runs").stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("done ") for line in lines)
    assert "second" in bench("compare", first).stdout
    both = bench("compare", first, second).stdout
    assert first.name in both or second.name in both
    told = bench("report", first).stdout
    assert Path(bench.folder, told.strip()).is_file()
    assert "<html" in (first / "report.html").read_text(encoding="utf-8")
    assert "nothing" in bench("compare", first, "--reference", "nothing", code=2).stderr


def test_reading_a_run_without_results(bench: Any) -> None:
    """Catches a comparison of a failed run that crashes instead of naming its status."""
    bench("run", bench.scenario(("second: {kind: toy}", "second: {kind: toy, fault: raise}")), "--quiet", code=1)
    (folder,) = bench.runs()
    assert "the status of this run is 'failed'" in bench("compare", folder, code=1).stderr
    assert "the status of this run is 'failed'" in bench("report", folder, code=1).stderr


def test_a_scenario_without_dynamics(bench: Any) -> None:
    """Catches a crash where there is nothing to run or to compare."""
    text = bench.scenario().read_text()
    bench.scenario(text=text[: text.index("dynamics:")])
    assert "would run no dynamics" in bench("validate", "s.yaml").stdout
    bench("run", "s.yaml", "--no-report")


def test_a_scenario_with_one_dynamics(bench: Any) -> None:
    """Catches a crash where there is nothing to compare with."""
    bench.scenario(("  second: {kind: toy}\n", ""))
    assert "run folder" in bench("run", "s.yaml").stdout


COMMAND_PLUGIN = """\
import click
from mesocosm import hookimpl

@click.command()
def greet():
    "Say hello."
    click.echo("hello from a plugin")

@hookimpl
def mesocosm_cli_commands():
    yield greet
"""


def test_plugins_add_commands(bench: Any) -> None:
    """Catches the hook for commands never being called."""
    info = bench.folder / "site" / "greetings-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mesocosm.plugins]\ngreetings = greetings_plugin\n")
    (bench.folder / "site" / "greetings_plugin.py").write_text(COMMAND_PLUGIN)
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "mesocosm", "greet"], capture_output=True, text=True, check=True,
        env=bench.environment | {"PYTHONPATH": str(bench.folder / "site")},
    )  # fmt: skip
    assert done.stdout == "hello from a plugin\n"


@pytest.mark.parametrize("name", ["-h", "--help"])
def test_the_installed_program_is_the_module(bench: Any, name: str) -> None:
    """Catches an entry point that names another function."""
    from importlib import metadata

    (point,) = (item for item in metadata.entry_points(group="console_scripts") if item.name == "mesocosm")
    assert point.load() is mesocosm.cli.main
    assert "Usage: mesocosm" in bench(name).stdout


def test_commands_of_a_plugin_given_with_p(bench: Any) -> None:
    """Catches commands that are looked for only among installed plugins, or in a plugin that was left out."""
    extra = (
        "import click\nfrom mesocosm import hookimpl\n\n@hookimpl\ndef mesocosm_cli_commands():\n"
        "    @click.command()\n    def shout():\n        click.echo('LOUD')\n    yield shout\n"
    )
    (bench.folder / "loud.py").write_text(extra)
    assert bench("-p", "loud.py", "shout").stdout == "LOUD\n"
    assert "No such command 'shout'" in bench("shout", code=2).stderr


def test_a_plugin_that_is_left_out_must_be_there(bench: Any) -> None:
    """Catches a misspelt name that leaves nothing out, in silence."""
    told = bench("--no-plugin", "agnets", "plugins", code=2).stderr
    assert "--no-plugin: no plugin is called 'agnets'; did you mean 'agents'?" in told
