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

    Shapes: `control` [K, row, state], `emission` [K, row, state, channel], `cost` [K, row, state] or empty. `chosen` and
    `renewed` [K] say whether control and emission differ from the step before; `exact` whether sums of emissions are
    free of rounding.
    """

    control: FloatArray
    emission: FloatArray
    cost: FloatArray
    chosen: BoolArray
    renewed: BoolArray
    exact: bool


class Buffers(NamedTuple):
    """What the kernels keep between steps.

    `emitted` and `field` [N, channel]: what every agent emits, and what `receive_all` makes of it. `total` [N]: summed
    intensity of the transitions out of every agent's state. `moved` and `new` [N]: who jumps in this step, and where.
    `touched` [N]: whose total may have changed. `is_touched` [N]: the same as flags, all false between steps.
    """

    emitted: FloatArray
    field: FloatArray
    total: FloatArray
    moved: NDArray[np.int32]
    new: StateArray
    touched: NDArray[np.int32]
    is_touched: BoolArray


class Outcome(NamedTuple):
    """Summed cost rate of all agents over the steps.

    Where an intensity is not valid: its step (else -1), transition and value.
    """

    cost: float
    step: int
    transition: int
    intensity: float


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
def intensity(
    agent: int,
    rate: float,
    channel: int,
    choice: float,
    is_complete: bool,
    divisor: FloatArray,
    emitted: FloatArray,
    field: FloatArray,
) -> float:
    """`rate`, times the field that an agent receives unless `channel` is -1, times its control `choice`."""
    value = rate * choice
    if channel >= 0:
        if is_complete:
            value *= (field[0, channel] - emitted[agent, channel]) / (len(emitted) - 1)
        elif len(divisor):
            value *= field[agent, channel] / divisor[agent]
        else:
            value *= field[agent, channel]
    return value


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
    """Write the summed intensities of `agents` into `total`.

    Returns the transition and value of an intensity that is negative, infinite or NaN (transition -1: none).
    """
    # Named once, as in `receive`.
    first, rate, channel, controlled = table.first, table.rate, table.channel, table.controlled
    emitted, field, total, is_complete, divisor = (
        keep.emitted,
        keep.field,
        keep.total,
        wiring.is_complete,
        wiring.divisor,
    )
    for agent in agents:
        state = states[agent]
        total[agent] = 0.0
        for number in range(first[state], first[state + 1]):
            choice = control[rows[agent], state] if controlled[number] else 1.0
            value = intensity(agent, rate[number], channel[number], choice, is_complete, divisor, emitted, field)
            if not 0.0 <= value < np.inf:
                return number, value
            total[agent] += value
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
    count, agent = 0, -1
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
        for number in range(table.first[state], table.first[state + 1]):
            choice = control[rows[agent], state] if table.controlled[number] else 1.0
            value = intensity(
                agent,
                table.rate[number],
                table.channel[number],
                choice,
                wiring.is_complete,
                wiring.divisor,
                keep.emitted,
                keep.field,
            )
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
