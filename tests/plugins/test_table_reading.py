"""`table`: an observed column as a dynamics, and the line of every fault in its file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    DataError,
    InputError,
    Population,
    Problem,
    Streams,
    resolve_device,
)
from mesocosm_data.dynamics import Table
from mesocosm_data.options import TableOptions
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions

IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)
"""Boys in bed, 22 January to 4 February 1978 (BMJ 1978;1:587), as in the R package outbreaks."""


def school(end: float = 13, unit: str = "day", size: int = 763) -> Problem:
    graph = ContactGraph.complete(size)
    return Problem(
        name="school",
        seed=1,
        game=SIR(SIROptions(beta=1.8, gamma=0.45)),
        graph=graph,
        population=Population(size, np.array([1 - 3 / size, 3 / size, 0.0])),
        clock=Clock(end, 1.0, unit),
        device=resolve_device("cpu"),
        precision="float32",
        draw=lambda replicate: graph,
    )


def table(file: Path, problem: Problem, **options: Any) -> Table:
    def nothing(label: str) -> Any:
        raise AssertionError("a table refers to nobody")

    chosen = {"observable": "occupancy.I", "column": "in_bed", **options}
    parsed = TableOptions.model_validate({"file": str(file), **chosen}, context={"folder": str(file.parent)})
    return Table(problem, parsed, Context("observed", Streams(1, "observed"), nothing, nothing))


def played(dynamics: Table) -> np.ndarray:
    dynamics.check()
    dynamics.prepare()
    state = dynamics.init()
    rows = [dynamics.observe(state)["occupancy"]]
    for interval in dynamics.problem.clock.intervals():
        state = dynamics.advance(state, interval)
        rows.append(dynamics.observe(state)["occupancy"])
    return np.stack(rows, axis=1)


@pytest.fixture
def outbreak(tmp_path: Path) -> Path:
    lines = ["date,in_bed,note"]
    lines += [
        f"1978-{1 if day < 10 else 2:02d}-{22 + day if day < 10 else day - 9:02d},{count},x"
        for day, count in enumerate(IN_BED)
    ]
    file = tmp_path / "outbreak.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_dates_become_days_since_the_first_row(outbreak: Path) -> None:
    """Catches an off-by-one in time, a wrong scale, a wrong state, and a guess where nothing was observed."""
    occupancy = played(table(outbreak, school(), time="date"))
    assert occupancy.shape == (1, 14, 3)
    np.testing.assert_array_equal(occupancy[0, :, 1], np.array(IN_BED) / 763)
    assert np.isnan(occupancy[0, :, [0, 2]]).all()


def test_a_start_shifts_time_and_leaves_gaps_unknown(outbreak: Path) -> None:
    """Catches a start that is ignored, and gaps that are filled with 0."""
    occupancy = played(table(outbreak, school(end=16), time="date", start="1978-01-20", scale=1000))
    assert np.isnan(occupancy[0, [0, 1, 16], 1]).all()
    np.testing.assert_array_equal(occupancy[0, 2:16, 1], np.array(IN_BED) / 1000)


def test_rows_are_saves_without_a_time_column_and_blanks_are_missing(tmp_path: Path) -> None:
    """Catches blanks read as 0, blank lines read as rows, and gzip files read as text."""
    file = tmp_path / "counts.csv.gz"
    file.write_bytes(gzip.compress(b"in_bed,room\n3,a\n,a\n\n26,b\n"))
    values = played(table(file, school(end=4)))[0, :, 1] * 763
    np.testing.assert_allclose(values, [3, np.nan, 26, np.nan, np.nan], rtol=1e-15)


def test_numeric_times_may_come_in_any_order(tmp_path: Path) -> None:
    """Catches rows that are taken in the order of the file."""
    file = tmp_path / "counts.csv"
    file.write_text("day,in_bed\n102,26\n100,3\n")
    values = played(table(file, school(end=3), time="day", start=100))[0, :, 1] * 763
    np.testing.assert_allclose(values, [3, np.nan, 26, np.nan], rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "options", "line", "words"),
    [
        ("day,in_bed\n0,3\n1,many\n", {"time": "day"}, 3, "'many'"),
        ("day,in_bed\n0,3\n1,nan\n", {"time": "day"}, 3, "'nan'"),
        ("day,in_bed\n0,3\n1,900\n", {"time": "day"}, 3, "scale"),
        ("day,in_bed\n0,3\n1,-1\n", {"time": "day"}, 3, "between 0 and 1"),
        ("day,in_bed\n0,3\n1.5,8\n", {"time": "day"}, 3, "nearest is 1"),
        ("day,in_bed\n0,3\n0,8\n", {"time": "day"}, 3, "again"),
        ("day,in_bed\n0,3\n99,8\n", {"time": "day"}, 3, "not saved"),
        ("day,in_bed\n0,3\n1,8,9\n", {"time": "day"}, 3, "3 cells"),
        ("day,in_bed\n0,3\nsoon,8\n", {"time": "day"}, 3, "'soon'"),
        ("day,in_bed\n1978-01-22,3\n1978-13-22,8\n", {"time": "day"}, 3, "'1978-13-22'"),
        ("day,in_bed\n1978-01-22,3\n", {"time": "day", "start": 4}, 2, "both dates"),
        ("day,in_bed\n0,3\n", {"time": "day", "start": "1978-01-22"}, 2, "both dates"),
        ("day,in_beds\n0,3\n", {}, 1, "did you mean 'in_beds'"),
        ("day,in_bed\n0,3\n", {"time": "date"}, 1, "'date' is missing"),
        ("in_bed,in_bed\n0,3\n", {}, 1, "more than once"),
        ("in_bed\n1\n2\n3\n4\n5\n", {}, 6, "there are 4"),
    ],
)
def test_a_fault_in_the_file_names_its_line(
    tmp_path: Path, text: str, options: dict[str, Any], line: int, words: str
) -> None:
    """Catches faults that are passed over, and errors that do not say where to look."""
    file = tmp_path / "counts.csv"
    file.write_text(text)
    with pytest.raises(DataError) as caught:
        table(file, school(end=3), **options).check()
    assert caught.value.where == f"{file}:{line}"
    assert words in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"in_bed\n", b"in_bed\n\xff\xfe\n", b'in_bed\n"3\n'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    """Catches an empty result, or another library's exception, from a broken file."""
    file = tmp_path / "counts.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"counts\.csv"):
        table(file, school()).check()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"observable": "occupancy.Inf"}, "'Inf'"),
        ({"observable": "prevalence"}, "occupancy.I"),
        ({"start": 3}, "needs the option 'time'"),
    ],
)
def test_options_that_do_not_fit_the_game_are_refused(outbreak: Path, options: dict[str, Any], words: str) -> None:
    """Catches an unknown state or a start without times that is silently ignored."""
    with pytest.raises(InputError, match=words):
        table(outbreak, school(), **options).check()


