"""Compiled kernel of the exact engine: the jumps of one replicate in continuous time, in the order in which they happen.

While an agent stays in its state it does two things at constant rates, which are drawn as soon as it enters: it leaves
by itself after an exponential time, and until then it makes attempts on its contacts, a Poisson number of them, at times
that are uniform. An attempt succeeds with the share of the largest receptivity that the receiver has when it comes. So
no list of rates has to be kept up to date, whoever jumps. Attempts on an agent that can never be moved by them
any more are dropped at once.
At the end of a window everything that still waits is dropped, and drawn anew in the next one: exponential times have no
memory. Sources: thinning, Lewis and Shedler, Nav. Res. Logist. Q. 26, 403 (1979); calendar queues, Brown, Commun. ACM 31, 1220
(1988); event-driven epidemics, Kiss, Miller, Simon, Mathematics of Epidemics on Networks (2017), appendix A.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mesocosm_agents.arrays import BoolArray, FloatArray, IntArray, StateArray, Table, Wiring
from mesocosm_agents.exact_queue import NumberArray, bare, push, take_first
from mesocosm_agents.kernels import compiled
from mesocosm_agents.random_bits import Coins, refill, uniform

_LARGEST_BUCKETS = 2**16
"""Buckets whose heads fit the second-level cache."""


class Law(NamedTuple):
    """What agents do while nothing changes from outside.

    `leave` [row, state]: summed rate of the spontaneous transitions. `attempt` [row, state, channel]: rate of the
    attempts on a contact of weight 1. `largest` [channel]: the receptivity that attempts are made for. `closed`
    [state, channel]: whether attempts on agents in this state are in vain for ever. `active` [state]: whether agents do
    anything. `control` [row, state]; `cost` [row, state], or empty.
    """

    leave: FloatArray
    attempt: FloatArray
    largest: FloatArray
    closed: BoolArray
    active: BoolArray
    control: FloatArray
    cost: FloatArray


class Crowd(NamedTuple):
    """The agents of one replicate, changed in place.

    `states` [N]. `rows` [N], or empty where all are 0. `visits` [N]: how often each has jumped, or empty where no induced
    jump can make what waits invalid. `counts` [2, state]: agents in each state, now and at most so far. `paid` [4]: the
    integral of the cost rate of all agents, that rate now, the time up to which it is integrated, the time of the last jump.
    """

    states: StateArray
    rows: IntArray
    visits: NumberArray
    counts: IntArray
    paid: FloatArray


@bare(inline=True)
def _jump(agent: int, row: int, channel: int, mark: float, crowd: Crowd, table: Table, law: Law) -> bool:
    """Move an agent by a transition of this channel, or of none (-1): the one in whose rate the mark falls, when the rates
    are put one after the other. False where it falls beyond the last."""
    state = crowd.states[agent]
    for number in range(table.first[state], table.first[state + 1]):
        if table.channel[number] == channel:
            mark -= table.rate[number] * (law.control[row, state] if table.controlled[number] else 1.0)
            if mark < 0.0:
                new = table.target[number]
                crowd.states[agent] = new
                crowd.counts[0, state] -= 1
                crowd.counts[0, new] += 1
                crowd.counts[1, new] = max(crowd.counts[1, new], crowd.counts[0, new])
                return True
    return False


@bare(inline=True)
def _happen(
    slot: int,
    slots: FloatArray,
    crowd: Crowd,
    table: Table,
    law: Law,
    window: tuple[float, float],
    random: Coins,
) -> int:
    """Let the event in a slot happen; the agent that jumped, or -1."""
    kinds = len(law.largest) + 1
    code = int(slots[slot, 1])
    agent, kind = code // kinds, code % kinds
    if len(crowd.visits) and crowd.visits[int(slots[slot, 3])] != int(slots[slot, 4]):
        return -1
    state, row = crowd.states[agent], (crowd.rows[agent] if len(crowd.rows) else 0)
    mark = (1.0 - uniform(random.single)) * (law.leave[row, state] if kind == 0 else law.largest[kind - 1])
    if not _jump(agent, row, kind - 1, mark, crowd, table, law):
        return -1
    if len(crowd.visits):
        crowd.visits[agent] += 1
    paid = crowd.paid
    paid[3] = window[0] + slots[slot, 0] * window[1]
    if len(law.cost):
        paid[0] += paid[1] * (paid[3] - paid[2])
        paid[1] += law.cost[row, crowd.states[agent]] - law.cost[row, state]
        paid[2] = paid[3]
    return agent


@bare(inline=True)
def _attempt(
    slots: FloatArray,
    near: NumberArray,
    head: NumberArray,
    place: IntArray,
    visit: FloatArray,
    crowd: Crowd,
    wiring: Wiring,
    top: FloatArray,
    law: Law,
    unit: float,
    random: Coins,
) -> bool:
    """Draw the attempts of one channel that an agent makes while it stays in its state; false when no slot is left."""
    agent, end, channel, time = int(visit[0]), visit[2], int(visit[3]), visit[4]
    row, state, kinds = (crowd.rows[agent] if len(crowd.rows) else 0), crowd.states[agent], len(law.largest) + 1
    pace = law.attempt[row, state, channel] * unit
    entry, entries = 0, len(crowd.states) - 1
    if not wiring.is_complete:
        entry = wiring.indptr[agent]
        entries = wiring.indptr[agent + 1] - entry
        pace *= entries * (top[agent] if len(top) else 1.0)
    while pace > 0.0:
        if place[4] == len(slots):
            visit[4] = time
            return False
        if random.used[0] == len(random.waits):
            refill(random)
        time += random.waits[random.used[0]] / pace
        random.used[0] += 1
        if time >= end:
            break
        draw = (1.0 - uniform(random.single)) * entries
        skip = int(draw)
        other = skip + (skip >= agent) if wiring.is_complete else wiring.indices[entry + skip]
        if len(top):
            weight = wiring.weights[entry + skip] if len(wiring.weights) else 1.0
            if len(wiring.divisor):
                weight /= wiring.divisor[other]
            # What is left of the draw is uniform again.
            if (draw - skip) * top[agent] >= weight:
                continue
        if not law.closed[crowd.states[other], channel]:
            push(slots, near, head, place, time, other * kinds + 1 + channel, agent, crowd.visits)
    return True


@bare(inline=False)
def _proceed(
    slots: FloatArray,
    near: NumberArray,
    head: NumberArray,
    place: IntArray,
    visit: FloatArray,
    crowd: Crowd,
    wiring: Wiring,
    top: FloatArray,
    table: Table,
    law: Law,
    window: tuple[float, float],
    random: Coins,
) -> bool:
    """Go on with a window until it is over (true) or no slot is left (false); `window` is its start and the length of a
    bucket.

    `visit` [5]: the agent that has entered its state (-1: nobody), when, when it leaves, the channel and the time of its
    last attempt. `place[5]`: who comes next at the start.
    """
    stop, channels, unit = float(len(head)), len(law.largest), window[1]
    while True:
        while visit[0] >= 0.0:
            if visit[3] == channels:
                visit[0] = -1.0
            elif _attempt(slots, near, head, place, visit, crowd, wiring, top, law, unit, random):
                visit[3], visit[4] = visit[3] + 1.0, visit[1]
            else:
                return False
        if place[4] == len(slots):
            return False
        if place[5] < len(crowd.states):
            agent, now = place[5], 0.0
            place[5] += 1
        else:
            slot = take_first(slots, near, head, place)
            if slot < 0:
                return True
            agent, now = _happen(slot, slots, crowd, table, law, window, random), slots[slot, 0]
        if agent < 0 or not law.active[crowd.states[agent]]:
            continue
        visit[0], visit[1], visit[2], visit[3], visit[4] = agent, now, stop, 0.0, now
        leave = law.leave[crowd.rows[agent] if len(crowd.rows) else 0, crowd.states[agent]] * unit
        if leave > 0.0:
            leaving = now - np.log(uniform(random.single)) / leave
            if leaving < stop:
                visit[2] = leaving
                push(slots, near, head, place, leaving, agent * (channels + 1), agent, crowd.visits)


@compiled
def largest_weights(wiring: Wiring) -> FloatArray:
    """The largest weight that each agent has for a contact, divided as that contact's field is: shape [N]."""
    top = np.zeros(len(wiring.indptr) - 1)
    indptr, indices, weights, divisor = wiring.indptr, wiring.indices, wiring.weights, wiring.divisor
    for agent in range(len(top)):
        for entry in range(indptr[agent], indptr[agent + 1]):
            weight = weights[entry] if len(weights) else 1.0
            if len(divisor):
                weight /= divisor[indices[entry]]
            top[agent] = max(top[agent], weight)
    return top


