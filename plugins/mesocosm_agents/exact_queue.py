"""The queue of the exact engine: events wait in buckets of time; those of the present bucket are in a heap.

An event waits in a slot: `slots` [capacity, 3 or 5] hold its time (in buckets), its code, the next slot in the same bucket
or among the free ones; and where visits count, an agent and how often it had jumped when the event was drawn. `near` is the
heap of the slots of the present bucket, `head` [bucket] the first slot of each later one, `place` [6]: the first free slot,
slots ever used, the present bucket, the length of the heap, slots that wait, and a number that the user of the queue keeps.
Source: calendar queues, Brown, Commun. ACM 31, 1220 (1988).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray

NumberArray = NDArray[np.int32]
Function = TypeVar("Function", bound=Callable[..., Any])


def bare(inline: bool) -> Callable[[Function], Function]:
    """`kernels.compiled` for what allocates nothing: references to arrays are not counted, which takes half of the time."""

    def decorate(function: Function) -> Function:
        options = {"_nrt": False, "error_model": "numpy", "forceinline": inline}
        return cast(Function, numba.njit(nogil=True, cache=True, **options)(function))

    return decorate


@bare(inline=True)
def _rise(slots: FloatArray, near: NumberArray, place: IntArray, slot: int) -> None:
    """Put a slot into the heap of the present bucket."""
    child = place[3]
    place[3] += 1
    time = slots[slot, 0]
    while child > 0:
        parent = (child - 1) >> 1
        if slots[near[parent], 0] <= time:
            break
        near[child] = near[parent]
        child = parent
    near[child] = slot


@bare(inline=True)
def take_first(slots: FloatArray, near: NumberArray, head: NumberArray, place: IntArray) -> int:
    """The slot of the next event, taken out of the queue; -1 where there is none."""
    while place[3] == 0:
        place[2] += 1
        if place[2] == len(head):
            return -1
        slot = head[place[2]]
        while slot >= 0:
            following = int(slots[slot, 2])
            _rise(slots, near, place, slot)
            slot = following
    first = near[0]
    place[3] -= 1
    size = place[3]
    slot, hole = near[size], 0
    time = slots[slot, 0]
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and slots[near[child + 1], 0] < slots[near[child], 0]:
            child += 1
        if time <= slots[near[child], 0]:
            break
        near[hole] = near[child]
        hole = child
    near[hole] = slot
    slots[first, 2] = place[0]
    place[0] = first
    place[4] -= 1
    return int(first)


@bare(inline=True)
def push(
    slots: FloatArray,
    near: NumberArray,
    head: NumberArray,
    place: IntArray,
    time: float,
    code: int,
    owner: int,
    visits: NumberArray,
) -> None:
    """Let an event wait; there must be a slot."""
    slot = place[0]
    if slot >= 0:
        place[0] = int(slots[slot, 2])
    else:
        slot = place[1]
        place[1] += 1
    place[4] += 1
    slots[slot, 0], slots[slot, 1] = time, code
    if len(visits):
        slots[slot, 3], slots[slot, 4] = owner, visits[owner]
    bucket = int(time)
    if bucket <= place[2]:
        _rise(slots, near, place, slot)
    else:
        slots[slot, 2] = head[bucket]
        head[bucket] = slot