def test_dates_need_a_unit_of_days(outbreak: Path) -> None:
    """Catches days that are read as weeks."""
    with pytest.raises(InputError, match="week"):
        table(outbreak, school(unit="week"), time="date").check()


GROUPS = "who,round,size,room,came\nb,1,4,2,3\na,1,5,2,2\na,2,5,4,\na,3,5,4,1\nb,2,4,2,1\n"
SHARE = {"column": "came", "over": "size"}


def groups(file: Path, quantities: dict[str, Any], text: str = GROUPS, **options: Any) -> Table:
    file.write_text(text)
    chosen = {"time": "round", "start": 1, "replicate": "who", **options}
    parsed = TableOptions.model_validate(
        {"file": str(file), "quantities": quantities, **chosen}, context={"folder": str(file.parent)}
    )
    return Table(school(end=3), parsed, Context("observed", Streams(1, "observed")))


def test_quantities_of_groups(tmp_path: Path) -> None:
    """Catches groups or rounds mixed up, a wrong difference, a wrong sign, and blanks read as 0 or kept out of nothing."""
    quantities = {
        "share": SHARE,
        "excess": {"column": "came", "minus": "room", "over": "size"},
        "missed": {"column": "came", "minus": "room", "over": 10, "absolute": True},
        "mean": {**SHARE, "so_far": True},
    }
    model = groups(tmp_path / "groups.csv", quantities)
    model.check()
    assert model.replicates == 2
    assert model.dimensions() == dict.fromkeys(quantities, ("replicate",))
    rows = [model.observe(save) for save in range(4)]
    found = {name: np.stack([row[name] for row in rows], axis=1) for name in quantities}
    nan = np.nan
    np.testing.assert_allclose(found["share"], [[0.75, 0.25, nan, nan], [0.4, nan, 0.2, nan]])
    np.testing.assert_allclose(found["excess"], [[0.25, -0.25, nan, nan], [0.0, nan, -0.6, nan]])
    np.testing.assert_allclose(found["missed"], [[0.1, 0.1, nan, nan], [0.0, nan, 0.3, nan]])
    np.testing.assert_allclose(found["mean"], [[0.75, 0.5, nan, nan], [0.4, nan, 0.3, nan]])


