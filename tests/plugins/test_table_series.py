"""The registry of public series: what it says of each, in tables and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from mesocosm import Clock, ContactGraph, Context, DataError, Population, Problem, Streams, resolve_device
from mesocosm_data.command import data
from mesocosm_data.dynamics import Table
from mesocosm_data.options import TableOptions
from mesocosm_data.registry import SERIES, series_named
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions

NAMES = [series.name for series in SERIES]


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of public data, and a cache of its own."""
    monkeypatch.delenv("MESOCOSM_DATA", raising=False)
    monkeypatch.setenv("MESOCOSM_CACHE", str(tmp_path / "cache"))


def test_without_a_public_file_the_source_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches an attempt to download nothing, and an error without the source."""
    with pytest.raises(DataError, match=r"MESOCOSM_DATA is not set.*outbreaks, an R package"):
        series_named("hagelloch-measles").find()


def test_every_series_is_whole() -> None:
    """Catches names used twice, sums that are none, addresses that name a branch, and a series from nowhere."""
    assert len(set(NAMES)) == len(NAMES)
    assert len({each.file for each in SERIES}) == len(NAMES)
    for each in SERIES:
        assert len(each.sha256) == 64
        assert each.title
        assert each.credit
        assert each.licence
        assert bool(each.parts) != bool(each.elsewhere)
        assert set(each.decimals) <= set(each.values)
        for part in each.parts:
            commit = part.url.split("/")[5]
            assert len(commit) in (12, 40)
            int(commit, 16)


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_knows_the_files(name: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a sum or a column that is written down wrongly."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    each = series_named(name)
    header = each.find().read_text(encoding="utf-8").splitlines()[0]
    assert header.split(",") == list(each.columns)


def problem() -> Problem:
    graph = ContactGraph.complete(188)
    return Problem(
        name="village", seed=1, game=SIR(SIROptions(beta=1.0, gamma=0.5)), graph=graph,
        population=Population(188, np.array([0.9, 0.1, 0.0])), clock=Clock(86, 1.0, "day"),
        device=resolve_device("cpu"), precision="float32", draw=lambda replicate: graph,
    )  # fmt: skip


def test_a_table_reads_a_series(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a series that is validated but not read."""
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    options = TableOptions.model_validate(
        {"series": "hagelloch-measles", "time": "date", "quantities": {"cases": {"column": "new_prodromes"}}}
    )
    model = Table(problem(), options, Context("observed", Streams(1, "observed")))
    model.check()
    assert model.observed["cases"].sum() == 188


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"series": "hagelloch-measels"}, "did you mean 'hagelloch-measles'"),
        ({"series": "x"}, "there are: japan-covid-cases"),
        ({}, "either file or series"),
        ({"series": 3}, "no public series"),
    ],
)
def test_unknown_series_are_refused(options: dict[str, Any], words: str) -> None:
    """Catches a misspelt series that is found out only in a run."""
    with pytest.raises(ValidationError, match=words):
        TableOptions.model_validate({**options, "quantities": {"q": {"column": "a"}}})


def test_the_command_lists_and_describes(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a series without licence or presence in the list, and a wrong name that ends in a traceback."""
    run = CliRunner()
    listed = run.invoke(data).output
    assert [line.split()[0] for line in listed.splitlines()] == NAMES
    assert "not here" in listed
    assert "downloads" in listed
    monkeypatch.setenv("MESOCOSM_DATA", str(data_folder))
    assert run.invoke(data).output.count(" here ") == len(NAMES)
    told = run.invoke(data, ["covid-policy"]).output
    assert "licence: CC BY 4.0" in told
    assert "column stringency: index from 0 to 100" in told
    wrong = run.invoke(data, ["covid-polcy"])
    assert wrong.exit_code == 2
    assert "did you mean 'covid-policy'" in wrong.output
