"""The example packages: each is installed, listed, run and recorded, and as short and light as it promises to be."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/pyproject.toml"))


def project(name: str) -> dict[str, Any]:
    """The table `project` of an example."""
    return tomllib.loads((EXAMPLES / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_there_are_examples() -> None:
    """Catches a folder that was moved, so that the tests below would run on nothing."""
    assert NAMES == ["diffrax_mean_field", "eon_reference", "gillespie_numpy", "mesa_virus"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_listed(installed: Any, name: str) -> None:
    """Catches an entry point that is missing, and a plugin that fails when it is loaded."""
    lines = installed(name).mesocosm("plugins").splitlines()
    (line,) = [line for line in lines if line.split()[:2] == ["dynamics", name]]
    about = project(name)
    assert line.split()[2:5] == [about["name"], about["version"], "loaded"]


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(ran: Any, name: str) -> None:
    """Catches a scenario that no longer runs, and a manifest that does not say whose code and which version made it."""
    about, (folder, results) = project(name), ran(name)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "done"
    (used,) = [item for item in manifest["plugins"] if (item["kind"], item["name"]) == ("dynamics", name)]
    assert (used["distribution"], used["version"]) == (about["name"], about["version"])
    assert results.comparison is not None


def test_diffrax_and_classical_mfg(ran: Any) -> None:
    """Catches a loose tolerance, and a term of the equations that only one of them has."""
    results = ran("diffrax_mean_field")[1]
    gap = results["jax"].occupancy.values - results["numpy"].occupancy.values
    assert np.abs(gap).max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_scenario_says_what_it_asks(name: str) -> None:
    """Catches a scenario without its question and the answer that one should find."""
    lines = (EXAMPLES / name / "scenario.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 40
    assert lines[0].startswith("# ")
    assert lines[0].endswith("?")
    assert lines[1].startswith("# Expected: ")


@pytest.mark.parametrize(("name", "most"), [("gillespie_numpy", 75), ("mesa_virus", 79)])
def test_it_is_short(name: str, most: int) -> None:
    """Catches a dynamics that grows beyond what its page promises: 60 lines of NumPy or so, an adapter under 80."""
    lines = (EXAMPLES / name / "src" / name / "dynamics.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= most


@pytest.mark.parametrize("name", NAMES)
def test_the_announcement_is_all_that_a_plugin_loads(installed: Any, name: str) -> None:
    """Catches an announcement or options that import what only a run needs."""
    heavy = "{'mesa', 'EoN', 'jax', 'diffrax', 'networkx', 'scipy', 'numpy', 'torch'}"
    code = f"import sys, {name}, {name}.options; list({name}.mesocosm_components()); print({heavy} & set(sys.modules))"
    assert installed(name)("-c", code) == "set()\n"


@pytest.mark.slow
def test_a_fresh_environment(tmp_path: Path, fresh: Any) -> None:
    """Catches a dependency that is declared nowhere: pip installs mesocosm and an example, with all that they need."""
    environment = fresh(tmp_path / "environment", EXAMPLES.parents[1], EXAMPLES / "gillespie_numpy")
    folder, results = environment.run(EXAMPLES / "gillespie_numpy" / "scenario.yaml")
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["status"] == "done"
    assert set(results.labels) == {"exact", "fine", "coarse"}
