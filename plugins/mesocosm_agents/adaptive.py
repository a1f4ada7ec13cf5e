"""The engine for games whose agents rewire the contact graph; its time step is the law in `engine`.

In a step, by the states at its beginning, agents jump, and every link that the rule names is rewired with probability
1 - exp(-rate dt). Every replicate has links of its own, which go into a checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, DynamicsError, InputError, Rewiring
from mesocosm_agents.adaptive_kernels import LinkArray, run_adaptive
from mesocosm_agents.arrays import FloatArray, IntArray, Schedule, StateArray
from mesocosm_agents.compiled import buffers, in_threads, is_tabular, make_schedule, make_table
from mesocosm_agents.engine import Engine, Play, Stretch


@dataclass(eq=False)
class Linked:
    """States of the agents, [replicate, N], and the ends of the links of each replicate, [2 links]; None where they are
    still those of the graph as it was built."""

    states: StateArray
    ends: list[LinkArray | None]

    def copy(self) -> Linked:
        """A copy that can be advanced apart."""
        return Linked(self.states.copy(), [None if ends is None else ends.copy() for ends in self.ends])


class AdaptiveEngine(Engine):
    """See the module docstring. For tabular games, under a policy that ignores the field."""

    def __init__(self, play: Play, rule: Rewiring) -> None:
        super().__init__(play)
        self.rule = rule
        if not is_tabular(play.game, play.policy):
            raise InputError(
                "agents that rewire their links, under a policy that looks at the field",
                where=f"dynamics '{play.streams.label}'",
                rule="a policy for such agents depends on time, state and type alone",
                hint="use another policy",
            )
        self.table, self.order = make_table(play)

    def load(self, states: StateArray) -> Linked:
        return Linked(states.copy(), [None] * len(states))

    def unload(self, held: Linked) -> StateArray:
        return held.states

    def pack(self, held: Linked) -> Mapping[str, NDArray[Any]]:
        return {f"ends_{place}": ends for place, ends in enumerate(held.ends) if ends is not None}

    def unpack(self, held: Linked, arrays: Mapping[str, NDArray[Any]]) -> Linked:
        return Linked(held.states, [arrays.get(f"ends_{place}") for place in range(len(held.states))])

    def graph(self, held: Linked, place: int, number: int) -> ContactGraph:
        """The contact graph of the replicate at a place, whose number is `number`, as it is now."""
        graph = self.play.graphs.present(number)
        ends = held.ends[place]
        if ends is None:
            return graph
        return ContactGraph.from_edges(graph.node_count, ends[::2], ends[1::2], attributes=graph.attributes)

    def advance(self, held: Linked, numbers: IntArray, stretch: Stretch) -> FloatArray:
        count, length = self.play.substeps(stretch)
        times = np.array([stretch.start + step * length for step in range(count)])
        schedule, cost_needs_field = make_schedule(self.play, times)
        if cost_needs_field:
            raise InputError(
                "agents that rewire their links, with a cost that looks at the field",
                where=f"game {type(self.play.game).__name__}",
                rule="a cost of such agents depends on time, state and control alone",
                hint="use a graph that agents do not rewire",
            )
        for place, number in enumerate(numbers.tolist()):
            if held.ends[place] is None:
                source, target, _ = self.play.graphs.present(number).edges()
                held.ends[place] = np.stack([source, target], axis=1).astype(np.int32).ravel()

        def one(place: int) -> float | DynamicsError:
            try:
                return self._run(held, place, int(numbers[place]), stretch, schedule, times, length)
            except DynamicsError as error:
                return error

        results = in_threads(one, len(numbers))
        for result in results:
            if isinstance(result, DynamicsError):
                raise result
        return np.array(results, np.float64)

    def _run(
        self,
        held: Linked,
        place: int,
        number: int,
        stretch: Stretch,
        schedule: Schedule,
        times: FloatArray,
        length: float,
    ) -> float:
        play, game = self.play, self.play.game
        contacts, ends = play.graphs.contacts(number), held.ends[place]
        assert ends is not None
        rows = contacts.rows
        if play.policy.row_count > 1:
            rows = np.ascontiguousarray(play.policy.rows(self.graph(held, place, number)), np.int64)
        size = contacts.size
        divisor = np.ones(size) if game.normalise == "mean" else np.zeros(0)
        partners = np.isin(game.states, self.rule.partners)
        chance = float(-np.expm1(-self.rule.rate * length))
        outcome = run_adaptive(
            held.states[place],
            ends,
            rows,
            contacts.wiring._replace(divisor=divisor),
            self.table,
            schedule,
            length,
            (game.state_index(self.rule.cutter), game.state_index(self.rule.cut), chance),
            partners,
            play.generator(stretch, number),
            buffers(size, len(game.channels), len(self.order)),
        )
        if outcome.step >= 0:
            transition = game.transitions[self.order[outcome.transition]]
            raise play.invalid(float(times[outcome.step]), number, transition, outcome.intensity)
        return outcome.cost * length / size
