"""Who leaves a state in one step of a contagion-like game (see `contagion`), from lists of who is active.

The entries of the adjacency of all senders are one long strip, on which hits lie at geometric gaps (*push*). Where few can
be hit, they count their contacts instead (*pull*). Those who leave are marked first and move all at once; until then their
state number, an int8, is lowered by 128.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray, StateArray, Wiring
from mesocosm_agents.kernels import compiled
from mesocosm_agents.random_bits import NEVER, Coins, misses, refill, spacing, uniform
from mesocosm_agents.thinning import Thinning, is_felt

NodeArray = NDArray[np.int32]

_LEAVING = 128
_BLOCK = 256


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
    weights, divisor, single = wiring.weights, wiring.divisor, coins.single
    rate, rows, ceiling = thinning.rate, thinning.rows, thinning.ceiling
    for entry in entries:
        agent = indices[entry]
        if states[agent] == source and is_felt(agent, entry, weights, divisor, rate, rows, ceiling, single):
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
    gap, used = misses(coins, scale), coins.used[0]
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
            gap += 1 + int(min(waits[used] * scale, NEVER))
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
    single = coins.single
    for agent in members:
        if states[agent] != source:
            continue
        row, total = rows[agent], 0.0
        for entry in range(indptr[agent], indptr[agent + 1]):
            rate = rates[row, states[indices[entry]] & 127]
            total += rate * weights[entry] if len(weights) else rate
        if len(divisor):
            total /= divisor[agent]
        if total > 0.0 and uniform(single) <= -np.expm1(-total):
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
    scale, single, waits = spacing(ceiling), coins.single, coins.waits
    place, used = misses(coins, scale), coins.used[0]
    while place < len(members):
        agent = members[place]
        is_kept = len(rate) == 1 or uniform(single) * ceiling <= -np.expm1(-rate[rows[agent]])
        if is_kept and states[agent] == source:
            going[filled] = agent
            filled += 1
            states[agent] -= _LEAVING
        if used == len(waits):
            refill(coins)
            used = 0
        place += 1 + int(min(waits[used] * scale, NEVER))
        used += 1
    coins.used[0] = used
    return filled
