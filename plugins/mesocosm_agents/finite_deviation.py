"""Deviations in finite-state games: replicates run again on the general engine, and the best response to their field.

What a deviator pays depends on few jumps, some of them rare and dear. Their noise is taken out by a martingale. Let v(t, x)
be its expected cost to come against the flow that the population showed. At each step the law of the jump is known, and

    M = sum over steps of v(t + h, X(t + h)) - E[ v(t + h, X(t + h)) | everything at t ]

has mean 0 whatever v is, on any graph. Cost minus M has the same mean, and hardly any noise where v is nearly right.
Source: Henderson and Glynn, Approximating martingales for variance reduction, Math. Oper. Res. 27, 253 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mesocosm import Flow, MeanField, Policy, Problem, TabulatedPolicy
from mesocosm_agents.arrays import FloatArray, StateArray
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.deviation import Deviating, Rerun, Trials
from mesocosm_agents.engine import Play, Stretch
from mesocosm_agents.vectorised import VectorisedEngine, respond

_AGENTS_AT_ONCE = 2**16
"""Agents whose steps are computed together."""


@dataclass(eq=False)
class Shown:
    """What the runs showed: sums over runs, at each time, of occupancy [row, state] and of the field of agents
    [row, channel]; and the `lengths` of the steps."""

    occupancy: dict[float, FloatArray] = field(default_factory=dict)
    felt: dict[float, FloatArray] = field(default_factory=dict)
    lengths: dict[float, float] = field(default_factory=dict)

    def add(self, t: float, contacts: Contacts, shape: tuple[int, int], states: StateArray, felt: FloatArray) -> None:
        """Count the agents of a batch, [batch, N], at time t; `shape` is (row, state)."""
        keys = (contacts.rows * shape[1] + states).ravel()
        counts = np.bincount(keys, minlength=shape[0] * shape[1]).reshape(shape)
        total = felt.sum(axis=0)
        sums = np.stack([np.bincount(contacts.rows, column, shape[0]) for column in total.T], axis=-1)
        self.occupancy[t] = np.asarray(self.occupancy.get(t, 0.0) + counts, np.float64)
        self.felt[t] = np.asarray(self.felt.get(t, 0.0) + sums, np.float64)

    def means(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Times [K + 1], occupancy of each row [K + 1, row, state], and its mean field [K + 1, row, channel]."""
        times = np.array(sorted(self.felt))
        counts = np.stack([self.occupancy[t] for t in times])
        everyone = np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
        return times, counts / everyone, np.stack([self.felt[t] for t in times]) / everyone


@dataclass(eq=False)
class Paths:
    """What the deviators of n trials went through: at each step their state and control [n] and field [n, channel], and
    their state at the end; their rows [n]; what they paid, [n]."""

    rows: NDArray[np.int64]
    paid: FloatArray
    states: list[NDArray[np.int64]] = field(default_factory=list)
    controls: list[FloatArray] = field(default_factory=list)
    fields: list[FloatArray] = field(default_factory=list)


