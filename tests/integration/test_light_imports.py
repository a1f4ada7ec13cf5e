"""What answers at once stays light: help, plugins, validate and schema load no heavy library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchsde", "mesa", "xarray", "numba", "scipy", "pandas", "matplotlib", "h5netcdf", "networkx")

PROBE = """\
import json, runpy, sys
sys.argv = ["mesocosm", *json.loads(sys.argv[1])]
try:
    runpy.run_module("mesocosm", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""


def modules(*arguments: str) -> set[str]:
    """Top-level modules that the program has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)], capture_output=True, text=True, check=True, env=os.environ
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("command", [["--help"], ["run", "--help"], ["plugins"], ["schema"], ["--version"]])
def test_commands_load_nothing_heavy(command: list[str]) -> None:
    """Catches an import at the top of a module that makes every command slow."""
    loaded = modules(*command)
    assert "mesocosm" in loaded
    assert loaded & set(HEAVY) == set()


def test_validating_loads_nothing_heavy() -> None:
    """Catches an options module that imports what only a run needs; this scenario uses every bundled dynamics."""
    scenario = Path(__file__).parents[2] / "scenarios" / "boarding-school.yaml"
    loaded = modules("validate", str(scenario))
    assert {"mesocosm", "pydantic", "mesocosm_neural", "mesocosm_agents"} <= loaded
    assert loaded & set(HEAVY) == set()


def test_importing_the_package_loads_nothing() -> None:
    """Catches a front door that opens every room."""
    code = "import mesocosm, sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded & {*HEAVY, "numpy", "pydantic", "pluggy", "yaml", "click"} == set()
