"""What is recorded of a diffusion, the same in every dynamics: moments, quantiles, density and who has left.

Moments and quantiles are over all agents; one that has left counts at the place where it left. The density is that of the
agents still inside, so that it integrates to the share that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame

FloatArray = NDArray[np.float64]

LEVELS: FloatArray = (np.arange(20) + 0.5) / 20
"""Levels of the recorded quantiles: their mean absolute difference is the Wasserstein distance W1, up to 1/20 of a range."""

_BINS = {1: 60, 2: 24}


@dataclass(frozen=True)
class Marginals:
    """The observation of one diffusion game."""

    game: DiffusionGame

    @cached_property
    def edges(self) -> tuple[FloatArray, ...]:
        """Borders of the equal bins of the density, for each axis."""
        count = _BINS[len(self.game.axes)]
        return tuple(np.linspace(axis.low, axis.high, count + 1) for axis in self.game.axes)

    @property
    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """What `of_agents` and `of_masses` return, as `Dynamics.dimensions` wants it."""
        names = tuple(axis.name for axis in self.game.axes)
        found: dict[str, tuple[str, ...]] = {
            "mean": ("replicate", "axis"),
            "variance": ("replicate", "axis"),
            "quantile": ("replicate", "axis", "level"),
            "density": ("replicate", *names),
        }
        if self.game.has_exits:
            found["absorbed"] = ("replicate",)
        return found

    @property
    def coordinates(self) -> dict[str, Sequence[Any]]:
        """Labels, as `Dynamics.coordinates` wants them: axis names, levels, centres of bins."""
        centres = {
            axis.name: ((edges[1:] + edges[:-1]) / 2).tolist()
            for axis, edges in zip(self.game.axes, self.edges, strict=True)
        }
        return {"axis": [axis.name for axis in self.game.axes], "level": LEVELS.tolist(), **centres}

    def of_agents(self, places: FloatArray, inside: NDArray[np.bool_]) -> dict[str, FloatArray]:
        """From places [replicate, N, axis] and who is inside [replicate, N]."""
        size = places.shape[1]
        found = {
            "mean": places.mean(axis=1),
            "variance": places.var(axis=1),
            "quantile": np.moveaxis(np.quantile(places, LEVELS, axis=1, method="inverted_cdf"), 0, -1),
            "density": self._counts(places, inside) / (size * self._volume),
        }
        if self.game.has_exits:
            found["absorbed"] = 1.0 - inside.mean(axis=1)
        return found

    def of_masses(
        self, centres: Sequence[FloatArray], masses: FloatArray, exits: FloatArray, left: FloatArray
    ) -> dict[str, FloatArray]:
        """From the masses of grid cells [cells of axis 0, ...] around `centres`, and masses `left` [K] at `exits` [K, axis].

        A cell's mass is spread evenly over it before it is sorted into bins.
        """
        places = np.stack(np.meshgrid(*centres, indexing="ij"), axis=-1).reshape(-1, len(centres))
        everyone, weights = np.concatenate([places, exits]), np.concatenate([masses.ravel(), left])
        mean = weights @ everyone
        quantiles = [_quantiles(column, weights) for column in everyone.T]
        density = masses
        for number, (middle, edges) in enumerate(zip(centres, self.edges, strict=True)):
            density = np.moveaxis(np.tensordot(_overlap(middle, edges), density, axes=(1, number)), 0, number)
        found = {
            "mean": mean[None],
            "variance": (weights @ (everyone - mean) ** 2)[None],
            "quantile": np.stack(quantiles)[None],
            "density": (density / self._volume)[None],
        }
        if self.game.has_exits:
            found["absorbed"] = np.array([left.sum()])
        return found

    @cached_property
    def _volume(self) -> float:
        return float(np.prod([edges[1] - edges[0] for edges in self.edges]))

    def _counts(self, places: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
        """Agents inside, in every bin, [replicate, bins...]; those beyond an open side are in the outermost bin."""
        shape = (len(places), *(len(edges) - 1 for edges in self.edges))
        number = np.broadcast_to(np.arange(len(places))[:, None], inside.shape)
        for column, edges in zip(np.moveaxis(places, -1, 0), self.edges, strict=True):
            count = len(edges) - 1
            within = np.floor((column - edges[0]) / (edges[-1] - edges[0]) * count)
            number = number * count + within.clip(0, count - 1).astype(np.int64)
        counts = np.bincount(number[inside], minlength=int(np.prod(shape)))
        return np.asarray(counts.reshape(shape), np.float64)


def _quantiles(places: FloatArray, weights: FloatArray) -> FloatArray:
    order = np.argsort(places, kind="stable")
    total = np.cumsum(weights[order])
    middles = (total - weights[order] / 2) / total[-1]
    return np.asarray(np.interp(LEVELS, middles, places[order]), np.float64)


def _overlap(centres: FloatArray, edges: FloatArray) -> FloatArray:
    """Share of each cell that lies in each bin, [bin, cell]; cells reach half way to their neighbours."""
    if len(centres) == 1:
        return np.ones((len(edges) - 1, 1)) / (len(edges) - 1)
    middles = (centres[1:] + centres[:-1]) / 2
    low = np.concatenate([[max(edges[0], 2 * centres[0] - middles[0])], middles])
    high = np.concatenate([middles, [min(edges[-1], 2 * centres[-1] - middles[-1])]])
    inner = np.minimum(high, edges[1:, None]) - np.maximum(low, edges[:-1, None])
    shares = inner.clip(0.0) / (high - low)
    return np.asarray(shares / shares.sum(axis=0), np.float64)
