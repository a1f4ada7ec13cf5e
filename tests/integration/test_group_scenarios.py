"""The bundled scenario of age groups gives what its first comment expects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mesocosm

SCENARIO = Path(__file__).parents[2] / "scenarios" / "age-groups.yaml"


def test_the_old_avoid_contacts_and_protect_everyone(tmp_path: Path) -> None:
    """Catches a scenario that no longer runs, and an equilibrium that is another one.

    The numbers are those of the scenario at a step of 0.25 days; here the step is 1 day.
    """
    settings = {"dynamics.agents.replicates": "8", "dynamics.agents.step": "0.1"}
    settings |= {f"dynamics.{label}.step": "1" for label in ("nash", "careless")} | {"time.save_every": "2"}
    results = mesocosm.run(SCENARIO, tmp_path, settings=settings)
    assert results.folder is not None
    assert json.loads((results.folder / "manifest.json").read_text())["status"] == "done"
    nash, careless, agents = (results.trajectories()[label] for label in ("nash", "careless", "agents"))
    assert list(nash.coordinates["group"]) == ["adults", "old", "young"]
    assert nash.array("group_control")[0, :, :, 0].min(axis=0) == pytest.approx([0.922, 0.613, 0.907], abs=2e-3)
    assert nash.array("group_occupancy")[0, -1, :, 2] == pytest.approx([0.643, 0.431, 0.726], abs=1e-3)
    assert careless.array("group_occupancy")[0, -1, :, 2] == pytest.approx([0.731, 0.615, 0.796], abs=1e-3)
    sizes = agents.array("group_occupancy")[:, -1, :, 2]
    error = sizes.std(axis=0, ddof=1) / np.sqrt(len(sizes))
    assert (np.abs(sizes.mean(axis=0) - [0.643, 0.431, 0.726]) < 4 * error + 0.01).all()
