"""Events in a mean field: what happens at a save, and whom doses reach on the types of a closure.

The chosen nodes get a dose whatever their state, so in type tau the share d[tau] of every state that a dose affects moves:

    individual    d is 1 for the nodes that the strategy chooses, 0 for the others
    degree        strategy degree: 1 from the highest class down until the doses are used up, a part of the last class
    any           strategy random: d = doses / N, the mean over all choices

A type that mixes nodes which a strategy tells apart would make every strategy random: that is refused.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm import InputError, Mixing, Problem, Streams, Vaccination

FloatArray = NDArray[np.float64]

RANDOM, BY_DEGREE = "random", "degree"


class Interventions:
    """The events of a problem, on the types of `mixing`; chance in the choice of nodes is from `streams`."""

    def __init__(self, problem: Problem, mixing: Mixing, streams: Streams) -> None:
        self.problem, self.mixing, self.streams = problem, mixing, streams

    def check(self, where: str) -> None:
        """Raise `InputError` for a strategy that the closure cannot tell from another one."""
        closure = self.mixing.closure
        able = {"individual": "any strategy", "degree": f"the strategies {RANDOM} and {BY_DEGREE}"}
        for event in self.problem.events.items:
            vaccination = event.vaccination
            if vaccination is None or closure == "individual" or vaccination.strategy == RANDOM:
                continue
            if closure != "degree" or vaccination.strategy != BY_DEGREE:
                raise InputError(
                    f"event '{event.name}' vaccinates by the strategy '{vaccination.strategy}'",
                    where=where,
                    rule=f"closure {closure} can express {able.get(closure, f'the strategy {RANDOM} only')}",
                    hint="use closure: individual"
                    + (", or degree" if vaccination.strategy == BY_DEGREE else "")
                    + f", or strategy: {RANDOM}",
                )

    def act(self, time: float, occupancy: FloatArray, fired: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Occupancy [type, state] and when each event happened [event] (NaN: not yet), after the events of this save."""
        events = self.problem.events
        if not events:
            return occupancy, fired
        fired = fired.copy()
        for number in events.due(time, self.mixing.shares @ occupancy, events.history(fired)):
            fired[number] = time
            vaccination = events.items[number].vaccination
            if vaccination is not None:
                occupancy = self._dosed(occupancy, vaccination, self._doses[number])
        return occupancy, fired

    @staticmethod
    def _dosed(occupancy: FloatArray, vaccination: Vaccination, doses: FloatArray) -> FloatArray:
        """Occupancy after a share of each type, `doses` [type], got a dose."""
        states = np.arange(occupancy.shape[-1])
        result = occupancy.copy()
        for source, target in zip(states, vaccination.dosed(states), strict=True):
            if source != target:
                moved = doses * occupancy[:, source]
                result[:, source] -= moved
                result[:, target] += moved
        return result

    @cached_property
    def _doses(self) -> dict[int, FloatArray]:
        """The share of every type that gets a dose, by the number of the event."""
        items = enumerate(self.problem.events.items)
        return {number: self._share(number, item.vaccination) for number, item in items if item.vaccination is not None}

    def _share(self, number: int, vaccination: Vaccination) -> FloatArray:
        problem, types = self.problem, self.mixing
        share = vaccination.count / problem.population.size
        if vaccination.strategy == RANDOM:
            return np.full(len(types.types), share)
        if types.closure == "degree":
            order = np.argsort(-types.degrees, kind="stable")
            before = np.cumsum(types.shares[order]) - types.shares[order]
            result = np.empty(len(order))
            result[order] = ((share - before) / types.shares[order]).clip(0.0, 1.0)
            return result
        generator = self.streams.generator("event", interval=number)
        return np.bincount(vaccination.nodes(problem.graph, generator), minlength=len(types.types)).astype(np.float64)
