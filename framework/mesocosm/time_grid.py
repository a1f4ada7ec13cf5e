"""How fine the time grid must be: halve the step until the flow without control no longer changes at the saves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mesocosm.equilibrium import MeanField, half_step_grid
from mesocosm.errors import RunError

FloatArray = NDArray[np.float64]

FLOW_TOLERANCE, MOST_STEPS = 1e-7, 4096


def steps_per_interval(model_on: Callable[[FloatArray], MeanField], times: FloatArray, step: float | None) -> int:
    """Runge-Kutta steps per save interval on `half_step_grid`: from the longest `step` allowed, or else by `steps_needed`."""
    return steps_needed(lambda steps: saved_shares(model_on(half_step_grid(times, steps)), times), times, step)


def steps_needed(population: Callable[[int], FloatArray], times: FloatArray, step: float | None) -> int:
    """Runge-Kutta steps per save interval: from the longest `step` allowed, or else found by halving.

    `population(steps)` are the shares of the population at the saves, shape [time, state], with so many steps per interval.
    The method has order 4, so the coarser of two flows is off by about their difference: it is fine enough when that is
    below 1e-7 in every state at every save.
    """
    if step is not None:
        return max(1, int(np.ceil((times[1] - times[0]) / step - 1e-9)))
    steps, before = 1, population(1)
    while steps < MOST_STEPS:
        after = population(2 * steps)
        if np.isfinite(after).all() and np.abs(after - before).max() < FLOW_TOLERANCE:
            return steps
        steps, before = 2 * steps, after
    raise RunError(
        f"the flow still changes at {steps} steps per save interval",
        where="time grid",
        hint="save more often, or check the rates",
    )


def saved_shares(model: MeanField, times: FloatArray) -> FloatArray:
    """Shares of the population at the saves without control, shape [time, state]; not finite where a step is too long.

    Raises `DynamicsError` at the first save at which the game has an intensity that is negative or not finite.
    """
    neutral = model.regime(0).neutral()
    control = np.broadcast_to(neutral, (3, *neutral.shape))
    state, valid, saved = model.initial, model.initial, []
    ends = set(model.saves(times[1:]).tolist())
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(len(model.nodes) // 2):
            state = model.step(k, state, control)
            if (right := 2 * k + 2) in ends:
                # Shares that are no shares come from a step that is too long, or from rates that the last true ones show.
                valid = state if state.min() >= 0.0 else valid
                model.regime(right).check(float(model.nodes[right]), valid, neutral)
                saved.append(model.mixing.shares @ state)
    return np.stack(saved)
