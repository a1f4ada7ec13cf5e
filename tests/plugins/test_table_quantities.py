"""Quantities of a table over time: rows that are kept, what a save takes of them, and what is made of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mesocosm import Clock, ContactGraph, Context, DataError, InputError, Population, Problem, Streams, resolve_device
from mesocosm.testing import check_dynamics
from mesocosm_data.dynamics import Table
from mesocosm_data.options import TableOptions
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions

NAN = np.nan
COUNTRIES = """\
day,land,total,level,mood
2020-12-30,DEU,x,1,calm
2020-12-30,JPN,90,10,calm
2020-12-31,JPN,100,20,calm
2021-01-01,JPN,103,30,tense
soon,DEU,,,
2021-01-02,JPN,103,40,tense
2021-01-03,JPN,110,60,
2021-01-04,JPN,,80,calm
2021-01-05,JPN,140,90,calm
2021-01-09,JPN,150,95,calm
"""


def problem(end: float = 4, save_every: float = 1, unit: str = "day") -> Problem:
    graph = ContactGraph.complete(100)
    return Problem(
        name="counts",
        seed=1,
        game=SIR(SIROptions(beta=1.0, gamma=0.5)),
        graph=graph,
        population=Population(100, np.array([0.9, 0.1, 0.0])),
        clock=Clock(end, save_every, unit),
        device=resolve_device("cpu"),
        precision="float32",
        draw=lambda replicate: graph,
    )


def table(folder: Path, text: str, posed: Problem | None = None, **options: Any) -> Table:
    """A table of `text`; its rows are on lines 2, 3, ... of counts.csv."""
    file = folder / "counts.csv"
    file.write_text(text)
    parsed = TableOptions.model_validate({"file": str(file), **options}, context={"folder": str(folder)})
    return Table(posed or problem(), parsed, Context("observed", Streams(1, "observed")))


JAPAN = {"where": {"land": "JPN"}, "time": "day", "start": "2021-01-01", "outside": "drop"}


def japan(folder: Path, text: str = COUNTRIES, **quantity: Any) -> np.ndarray:
    """One quantity of Japan at the saves of 1 to 5 January 2021."""
    model = table(folder, text, **JAPAN, quantities={"q": quantity})
    model.check()
    assert model.replicates == 1
    return model.observed["q"][0]


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"column": "level"}, [30, 40, 60, 80, 90]),
        ({"column": "total"}, [103, 103, 110, NAN, 140]),
        ({"column": "total", "difference": True}, [3, 0, 7, NAN, NAN]),
        ({"column": "level", "difference": True, "over": 10}, [1, 1, 2, 2, 1]),
        ({"column": "level", "cumulative": True}, [60, 100, 160, 240, 330]),
        ({"column": "level", "smooth": 3}, [20, 30, 130 / 3, 60, 230 / 3]),
        ({"column": "level", "smooth": 5}, [NAN, NAN, 32, 46, 60]),
        ({"column": "total", "difference": True, "smooth": 2}, [6.5, 1.5, 3.5, NAN, NAN]),
        ({"column": "level", "lag": 2}, [10, 20, 30, 40, 60]),
        ({"column": "level", "lag": 3}, [NAN, 10, 20, 30, 40]),
        ({"column": "level", "lag": 3, "before": 7}, [7, 10, 20, 30, 40]),
        ({"column": "level", "so_far": True}, [20, 25, 32, 40, 330 / 7]),
        ({"column": "mood", "equals": "tense"}, [1, 1, NAN, 0, 0]),
        ({"column": "level", "equals": 40}, [0, 1, 0, 0, 0]),
        ({"between": ["2021-01-02", "2021-01-04"]}, [0, 1, 1, 1, 0]),
        ({"between": ["2021-01-03", "2021-01-03"], "lag": 1}, [0, 0, 0, 1, 0]),
        ({"between": ["2020-12-30", "2020-12-31"], "lag": 1}, [1, 0, 0, 0, 0]),
    ],
)
def test_what_is_made_of_a_column(tmp_path: Path, quantity: dict[str, Any], expected: list[float]) -> None:
    """Catches a wrong order of steps, an end that is off by one, history before time 0 that does not count, gaps that are
    filled, and faults of rows that another country's or are dropped."""
    np.testing.assert_allclose(japan(tmp_path, **quantity), expected, rtol=1e-14)


