"""Standard errors of calibrated parameters, constant or changing in time.

A constant moves as a whole; a curve moves by piecewise linear functions of time with a few equally spaced knots, so its
errors are those of its shape at that resolution, and constants beside it are as uncertain as it leaves them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KNOTS = 6
"""Of the piecewise linear functions by which a curve moves."""


class Directions:
    """The changes of parameters in which errors are measured: `values` [direction, parameter, time].

    Parameters
    ----------
    varies: whether each parameter changes in time. times: of the collocation.
    """

    def __init__(self, varies: Sequence[bool], times: FloatArray) -> None:
        hats = np.stack([np.interp(times, np.linspace(times[0], times[-1], KNOTS), row) for row in np.eye(KNOTS)])
        shapes = [hats if each else np.ones((1, len(times))) for each in varies]
        self.owners = np.repeat(np.arange(len(varies)), [len(shape) for shape in shapes])
        values = np.zeros((len(self.owners), len(varies), len(times)))
        values[np.arange(len(self.owners)), self.owners] = np.concatenate(shapes)
        self.values = torch.from_numpy(values)

    def of_means(self, covariance: FloatArray) -> FloatArray:
        """Standard errors of means over time, [parameter], from the covariance [direction, direction]."""
        return np.array([self._error(covariance, *each) for each in self._shapes(slice(None), mean=True)])

    def of_curves(self, covariance: FloatArray, places: slice) -> FloatArray:
        """Standard errors at some of the times, [parameter, place]."""
        errors = [
            [self._error(covariance, members, shape) for shape in shapes.T]
            for members, shapes in self._shapes(places, mean=False)
        ]
        return np.array(errors)

    def _shapes(self, places: slice, *, mean: bool) -> list[tuple[NDArray[np.int64], FloatArray]]:
        """Of every parameter: its directions, and their shapes over time [direction, place], or their means."""
        found = []
        for owner in range(self.values.shape[1]):
            members = np.flatnonzero(self.owners == owner)
            shapes = self.values[members, owner].numpy()
            found.append((members, shapes.mean(axis=1) if mean else shapes[:, places]))
        return found

    @staticmethod
    def _error(covariance: FloatArray, members: NDArray[np.int64], weights: FloatArray) -> float:
        used = np.flatnonzero(weights)
        part = covariance[np.ix_(members[used], members[used])]
        return float(np.sqrt(weights[used] @ part @ weights[used])) if np.isfinite(part).all() else np.inf
