"""The word engine: many replicates of a contagion-like game on one graph, one bit of a word for each (see `word_kernels`).

The random numbers of a word come from the stream of its first replicate, and how they are used depends on all replicates in
it: another number of replicates is another sample of the same law. Each word runs in a thread of its own, from its own
numbers, so that results do not depend on how many threads there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.compiled import CompiledEngine, in_threads
from mesocosm_agents.contagion import make_contagion, reach
from mesocosm_agents.engine import Engine, Play, Stretch
from mesocosm_agents.random_bits import make_coins
from mesocosm_agents.word_kernels import Costs, count_bits, run_words, unweave, weave

FEWEST = 24
"""Replicates from which on words pay, against one run after the other."""

COSTS = Costs(hit=5.0, agent=2.0, entry=1.0)
"""Measured: in units of 2 nanoseconds."""

_NARROW = 64
"""Up to so many replicates words have 32 bits, so that two threads have work; above it 64."""


def pays(play: Play, replicates: int) -> bool:
    """Whether words are faster for a contagion-like game than one replicate after the other; they need one graph for all."""
    return replicates >= FEWEST and not play.graphs.redraw


@dataclass(eq=False)
class Words:
    """Replicates in words. `planes` [word, state, N]; `counts` [replicate, state]: agents in each state."""

    planes: NDArray[Any]
    counts: IntArray


class WordEngine(Engine):
    """See the module docstring."""

    def load(self, states: StateArray) -> Words:
        replicates, size = states.shape
        kind = np.uint32 if replicates <= _NARROW else np.uint64
        width = 8 * np.dtype(kind).itemsize
        shape = (-(-replicates // width), len(self.play.game.states), size)
        words = Words(np.zeros(shape, kind), np.zeros((replicates, shape[1]), np.int64))

        def one(number: int) -> float:
            chosen = slice(number * width, (number + 1) * width)
            weave(states[chosen], words.planes[number])
            count_bits(words.planes[number], words.counts[chosen])
            return 0.0

        in_threads(one, shape[0])
        return words

    def unload(self, held: Words) -> StateArray:
        width = 8 * held.planes.itemsize
        states = np.zeros((len(held.counts), held.planes.shape[2]), np.int8)
        for number, planes in enumerate(held.planes):
            unweave(planes, states[number * width : (number + 1) * width])
        return states

    def copy(self, held: Words) -> Words:
        return Words(held.planes.copy(), held.counts.copy())

    def occupancy(self, held: Words) -> FloatArray:
        return np.asarray(held.counts / held.planes.shape[2], np.float64)

    def advance(self, held: Words, numbers: IntArray, stretch: Stretch) -> FloatArray:
        count, length = self.play.substeps(stretch)
        times = np.array([stretch.start + step * length for step in range(count)])
        contagion = make_contagion(self.play, times)
        if contagion is None:
            return self._advance_states(held, numbers, stretch)
        contacts, largest = self.play.graphs.contacts(0), self._reach
        width, paid = 8 * held.planes.itemsize, np.zeros(len(numbers))

        def one(number: int) -> float:
            chosen = slice(number * width, (number + 1) * width)
            coins = make_coins(self.play.generator(stretch, int(numbers[chosen][0])))
            planes = held.planes[number]
            run_words(planes, contacts.rows, contacts.wiring, largest, contagion, length, coins, paid[chosen], COSTS)
            count_bits(planes, held.counts[chosen])
            return 0.0

        in_threads(one, len(held.planes))
        return paid * length / contacts.size

    def _advance_states(self, held: Words, numbers: IntArray, stretch: Stretch) -> FloatArray:
        """For a stretch that is not contagion-like: one replicate after the other."""
        states = self.unload(held)
        cost = self._fallback.advance(states, numbers, stretch)
        after = self.load(states)
        held.planes[:], held.counts[:] = after.planes, after.counts
        return cost

    @cached_property
    def _fallback(self) -> CompiledEngine:
        return CompiledEngine(self.play)

    @cached_property
    def _reach(self) -> float:
        return reach(self.play.graphs.contacts(0))
