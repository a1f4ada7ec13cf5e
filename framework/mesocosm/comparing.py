"""How far apart dynamics are, with 95 % intervals from their replicates, and whether the gap is more than noise.

For curves the gap is a norm of the difference of the means over replicates: largest absolute value (`sup_gap`) or root
mean square over time (`l2_gap`). With q the 95 % quantile of the same norm of the noise (see `noise`), the interval is
[max(0, gap - q), gap + q], which covers the true gap by the triangle inequality, and the gap exceeds the noise if it is
greater than q. For numbers (peak size, peak time, attack rate, cost) each replicate has one, the gap is the difference of
the means, and the interval is Welch's, or for a single observation that of the bootstrap; the gap exceeds the noise if 0
lies outside.

The places of agents are compared by the Wasserstein distance of their distributions along each axis, from the recorded
quantiles (means over replicates): W1 is the mean absolute difference of quantiles, W2 its root mean square, and the gap is
the largest over time, with the noise of the same norm.

A peak is read off the save grid, which may put its time off by half a save interval on either side: the interval of a
peak time is one save interval wider in both directions, and a gap of less is never called more than noise. The mean of
the replicates' peaks is higher than the peak of their mean, the more so the fewer the agents: a deterministic limit may
lie below it, beyond noise, although its curve is exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mesocosm.dynamics import Trajectories
from mesocosm.equilibria import equilibria
from mesocosm.errors import InputError, suggestion
from mesocosm.gaps import flat, largest, largest_wasserstein, root_mean_square
from mesocosm.measures import Comparison as Comparison
from mesocosm.measures import Row as Row
from mesocosm.noise import ROUNDING, Side, distance_quantile, half_width, mean_error, noise_curves
from mesocosm.observables import observables as observables_of
from mesocosm.observables import quantiles_of, varies
from mesocosm.seeding import Streams

if TYPE_CHECKING:
    from mesocosm.results import Results

FloatArray = NDArray[np.float64]


_CURVES = ("occupancy.", "mean.", "variance.")
"""How the names of curves begin that are compared unless others are asked for."""


def compare(
    trajectories: Mapping[str, Trajectories],
    reference: str,
    *,
    observables: Sequence[str] | None = None,
    window: tuple[float, float] | None = None,
    at_risk: str | None = None,
    seed: int = 0,
) -> Comparison:
    """Every dynamics against `reference`, one row per observable and measure.

    Parameters
    ----------
    trajectories: what each dynamics recorded, by label.
    reference: the label that the others are measured against.
    observables: names such as `occupancy.I`; by default every occupancy, every moment of places, every control that varies,
        and every variable over (replicate, time) alone. Each is compared where both sides observe it.
    window: (first, last) time to compare, both included; by default all times. Only times that both sides observe in
        every replicate count. `attack_rate` is that at the last time of the window, `cost` always that of the whole run.
    at_risk: the state whose emptying gives `attack_rate`, None for none.
    seed: of the bootstrap. The rows of one dynamics do not depend on which others are compared.

    Peaks are compared where the mean curve of the reference has its maximum strictly inside the window and falls again.

    Errors: `InputError` for a reference that is not there, an observable that the reference lacks, an empty window.
    """
    if reference not in trajectories:
        raise InputError(
            f"reference '{reference}'",
            where="compare",
            rule="not among the dynamics",
            hint=suggestion(reference, trajectories),
        )
    if window is not None and not window[0] <= window[1]:
        raise InputError(f"window [{window[0]:g}, {window[1]:g}]", where="compare", rule="it must start before it ends")
    truth = trajectories[reference]
    _check_observed(observables or (), truth)
    rows: list[Row] = []
    for label, ours in trajectories.items():
        if label != reference:
            pair = _Pair(label, ours, truth, window, observables is None)
            chosen = _default_observables(ours, truth) if observables is None else observables
            rows += pair.rows(chosen, at_risk, Streams(seed, "compare"))
    return Comparison(reference, tuple(rows), tuple(equilibria(trajectories)))


def compare_runs(
    results: Sequence[Results],
    reference: str | None = None,
    *,
    observables: Sequence[str] | None = None,
    window: tuple[float, float] | None = None,
    seed: int = 0,
) -> Comparison:
    """Every dynamics of several runs against one of them, at the save times that they have in common.

    With several runs, labels become `run/label`, with the name of the run folder. `reference` is such a name, or a label
    that only one run has; by default it is the reference of the first run. The state at risk is that of the first run that
    has one.

    Errors: `InputError` for no run, two runs of one name, different units of time, an unknown or ambiguous reference.
    """
    if not results:
        raise InputError("no run", where="compare", rule="at least one is needed")
    names = [item.folder.name if item.folder else f"run-{index}" for index, item in enumerate(results, 1)]
    if len(set(names)) < len(names):
        raise InputError(
            f"runs named {', '.join(names)}", where="compare", rule="their folders must have different names"
        )
    units = sorted({str(item.attributes.get("time_unit", "")) for item in results})
    if len(units) > 1:
        raise InputError(
            f"times in {' and '.join(map(repr, units))}", where="compare", rule="runs must share their unit of time"
        )
    every = {
        (f"{name}/{label}" if len(results) > 1 else label): trajectories
        for name, item in zip(names, results, strict=True)
        for label, trajectories in item.trajectories().items()
    }
    first = results[0].reference
    prefix = f"{names[0]}/" if len(results) > 1 else ""
    wanted = (f"{prefix}{first}" if first else next(iter(every))) if reference is None else reference
    at_risk = next((str(item.attributes["at_risk"]) for item in results if item.attributes.get("at_risk")), None)
    return compare(every, _resolve(wanted, every), observables=observables, window=window, at_risk=at_risk, seed=seed)


def _resolve(reference: str, labels: Mapping[str, Trajectories]) -> str:
    """The full name of a reference that may be given without its run."""
    if reference in labels:
        return reference
    matches = [label for label in labels if label.rpartition("/")[2] == reference]
    if len(matches) > 1:
        raise InputError(f"reference '{reference}'", where="compare", rule=f"it may be {' or '.join(matches)}")
    return matches[0] if matches else reference


def _check_observed(names: Sequence[str], truth: Trajectories) -> None:
    known = observables_of(truth)
    for name in names:
        if name not in known:
            raise InputError(
                f"observable '{name}'",
                where="compare",
                rule=f"the reference '{truth.label}' does not observe it",
                hint=suggestion(name, known),
            )


def _default_observables(ours: Trajectories, truth: Trajectories) -> list[str]:
    """What both sides observe: occupancies, moments, controls that vary on either side, variables over (replicate, time)."""
    first, second = observables_of(ours), observables_of(truth)

    def wanted(name: str) -> bool:
        if name.startswith("control."):
            return varies(first[name]) or varies(second[name])
        return name.startswith(_CURVES) or truth.variables.get(name) is not None

    return [name for name in second if name in first and wanted(name)]


@dataclass(frozen=True, eq=False)
class _Pair:
    """One dynamics and the reference, at the times of the window that both saved."""

    label: str
    ours: Trajectories
    truth: Trajectories
    window: tuple[float, float] | None
    chooses_quantiles: bool

    def rows(self, names: Sequence[str], at_risk: str | None, streams: Streams) -> Iterator[Row]:
        first, second = observables_of(self.ours), observables_of(self.truth)
        mine, theirs = _common_times(self.ours.times, self.truth.times, self.window)
        times = self.truth.times[theirs]
        for name in names:
            if name in first and name in second:
                values, other = first[name][:, mine], second[name][:, theirs]
                seen = ~np.isnan(np.concatenate([values, other])).any(axis=0)
                if seen.any():
                    sides = Side(values[:, seen], self.ours.stochastic), Side(other[:, seen], self.truth.stochastic)
                    generator = streams.generator(f"{self.label}/{name}")
                    yield from self._curve_rows(name, *sides, generator)
                    yield from self._peak_rows(name, *sides, times[seen], generator)
                    if name == f"occupancy.{at_risk}" and seen[-1]:
                        ends = [Side(1 - side.values[:, -1:], side.stochastic) for side in sides]
                        yield self._number_row(name, "attack_rate", ends[0], ends[1], generator)
        if self.chooses_quantiles:
            yield from self._quantile_rows(mine, theirs, streams)
        costs = _cost(self.ours), _cost(self.truth)
        if costs[0] is not None and costs[1] is not None:
            yield self._number_row("cost", "cost", costs[0], costs[1], streams.generator(f"{self.label}/cost"))

    def _quantile_rows(self, mine: NDArray[np.int64], theirs: NDArray[np.int64], streams: Streams) -> Iterator[Row]:
        """W1 and W2 of the agents' places along each axis that both sides recorded."""
        first, second = quantiles_of(self.ours), quantiles_of(self.truth)
        for axis in first:
            if axis not in second or first[axis].shape[-1] != second[axis].shape[-1] or not len(mine):
                continue
            shape = (len(mine), first[axis].shape[-1])
            ours = Side(flat(first[axis][:, mine]), self.ours.stochastic)
            truth = Side(flat(second[axis][:, theirs]), self.truth.stochastic)
            generator = streams.generator(f"{self.label}/quantile.{axis}")
            gap, noise, error = ours.mean - truth.mean, noise_curves(ours, truth, generator), mean_error(ours, truth)
            for order, measure in ((1, "w1_gap"), (2, "w2_gap")):
                distance = float(largest_wasserstein(gap, shape, order))
                if noise is None or error is None:
                    yield Row(self.label, axis, measure, np.nan, np.nan, distance, np.nan, np.nan, None)
                    continue
                spread = distance_quantile(largest_wasserstein(noise, shape, order), error.freedom)
                reach = max(_rounding(ours, truth), spread)
                low, high = max(0.0, distance - reach), distance + reach
                yield Row(self.label, axis, measure, np.nan, np.nan, distance, low, high, distance > reach)

    def _curve_rows(self, name: str, ours: Side, truth: Side, generator: np.random.Generator) -> Iterator[Row]:
        gap, noise, error = ours.mean - truth.mean, noise_curves(ours, truth, generator), mean_error(ours, truth)
        rounding = _rounding(ours, truth)
        at = int(np.abs(gap).argmax())
        for measure in ("sup_gap", "l2_gap"):
            norm = largest if measure == "sup_gap" else root_mean_square
            distance = float(norm(gap))
            value, other = (float(ours.mean[at]), float(truth.mean[at])) if measure == "sup_gap" else (np.nan, np.nan)
            if noise is None or error is None:
                yield Row(self.label, name, measure, value, other, distance, np.nan, np.nan, None)
                continue
            reach = max(rounding, distance_quantile(norm(noise), error.freedom))
            low, high = max(0.0, distance - reach), distance + reach
            yield Row(self.label, name, measure, value, other, distance, low, high, distance > reach)

    def _peak_rows(
        self, name: str, ours: Side, truth: Side, times: FloatArray, generator: np.random.Generator
    ) -> Iterator[Row]:
        peak = int(truth.mean.argmax())
        if not 0 < peak < len(times) - 1 or truth.mean[peak] - truth.mean[-1] <= _rounding(truth, truth):
            return
        sizes = [Side(side.values.max(axis=1, keepdims=True), side.stochastic) for side in (ours, truth)]
        yield self._number_row(name, "peak_size", sizes[0], sizes[1], generator)
        moments = [Side(times[side.values.argmax(axis=1)][:, None], side.stochastic) for side in (ours, truth)]
        yield self._number_row(name, "peak_time", moments[0], moments[1], generator, float(np.diff(times).max()))

    def _number_row(
        self, name: str, measure: str, ours: Side, truth: Side, generator: np.random.Generator, resolution: float = 0.0
    ) -> Row:
        value, other = float(ours.mean[0]), float(truth.mean[0])
        gap, half = value - other, half_width(ours, truth, generator)
        if half is None:
            return Row(self.label, name, measure, value, other, gap, np.nan, np.nan, None)
        half = max(half, _rounding(ours, truth)) + resolution
        return Row(self.label, name, measure, value, other, gap, gap - half, gap + half, abs(gap) > half)


def _common_times(
    first: FloatArray, second: FloatArray, window: tuple[float, float] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in either grid of the times that both have, within the window."""
    tolerance = 1e-9 * max(1.0, float(np.abs(second).max(initial=0.0)))
    nearest = np.abs(first[:, None] - second[None, :]).argmin(axis=0)
    shared = np.abs(first[nearest] - second) <= tolerance
    if window is not None:
        shared &= (second >= window[0] - tolerance) & (second <= window[1] + tolerance)
    theirs = np.flatnonzero(shared)
    return np.asarray(nearest[theirs], np.int64), np.asarray(theirs, np.int64)


def _cost(trajectories: Trajectories) -> Side | None:
    """The cost per agent: `cost` of each replicate, or `value`, the expected cost that a deterministic solver found."""
    name = "cost" if "cost" in trajectories.variables else "value"
    if name not in trajectories.variables or (name == "value" and trajectories.stochastic):
        return None
    values = np.asarray(trajectories.variables[name].values, np.float64).reshape(-1, 1)
    return None if np.isnan(values).any() else Side(values, trajectories.stochastic)


def _rounding(ours: Side, truth: Side) -> float:
    return ROUNDING * max(float(np.abs(ours.values).max()), float(np.abs(truth.values).max()))
