"""Results: everything that a run recorded, as labelled arrays, with one group per dynamics and one for the comparison.

    results = mesocosm.run("scenario.yaml")          or  mesocosm.open_results("runs/my-run")
    results["agents"].occupancy.sel(state="I")       an xarray array (replicate, time)
    results.comparison.gap                           an xarray array (dynamics, observable, measure)
    print(results.table())

On disk this is one NetCDF-4 file, which anything that reads NetCDF or HDF5 can open.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray

from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.equilibria import Equilibrium, equilibria
from mesocosm.errors import InputError, StoreError, suggestion
from mesocosm.findings import Finding, findings, texts
from mesocosm.measures import MEASURES, Comparison, Row, tables
from mesocosm.store import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARISON = "comparison"
"""The group of the comparison; no dynamics may have this label."""

_NUMBERS = ("value", "reference_value", "gap", "low", "high")
_FILE = "results.nc"


@dataclass(frozen=True, eq=False)
class Results:
    """What a run recorded: `tree` is an `xarray.DataTree`, `folder` the run folder, None where nothing was stored.

    Attributes of the run that mean something here, where they are given: `time_unit` and `at_risk`.
    """

    tree: xarray.DataTree
    folder: Path | None = None

    @classmethod
    def of(
        cls,
        trajectories: Mapping[str, Trajectories],
        comparison: Comparison | None,
        attributes: Mapping[str, str | float | int],
        folder: Path | None = None,
    ) -> Results:
        """Results from what was recorded and compared. Errors: `InputError` for a label that cannot name a group."""
        groups = {"/": xarray.Dataset(attrs=dict(attributes))}
        for label, recorded in trajectories.items():
            if label == COMPARISON or "/" in label or not label:
                raise InputError(
                    f"dynamics '{label}'",
                    where="results",
                    rule=f"a label must not be '{COMPARISON}', be empty or contain '/'",
                )
            groups[label] = _dataset(recorded, str(attributes.get("time_unit", "")))
        if comparison is not None:
            groups[COMPARISON] = _comparison_dataset(comparison)
        return cls(xarray.DataTree.from_dict(groups), folder)

    @property
    def labels(self) -> tuple[str, ...]:
        """The dynamics, in the order in which they were given."""
        return tuple(str(label) for label in self.tree.children if label != COMPARISON)

    @property
    def attributes(self) -> dict[str, str | float | int]:
        """What is known of the run as a whole."""
        return {str(name): value for name, value in self.tree.attrs.items()}

    def __getitem__(self, label: str) -> xarray.Dataset:
        """What one dynamics recorded; an error suggests the nearest label."""
        if label not in self.labels:
            raise InputError(f"no dynamics '{label}'", where="results", hint=suggestion(label, self.labels))
        return self.tree[label].to_dataset()

    @property
    def comparison(self) -> xarray.Dataset:
        """The comparison, with dimensions (dynamics, observable, measure); NaN where a measure does not apply.

        `exceeds_noise` is 1, 0, or -1 where it is unknown or does not apply.
        """
        if COMPARISON not in self.tree.children:
            return _comparison_dataset(Comparison(""))
        return self.tree[COMPARISON].to_dataset()

    @property
    def reference(self) -> str:
        """The label that the others were compared with; empty where nothing was compared."""
        return str(self.comparison.attrs["reference"])

    def rows(self) -> list[Row]:
        """The comparison, row by row."""
        data = self.comparison
        labels = [[str(label) for label in data[axis].values] for axis in ("dynamics", "observable", "measure")]
        rows = []
        for place in np.argwhere(np.isfinite(data["gap"].values)).tolist():
            dynamics, observable, measure = (names[index] for names, index in zip(labels, place, strict=True))
            value, other, gap, low, high = (float(data[name].values[tuple(place)]) for name in _NUMBERS)
            flag = int(data["exceeds_noise"].values[tuple(place)])
            verdict = None if flag < 0 else bool(flag)
            rows.append(Row(dynamics, observable, measure, value, other, gap, low, high, verdict))
        return rows

    def trajectories(self) -> dict[str, Trajectories]:
        """What each dynamics recorded, as it was given to `of`."""
        return {label: _trajectories(label, self[label]) for label in self.labels}

    def table(self) -> str:
        """The comparison as a plain-text table, and below it the equilibrium measures and what else was found."""
        found = [tables(self.rows(), self.reference, self.equilibria()), texts(self.findings())]
        return "\n\n".join(part for part in found if part)

    def equilibria(self) -> list[Equilibrium]:
        """Cost, exploitability, gain from deviating and the like, of every dynamics that knows a cost."""
        return equilibria(self.trajectories())

    def findings(self) -> list[Finding]:
        """Held-out scores, forecasts and calibrated parameters, as tables."""
        return findings(self.trajectories())

    def plot(self, observables: Sequence[str] | None = None) -> Figure:
        """The dynamics overlaid, one panel per observable (by default every occupancy), with 90 % bands of replicates."""
        from mesocosm.figures import trajectory_figure

        return trajectory_figure(
            self.trajectories(), self.reference, observables, unit=str(self.attributes.get("time_unit", ""))
        )

    def save(self, path: Path) -> None:
        """Write a NetCDF-4 file, whole or not at all. The same content gives the same bytes.

        Errors: `StoreError` where it cannot be written.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self.tree.to_netcdf(temporary, engine="h5netcdf")
            _synchronise(temporary)
            os.replace(temporary, path)
            _synchronise(path.parent)
        except OSError as error:
            raise StoreError(f"cannot write: {error}", where=str(path)) from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def open_results(path: str | Path) -> Results:
    """The results of a run folder, or of its `results.nc`; read into memory.

    Errors: `StoreError` where there are none or they cannot be read; it names the status of a run that is not done.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    file = folder / _FILE if given.is_dir() else given
    if not file.is_file():
        raise StoreError("there are no results", where=str(file), rule=_status(folder))
    try:
        with xarray.open_datatree(file, engine="h5netcdf", decode_times=False) as tree:
            loaded = tree.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise StoreError(f"cannot be read: {error}", where=str(file), rule=_status(folder)) from error
    return Results(loaded, folder)


def _status(folder: Path) -> str:
    """What the manifest of a folder says about a run without results."""
    if not (folder / "manifest.json").is_file():
        return f"'{folder}' is not a run folder: it has no manifest.json"
    status = RunFolder(folder).manifest()["status"]
    return "" if status == "done" else f"the status of this run is '{status}'"


def _synchronise(path: Path) -> None:
    """Wait until a file or folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _dataset(recorded: Trajectories, unit: str) -> xarray.Dataset:
    variables = {name: (labelled.dims, labelled.values) for name, labelled in recorded.variables.items()}
    used = {dimension for labelled in recorded.variables.values() for dimension in labelled.dims}
    coordinates = {name: list(labels) for name, labels in recorded.coordinates.items() if name in used}
    data = xarray.Dataset(variables, coords={"time": recorded.times, **coordinates})
    data["time"].attrs = {"long_name": "time"} | ({"units": unit} if unit else {})
    data.attrs = {"kind": recorded.kind, "stochastic": int(recorded.stochastic)}
    return data


