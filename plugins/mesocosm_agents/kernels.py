"""Compiled kernels: the field on a contact graph, and time steps of games whose table is all that matters.

All kernels release the interpreter lock, so that replicates run in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
StateArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`numba.njit` without the interpreter lock, cached on disk, keeping the type of what it decorates."""
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


class Wiring(NamedTuple):
    """A contact graph for kernels.

    `indptr` [N + 1] and `indices` are its CSR adjacency; `weights` is empty where every contact weighs 1; `divisor` [N]
    is what each field is divided by, empty where fields are sums. A complete graph has no entries.
    """

    is_complete: bool
    indptr: IntArray
    indices: NDArray[np.int32]
    weights: FloatArray
    divisor: FloatArray


class Table(NamedTuple):
    """Transitions sorted by source: those out of state s are numbers `first[s]` to `first[s + 1]`.

    `channel` is -1 where the intensity does not depend on the field.
    """

    first: IntArray
    target: StateArray
    rate: FloatArray
    channel: IntArray
    controlled: BoolArray


class Schedule(NamedTuple):
    """What rows of agents choose, emit and pay in K steps.

    Shapes: `control` [K, row, state], `emission` [K, row, state, channel], `cost` [K, row, state] or empty. `renewed`
    [K] says whether emissions differ from the step before; `exact` whether sums of them are free of rounding.
    """

    control: FloatArray
    emission: FloatArray
    cost: FloatArray
    renewed: BoolArray
    exact: bool


class Outcome(NamedTuple):
    """Summed cost rate of all agents over the steps.

    Where an intensity is not valid: its step (else -1), transition and value.
    """

    cost: float
    step: int
    transition: int
    intensity: float


@compiled
def receive(wiring: Wiring, emitted: FloatArray, field: FloatArray, node: int) -> None:
    """Write the summed emissions of the contacts of one node into `field[node]`; arrays of shape [N, channel]."""
    field[node, :] = 0.0
    for entry in range(wiring.indptr[node], wiring.indptr[node + 1]):
        weight = wiring.weights[entry] if len(wiring.weights) else 1.0
        for channel in range(field.shape[1]):
            field[node, channel] += weight * emitted[wiring.indices[entry], channel]


@compiled
def receive_all(wiring: Wiring, emitted: FloatArray, field: FloatArray) -> None:
    """`receive` for every node. On a complete graph `field[0]` takes the total over all nodes instead."""
    if wiring.is_complete:
        field[0, :] = 0.0
        for node in range(emitted.shape[0]):
            for channel in range(field.shape[1]):
                field[0, channel] += emitted[node, channel]
    else:
        for node in range(emitted.shape[0]):
            receive(wiring, emitted, field, node)


@compiled
def perceive(wiring: Wiring, emitted: FloatArray, field: FloatArray, felt: FloatArray) -> None:
    """The field that each agent receives, `felt` [N, channel], from the sums that `receive_all` left in `field`."""
    others = len(emitted) - 1
    for channel in range(felt.shape[1]):
        total = field[0, channel]
        for agent in range(len(felt)):
            if wiring.is_complete:
                felt[agent, channel] = (total - emitted[agent, channel]) / others
            elif len(wiring.divisor):
                felt[agent, channel] = field[agent, channel] / wiring.divisor[agent]
            else:
                felt[agent, channel] = field[agent, channel]


@compiled
def fields(wiring: Wiring, emission: FloatArray) -> FloatArray:
    """Field of every agent: shapes [batch, N, channel] to [batch, N, channel]."""
    result, sums = np.empty_like(emission), np.empty(emission.shape[1:])
    for number in range(len(emission)):
        receive_all(wiring, emission[number], sums)
        perceive(wiring, emission[number], sums, result[number])
    return result


@compiled
def emit_all(states: StateArray, rows: IntArray, emission: FloatArray, emitted: FloatArray) -> None:
    """Look up what every agent emits: `emission` [row, state, channel] into `emitted` [N, channel]."""
    for agent in range(len(states)):
        for channel in range(emitted.shape[1]):
            emitted[agent, channel] = emission[rows[agent], states[agent], channel]


