"""Compiled kernels: the field on a contact graph, and time steps of games whose table is all that matters.

All kernels release the interpreter lock, so that replicates run in threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import Buffers, FloatArray, IntArray, Outcome, Schedule, StateArray, Table, Wiring

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """`numba.njit` without the interpreter lock, cached on disk, keeping the type of what it decorates."""
    return cast(Function, numba.njit(nogil=True, cache=True)(function))


@compiled
def receive(nodes: NDArray[np.int32], wiring: Wiring, emitted: FloatArray, field: FloatArray) -> None:
    """Write the summed emissions of the contacts of `nodes` into `field`; arrays of shape [N, channel]."""
    # Named once: reading an item of a tuple costs more than adding up a contact.
    indptr, indices, weights = wiring.indptr, wiring.indices, wiring.weights
    for node in nodes:
        for channel in range(field.shape[1]):
            total = 0.0
            for entry in range(indptr[node], indptr[node + 1]):
                total += (weights[entry] if len(weights) else 1.0) * emitted[indices[entry], channel]
            field[node, channel] = total


@compiled
def receive_all(wiring: Wiring, emitted: FloatArray, field: FloatArray) -> None:
    """`receive` for every node. On a complete graph `field[0]` takes the total over all nodes instead."""
    if wiring.is_complete:
        for channel in range(field.shape[1]):
            field[0, channel] = emitted[:, channel].sum()
    else:
        receive(np.arange(len(emitted)).astype(np.int32), wiring, emitted, field)


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
    count: int, states: StateArray, rows: IntArray, wiring: Wiring, emission: FloatArray, exact: bool, keep: Buffers
) -> int:
    """Bring `emitted` and `field` up to date after the first `count` agents of `moved` changed state.

    Where sums are exact the difference is pushed to the contacts. Elsewhere the fields of the contacts are summed
    afresh: differences would leave rounding errors, which grow and may be negative. Returns the length of `touched`:
    those who moved and their contacts.
    """
    emitted, field, touched, is_touched = keep.emitted, keep.field, keep.touched, keep.is_touched
    indptr, indices, weights = wiring.indptr, wiring.indices, wiring.weights
    length = 0
    for agent in keep.moved[:count]:
        if not is_touched[agent]:
            is_touched[agent] = True
            touched[length] = agent
            length += 1
        for channel in range(emitted.shape[1]):
            value = emission[rows[agent], states[agent], channel]
            difference = value - emitted[agent, channel]
            if difference == 0.0:
                continue
            emitted[agent, channel] = value
            for entry in range(indptr[agent], indptr[agent + 1]):
                contact = indices[entry]
                if exact:
                    field[contact, channel] += (weights[entry] if len(weights) else 1.0) * difference
                if not is_touched[contact]:
                    is_touched[contact] = True
                    touched[length] = contact
                    length += 1
    for agent in touched[:length]:
        is_touched[agent] = False
    if wiring.is_complete:
        receive_all(wiring, emitted, field)
    elif not exact:
        receive(touched[:length], wiring, emitted, field)
    return length


@compiled
def weigh(
    agents: NDArray[np.int32],
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    table: Table,
    control: FloatArray,
    keep: Buffers,
) -> tuple[int, float]:
    """Write the summed intensities of `agents` into `total`, and the single ones of the last agent into `parts`.

    Returns the transition and value of an intensity that is negative, infinite or NaN (transition -1: none).
    """
    # Named once, as in `receive`.
    first, rate, channels, controlled = table.first, table.rate, table.channel, table.controlled
    emitted, field, total, parts = keep.emitted, keep.field, keep.total, keep.parts
    is_complete, divisor, others = wiring.is_complete, wiring.divisor, len(states) - 1
    for agent in agents:
        state = states[agent]
        summed = 0.0
        for number in range(first[state], first[state + 1]):
            value = rate[number]
            if controlled[number]:
                value *= control[rows[agent], state]
            channel = channels[number]
            if channel >= 0:
                if is_complete:
                    value *= (field[0, channel] - emitted[agent, channel]) / others
                elif len(divisor):
                    value *= field[agent, channel] / divisor[agent]
                else:
                    value *= field[agent, channel]
            if not 0.0 <= value < np.inf:
                return number, value
            parts[number] = value
            summed += value
        total[agent] = summed
    return -1, 0.0


@compiled
def decide(
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    table: Table,
    control: FloatArray,
    length: float,
    generator: np.random.Generator,
    keep: Buffers,
) -> int:
    """Who jumps in one step, and where: fills `moved` and `new`, and returns their number; nobody moves yet.

    Every agent is a candidate with the chance of the most restless one, and a candidate with intensity q jumps with
    the ratio of chances: 1 - exp(-q length) in all. Candidates are found by geometric gaps, so that random numbers are
    drawn for them alone.
    """
    largest = keep.total.max()
    if largest == 0.0:
        return 0
    ceiling = -np.expm1(-largest * length)
    count, agent, single = 0, -1, np.empty(1, np.int32)
    while True:
        gap = np.floor(np.log1p(-generator.random()) / (-largest * length))
        if gap >= len(states) - agent - 1:
            return count
        agent += 1 + int(gap)
        chance = -np.expm1(-keep.total[agent] * length)
        draw = generator.random() * ceiling
        if draw >= chance:
            continue
        # Given that the agent jumps, draw / chance is uniform again and chooses the target.
        mark, state = draw / chance * keep.total[agent], states[agent]
        single[0] = agent
        weigh(single, states, rows, wiring, table, control, keep)
        for number in range(table.first[state], table.first[state + 1]):
            value = keep.parts[number]
            # Rounding may carry the mark past the end; then the last transition that is possible is taken.
            if value > 0.0:
                keep.new[count] = table.target[number]
            mark -= value
            if mark < 0.0:
                break
        keep.moved[count] = agent
        count += 1


@compiled
def run_steps(
    states: StateArray,
    is_ready: bool,
    rows: IntArray,
    wiring: Wiring,
    table: Table,
    schedule: Schedule,
    length: float,
    generator: np.random.Generator,
    keep: Buffers,
) -> Outcome:
    """Advance `states` [N] in place by K synchronous steps of equal `length`, by the law in `engine`.

    Emissions and fields are computed first unless `is_ready`.
    """
    everyone = np.arange(len(states)).astype(np.int32)
    touched = everyone
    cost = 0.0
    for step in range(len(schedule.control)):
        control = schedule.control[step]
        if (step == 0 and not is_ready) or (step > 0 and schedule.renewed[step]):
            emit_all(states, rows, schedule.emission[step], keep.emitted)
            receive_all(wiring, keep.emitted, keep.field)
            touched = everyone
        if schedule.chosen[step] or wiring.is_complete:
            touched = everyone
        if len(schedule.cost):
            for agent in range(len(states)):
                cost += schedule.cost[step, rows[agent], states[agent]]
        wrong, value = weigh(touched, states, rows, wiring, table, control, keep)
        if wrong >= 0:
            return Outcome(cost, step, wrong, value)
        count = decide(states, rows, wiring, table, control, length, generator, keep)
        for number in range(count):
            states[keep.moved[number]] = keep.new[number]
        waiting = emit_changes(count, states, rows, wiring, schedule.emission[step], schedule.exact, keep)
        touched = keep.touched[:waiting]
    return Outcome(cost, -1, -1, 0.0)
