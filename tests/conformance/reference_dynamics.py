"""A dynamics that is right, for the kit to be tried on; what is broken is a change to it (see `broken_dynamics`).

SIR on the contact graph, in synchronous steps, compiled, so that the whole kit takes a few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mesocosm import (
    ConstantControl,
    Context,
    Dynamics,
    DynamicsError,
    InputError,
    Interval,
    Labelled,
    Options,
    Policy,
    PolicyFrom,
    PolicyOption,
    Problem,
    Streams,
    constant_control,
    no_control,
    substeps,
)


class ReferenceOptions(Options):
    """SIR in steps."""

    replicates: int = Field(default=6, ge=1, description="number of independent runs")
    step: float = Field(default=0.01, gt=0, description="longest time step")
    policy: PolicyOption = Field(default="none", description="what agents choose")


@dataclass(frozen=True)
class Agents:
    """States of all agents, shape [replicate, N], and the number of intervals behind them."""

    states: NDArray[np.int8]
    done: int


@dataclass
class Wiring:
    """The contact graph for the kernel."""

    complete: bool
    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    weights: NDArray[np.float64]


@numba.njit(cache=True)
def run_steps(states, complete, indptr, indices, weights, infect, recover, control, rows, length, random):
    """Advance one replicate in place: `infect`, `recover` [step], `control` [step, row], `rows` [N]."""
    size = len(states)
    after = states.copy()
    for step in range(len(infect)):
        infected = 0
        for node in range(size):
            infected += states[node] == 1
        stay = np.exp(-recover[step] * length)
        for node in range(size):
            if states[node] == 1:
                if random.random() >= stay:
                    after[node] = 2
            elif states[node] == 0:
                field = 0.0
                if complete:
                    field = infected / (size - 1)
                for place in range(indptr[node], indptr[node + 1]):
                    if states[indices[place]] == 1:
                        field += weights[place]
                if field > 0.0 and random.random() < 1.0 - np.exp(
                    -infect[step] * control[step, rows[node]] * field * length
                ):
                    after[node] = 1
        states[:] = after


class Reference(Dynamics):
    """Right in everything that the kit asks."""

    def __init__(self, problem: Problem, options: Any, context: Context) -> None:
        super().__init__(problem, options, context)

    def check(self) -> None:
        if self.problem.finite_game.states != ("S", "I", "R"):
            raise InputError("another game", where="game", rule="SIR")

    @property
    def replicates(self) -> int:
        return int(self.options.replicates)

    def init(self) -> Agents:
        streams = self.streams()
        rows = [
            self.problem.initial_states(self.problem.graph, streams.generator("initial", replicate=replicate))
            for replicate in range(self.replicates)
        ]
        return Agents(np.stack(rows), 0)

    def advance(self, state: Agents, interval: Interval) -> Agents:
        states = self.copied(state)
        policy, game, wiring = self.played(), self.problem.finite_game, self.wiring()
        count, length = substeps(interval.start, interval.stop, self.options.step)
        length = self.step_length(length, interval)
        times = interval.start + np.arange(count) * (interval.stop - interval.start) / count
        one, full = np.ones((1, 1)), np.ones(1)
        infect = np.array([float(game.intensity(game.transitions[0], time, one, full)[0]) for time in times])
        recover = np.array([float(game.intensity(game.transitions[1], time, one, full)[0]) for time in times])
        infect, recover = self.rates(infect, recover, interval)
        control = np.stack([policy.table(float(time), 3)[:, 0] for time in self.policy_times(times)])
        rows = policy.rows(self.problem.graph)
        for replicate, agents in enumerate(states):
            random = self.noise(state, interval, replicate)
            run_steps(
                agents, wiring.complete, wiring.indptr, wiring.indices, wiring.weights, infect, recover, control, rows,
                length, random,
            )  # fmt: skip
        return Agents(states, state.done + 1)

    def observe(self, state: Agents) -> dict[str, Any]:
        return {"occupancy": np.stack([(state.states == number).mean(axis=1) for number in range(3)], axis=-1)}

    def summary(self, state: Agents) -> dict[str, Any]:
        return {"final_size": Labelled(("replicate",), (state.states != 0).mean(axis=1))}

    def pack(self, state: Agents) -> dict[str, NDArray[Any]]:
        return {"states": state.states, "done": np.array(state.done)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Agents:
        return Agents(arrays["states"], int(arrays["done"]))

    # What the broken ones change.

    def streams(self) -> Streams:
        return self.context.streams

    def copied(self, state: Agents) -> NDArray[np.int8]:
        return state.states.copy()

    def noise(self, state: Agents, interval: Interval, replicate: int) -> np.random.Generator:
        return self.streams().generator("jumps", interval=interval.index, replicate=replicate)

    def step_length(self, length: float, interval: Interval) -> float:
        return length

    def policy_times(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        return times

    def rates(self, infect: Any, recover: Any, interval: Interval) -> tuple[Any, Any]:
        for name, rate in (("S -> I", infect), ("I -> R", recover)):
            if not (np.isfinite(rate) & (rate >= 0)).all():
                raise DynamicsError(
                    f"the intensity of {name} is {rate.min():g}",
                    where=f"dynamics '{self.context.label}'",
                    rule="not negative",
                )
        return infect, recover

    def played(self) -> Policy:
        option, game = self.options.policy, self.problem.finite_game
        if isinstance(option, ConstantControl):
            return constant_control(game, option.constant)
        return self.context.policy_of(option.from_) if isinstance(option, PolicyFrom) else no_control(game)

    def wiring(self) -> Wiring:
        graph = self.problem.graph
        weights = np.ones(len(graph.indices)) if graph.weights is None else graph.weights
        return Wiring(graph.is_complete, graph.indptr, graph.indices, weights)
