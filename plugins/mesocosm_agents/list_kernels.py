"""Kernels for one replicate of a contagion-like game (see `contagion`): lists of who is active, and few random numbers.

The entries of the adjacency of all senders are one long strip, on which hits lie at geometric gaps (*push*). Where few can
be hit, they count their contacts instead (*pull*). Those who leave are marked first and move all at once; until then their
state number, an int8, is lowered by 128.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import BoolArray, FloatArray, IntArray, StateArray, Wiring
from mesocosm_agents.contagion import Contagion
from mesocosm_agents.kernels import compiled
from mesocosm_agents.random_bits import Coins, misses, refill, spacing, uniform, wait
from mesocosm_agents.thinning import Thinning, is_felt

NodeArray = NDArray[np.int32]

_LEAVING = 128
_BLOCK = 256


class Costs(NamedTuple):
    """What they cost, in one unit: a sender, and a hit that it lands; an agent that pulls, and each of its contacts; and an
    agent that is looked at to find those who pull."""

    sender: float
    hit: float
    puller: float
    entry: float
    scan: float


@compiled
def mark(
    entries: IntArray,
    source: int,
    states: StateArray,
    wiring: Wiring,
    thinning: Thinning,
    coins: Coins,
    going: NodeArray,
    filled: int,
) -> int:
    """Mark agents in state `source` that are hit through `entries` of the adjacency: they are added to `going`, whose length
    is returned. No branch waits for a state to be read, so that reads from memory overlap."""
    indices = wiring.indices
    if not thinning.is_needed:
        for entry in entries:
            agent = indices[entry]
            state = states[agent]
            is_hit = state == source
            going[filled] = agent
            filled += is_hit
            states[agent] = state - _LEAVING * is_hit
        return filled
    for entry in entries:
        agent = indices[entry]
        if states[agent] == source and is_felt(agent, entry, wiring, thinning, coins.single):
            going[filled] = agent
            filled += 1
            states[agent] -= _LEAVING
    return filled


@compiled
def push(
    members: NodeArray,
    source: int,
    states: StateArray,
    wiring: Wiring,
    thinning: Thinning,
    coins: Coins,
    going: NodeArray,
    filled: int,
) -> int:
    """Mark agents in state `source` that feel one of `members`, as `mark` does."""
    indptr, waits = wiring.indptr, coins.waits
    scale = spacing(thinning.ceiling)
    entries = np.empty(_BLOCK, np.int64)
    count = 0
    gap, used = np.int64(min(wait(coins) * scale, 2.0**60)), coins.used[0]
    for agent in members:
        start = indptr[agent]
        degree = indptr[agent + 1] - start
        while gap < degree:
            entries[count] = start + gap
            count += 1
            if count == _BLOCK:
                filled = mark(entries, source, states, wiring, thinning, coins, going, filled)
                count = 0
            if used == len(waits):
                refill(coins)
                used = 0
            gap += 1 + np.int64(min(waits[used] * scale, 2.0**60))
            used += 1
        gap -= degree
    coins.used[0] = used
    return mark(entries[:count], source, states, wiring, thinning, coins, going, filled)


@compiled
def pull(
    members: NodeArray,
    source: int,
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    rates: FloatArray,
    coins: Coins,
    going: NodeArray,
    filled: int,
) -> int:
    """Mark those of `members` in state `source` that feel a contact, as `mark` does; `rates` [row, state] is what a contact
    of weight 1 in a state adds to intensity times step."""
    indptr, indices, weights, divisor = wiring.indptr, wiring.indices, wiring.weights, wiring.divisor
    for agent in members:
        if states[agent] != source:
            continue
        row, total = rows[agent], 0.0
        for entry in range(indptr[agent], indptr[agent + 1]):
            rate = rates[row, states[indices[entry]] & 127]
            total += rate * weights[entry] if len(weights) else rate
        if len(divisor):
            total /= divisor[agent]
        if total > 0.0 and uniform(coins.single) <= -np.expm1(-total):
            going[filled] = agent
            filled += 1
            states[agent] -= _LEAVING
    return filled


@compiled
def leave(
    members: NodeArray,
    source: int,
    states: StateArray,
    rows: IntArray,
    rate: FloatArray,
    coins: Coins,
    going: NodeArray,
    filled: int,
) -> int:
    """Mark those of `members` in state `source` that leave of themselves, as `mark` does; `rate` [row] is intensity times
    step."""
    ceiling = -np.expm1(-rate.max())
    scale = spacing(ceiling)
    place = misses(coins, scale)
    while place < len(members):
        agent = members[place]
        is_kept = len(rate) == 1 or uniform(coins.single) * ceiling <= -np.expm1(-rate[rows[agent]])
        if is_kept and states[agent] == source:
            going[filled] = agent
            filled += 1
            states[agent] -= _LEAVING
        place += 1 + misses(coins, scale)
    return filled


@compiled
def members_of(state: int, states: StateArray, members: NodeArray) -> int:
    """Write the agents in a state into `members` in their order, and return their number. `members` has room for N + 1."""
    count = 0
    for agent in range(len(states)):
        members[count] = agent
        count += states[agent] == state
    return count


@compiled
def pushing_pays(
    receiver: int,
    step: int,
    contagion: Contagion,
    scale: float,
    size: int,
    degree: float,
    counts: IntArray,
    costs: Costs,
) -> bool:
    """Whether the contacts of one state are cheaper to push than to pull; `scale` turns contact intensities into chances."""
    cost = 0.0
    for number in range(len(contagion.receiver)):
        if contagion.receiver[number] == receiver:
            chance = -np.expm1(-contagion.contact[step, number].max() * scale)
            senders = counts[contagion.senders[number]].sum()
            cost += senders * (costs.sender + degree * chance * costs.hit)
    return bool(cost <= counts[receiver] * (costs.puller + degree * costs.entry) + size * costs.scan)


@compiled
def feel(
    source: int,
    step: int,
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    contagion: Contagion,
    length: float,
    largest: float,
    lists: NodeArray,
    counts: IntArray,
    coins: Coins,
    going: NodeArray,
    filled: int,
    costs: Costs,
) -> int:
    """Mark agents in state `source` that feel a contact, as `mark` does. `lists` [state + 1, N + 1] begin with the agents in
    each state that is listed; the last one is room."""
    size = len(states)
    degree = len(wiring.indices) / size
    if not pushing_pays(source, step, contagion, length * largest, size, degree, counts, costs):
        rates = np.zeros((contagion.contact.shape[2], len(counts)))
        for number in range(len(contagion.receiver)):
            if contagion.receiver[number] == source:
                for sender in np.flatnonzero(contagion.senders[number]):
                    rates[:, sender] += contagion.contact[step, number] * length
        count = members_of(source, states, lists[-1])
        return pull(lists[-1, :count], source, states, rows, wiring, rates, coins, going, filled)
    uneven = len(wiring.weights) > 0 or len(wiring.divisor) > 0
    for number in range(len(contagion.receiver)):
        rate = contagion.contact[step, number] * length
        ceiling = -np.expm1(-rate.max() * largest)
        if contagion.receiver[number] != source or ceiling == 0.0:
            continue
        thinning = Thinning(uneven or len(rate) > 1, rate, rows, ceiling)
        for sender in np.flatnonzero(contagion.senders[number]):
            members = lists[sender, : counts[sender]]
            filled = push(members, source, states, wiring, thinning, coins, going, filled)
    return filled


@compiled
def settle(
    states: StateArray,
    target: IntArray,
    listed: BoolArray,
    lists: NodeArray,
    counts: IntArray,
    going: NodeArray,
    ends: IntArray,
) -> None:
    """Carry out the moves that are marked: those from state s are `going[ends[s]:ends[s + 1]]`."""
    for source in range(len(target)):
        for agent in going[ends[source] : ends[source + 1]]:
            states[agent] = target[source]
    for source in range(len(target)):
        if ends[source + 1] > ends[source]:
            left = lists[source]
            count = 0
            if listed[source]:
                for place in range(counts[source]):
                    agent = left[place]
                    left[count] = agent
                    count += states[agent] == source
            counts[source] -= ends[source + 1] - ends[source]
    for source in range(len(target)):
        goal = target[source]
        for agent in going[ends[source] : ends[source + 1]]:
            if listed[goal]:
                lists[goal, counts[goal]] = agent
            counts[goal] += 1


@compiled
def run_lists(
    states: StateArray,
    rows: IntArray,
    wiring: Wiring,
    largest: float,
    contagion: Contagion,
    length: float,
    coins: Coins,
    counts: IntArray,
    costs: Costs,
) -> float:
    """Advance `states` [N] in place by K synchronous steps, and `counts` [state] with them; returns the summed cost rate.

    `largest` is the reach of the strongest contact (see `contagion.reach`). Only the choice between push and pull depends on
    `costs`.
    """
    size, state_count = len(states), len(counts)
    lists = np.empty((state_count + 1, size + 1), np.int32)
    going, ends = np.empty(size + 1, np.int32), np.zeros(state_count + 1, np.int64)
    listed = np.zeros(state_count, np.bool_)
    for state in range(state_count):
        sends = len(contagion.receiver) > 0 and contagion.senders[:, state].any()
        listed[state] = sends or contagion.leaving[:, state].any()
        if listed[state]:
            members_of(state, states, lists[state])
    cost = 0.0
    for step in range(len(contagion.leaving)):
        if len(contagion.cost):
            for agent in range(size):
                cost += contagion.cost[step, rows[agent], states[agent]]
        filled = 0
        for state in range(state_count):
            if counts[state] > 0 and contagion.target[state] >= 0:
                filled = feel(
                    state,
                    step,
                    states,
                    rows,
                    wiring,
                    contagion,
                    length,
                    largest,
                    lists,
                    counts,
                    coins,
                    going,
                    filled,
                    costs,
                )
                rate = contagion.leaving[step, state] * length
                if rate.max() > 0.0:
                    members = lists[state, : counts[state]]
                    filled = leave(members, state, states, rows, rate, coins, going, filled)
            ends[state + 1] = filled
        settle(states, contagion.target, listed, lists, counts, going, ends)
    return cost
