"""Results: what is stored comes back as it was, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray

from mesocosm.comparing import compare
from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.errors import InputError, StoreError
from mesocosm.measures import MISSING, Row, cells
from mesocosm.results import Results, open_results

TIMES = np.array([0.0, 1.0, 2.0, 3.0])
OVER_TIME = ("replicate", "time", "state")


def trajectories() -> dict[str, Trajectories]:
    """Labels out of alphabetical order, data with gaps, a solver with traces, and every type of number."""
    generator = np.random.default_rng(0)
    infected = generator.random((5, 4, 1)) / 2
    agents = np.concatenate([1 - infected, infected], axis=-1)
    observed = np.full((1, 4, 2), np.nan)
    observed[0, 1:, 1] = [0.1, 0.4, 0.2]
    by_group = generator.random((5, 4, 2, 2)).astype(np.float32)
    states = {"state": ("S", "I")}
    return {
        "zeta": Trajectories(
            "zeta",
            "agent_based",
            TIMES,
            {
                "occupancy": Labelled(OVER_TIME, agents),
                "group_occupancy": Labelled(("replicate", "time", "group", "state"), by_group),
                "cost": Labelled(("replicate",), generator.random(5)),
                "seed_of_replicate": Labelled(("replicate",), np.arange(5)),
            },
            {**states, "group": ("teachers", "2BIO1")},
            True,
        ),
        "nash": Trajectories(
            "nash",
            "classical_mfg",
            TIMES,
            {
                "occupancy": Labelled(OVER_TIME, agents[:1]),
                "residual": Labelled(("iteration",), np.array([1.0, 0.1])),
                "value": Labelled((), np.array(1.5)),
                "converged": Labelled((), np.array(True)),
            },
            states,
            False,
        ),
        "data": Trajectories("data", "table", TIMES, {"occupancy": Labelled(OVER_TIME, observed)}, states, True),
    }


def results(folder: Path | None = None, unit: str = "days") -> Results:
    found = trajectories()
    return Results.of(found, compare(found, "zeta", at_risk="S"), {"time_unit": unit, "seed": 7, "h": 0.5}, folder)


def assert_same(left: Trajectories, right: Trajectories) -> None:
    assert (left.label, left.kind, left.stochastic) == (right.label, right.kind, right.stochastic)
    assert np.array_equal(left.times, right.times)
    assert list(left.variables) == list(right.variables)
    assert {name: tuple(labels) for name, labels in left.coordinates.items()} == {
        name: tuple(labels) for name, labels in right.coordinates.items()
    }
    for name, item in left.variables.items():
        assert item.dims == right.variables[name].dims
        assert item.values.dtype == right.variables[name].values.dtype
        assert np.array_equal(item.values, right.array(name), equal_nan=item.values.dtype.kind == "f")


@pytest.mark.parametrize("unit", ["days", "day", "", "seconds since 1978-01-22"])
def test_round_trip_through_a_file(tmp_path, unit):
    """Would catch a lost order, type, label, attribute or gap, and times that are decoded as dates because of their unit."""
    results(unit=unit).save(tmp_path / "results.nc")
    back = open_results(tmp_path)
    assert back.labels == ("zeta", "nash", "data")
    for label, item in trajectories().items():
        assert_same(item, back.trajectories()[label])
    assert back.attributes == {"time_unit": unit, "seed": 7, "h": 0.5}
    assert back.folder == tmp_path
    assert back["zeta"]["time"].dtype == np.float64


def test_rows_come_back_as_they_were(tmp_path):
    """Would catch a row that is lost, made up or reordered, and an unknown verdict that becomes yes or no."""
    found = trajectories()
    for reference in ("zeta", "data"):
        comparison = compare(found, reference, at_risk="S")
        Results.of(found, comparison, {}).save(tmp_path / "results.nc")
        back = open_results(tmp_path / "results.nc")
        assert back.reference == reference
        assert _as_text(back.rows()) == _as_text(comparison.rows)
        assert {row.exceeds_noise for row in back.rows()} == {row.exceeds_noise for row in comparison.rows}


def _as_text(rows):
    """Rows in a form in which NaN equals NaN."""
    return [repr(row) for row in rows]


def test_comparison_is_labelled():
    """Would catch numbers under the wrong label of the array."""
    found = results()
    for row in found.rows():
        place = {"dynamics": row.dynamics, "observable": row.observable, "measure": row.measure}
        assert float(found.comparison["gap"].sel(place)) == row.gap
    assert found.comparison["exceeds_noise"].dtype == np.int8
    assert found.comparison.attrs["reference"] == "zeta"


def test_without_a_comparison_there_are_no_rows(tmp_path):
    """Would catch a crash where nothing was compared: one dynamics alone, or a comparison without rows."""
    alone = {"zeta": trajectories()["zeta"]}
    for comparison in (None, compare(alone, "zeta")):
        Results.of(alone, comparison, {}).save(tmp_path / "results.nc")
        back = open_results(tmp_path)
        assert back.rows() == []
        assert back.reference == ("zeta" if comparison else "")
        assert back.labels == ("zeta",)
        assert "nothing" in back.table()


def test_same_content_same_bytes(tmp_path):
    """Would catch a date, an address or a random name in the file."""
    for name in ("one.nc", "two.nc"):
        results().save(tmp_path / name)
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()


def test_any_reader_of_netcdf_can_open_it(tmp_path):
    """Would catch a file that needs this module, or one whose times other readers turn into dates."""
    results(unit="day").save(tmp_path / "results.nc")
    with xarray.open_datatree(tmp_path / "results.nc", engine="h5netcdf") as tree:
        assert tree["zeta"]["occupancy"].sel(state="I").shape == (5, 4)
        assert tree["zeta"]["time"].attrs["units"] == "day"


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    """Would catch a half-written file under the final name, and a temporary file that stays."""
    path = tmp_path / "results.nc"
    results().save(path)
    before = path.read_bytes()

    def fill_the_disk(self, target, **options):
        Path(target).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(xarray.DataTree, "to_netcdf", fill_the_disk)
    with pytest.raises(StoreError, match="No space left"):
        results().save(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["results.nc"]


def test_missing_and_broken_results_are_named(tmp_path):
    """Would catch an error that does not say which file, or hides that the run failed."""
    with pytest.raises(StoreError, match=r"results\.nc: there are no results.*not a run folder"):
        open_results(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"status": "failed"}))
    with pytest.raises(StoreError, match="status of this run is 'failed'"):
        open_results(tmp_path)
    (tmp_path / "results.nc").write_bytes(b"not HDF5")
    with pytest.raises(StoreError, match=r"results\.nc: cannot be read.*'failed'"):
        open_results(tmp_path)
    with pytest.raises(StoreError, match="no results"):
        open_results(tmp_path / "elsewhere.nc")


@pytest.mark.parametrize("label", ["comparison", "a/b", ""])
def test_labels_that_name_no_group_are_refused(label):
    """Would catch a dynamics that overwrites the comparison, or ends in a group of a group."""
    item = trajectories()["nash"]
    with pytest.raises(InputError, match="label"):
        Results.of({label: item}, None, {})


def test_unknown_label_suggests_the_nearest():
    """Would catch a bare KeyError."""
    with pytest.raises(InputError, match="did you mean 'nash'"):
        results()["nahs"]


def test_table_states_every_row():
    """Would catch rows that are lost from the table for people, and digits beyond what the interval supports."""
    found = results()
    table = found.table()
    comparison, _, equilibria = table.partition("\n\n")
    assert len(comparison.splitlines()) == 1 + len(found.rows())
    assert len(equilibria.splitlines()) == 1 + len(found.equilibria())
    assert "zeta" in table.splitlines()[0]
    assert MISSING in table


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [
        ((0.3, 0.25, 0.05, 0.0413, 0.0587), ("0.3000", "0.2500", "0.0500", "[0.0413, 0.0587]")),
        ((0.3, 0.2, 0.1, np.nan, np.nan), ("0.300", "0.200", "0.100", MISSING)),
        ((0.941138, 0.89724, 0.043898, 0.043898 - 1e-13, 0.043898 + 1e-13), ("0.9411", "0.8972", "0.0439", "exact")),
        ((0.5, 0.5, 1e-17, 0.0, 5e-13), ("0.500", "0.500", "0.000", "exact")),
        ((0.0, 0.0, 0.0, 0.0, 0.0), ("0.00", "0.00", "0.00", "exact")),
        ((np.nan, np.nan, 1e-15, 0.0, 1e-12), (MISSING, MISSING, "0.00", "exact")),
        ((np.nan, np.nan, 0.07, 0.002, 0.138), (MISSING, MISSING, "0.070", "[0.002, 0.138]")),
        ((5.1, 5.4, -0.3, -2.6, 2.0), ("5.1", "5.4", "-0.3", "[-2.6, 2.0]")),
        ((812.0, 790.0, 22.0, -300.0, 344.0), ("812", "790", "22", "[-300, 344]")),
        ((0.2, 0.2, -0.00001, -0.002, 0.002), ("0.2000", "0.2000", "0.0000", "[-0.0020, 0.0020]")),
    ],
)
def test_digits_follow_the_interval(numbers, shown):
    """Would catch twelve digits for a gap that is exact, digits that noise makes meaningless, and a negative zero."""
    row = Row("nash", "occupancy.I", "peak_size", *numbers, exceeds_noise=None)
    assert cells(row)[:4] == shown


def test_plot_has_one_panel_per_observable():
    """Would catch a curve that is left out, data that are joined by a line, and a name that nobody observes."""
    figure = results().plot()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["occupancy.S", "occupancy.I"]
    infected = {line.get_label(): line for line in figure.axes[1].lines}
    assert set(infected) == {"zeta", "nash", "data"}
    assert (infected["data"].get_linestyle(), infected["data"].get_marker()) == ("None", "o")
    assert list(infected["data"].get_xdata()) == [1.0, 2.0, 3.0]
    assert len(results().plot(["occupancy.I"]).axes) == 1
    with pytest.raises(InputError, match="did you mean"):
        results().plot(["occupancy.X"])
