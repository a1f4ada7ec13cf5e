"""Kernels for many replicates at once: bit b of a word belongs to replicate b, and one logical operation serves them all.

A population is a set of planes [state, N], one bit per replicate: plane s tells who is in state s. The coins of contacts (see
`contagion`) are tossed in one of two ways. *Pull*: one word of coins for each contact of every agent with a bit to lose.
*Push*: the bits of the senders times their degrees are one long strip, on which hits lie at geometric gaps; it pays where
senders are few. Where contacts differ, all get the largest chance, and hits are thinned.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray, Wiring
from mesocosm_agents.contagion import Contagion
from mesocosm_agents.kernels import compiled
from mesocosm_agents.random_bits import NEVER, Coins, misses, refill, set_chance, spacing, toss, uniform
from mesocosm_agents.thinning import Thinning, is_felt

Plane = NDArray[Any]
"""One word per agent, [N], of uint32 or uint64."""


class Costs(NamedTuple):
    """What a hit that is pushed, an agent that is passed by and an entry that is pulled cost, in one unit."""

    hit: float
    agent: float
    entry: float


@compiled
def ones(word: np.uint64) -> int:
    """Number of bits that are set; LLVM makes one instruction of it."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return int(np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56)))


@compiled
def pull(plane: Plane, source: Plane, wiring: Wiring, thinning: Thinning, coins: Coins, moved: Plane) -> None:
    """Mark in `moved` the bits of `plane` that feel a contact in `source`. `coins` are set to the ceiling."""
    indptr, indices, weights, divisor = wiring.indptr, wiring.indices, wiring.weights, wiring.divisor
    is_needed, rate, rows, ceiling = thinning.is_needed, thinning.rate, thinning.rows, thinning.ceiling
    single = coins.single
    words = coins.words.view(plane.dtype)
    size = len(words)
    at = size
    for agent in range(len(plane)):
        free = plane[agent]
        if free == 0:
            continue
        found = free & 0
        entry, stop = indptr[agent], indptr[agent + 1]
        while entry < stop:
            if at == size:
                toss(coins)
                at = 0
            take = min(stop - entry, size - at)
            if is_needed:
                for place in range(take):
                    hits = np.uint64(words[at + place] & source[indices[entry + place]] & free)
                    while hits:
                        bit = hits & (~hits + np.uint64(1))
                        hits ^= bit
                        if is_felt(agent, entry + place, weights, divisor, rate, rows, ceiling, single):
                            found |= bit
            else:
                for place in range(take):
                    found |= words[at + place] & source[indices[entry + place]]
            at += take
            entry += take
        moved[agent] |= found & free


@compiled
def push(plane: Plane, source: Plane, wiring: Wiring, thinning: Thinning, coins: Coins, moved: Plane) -> None:
    """As `pull`, from the senders."""
    indptr, indices, weights, divisor = wiring.indptr, wiring.indices, wiring.weights, wiring.divisor
    is_needed, rate, rows, ceiling = thinning.is_needed, thinning.rate, thinning.rows, thinning.ceiling
    single, waits, scale = coins.single, coins.waits, spacing(ceiling)
    gap, used = misses(coins, scale), coins.used[0]
    for agent in range(len(plane)):
        word = np.uint64(source[agent])
        if word == 0:
            continue
        start = indptr[agent]
        degree = indptr[agent + 1] - start
        left = ones(word) * degree
        while gap < left:
            while gap >= degree:
                gap -= degree
                left -= degree
                word &= word - np.uint64(1)
            contact = indices[start + gap]
            hit = plane[contact] & (word & (~word + np.uint64(1)))
            if not is_needed or (hit and is_felt(contact, start + gap, weights, divisor, rate, rows, ceiling, single)):
                moved[contact] |= hit
            if used == len(waits):
                refill(coins)
                used = 0
            gap += 1 + int(min(waits[used] * scale, NEVER))
            used += 1
        gap -= left
    coins.used[0] = used


@compiled
def leave(plane: Plane, rate: FloatArray, rows: IntArray, coins: Coins, moved: Plane) -> None:
    """Mark in `moved` the bits of `plane` that leave of themselves; `rate` [row] is intensity times step."""
    ceiling = -np.expm1(-rate.max())
    is_even = len(rate) == 1
    words, single = coins.words.view(plane.dtype), coins.single
    set_chance(coins, ceiling)
    for start in range(0, len(plane), len(words)):
        toss(coins)
        stop = min(start + len(words), len(plane))
        if is_even:
            for agent in range(start, stop):
                moved[agent] |= words[agent - start] & plane[agent]
            continue
        for agent in range(start, stop):
            hits = np.uint64(words[agent - start] & plane[agent])
            chance = -np.expm1(-rate[rows[agent]])
            while hits:
                bit = hits & (~hits + np.uint64(1))
                hits ^= bit
                if uniform(single) * ceiling <= chance:
                    moved[agent] |= bit


