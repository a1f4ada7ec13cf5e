"""What is kept of one dynamics, at which times: checked once at the door, written into preallocated arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.dynamics import Dynamics, Labelled, Trajectories
from mesocosm.errors import DynamicsError
from mesocosm.folding import Folding
from mesocosm.game import FiniteStateGame

MASS_TOLERANCE = 1e-6
"""By how much the shares of one replicate may miss 1 (a float32 simulation rounds at about 1e-7)."""


class Recorder:
    """Arrays of shape [replicate, time, ...] for what `dynamics.dimensions()` names; see `folding` for groups."""

    def __init__(self, label: str, kind: str, dynamics: Dynamics) -> None:
        self.label, self.kind, self.dynamics = label, kind, dynamics
        self.times = dynamics.problem.clock.times
        self.dims = dynamics.dimensions()
        self.arrays: dict[str, NDArray[Any]] = {}
        game = dynamics.problem.game
        states: dict[str, Sequence[Any]] = {"state": game.states} if isinstance(game, FiniteStateGame) else {}
        names = dynamics.problem.events.names
        events: dict[str, Sequence[Any]] = {"event": names} if names else {}
        self.coordinates: dict[str, Sequence[Any]] = {**states, **events, **dynamics.coordinates()}
        self.folding = Folding(dynamics, self.dims, self.coordinates)

    def save(self, index: int, observation: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Check what was observed at save number `index` and keep it; returns it as arrays."""
        missing, extra = set(self.dims) - set(observation), set(observation) - set(self.dims)
        if missing or extra:
            raise self._fault(index, f"observe returned {sorted(observation)}", f"dimensions names {sorted(self.dims)}")
        observed = {name: np.asarray(values) for name, values in observation.items()}
        for name, values in observed.items():
            self._check(index, name, values)
        kept = self.folding.folded(observed)
        for name, values in kept.items():
            before = self.arrays.get(name)
            if before is not None and (before.shape[0], *before.shape[2:]) != values.shape:
                raise self._fault(index, f"'{name}' has shape {values.shape}", "a shape stays the same in time")
            if before is None:
                shape = (values.shape[0], len(self.times), *values.shape[1:])
                self.arrays[name] = np.full(shape, np.nan, np.result_type(values.dtype, np.float32))
            self.arrays[name][:, index] = values
        return kept

    def _check(self, index: int, name: str, values: NDArray[Any]) -> None:
        if self.dims[name][:1] != ("replicate",):
            raise self._fault(index, f"'{name}' has dimensions {self.dims[name]}", "the first is 'replicate'")
        expected = tuple(
            self.dynamics.replicates if dim == "replicate" else len(self.coordinates.get(dim, ())) or None
            for dim in self.dims[name]
        )
        fits = len(expected) == values.ndim and all(
            size in (None, length) for size, length in zip(expected, values.shape, strict=True)
        )
        if not fits:
            shape = ", ".join(f"{dim} {size or '?'}" for dim, size in zip(self.dims[name], expected, strict=True))
            raise self._fault(index, f"'{name}' has shape {values.shape}", f"its dimensions are ({shape})")
        if not np.issubdtype(values.dtype, np.number):
            raise self._fault(index, f"'{name}' has type {values.dtype}", "numbers are needed")
        finite = np.isfinite(values)
        if not (finite | np.isnan(values)).all() or not (self.dynamics.partial or finite.all()):
            replicate = int(np.argwhere(~finite)[0][0])
            raise self._fault(index, f"'{name}' is not finite in replicate {replicate}", "NaN and infinity stop a run")
        if name == "occupancy" and finite.all():
            self._check_shares(index, values)

    def _check_shares(self, index: int, shares: NDArray[Any]) -> None:
        if shares.min() < -MASS_TOLERANCE:
            raise self._fault(index, f"'occupancy' is negative: {shares.min():.3g}", "shares lie between 0 and 1")
        sums = shares.sum(axis=-1)
        if np.abs(sums - 1).max() > MASS_TOLERANCE:
            worst = float(sums.flat[int(np.abs(sums - 1).argmax())])
            raise self._fault(index, f"'occupancy' adds up to {worst:.9g}", "mass is conserved: shares sum to 1")

    def _fault(self, index: int, what: str, rule: str) -> DynamicsError:
        where = f"dynamics '{self.label}' ({self.kind}) at time {self.times[index]:g}"
        return DynamicsError(what, where=where, rule=rule)

    def trajectories(self, summary: Mapping[str, float | Labelled]) -> Trajectories:
        """Everything recorded, with the summary of the last state."""
        variables = {
            name: Labelled((dims[0], "time", *dims[1:]), self.arrays[name])
            for name, dims in self.folding.dims.items()
            if name in self.arrays
        }
        for name, value in summary.items():
            labelled = value if isinstance(value, Labelled) else Labelled((), np.asarray(value))
            numbers = np.issubdtype(labelled.values.dtype, np.number) or labelled.values.dtype == np.bool_
            if not numbers or labelled.values.ndim != len(labelled.dims):
                found = f"summary '{name}' has type {labelled.values.dtype} and shape {labelled.values.shape}"
                rule = f"a number, or numbers with the dimensions {labelled.dims}"
                raise self._fault(len(self.times) - 1, found, rule)
            variables[name] = labelled
        return Trajectories(
            self.label,
            self.kind,
            self.times,
            variables,
            self.folding.coordinates,
            stochastic=self.dynamics.stochastic,
        )