@compiled
def emit_changes(
    moved: NDArray[np.int32],
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    schedule: Schedule,
    step: int,
    emitted: FloatArray,
    field: FloatArray,
    waiting: BoolArray,
) -> None:
    """Bring `emitted` and `field` up to date after the agents `moved` changed state.

    Where sums are exact the difference is pushed to the contacts. Elsewhere the fields of the contacts are summed
    afresh: differences would leave rounding errors, which grow and may be negative. `waiting` [N] is all false before
    and after.
    """
    queue = np.empty(len(states) if not (schedule.exact or wiring.is_complete) else 0, np.int32)
    count = 0
    changed = False
    for agent in moved:
        for channel in range(emitted.shape[1]):
            value = schedule.emission[step, rows[agent], states[agent], channel]
            difference = value - emitted[agent, channel]
            if difference == 0.0:
                continue
            emitted[agent, channel] = value
            changed = True
            if wiring.is_complete:
                if schedule.exact:
                    field[0, channel] += difference
                continue
            for entry in range(wiring.indptr[agent], wiring.indptr[agent + 1]):
                contact = wiring.indices[entry]
                if schedule.exact:
                    weight = wiring.weights[entry] if len(wiring.weights) else 1.0
                    field[contact, channel] += weight * difference
                elif not waiting[contact]:
                    waiting[contact] = True
                    queue[count] = contact
                    count += 1
    if wiring.is_complete and changed and not schedule.exact:
        receive_all(wiring, emitted, field)
    for contact in queue[:count]:
        receive(wiring, emitted, field, contact)
        waiting[contact] = False


@compiled
def decide(
    states: StateArray,
    felt: FloatArray,
    rows: IntArray,
    table: Table,
    control: FloatArray,
    length: float,
    generator: np.random.Generator,
    moved: NDArray[np.int32],
    new: StateArray,
) -> tuple[int, int, float]:
    """Who jumps in one step, and where: fills the first entries of `moved` and `new`, both [N]; nobody moves yet.

    Returns their number, and the transition and value of an intensity that is not valid (transition -1: none).
    """
    # Named once: reading a field of a tuple costs more than the arithmetic of an agent.
    first, target, rate, channel, controlled = table.first, table.target, table.rate, table.channel, table.controlled
    q = np.empty(len(rate))
    count = 0
    for agent in range(len(states)):
        state = states[agent]
        total = 0.0
        for number in range(first[state], first[state + 1]):
            value = rate[number]
            if channel[number] >= 0:
                value *= felt[agent, channel[number]]
            if controlled[number]:
                value *= control[rows[agent], state]
            if not 0.0 <= value < np.inf:
                return count, number, value
            q[number] = value
            total += value
        if total == 0.0:
            continue
        draw = generator.random()
        # 1 - exp(-x) <= x: most agents stay, and need no exponential.
        if draw >= total * length:
            continue
        chance = -np.expm1(-total * length)
        if draw >= chance:
            continue
        # Given that the agent leaves, draw / chance is uniform again and chooses the target.
        mark = draw / chance * total
        for number in range(first[state], first[state + 1]):
            # Rounding may carry the mark past the end; then the last transition that is possible is taken.
            if q[number] > 0.0:
                new[count] = target[number]
            mark -= q[number]
            if mark < 0.0:
                break
        moved[count] = agent
        count += 1
    return count, -1, 0.0


@compiled
def run_steps(
    states: StateArray,
    emitted: FloatArray,
    field: FloatArray,
    is_ready: bool,
    rows: IntArray,
    wiring: Wiring,
    table: Table,
    schedule: Schedule,
    length: float,
    generator: np.random.Generator,
) -> Outcome:
    """Advance `states` [N] in place by K synchronous steps of equal `length`, by the law in `engine`.

    One random number is drawn for every agent with positive intensity. `emitted` and `field` [N, channel] are filled
    first unless `is_ready`.
    """
    size = len(states)
    moved, new, waiting = np.empty(size, np.int32), np.empty(size, np.int8), np.zeros(size, np.bool_)
    # Plain sums are felt as they are: no copy.
    felt = field if not (wiring.is_complete or len(wiring.divisor)) else np.empty_like(field)
    cost = 0.0
    for step in range(schedule.control.shape[0]):
        if (step == 0 and not is_ready) or (step > 0 and schedule.renewed[step]):
            emit_all(states, rows, schedule.emission[step], emitted)
            receive_all(wiring, emitted, field)
        if len(schedule.cost):
            for agent in range(size):
                cost += schedule.cost[step, rows[agent], states[agent]]
        if wiring.is_complete or len(wiring.divisor):
            perceive(wiring, emitted, field, felt)
        count, wrong, value = decide(states, felt, rows, table, schedule.control[step], length, generator, moved, new)
        if wrong >= 0:
            return Outcome(cost, step, wrong, value)
        for number in range(count):
            states[moved[number]] = new[number]
        emit_changes(moved[:count], states, rows, wiring, schedule, step, emitted, field, waiting)
    return Outcome(cost, -1, -1, 0.0)
