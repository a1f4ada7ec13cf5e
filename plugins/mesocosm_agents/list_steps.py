"""Time steps of one replicate of a contagion-like game (see `contagion`): the cheaper of push and pull, and lists."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mesocosm_agents.arrays import BoolArray, IntArray, StateArray, Wiring
from mesocosm_agents.contagion import Contagion
from mesocosm_agents.kernels import compiled
from mesocosm_agents.list_kernels import NodeArray, leave, pull, push
from mesocosm_agents.random_bits import Coins
from mesocosm_agents.thinning import Thinning


class Costs(NamedTuple):
    """What they cost, in one unit: a sender, and a hit that it lands; an agent that pulls, and each of its contacts; and an
    agent that is looked at to find those who pull."""

    sender: float
    hit: float
    puller: float
    entry: float
    scan: float


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