def _trajectories(label: str, data: xarray.Dataset) -> Trajectories:
    variables = {
        str(name): Labelled(tuple(str(dimension) for dimension in item.dims), item.values)
        for name, item in data.data_vars.items()
    }
    coordinates = {str(name): item.values.tolist() for name, item in data.coords.items() if name != "time"}
    times = np.asarray(data["time"].values, np.float64)
    return Trajectories(label, str(data.attrs["kind"]), times, variables, coordinates, bool(data.attrs["stochastic"]))


def _comparison_dataset(comparison: Comparison) -> xarray.Dataset:
    axes = {
        "dynamics": list(dict.fromkeys(row.dynamics for row in comparison.rows)),
        "observable": list(dict.fromkeys(row.observable for row in comparison.rows)),
        "measure": [name for name in MEASURES if any(row.measure == name for row in comparison.rows)],
    }
    shape = tuple(len(names) for names in axes.values())
    arrays = {name: np.full(shape, np.nan) for name in _NUMBERS}
    flags = np.full(shape, -1, np.int8)
    for row in comparison.rows:
        place = tuple(
            names.index(name)
            for names, name in zip(axes.values(), (row.dynamics, row.observable, row.measure), strict=True)
        )
        for name in _NUMBERS:
            arrays[name][place] = getattr(row, name)
        if row.exceeds_noise is not None:
            flags[place] = int(row.exceeds_noise)
    return xarray.Dataset(
        {name: (tuple(axes), values) for name, values in arrays.items()} | {"exceeds_noise": (tuple(axes), flags)},
        coords={name: np.array(names, dtype=str) for name, names in axes.items()},
        attrs={"reference": comparison.reference},
    )
