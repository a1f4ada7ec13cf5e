"""What an agent at a node feels of masses at all nodes, for interactions that depend on both places.

One dense matrix for each channel; for the Gaussian of a smoothed density one for each axis, applied in turn. A matrix that is
the same at 33 times over the horizon is taken as constant in time, and kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame, smoothing
from mesocosm.state_grid import StateGrid

FloatArray = NDArray[np.float64]
Kernel = Callable[[float, FloatArray], FloatArray]
"""(t, masses [cells...]) -> field [cells..., channel]."""

ROWS, PROBES, SEEN = 256, 33, 16


def kernel_of(game: DiffusionGame, grid: StateGrid, times: FloatArray) -> Kernel | None:
    """The kernel of a game; None where a field needs none."""
    if game.interaction == "emission" or (game.interaction == "density" and game.bandwidth == 0):
        return None
    if game.interaction == "density" and type(game).influence is DiffusionGame.influence:
        return _gaussian(game, grid)
    places = grid.nodes.reshape(-1, len(grid.cells))
    shape = (*grid.cells, len(game.channels))

    def matrix(t: float, receivers: FloatArray) -> FloatArray:
        """[receiver, channel, sender], so that one product with the masses gives the field."""
        felt = game.influence(t, receivers[:, None, :], places[None, :, :])
        full = np.broadcast_to(felt, (len(receivers), len(places), len(game.channels)))
        return np.ascontiguousarray(np.moveaxis(full, -1, 1), np.float64)

    def whole(t: float) -> FloatArray:
        return np.concatenate([matrix(t, places[first : first + ROWS]) for first in range(0, len(places), ROWS)])

    probes = [float(t) for t in np.linspace(times[0], times[-1], PROBES)]
    some = places[:: max(1, len(places) // SEEN)]
    if any(not np.array_equal(matrix(t, some), matrix(probes[0], some)) for t in probes[1:]):
        return lambda t, masses: (whole(t) @ masses.ravel()).reshape(shape)
    kept = whole(probes[0])
    return lambda t, masses: (kept @ masses.ravel()).reshape(shape)


def _gaussian(game: DiffusionGame, grid: StateGrid) -> Kernel:
    """The smoothed density: one matrix for each axis."""
    matrices = [
        np.asarray(smoothing(axis, game.bandwidth, here.nodes[:, None], here.nodes[None, :]), np.float64)
        for axis, here in zip(game.axes, grid.axes, strict=True)
    ]

    def kernel(t: float, masses: FloatArray) -> FloatArray:
        field = matrices[0] @ masses
        if len(matrices) == 2:
            field = field @ matrices[1].T
        return field[..., None]

    return kernel