def test_without_a_column_of_replicates_there_is_one(tmp_path: Path) -> None:
    """Catches a table of quantities that needs groups."""
    model = groups(tmp_path / "g.csv", {"share": SHARE}, "round,size,came\n1,4,3\n2,4,1\n", replicate=None)
    model.check()
    assert [model.observe(save)["share"].tolist() for save in (0, 1)] == [[0.75], [0.25]]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("b,2,4,2,1", "b,2,4,2,few", 6, "'few'"),
        ("b,2,4,2,1", "b,2,0,2,1", 6, "divided by 0"),
        ("b,2,4,2,1", "b,1,4,2,1", 6, "time 1 again"),
        ("b,2,4,2,1", "b,9,4,2,1", 6, "not saved"),
        ("size", "people", 1, "column 'size' is missing"),
        ("who", "group", 1, "column 'who' is missing"),
    ],
)
def test_a_fault_among_quantities_names_its_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    """Catches faults of groups that are passed over."""
    file = tmp_path / "groups.csv"
    with pytest.raises(DataError, match=words) as caught:
        groups(file, {"share": SHARE}, GROUPS.replace(old, new)).check()
    assert caught.value.where == f"{file}:{line}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantities": {"share": SHARE}, "scale": 2}, "scale: leave it out"),
        ({"quantities": {"share": SHARE}, "replicate": "who"}, "needs states or quantities, and a time column"),
        ({"observable": "occupancy.I", "column": "came", "time": "round", "replicate": "who"}, "needs states or"),
        ({"column": "came"}, "observable and column, states, or quantities"),
    ],
)
def test_options_of_a_table_that_contradict_each_other(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    """Catches an option that would be ignored."""
    file = tmp_path / "groups.csv"
    file.write_text(GROUPS)
    with pytest.raises(ValidationError, match=words):
        TableOptions.model_validate({"file": str(file), **options}, context={"folder": str(tmp_path)})


def test_people_in_the_bar(data_folder: Path) -> None:
    """Catches the 51 groups of the El Farol experiment misread: their means over rounds 1 to 50, counted independently."""
    quantities = {
        "attendance": {"column": "attendance", "over": "num_players"},
        "imbalance": {"column": "attendance", "minus": "capacity", "over": "num_players", "absolute": True},
    }
    parsed = TableOptions.model_validate(
        {
            "file": "data:behaviour/el_farol_human_attendance.csv",
            "quantities": quantities,
            "time": "round",
            "start": 1,
            "replicate": "session",
        },
        context={"data": str(data_folder)},
    )
    model = Table(school(end=89), parsed, Context("humans", Streams(1, "humans")))
    attendance, imbalance = model.observed["attendance"], model.observed["imbalance"]
    assert attendance.shape == (51, 90)
    assert np.isnan(attendance[:23, 50:]).all()
    assert not np.isnan(attendance[:, :50]).any()
    assert not np.isnan(attendance[23:]).any()
    assert attendance[:, :50].mean() == pytest.approx(0.5560855614973262, rel=1e-12)
    assert imbalance[:, :50].mean() == pytest.approx(0.17155097190391302, rel=1e-12)
