"""What changes while agents play: events from outside, and the contact graph. Engines see none of it.

Events happen at saves, to each replicate by itself, so that replicates part: those with the same history of events form a
cohort, which one engine advances. A graph that changes cuts an interval into stretches in which it stays as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mesocosm import ContactGraph, Events, Interval, Policy, Problem, Situation, Streams
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.engine import Engine, Play, Stretch

History = tuple[int, ...]
"""Numbers of the events that a replicate went through, in their order."""

_MOST_ENTRIES = 2**25
"""Ends of edges in the graphs that are kept for engines to come back to."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Replicates with the same history of events: their `numbers`, and their agents in the form of `engine`."""

    history: History
    numbers: IntArray
    engine: Engine
    held: Any

    def states(self) -> StateArray:
        """State number of every agent, shape [replicate, N]; not to be changed."""
        return self.engine.unload(self.held)


class Course:
    """Engines for every situation and every graph of a problem, and what events do to the agents."""

    def __init__(
        self,
        problem: Problem,
        policy: Policy,
        streams: Streams,
        step: float,
        redraw: bool,
        choose: Callable[[Play], Engine],
    ) -> None:
        self.problem, self.policy, self.streams, self.step, self.redraw = problem, policy, streams, step, redraw
        self.choose = choose
        self._engines: OrderedDict[tuple[Situation, int], Engine] = OrderedDict()

    @property
    def events(self) -> Events:
        """The events of the problem."""
        return self.problem.events

    def begin(self, time: float, states: StateArray, histories: Sequence[History]) -> tuple[Cohort, ...]:
        """Cohorts at a save, from states [replicate, N] and the history of each replicate."""
        changes, save_every = self.problem.graph.changes, self.problem.clock.save_every
        piece = -1 if changes is None else next(iter(changes.pieces(time, time + save_every))).number
        found: dict[History, list[int]] = {}
        for number, history in enumerate(histories):
            found.setdefault(tuple(history), []).append(number)
        cohorts = []
        for history, members in found.items():
            engine, numbers = self.engine(history, piece), np.array(members, np.int64)
            own = states if len(found) == 1 else states[numbers]
            cohorts.append(Cohort(history, numbers, engine, engine.load(own)))
        return tuple(cohorts)

    def engine(self, history: History, piece: int) -> Engine:
        """The engine for what events have left behind, on one piece of a graph that changes (-1 where it does not)."""
        key = (self.events.situation(history) if history else Situation(), piece)
        if key not in self._engines:
            self._engines[key] = self.choose(self._play(*key))
            self._forget()
        self._engines.move_to_end(key)
        return self._engines[key]

    def stretches(self, interval: Interval) -> Iterator[tuple[Stretch, int]]:
        """The stretches of an interval in which the graph stays as it is, each with the number of its graph."""
        changes = self.problem.graph.changes
        if changes is None:
            yield Stretch(interval.index, interval.start, interval.stop), -1
            return
        for part, piece in enumerate(changes.pieces(interval.start, interval.stop)):
            yield Stretch(interval.index, piece.start, piece.stop, part), piece.number

    def move(self, cohort: Cohort, piece: int) -> Cohort:
        """A cohort on one piece of the graph."""
        engine = self.engine(cohort.history, piece)
        held = cohort.held
        if type(engine) is not type(cohort.engine):
            held = engine.load(cohort.states())
        return Cohort(cohort.history, cohort.numbers, engine, held)

    def intervene(
        self, time: float, cohorts: tuple[Cohort, ...], fired: FloatArray
    ) -> tuple[tuple[Cohort, ...], FloatArray]:
        """The cohorts after the events of a save, in forms of their own, and when each event fired, [replicate, event]."""
        if not self.events:
            return tuple(Cohort(c.history, c.numbers, c.engine, c.engine.copy(c.held)) for c in cohorts), fired
        due: dict[int, History] = {}
        for cohort in cohorts:
            for number, shares in zip(cohort.numbers.tolist(), cohort.engine.occupancy(cohort.held), strict=True):
                due[number] = self.events.due(time, shares, cohort.history)
        if not any(due.values()):
            return tuple(Cohort(c.history, c.numbers, c.engine, c.engine.copy(c.held)) for c in cohorts), fired
        states, fired = gather(cohorts), fired.copy()
        histories: list[History] = [()] * len(states)
        for cohort in cohorts:
            for number in cohort.numbers.tolist():
                histories[number] = (*cohort.history, *due[number])
                fired[number, list(due[number])] = time
                for event in due[number]:
                    self._vaccinate(event, number, states[number])
        return self.begin(time, states, histories), fired

    def _vaccinate(self, event: int, replicate: int, states: StateArray) -> None:
        """Move the nodes that an event chooses, in place: `states` [N] of one replicate."""
        vaccination = self.events.items[event].vaccination
        if vaccination is None:
            return
        graph = self.problem.draw(replicate) if self.redraw else self.problem.graph
        nodes = vaccination.nodes(graph, self.streams.generator("event", interval=event, replicate=replicate))
        states[nodes] = vaccination.dosed(states[nodes])

    def _play(self, situation: Situation, piece: int) -> Play:
        game: Any = self.events.game(situation) if situation.parameters else self.problem.game
        changes, closed = self.problem.graph.changes, situation.closed

        def current(graph: ContactGraph) -> ContactGraph:
            now = changes.graph(piece) if changes is not None and piece >= 0 else graph
            return now.without(closed) if closed else now

        graphs = Graphs(self.problem, self.policy, self.redraw, current)
        return Play(game, self.policy, graphs, self.streams, self.step)

    def _forget(self) -> None:
        """Let go of engines that were not used for long, where the graphs that they keep are large."""
        while len(self._engines) > 1:
            kept = sum(engine.play.graphs.entries for engine in self._engines.values())
            if kept <= _MOST_ENTRIES and len(self._engines) <= 1024:
                return
            self._engines.popitem(last=False)


def gather(cohorts: Sequence[Cohort]) -> StateArray:
    """The states of all replicates, [replicate, N], from those of their cohorts."""
    count = sum(len(cohort.numbers) for cohort in cohorts)
    first = cohorts[0].states()
    result = np.empty((count, first.shape[1]), first.dtype)
    for cohort in cohorts:
        result[cohort.numbers] = cohort.states()
    return result