def test_without_history_differences_and_means_start_missing(tmp_path: Path) -> None:
    """Catches a first difference that is the total itself, and a mean over fewer values than it says."""
    text = "day,total\n0,5\n1,7\n2,4\n3,9\n4,9\n"
    read = {
        "new": {"column": "total", "difference": True, "negative": "missing"},
        "mean": {"column": "total", "smooth": 3},
        "sum": {"column": "total", "cumulative": True},
    }
    model = table(tmp_path, text, time="day", quantities=read)
    np.testing.assert_allclose(model.observed["new"], [[NAN, 2, NAN, 5, 0]])
    np.testing.assert_allclose(model.observed["mean"], [[NAN, NAN, 16 / 3, 20 / 3, 22 / 3]])
    np.testing.assert_allclose(model.observed["sum"], [[5, 12, 16, 25, 34]])


def test_a_total_that_falls_names_both_lines(tmp_path: Path) -> None:
    """Catches negative counts of new cases that are passed on."""
    with pytest.raises(DataError, match="new falls from 7 to 4") as caught:
        table(
            tmp_path,
            "day,total\n0,5\n2,4\n1,7\n",
            time="day",
            quantities={"new": {"column": "total", "difference": True}},
        ).check()
    assert caught.value.where == f"{tmp_path / 'counts.csv'}:3"
    assert f"{tmp_path / 'counts.csv'}:4" in caught.value.rule
    assert "negative: missing" in caught.value.hint


WEEKS = "day,new,level\n" + "".join(f"{day},{day + 10},{2 * day}\n" for day in range(-6, 18) if day != 9)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"column": "new", "per_save": "sum"}, [49, 98, NAN, NAN]),
        ({"column": "new", "per_save": "sum", "cumulative": True}, [49, 147, NAN, NAN]),
        ({"column": "level", "per_save": "mean"}, [-6, 8, 68 / 3, 32]),
        ({"column": "level", "per_save": "last"}, [0, 14, 28, 34]),
    ],
)
def test_days_make_weeks(tmp_path: Path, quantity: dict[str, Any], expected: list[float]) -> None:
    """Catches a week that ends a day early or late, and a sum over a week that lacks days: day 9 is not there, and the file
    ends within the last week."""
    model = table(tmp_path, WEEKS, problem(21, 7), time="day", outside="drop", quantities={"q": quantity})
    got = model.observed["q"][0]
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_a_column_of_replicates_keeps_series_apart(tmp_path: Path) -> None:
    """Catches differences across two series, and weeks after the end of a series that are refused."""
    text = "year,week,sick\n" + "".join(
        f"{year},{week},{(year - 2000) * week}\n" for year in (2001, 2003) for week in range(1, 8)
    )
    read = {"sick": {"column": "sick"}, "growth": {"column": "sick", "difference": True}}
    model = table(tmp_path, text, time="week", start=1, replicate="year", outside="drop", quantities=read)
    np.testing.assert_allclose(model.observed["sick"], [[1, 2, 3, 4, 5], [3, 6, 9, 12, 15]])
    np.testing.assert_allclose(model.observed["growth"], [[NAN, 1, 1, 1, 1], [NAN, 3, 3, 3, 3]])


def test_one_state_of_one_country(tmp_path: Path) -> None:
    """Catches rows and times outside the run that the share of one state does not leave out."""
    chosen = {"observable": "occupancy.I", "column": "level", "scale": 100}
    observed = table(tmp_path, COUNTRIES, **JAPAN, **chosen).observed["occupancy"]
    np.testing.assert_allclose(observed[0, :, 1], [0.3, 0.4, 0.6, 0.8, 0.9])
    assert np.isnan(observed[0, :, [0, 2]]).all()


