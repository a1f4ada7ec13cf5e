"""Observables: the named curves over time in recorded trajectories, such as `occupancy.I` and `control.S`.

An observable is one column of a variable with the dimensions (replicate, time) or (replicate, time, labels...), where
the labels are text: `occupancy(replicate, time, state)` holds `occupancy.S`, `occupancy.I` and so on, and
`group_occupancy(replicate, time, group, state)` holds `group_occupancy.teachers.S`. A column with no number in it is not
observed, and is no observable.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mesocosm.dynamics import Trajectories
from mesocosm.errors import InputError, suggestion

FloatArray = NDArray[np.float64]


def observables(trajectories: Trajectories) -> dict[str, FloatArray]:
    """Every observable by name, in the order of the variables; each of shape [replicate, time], NaN where missing."""
    found: dict[str, FloatArray] = {}
    for variable, labelled in trajectories.variables.items():
        if labelled.dims[:2] != ("replicate", "time"):
            continue
        names = [trajectories.coordinates.get(dimension, ()) for dimension in labelled.dims[2:]]
        if not all(isinstance(name, str) for labels in names for name in labels):
            continue
        columns = np.moveaxis(np.asarray(labelled.values, np.float64), (0, 1), (-2, -1))
        for index in itertools.product(*(range(len(labels)) for labels in names)):
            values = columns[index]
            if not np.isnan(values).all():
                parts = [labels[number] for labels, number in zip(names, index, strict=True)]
                found[".".join([variable, *parts])] = values
    return found


def quantiles_of(trajectories: Trajectories) -> dict[str, FloatArray]:
    """Recorded quantiles of the agents' places by name of the axis, each of shape [replicate, time, level]."""
    labelled = trajectories.variables.get("quantile")
    if labelled is None or labelled.dims != ("replicate", "time", "axis", "level"):
        return {}
    values = np.asarray(labelled.values, np.float64)
    return {str(name): values[:, :, number] for number, name in enumerate(trajectories.coordinates["axis"])}


def observable(trajectories: Trajectories, name: str) -> FloatArray:
    """One observable, of shape [replicate, time]; an error lists those that there are."""
    found = observables(trajectories)
    if name not in found:
        raise InputError(
            f"'{trajectories.label}' does not observe '{name}'",
            where="compare",
            rule=f"it observes: {', '.join(found)}",
            hint=suggestion(name, found) if found else "",
        )
    return found[name]


def varies(values: FloatArray) -> bool:
    """Whether a curve of shape [replicate, time] takes more than one value."""
    return bool(np.nanmax(values) > np.nanmin(values))


def is_observed_data(trajectories: Trajectories) -> bool:
    """Whether this is a record from outside, with gaps in it: one random replicate with missing values.

    A simulation is stopped at its first NaN, so that only data have any.
    """
    over_time = [item.values for item in trajectories.variables.values() if item.dims[:2] == ("replicate", "time")]
    single = trajectories.stochastic and all(len(values) == 1 for values in over_time)
    return single and any(bool(np.isnan(values).any()) for values in over_time)