@compiled
def pay(planes: Plane, cost: FloatArray, rows: IntArray, paid: FloatArray) -> None:
    """Add the cost of all agents, `cost` [row, state], to what each replicate has paid, `paid` [bit]."""
    for state in range(len(planes)):
        if not cost[:, state].any():
            continue
        plane = planes[state]
        for agent in range(len(plane)):
            word, price = np.uint64(plane[agent]), cost[rows[agent], state]
            for bit in range(len(paid)):
                paid[bit] += price * np.float64((word >> np.uint64(bit)) & np.uint64(1))


@compiled
def run_words(
    planes: Plane,
    rows: IntArray,
    wiring: Wiring,
    largest: float,
    contagion: Contagion,
    length: float,
    coins: Coins,
    paid: FloatArray,
    costs: Costs,
) -> None:
    """Advance planes [state, N] in place by K synchronous steps; adds what each replicate pays to `paid` [bit].

    `largest` is the reach of the strongest contact (see `contagion.reach`). Only the choice between push and pull depends on
    `costs`.
    """
    states, size = planes.shape
    degree = len(wiring.indices) / size
    # Left empty: pages that are not touched take no memory.
    moved, joined = np.empty_like(planes), np.empty_like(planes[0])
    uneven = len(wiring.weights) > 0 or len(wiring.divisor) > 0
    crowd = np.zeros(states)
    for state in range(states):
        crowd[state] = count(planes[state])
        if contagion.target[state] >= 0:
            moved[state] = 0
    for step in range(len(contagion.leaving)):
        if len(contagion.cost):
            pay(planes, contagion.cost[step], rows, paid)
        for number in range(len(contagion.receiver)):
            receiver, rate = contagion.receiver[number], contagion.contact[step, number] * length
            senders = np.flatnonzero(contagion.senders[number])
            crowded = crowd[senders].sum()
            ceiling = -np.expm1(-rate.max() * largest)
            if ceiling == 0.0 or crowded == 0.0 or crowd[receiver] == 0.0:
                continue
            source = planes[senders[0]]
            if len(senders) > 1:
                joined[:] = 0
                for sender in senders:
                    joined |= planes[sender]
                source = joined
            thinning = Thinning(uneven or len(rate) > 1, rate, rows, ceiling)
            plane, going = planes[receiver], moved[receiver]
            if crowded * degree * ceiling * costs.hit + size * costs.agent < size * degree * costs.entry:
                push(plane, source, wiring, thinning, coins, going)
            else:
                set_chance(coins, ceiling)
                pull(plane, source, wiring, thinning, coins, going)
        for state in range(states):
            rate = contagion.leaving[step, state] * length
            if rate.max() > 0.0 and crowd[state] > 0.0:
                leave(planes[state], rate, rows, coins, moved[state])
        settle(planes, moved, contagion.target, crowd)


@compiled
def settle(planes: Plane, moved: Plane, target: IntArray, crowd: FloatArray) -> None:
    """Carry out the moves that are marked, all at once, and count the bits of each state anew."""
    for state in range(len(planes)):
        if target[state] < 0:
            continue
        going, here, there = moved[state], planes[state], planes[target[state]]
        gone = 0
        for agent in range(len(going)):
            word = going[agent]
            here[agent] ^= word
            there[agent] |= word
            gone += ones(np.uint64(word))
            going[agent] = 0
        crowd[state] -= gone
        crowd[target[state]] += gone


@compiled
def count(plane: Plane) -> float:
    """Bits that are set in a plane."""
    total = 0
    for word in plane:
        total += ones(np.uint64(word))
    return np.float64(total)


@compiled
def count_bits(planes: Plane, counts: IntArray) -> None:
    """Agents in each state in each replicate: planes [state, N] to `counts` [bit, state]."""
    for state in range(len(planes)):
        plane = planes[state]
        for bit in range(len(counts)):
            total = np.uint64(0)
            for agent in range(len(plane)):
                total += (np.uint64(plane[agent]) >> np.uint64(bit)) & np.uint64(1)
            counts[bit, state] = total


@compiled
def weave(states: NDArray[np.int8], planes: Plane) -> None:
    """States [replicate, N] to planes [state, N], which are zero before."""
    for state in range(len(planes)):
        plane = planes[state]
        for bit in range(len(states)):
            row = states[bit]
            for agent in range(len(row)):
                plane[agent] |= np.uint64(row[agent] == state) << np.uint64(bit)


@compiled
def unweave(planes: Plane, states: NDArray[np.int8]) -> None:
    """Planes [state, N] to states [replicate, N], which are zero before."""
    for state in range(1, len(planes)):
        plane = planes[state]
        for bit in range(len(states)):
            row = states[bit]
            for agent in range(len(row)):
                row[agent] += np.int8(((np.uint64(plane[agent]) >> np.uint64(bit)) & np.uint64(1)) * np.uint64(state))