def test_states_from_new_cases(tmp_path: Path) -> None:
    """Catches states that are mixed up, a total over a wrong window, and quantities that are lost beside states: whoever fell
    ill on the last two days is ill, whoever did before is not any more."""
    text = "town,day,new\n" + "".join(
        f"{town},{day},{new}\n" for town in "ab" for day, new in enumerate((1, 2, 3, 4, 0))
    )
    states = {
        "I": {"column": "new", "sum_over": 2},
        "R": {"column": "new", "cumulative": True, "lag": 2, "before": 0},
    }
    quantities = {"new": {"column": "new"}}
    model = table(
        tmp_path,
        text.replace("b,4,0", "b,4,"),
        time="day",
        replicate="town",
        states=states,
        quantities=quantities,
        scale=20,
    )
    assert model.dimensions() == {"occupancy": ("replicate", "state"), "new": ("replicate",)}
    occupancy = model.observed["occupancy"] * 20
    np.testing.assert_allclose(occupancy[0], [[NAN, NAN, 0], [NAN, 3, 0], [NAN, 5, 1], [NAN, 7, 3], [NAN, 4, 6]])
    np.testing.assert_allclose(occupancy[1, 4], [NAN, NAN, 6])
    np.testing.assert_allclose(model.observed["new"], [[1, 2, 3, 4, 0], [1, 2, 3, 4, NAN]])
    with pytest.raises(DataError, match=r"7 of 6 is a share of 1\.16667 in I") as caught:
        table(tmp_path, text, time="day", replicate="town", states=states, scale=6).check()
    assert caught.value.where == f"{tmp_path / 'counts.csv'}:5"


def test_irregular_history_matters_only_to_what_looks_back(tmp_path: Path) -> None:
    """Catches rows before time 0 that are refused for lying between saves though nothing reads them, or read though they
    lie between saves."""
    text = "day,level\n-0.4,5\n0,6\n1,7\n"
    plain = table(tmp_path, text, time="day", outside="drop", quantities={"q": {"column": "level"}})
    np.testing.assert_allclose(plain.observed["q"], [[6, 7, NAN, NAN, NAN]])
    back = {"q": {"column": "level", "difference": True}}
    with pytest.raises(DataError, match=r"time -0\.4 is not saved"):
        table(tmp_path, text, time="day", outside="drop", quantities=back).check()


@pytest.mark.parametrize(
    ("options", "line", "words"),
    [
        ({"outside": "refuse"}, 3, r"2020-12-30 \(-2 after the start\) is not saved.*outside: drop"),
        ({"where": {"land": "JPX"}}, None, "no row with land JPX.*DEU, JPN"),
        ({"where": {"land": "DEU", "mood": "tense"}}, None, "no row with land DEU and mood tense"),
        ({"where": {"state": "JPN"}}, 1, "column 'state' is missing"),
        ({"start": "1999-01-01"}, None, "no row between time 0 and the end"),
        ({"where": {"land": "DEU"}}, 2, "'x'"),
        ({"quantities": {"q": {"column": "mood"}}}, 5, "mood 'tense'"),
    ],
)
def test_faults_say_where(tmp_path: Path, options: dict[str, Any], line: int | None, words: str) -> None:
    """Catches faults of rows that are kept which nobody hears of, and a `where` that leaves nothing."""
    text = COUNTRIES.replace("soon,DEU", "2021-01-01,DEU") if line == 2 else COUNTRIES
    chosen = {**JAPAN, "quantities": {"q": {"column": "total", "smooth": 2}}, **options}
    if options.get("quantities"):
        text = text.replace(",10,calm", ",10,").replace(",20,calm", ",20,")
    with pytest.raises(DataError, match=words) as caught:
        table(tmp_path, text, **chosen).check()
    file = tmp_path / "counts.csv"
    assert caught.value.where == (f"{file}:{line}" if line else str(file))


