"""Compiled kernels for a contact graph that agents rewire.

A link is a pair of half-links 2e and 2e + 1; `ends[h]` is the agent at half-link h, and the one it meets is `ends[h ^ 1]`.
The half-links of an agent form a chain: `head[agent]`, then `following[h]`, until -1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import Buffers, FloatArray, IntArray, Outcome, Schedule, StateArray, Table, Wiring
from mesocosm_agents.kernels import compiled, decide, emit_all, weigh

LinkArray = NDArray[np.int32]

TRIES = 64
"""Agents that are drawn at random before all that could be met are listed."""


@compiled
def chain(ends: LinkArray, head: LinkArray, following: LinkArray) -> None:
    """String together the half-links of every agent."""
    head[:] = -1
    for half in range(len(ends)):
        following[half] = head[ends[half]]
        head[ends[half]] = half


@compiled
def meets(agent: int, other: int, ends: LinkArray, head: LinkArray, following: LinkArray) -> bool:
    """Whether two agents are linked."""
    half = head[agent]
    while half >= 0:
        if ends[half ^ 1] == other:
            return True
        half = following[half]
    return False


@compiled
def move_end(half: int, agent: int, ends: LinkArray, head: LinkArray, following: LinkArray) -> None:
    """Take a half-link from the agent that has it, and give it to another."""
    before = ends[half]
    if head[before] == half:
        head[before] = following[half]
    else:
        at = head[before]
        while following[at] != half:
            at = following[at]
        following[at] = following[half]
    ends[half] = agent
    following[half] = head[agent]
    head[agent] = half


@compiled
def find_partner(
    agent: int,
    allowed: NDArray[np.int32],
    ends: LinkArray,
    head: LinkArray,
    following: LinkArray,
    generator: np.random.Generator,
) -> int:
    """A uniform choice among `allowed` agents that `agent` neither is nor meets; -1 where there is none."""
    if len(allowed) == 0:
        return -1
    for _ in range(TRIES):
        other = allowed[generator.integers(0, len(allowed))]
        if other != agent and not meets(agent, other, ends, head, following):
            return int(other)
    free = [int(other) for other in allowed if other != agent and not meets(agent, other, ends, head, following)]
    return free[generator.integers(0, len(free))] if free else -1


@compiled
def rewire(
    states: StateArray,
    cutter: int,
    cut: int,
    partners: NDArray[np.bool_],
    chance: float,
    ends: LinkArray,
    head: LinkArray,
    following: LinkArray,
    generator: np.random.Generator,
) -> None:
    """Every link between a cutter and one that is cut is rewired with this chance, one link after the other."""
    allowed = np.empty(0, np.int32)
    is_listed = False
    for link in range(len(ends) // 2):
        for side in range(2):
            own = 2 * link + side
            if states[ends[own]] != cutter or states[ends[own ^ 1]] != cut:
                continue
            if generator.random() >= chance:
                continue
            if not is_listed:
                allowed = np.flatnonzero(partners[states]).astype(np.int32)
                is_listed = True
            other = find_partner(int(ends[own]), allowed, ends, head, following, generator)
            if other >= 0:
                move_end(own ^ 1, other, ends, head, following)
            break


@compiled
def receive_links(ends: LinkArray, emitted: FloatArray, field: FloatArray) -> None:
    """Sum up what every agent receives along its links: arrays [N, channel]."""
    field[:] = 0.0
    for channel in range(field.shape[1]):
        for half in range(len(ends)):
            field[ends[half], channel] += emitted[ends[half ^ 1], channel]


@compiled
def run_adaptive(
    states: StateArray,
    ends: LinkArray,
    rows: IntArray,
    wiring: Wiring,
    table: Table,
    schedule: Schedule,
    length: float,
    rule: tuple[int, int, float],
    partners: NDArray[np.bool_],
    generator: np.random.Generator,
    keep: Buffers,
) -> Outcome:
    """Advance `states` [N] and `ends` [2 links] in place by K synchronous steps; as `kernels.run_steps` for the rest.

    `rule` is (cutter, cut, chance in one step). Links are rewired, and agents jump, by the states at the beginning of a step.
    """
    everyone = np.arange(len(states)).astype(np.int32)
    head, following = np.empty(len(states), np.int32), np.empty(len(ends), np.int32)
    chain(ends, head, following)
    cost = 0.0
    for step in range(len(schedule.control)):
        emit_all(states, rows, schedule.emission[step], keep.emitted)
        receive_links(ends, keep.emitted, keep.field)
        if len(wiring.divisor):
            wiring.divisor[:] = 0.0
            for half in range(len(ends)):
                wiring.divisor[ends[half]] += 1.0
            for agent in range(len(states)):
                wiring.divisor[agent] = max(1.0, wiring.divisor[agent])
        if len(schedule.cost):
            for agent in range(len(states)):
                cost += schedule.cost[step, rows[agent], states[agent]]
        wrong, value = weigh(everyone, states, rows, wiring, table, schedule.control[step], keep)
        if wrong >= 0:
            return Outcome(cost, step, wrong, value)
        count = decide(states, rows, wiring, table, schedule.control[step], length, generator, keep)
        rewire(states, rule[0], rule[1], partners, rule[2], ends, head, following, generator)
        for number in range(count):
            states[keep.moved[number]] = keep.new[number]
    return Outcome(cost, -1, -1, 0.0)
