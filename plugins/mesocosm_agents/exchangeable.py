"""Complete graphs: agents of one row and state are alike, so that steps are taken by counting them.

Everyone receives the same total emission less its own. In a step each of the n agents of a row in a state leaves with the
same probability, to targets in the same proportions: their numbers are binomial. This is the law in `engine`, at a cost
that does not grow with the number of agents. Who moved is drawn at the end of an interval: agents are counted by their
state at its start as well, and within each such class every choice is equally likely.
"""

from __future__ import annotations

import numpy as np

from mesocosm_agents.arrays import FloatArray, IntArray, Outcome, Schedule, StateArray, Table
from mesocosm_agents.kernels import compiled

LEAST_AGENTS_PER_CLASS = 4
"""With fewer agents for each class that is counted, counting does not pay."""


def pays(agents: int, rows: int, states: int) -> bool:
    """Whether there are enough agents for each (row, state at the start, state) to count them."""
    return agents >= LEAST_AGENTS_PER_CLASS * rows * states**2


def advance(
    states: StateArray, rows: IntArray, table: Table, schedule: Schedule, length: float, generator: np.random.Generator
) -> Outcome:
    """Advance `states` [N] in place by the steps of a schedule; `rows` [N] are the rows of the agents."""
    row_count, state_count = schedule.emission.shape[1:3]
    start = rows * state_count + states
    present = np.bincount(start, minlength=row_count * state_count).reshape(row_count, state_count)
    counts = np.zeros((row_count, state_count, state_count), np.int64)
    counts[:, np.arange(state_count), np.arange(state_count)] = present
    outcome = _count_steps(counts, table, schedule, length, generator)
    for row, state in np.argwhere(present > 0):
        ends = counts[row, state]
        if ends[state] < present[row, state]:
            agents = generator.permutation(np.flatnonzero(start == row * state_count + state))
            states[agents] = np.repeat(np.arange(state_count, dtype=np.int8), ends)
    return outcome


@compiled
def _count_steps(
    counts: IntArray, table: Table, schedule: Schedule, length: float, generator: np.random.Generator
) -> Outcome:
    """Advance `counts` [row, state at the start, state] in place; as `kernels.run_steps` for the rest."""
    moves, totals = np.zeros_like(counts), np.zeros(schedule.emission.shape[3])
    parts = np.zeros(len(table.rate))
    others = counts.sum() - 1
    cost = 0.0
    for step in range(len(schedule.control)):
        emission = schedule.emission[step]
        present = counts.sum(axis=1)
        for channel in range(len(totals)):
            totals[channel] = (present * emission[:, :, channel]).sum()
        if len(schedule.cost):
            cost += (present * schedule.cost[step]).sum()
        moves[:] = 0
        for row in range(counts.shape[0]):
            for state in range(counts.shape[2]):
                if present[row, state] == 0:
                    continue
                summed = 0.0
                for number in range(table.first[state], table.first[state + 1]):
                    value = table.rate[number]
                    if table.controlled[number]:
                        value *= schedule.control[step, row, state]
                    channel = table.channel[number]
                    if channel >= 0:
                        value *= (totals[channel] - emission[row, state, channel]) / others
                    if not 0.0 <= value < np.inf:
                        return Outcome(cost, step, number, value)
                    parts[number] = value
                    summed += value
                if summed > 0.0:
                    _leave(row, state, summed, length, parts, counts, moves, table, generator)
        counts += moves
    return Outcome(cost, -1, -1, 0.0)


@compiled
def _leave(
    row: int,
    state: int,
    summed: float,
    length: float,
    parts: FloatArray,
    counts: IntArray,
    moves: IntArray,
    table: Table,
    generator: np.random.Generator,
) -> None:
    """Draw how many agents of a row leave a state in one step, and where they go; add it to `moves`."""
    chance = -np.expm1(-summed * length)
    for start in range(counts.shape[1]):
        if counts[row, start, state] == 0:
            continue
        leaving, weight = generator.binomial(counts[row, start, state], chance), summed
        for number in range(table.first[state], table.first[state + 1]):
            if leaving == 0:
                break
            if parts[number] == 0.0:
                continue
            # The last transition that is possible has all the weight that is left, up to rounding.
            share = min(1.0, parts[number] / weight)
            weight -= parts[number]
            jumps = leaving if weight <= 1e-12 * summed else generator.binomial(leaving, share)
            leaving -= jumps
            moves[row, start, state] -= jumps
            moves[row, start, table.target[number]] += jumps
