"""What the numbers of an SDE of agents or series are measured in, read off the data that are trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mesocosm import Clock
from mesocosm_neural.learn.samples import FloatArray, Samples
from mesocosm_neural.learn.space import Space

MOST = 1024
"""Rows of a save, evenly spaced ones, among which a field or a score is computed."""

SAVES_TO_CROSS = 2.0
"""In how many saves. Much larger, and a training is too short to reach a strong drift; much smaller, and it is noisy."""


@dataclass(frozen=True, eq=False)
class Units:
    """What numbers are measured in, read off the data that are trained on.

    Attributes
    ----------
    centre, spread: mean and standard deviation of places as networks see them, [dimension].
    field_centre, field_spread: those of the field, [channel].
    drift: c, [column]; noise: s, [column]. horizon: the end of the run.
    """

    centre: torch.Tensor
    spread: torch.Tensor
    field_centre: torch.Tensor
    field_spread: torch.Tensor
    drift: torch.Tensor
    noise: torch.Tensor
    horizon: float


def units_of(space: Space, samples: Samples, clock: Clock, fields: torch.Tensor) -> Units:
    """The units of networks; `fields` [n, channel] are those among the data, on the device and in the precision to use.

    A drift of 1 crosses a standard deviation of the data in `SAVES_TO_CROSS` observed saves, and a noise of 1 spreads paths as
    much by then.
    """
    places = space.places(tensor_of(samples.known, fields))
    seen = space.compared(places)
    saves = np.union1d([0], samples.train_saves)
    crossing = SAVES_TO_CROSS * float(clock.times[saves[-1]]) / (len(saves) - 1)
    spread = deviation(places)
    return Units(
        centre=seen.mean(dim=0),
        spread=deviation(seen),
        field_centre=fields.mean(dim=0),
        field_spread=deviation(fields),
        drift=spread / crossing,
        noise=spread / crossing**0.5,
        horizon=clock.end,
    )


def scale_within(space: Space, samples: Samples, like: torch.Tensor) -> torch.Tensor:
    """Root mean square over saves after time 0 of the standard deviation within a save, [dimension]."""
    variances = [
        space.compared(tensor_of(samples.values[save, samples.train[save]], like)).var(dim=0, correction=0)
        for save in samples.train_saves
        if save > 0
    ]
    return positive(torch.stack(variances).mean(dim=0).sqrt())


def deviation(values: torch.Tensor) -> torch.Tensor:
    """Standard deviation of rows, 1 where they do not vary: [row, dimension] to [dimension]."""
    return positive((values - values.mean(dim=0)).square().mean(dim=0).sqrt())


def positive(scale: torch.Tensor) -> torch.Tensor:
    """A scale, 1 where nothing varies."""
    return torch.where(scale > 1e-6 * scale.sum(), scale, 1.0)


def tensor_of(values: FloatArray, like: torch.Tensor) -> torch.Tensor:
    """As a tensor on the device and in the precision of another."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like)


def spaced(rows: FloatArray) -> FloatArray:
    """At most `MOST` rows, evenly spaced: [row, ...]."""
    if len(rows) <= MOST:
        return rows
    return rows[np.linspace(0, len(rows) - 1, MOST).round().astype(np.int64)]