def test_a_window_of_dates_needs_dates(tmp_path: Path) -> None:
    """Catches dates that are compared with numbers."""
    for between in (["2021-01-01", "2021-01-02"], [1, 2]):
        text = COUNTRIES if between == [1, 2] else "day,level\n0,1\n1,2\n"
        chosen = JAPAN if between == [1, 2] else {"time": "day"}
        with pytest.raises(InputError, match="dates where the time column has dates") as caught:
            table(tmp_path, text, **chosen, quantities={"q": {"between": between}}).check()
        assert caught.value.where == "observed.quantities.q"


def test_a_window_of_numbers_counts_as_the_column_does(tmp_path: Path) -> None:
    """Catches a window that is counted from time 0 where the column counts from elsewhere."""
    text = "week,level\n11,1\n12,2\n"
    read = {"q": {"between": [12, 13.5]}, "level": {"column": "level"}}
    model = table(tmp_path, text, time="week", start=10, quantities=read)
    np.testing.assert_array_equal(model.observed["q"], [[0, 0, 1, 1, 0]])


def test_a_table_of_states_and_quantities_passes_the_kit(tmp_path: Path) -> None:
    """Catches dimensions, replicates or a restart that fit one kind of table alone."""
    (tmp_path / "towns.csv").write_text("town,day,new\na,0,1\na,1,2\nb,0,0\nb,1,\n")
    options = {
        "file": str(tmp_path / "towns.csv"), "time": "day", "replicate": "town", "scale": 60, "outside": "drop",
        "states": {"I": {"column": "new", "sum_over": 2}},
        "quantities": {"new_cases": {"column": "new"}, "holiday": {"between": [1, 1]}},
    }  # fmt: skip
    passed = [outcome.check.name for outcome in check_dynamics("table", options=options) if outcome.status == "passed"]
    assert {"has_the_replicates_that_are_asked_for", "stops_restores_and_goes_on"} <= set(passed)


def test_japan_in_the_pandemic(data_folder: Path) -> None:
    """Catches covariates that are off by a day or of another country: numbers counted independently with awk."""
    covid, window = "data:covid/", {"time": "date", "start": "2020-10-01", "outside": "drop"}
    tables = {
        "japan_mhlw_daily.csv": {
            "cases": {"column": "new_confirmed"},
            "smooth": {"column": "new_confirmed", "smooth": 7},
        },
        "oxcgrt_daily.csv": {"stringency": {"column": "stringency", "over": 100}},
        "japan_vaccination_vrs_daily.csv": {
            "doses": {"column": "first_dose_new", "cumulative": True, "over": 126e6, "before": 0},
            "olympics": {"between": ["2021-07-23", "2021-08-08"]},
        },
    }
    found: dict[str, np.ndarray] = {}
    for name, read in tables.items():
        where = {"iso3": "JPN"} if name.startswith("oxcgrt") else {}
        parsed = TableOptions.model_validate(
            {"file": covid + name, **window, "where": where, "quantities": read}, context={"data": str(data_folder)}
        )
        model = Table(problem(367), parsed, Context("observed", Streams(1, "observed")))
        found |= {quantity: values[0] for quantity, values in model.observed.items()}
    assert (found["cases"][0], found["cases"][200]) == (618, 2901)
    assert found["cases"].sum() == 1621870
    assert found["smooth"][0] == pytest.approx(526.714, rel=1e-6)
    assert found["stringency"][[0, 200]] == pytest.approx([0.3519, 0.4537], rel=1e-12)
    assert found["stringency"].sum() == pytest.approx(171.4928, rel=1e-12)
    assert found["olympics"].sum() == 17
    assert found["olympics"][295:312].sum() == 17
    doses = found["doses"]
    assert (doses[:193] == 0).all()
    assert doses[200] == pytest.approx(0.000730437, rel=1e-5)
    assert doses[317] == pytest.approx(0.409783, rel=1e-5)
    assert np.isnan(doses[318:]).all()
