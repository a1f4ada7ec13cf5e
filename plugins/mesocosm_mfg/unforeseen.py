"""A mean field whose events happen on the way: on a threshold, or as doses. Agents play a given policy.

What events have left behind is known at the start of a save interval and holds until its end, so each interval is one mean
field of its own, from the occupancy at its start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import Interval, MeanField, Policy, Situation, Timeline, tabulate_policy
from mesocosm_mfg.interventions import Interventions

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeanFieldState:
    """Occupancy and control of every type, both [type, state], and when each event happened, [event] (NaN: not yet)."""

    occupancy: FloatArray
    control: FloatArray
    fired: FloatArray


@dataclass(frozen=True, eq=False)
class Unforeseen:
    """The mean field of a `policy`, of which each type plays the row that `rows` [type] names."""

    timeline: Timeline
    interventions: Interventions
    policy: Policy
    rows: NDArray[np.int64]

    def start(self) -> MeanFieldState:
        """The state at time 0."""
        problem = self.timeline.problem
        occupancy = problem.type_shares(self.timeline.mixing)
        control = self._control(self.timeline.part(1, 0, [Situation()], occupancy))[0]
        return MeanFieldState(occupancy, control, np.full(len(problem.events.items), np.nan))

    def advance(self, state: MeanFieldState, interval: Interval, steps: int) -> MeanFieldState:
        """The state after an interval, by at least `steps` Runge-Kutta steps."""
        events = self.timeline.problem.events
        occupancy, fired = self.interventions.act(interval.start, state.occupancy, state.fired)
        model = self.timeline.part(steps, interval.index, [events.situation(events.history(fired))], occupancy)
        control, last = self._control(model), len(model.nodes) - 1
        for left in range(0, last, 2):
            occupancy = model.step(left // 2, occupancy, control[left : left + 3])
        if occupancy.min() >= 0.0:
            # Shares below 0 come from a step that is too long; intensities at such shares say nothing about the game.
            model.regime(last).check(interval.stop, occupancy, control[last])
        return MeanFieldState(occupancy, control[last], fired)

    def shares(self, steps: int) -> FloatArray:
        """Shares of the population at the saves, shape [time, state]; not finite where a step is too long."""
        state, saved = self.start(), []
        with np.errstate(over="ignore", invalid="ignore"):
            for interval in self.timeline.problem.clock.intervals():
                state = self.advance(state, interval, steps)
                saved.append(self.timeline.mixing.shares @ state.occupancy)
        return np.stack(saved)

    def _control(self, model: MeanField) -> FloatArray:
        return tabulate_policy(model, self.policy, self.rows)
