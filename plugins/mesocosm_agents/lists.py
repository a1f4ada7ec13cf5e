"""The list engine: one replicate of a contagion-like game after the other, by lists of who is active (see `list_steps`).

What is held are states and counts, so that the occupancy costs nothing; lists are made anew in each stretch, in the order of
the agents: then a run that goes on from states alone takes the same course. That reads one byte for each agent, as copying
the states does.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.compiled import CompiledEngine, in_threads
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.contagion import make_contagion, reach
from mesocosm_agents.engine import Engine, Play, Stretch, count_states
from mesocosm_agents.list_steps import Costs, run_lists
from mesocosm_agents.random_bits import make_coins

COSTS = Costs(sender=3.0, hit=8.0, puller=10.0, entry=1.5, scan=0.5)
"""Measured, in nanoseconds."""


@dataclass(eq=False)
class Crowd:
    """All agents. `states` [replicate, N]; `counts` [replicate, state]: agents in each state."""

    states: StateArray
    counts: IntArray


class ListEngine(Engine):
    """See the module docstring."""

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self._reaches: weakref.WeakKeyDictionary[Contacts, float] = weakref.WeakKeyDictionary()

    def load(self, states: StateArray) -> Crowd:
        return Crowd(states.copy(), self._count(states))

    def unload(self, held: Crowd) -> StateArray:
        return held.states

    def copy(self, held: Crowd) -> Crowd:
        return Crowd(held.states.copy(), held.counts.copy())

    def occupancy(self, held: Crowd) -> FloatArray:
        return np.asarray(held.counts / held.states.shape[1], np.float64)

    def advance(self, held: Crowd, numbers: IntArray, stretch: Stretch) -> FloatArray:
        play = self.play
        count, length = play.substeps(stretch)
        times = np.array([stretch.start + step * length for step in range(count)])
        contagion = make_contagion(play, times)
        if contagion is None:
            cost = self._fallback.advance(held.states, numbers, stretch)
            held.counts[:] = self._count(held.states)
            return cost

        def one(place: int) -> float:
            replicate = int(numbers[place])
            contacts = play.graphs.contacts(replicate)
            coins = make_coins(play.generator(stretch, replicate))
            states, counts, largest = held.states[place], held.counts[place], self._reaches[contacts]
            return run_lists(states, contacts.rows, contacts.wiring, largest, contagion, length, coins, counts, COSTS)

        # A graph is drawn here, before the threads start: a builder need not be safe to call from several.
        for replicate in numbers.tolist():
            contacts = play.graphs.contacts(replicate)
            if contacts not in self._reaches:
                self._reaches[contacts] = reach(contacts)
        paid: FloatArray = np.array(in_threads(one, len(numbers)), np.float64)
        return np.asarray(paid * (length / held.states.shape[1]), np.float64)

    def _count(self, states: StateArray) -> IntArray:
        return count_states(states, len(self.play.game.states))

    @cached_property
    def _fallback(self) -> CompiledEngine:
        return CompiledEngine(self.play)