@compiled
def run_windows(
    crowd: Crowd,
    wiring: Wiring,
    top: FloatArray,
    table: Table,
    law: Law,
    start: float,
    length: float,
    windows: int,
    random: Coins,
) -> None:
    """Advance a crowd by a time `length`, cut into windows; `top` is what `largest_weights` gives, or empty where all
    weights are 1, and `random` where random numbers come from."""
    # Also compiles it here, with references counted, which it needs: a bare kernel hands its own way down to what it calls.
    refill(random)
    size = len(crowd.states)
    buckets = min(max(size // 8, 16), _LARGEST_BUCKETS)
    slots = np.empty((1024 + size // 16, 5 if len(crowd.visits) else 3))
    near, head, place = np.empty(len(slots), np.int32), np.empty(buckets, np.int32), np.empty(6, np.int64)
    visit, unit = np.empty(5), length / windows / buckets
    for number in range(windows):
        head[:], place[:], visit[:] = -1, 0, 0.0
        place[0] = place[2] = visit[0] = -1
        window = (start + number * length / windows, unit)
        while not _proceed(slots, near, head, place, visit, crowd, wiring, top, table, law, window, random):
            more, heap = np.empty((2 * len(slots), slots.shape[1])), np.empty(2 * len(slots), np.int32)
            more[: len(slots)], heap[: len(near)] = slots, near
            slots, near = more, heap