class FiniteRerun(Rerun):
    """See the module docstring."""

    def __init__(self, problem: Problem, play: Play) -> None:
        self.problem, self.play, self.shown = problem, play, Shown()

    def costs(self, trials: Trials, best: Policy | None) -> FloatArray:
        if best is None:
            self.shown = Shown()
        count = 1 if self.play.graphs.redraw else max(1, _AGENTS_AT_ONCE // self.problem.graph.node_count)
        parts = [trials.some(slice(first, first + count)) for first in range(0, len(trials), count)]
        paths = [self._run(part, best) for part in parts]
        value = self._value(best or self.play.policy)
        return np.concatenate([part.paid - self._chance(part, value) for part in paths])

    def best_response(self) -> Policy:
        """Against the mean field of the agents of each row of the policy, linear between steps."""
        times, occupancy, felt = self.shown.means()
        nodes = _with_middles(times)
        mixing = self.problem.graph.mixing("homogeneous", normalise=self.play.game.normalise)
        model = MeanField(self.play.game, mixing, occupancy[0], nodes)
        _, best = model.best_response(Flow(_with_middles(occupancy), _with_middles(felt)))
        names = tuple(str(number) for number in range(occupancy.shape[1]))
        return TabulatedPolicy(nodes, best, "homogeneous", names, np.zeros(len(names)))

    def _run(self, trials: Trials, best: Policy | None) -> Paths:
        """Run trials on one graph."""
        base, game = self.play, self.play.game
        play = base if best is None else replace(base, policy=Deviating(base.policy, best, trials.agents))
        contacts = base.graphs.contacts(int(trials.replicates[0]))
        states = np.stack([base.graphs.initial_states(int(r), base.streams) for r in trials.replicates])
        deviator = (np.arange(len(trials)), trials.agents)
        paths = Paths(contacts.rows[trials.agents], np.zeros(len(trials)))

        def see(t: float, now: StateArray, felt: FloatArray) -> None:
            paths.states.append(now[deviator].astype(np.int64))
            if best is None:
                self.shown.add(t, contacts, (base.policy.row_count, len(game.states)), now, felt)

        def witness(t: float, length: float, now: StateArray, control: FloatArray, felt: FloatArray) -> None:
            see(t, now, felt)
            paths.controls.append(control[deviator])
            paths.fields.append(felt[deviator])
            rate = game.running_cost(t, paths.states[-1], paths.fields[-1], paths.controls[-1])
            paths.paid += np.asarray(rate) * length
            self.shown.lengths[t] = length

        for interval in self.problem.clock.intervals():
            stretch = Stretch(interval.index, interval.start, interval.stop)
            VectorisedEngine(play).advance_some(contacts, trials.replicates, states, stretch, witness)
        _, felt = respond(play, contacts, self.problem.clock.end, states)
        see(self.problem.clock.end, states, felt)
        paths.paid += np.asarray(game.terminal_cost(paths.states[-1], felt[deviator]))
        return paths

    def _value(self, policy: Policy) -> FloatArray:
        """v: cost to come of an agent of each row in each state that plays a policy, [K + 1, row, state]."""
        game = self.play.game
        times, occupancy, felt = self.shown.means()
        shape = occupancy.shape[1:]
        rows, states = np.broadcast_arrays(np.arange(shape[0])[:, None], np.arange(shape[1])[None, :])
        by_state = np.repeat(felt[:, :, None, :], shape[1], axis=2)
        value = np.empty(occupancy.shape)
        value[-1] = game.terminal_cost(states, by_state[-1])
        for k in range(len(times) - 2, -1, -1):
            t, around = float(times[k]), by_state[k]
            control = np.broadcast_to(policy.control(t, rows, states, around), shape)
            rate = np.asarray(game.running_cost(t, states, around, control))
            ahead = self._expected(t, states, control, around, np.repeat(value[k + 1][:, None], shape[1], axis=1))
            value[k] = rate * self.shown.lengths[t] + ahead
        return value

    def _chance(self, paths: Paths, value: FloatArray) -> FloatArray:
        """M of every trial, shape [n]."""
        result = np.zeros(len(paths.paid))
        for k, t in enumerate(sorted(self.shown.lengths)):
            ahead = value[k + 1, paths.rows]
            expected = self._expected(t, paths.states[k], paths.controls[k], paths.fields[k], ahead)
            result += ahead[np.arange(len(ahead)), paths.states[k + 1]] - expected
        return result

    def _expected(
        self, t: float, states: NDArray[np.int64], control: FloatArray, felt: FloatArray, ahead: FloatArray
    ) -> FloatArray:
        """Expected value after the step that begins at t, [...], by the law in `engine`: `ahead` is [..., state]."""
        game = self.play.game
        summed, gained = np.zeros(states.shape), np.zeros(states.shape)
        for number, transitions in enumerate(self.play.leaving):
            here = states == number
            for transition in transitions:
                rate = game.intensity(transition, t, felt[here], control[here])
                summed[here] += rate
                gained[here] += rate * (ahead[here, game.state_index(transition.target)] - ahead[here, number])
        chance = -np.expm1(-summed * self.shown.lengths[t])
        stay = np.take_along_axis(ahead, states[..., None], axis=-1)[..., 0]
        return np.asarray(stay + chance * gained / np.where(summed > 0, summed, 1.0), np.float64)


def _with_middles(values: FloatArray) -> FloatArray:
    """Values [M, ...] and their averages in between: [2 M - 1, ...]."""
    result = np.empty((2 * len(values) - 1, *values.shape[1:]))
    result[::2], result[1::2] = values, (values[1:] + values[:-1]) / 2
    return result
