"""The scenario japan-covid reads public counts as they are, and forecasts as well as it says."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

import mesocosm

JAPAN = Path(__file__).parents[2] / "scenarios" / "japan-covid.yaml"


def test_public_counts_are_read_as_they_are(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a table that is misread, tables that run after the forecast, and wrong baselines: errors of persistence computed
    here from the file itself."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    short = {"dynamics.forecast.steps": "2", "dynamics.forecast.seeds": "1", "dynamics.forecast.paths": "4"}
    results = mesocosm.run(JAPAN, tmp_path, settings=short, report=False)
    with (data_folder / "covid" / "japan_mhlw_daily.csv").open() as stream:
        cases = {date.fromisoformat(row["date"]): float(row["new_confirmed"]) for row in csv.DictReader(stream)}

    def weekly(day: date) -> float:
        return sum(cases[day - timedelta(back)] for back in range(7)) / 7

    forecast = results["forecast"]
    origins = [date(2020, 12, 1) + timedelta(14 * number) for number in range(20)]
    assert float(forecast.forecast_origins) == len(origins)
    errors = forecast.forecast_error.sel(model="persistence")
    for horizon in (7, 14, 28):
        expected = np.mean([abs(weekly(day + timedelta(horizon)) - weekly(day)) for day in origins])
        assert float(errors.sel(horizon=horizon)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_forecasts_of_public_counts(tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a network that got worse: scores against the best baseline, coverage, and the three peaks inside the bands."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    forecast = mesocosm.run(JAPAN, tmp_path, report=False)["forecast"]
    scores, coverage = forecast.forecast_crps, forecast.forecast_coverage.sel(model="ensemble")
    assert float(scores.sel(model="ensemble", horizon=28)) < 0.95 * float(scores.sel(model="damped", horizon=28))
    for horizon in (7, 14):
        ours = float(scores.sel(model="ensemble", horizon=horizon))
        assert ours < 1.15 * float(scores.sel(model="damped", horizon=horizon))
        assert ours < 0.9 * float(scores.sel(model="persistence", horizon=horizon))
    assert (coverage >= 0.6).all()
    low, high = np.quantile(forecast.new_cases.values, [0.05, 0.95], axis=0)
    for peak, cases in ((102, 6485), (225, 6437), (328, 23192)):
        assert low[peak] < cases < high[peak]
