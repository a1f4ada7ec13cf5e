"""Scenarios that are about tables of real outbreaks, with less training than they ask for."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm

SCENARIOS = Path(__file__).parents[2] / "scenarios"


def run(name: str, folder: Path, **settings: str) -> Any:
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return mesocosm.run(SCENARIOS / f"{name}.yaml", folder, settings=changes)


def test_influenza_in_germany(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches weeks that are shifted against the file, and forecasts of another week than they say.

    Persistence forecasts what was counted last: its error is counted from the file itself.
    """
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    results = run("germany-flu", tmp_path, dynamics__learned__seeds="1", dynamics__learned__steps="3")
    with (data_folder / "outbreaks/influenza_germany_2001_2006_weekly.csv").open(encoding="utf-8") as file:
        weeks = [(row["year"], row["week"], float(row["influenza"])) for row in csv.DictReader(file)]
    assert weeks[260][:2] == ("2006", "1")
    counts = np.array([count for _, _, count in weeks])
    np.testing.assert_array_equal(results["observed"].cases[0], counts[:281])
    learned = results["learned"]
    origins = np.arange(260, 277)
    assert float(learned.forecast_origins) == len(origins)
    for horizon in (1, 2, 4):
        error = float(learned.forecast_error.sel(model="persistence", horizon=horizon))
        assert error == pytest.approx(np.abs(counts[origins + horizon] - counts[origins]).mean(), rel=1e-6)
    assert np.isfinite(learned.forecast_crps).all()


def test_measles_in_hagelloch(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches ill and recovered children that are counted wrongly, and counts that nothing is learned from."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    results = run(
        "hagelloch",
        tmp_path,
        dynamics__learned__seeds="2",
        dynamics__learned__steps="20",
        dynamics__agents__replicates="20",
    )
    observed = results["observed"]
    new = observed.new_cases[0].values
    assert (new[:31].sum(), new.sum()) == (77, 187)
    ill, recovered = (observed.occupancy[0].sel(state=state).values * 188 for state in "IR")
    days = np.arange(6, 64)
    np.testing.assert_allclose(ill[6:], [new[day - 6 : day + 1].sum() for day in days], rtol=1e-12)
    np.testing.assert_allclose(recovered[7:], new.cumsum()[: 64 - 7], rtol=1e-12)
    assert (int(np.nanargmax(ill)), np.nanmax(ill)) == (36, pytest.approx(90))
    assert np.isnan(observed.occupancy.sel(state=["S", "E"])).all()
    learned = results["learned"]
    assert float(learned.heldout_score.mean()) < float(learned.heldout_score_persistence)
    assert float(results["mean_field"].final_size[0]) > 0.99
