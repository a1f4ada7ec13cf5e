"""What a closure knows beforehand of a problem that changes in time: which game and mixing hold when.

The types of a closure are those of the contact graph, which is the average over time where it changes. Who meets whom at a
time is taken from the graph of that time (`mixing.mixing_among`), without the layers that events have closed; the game has
the parameters that events have set. Events are foreseen where all have a time and none moves agents; events on a threshold
and vaccinations depend on the flow, and are left to whoever runs it.

A Runge-Kutta step lies within one piece of the graph, or holds whole pieces that are shorter than the step. Those act by
their average over the step: the first term of Magnus's expansion, with an error of order 2 in such a step and of order 1 in
all; where no step holds several pieces the order is 4.
Source: W. Magnus, Comm. Pure Appl. Math. 7, 649 (1954); S. Blanes et al., Phys. Rep. 470, 151 (2009).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesocosm.changes import GraphChanges
from mesocosm.clock import substeps
from mesocosm.equilibrium import MeanField, half_step_grid
from mesocosm.errors import InputError
from mesocosm.events import Situation
from mesocosm.game import FiniteStateGame
from mesocosm.graph import ContactGraph
from mesocosm.mixing import Mixing, average_mixing, mixing_among
from mesocosm.problem import Problem
from mesocosm.regime import Course, Regime

FloatArray = NDArray[np.float64]
Parts = tuple[tuple[int, float], ...]
"""Graphs by number, each with the share of a step in which it holds; number -1 is the graph that stays as it is."""
Step = tuple[float, Parts]
"""Where a step ends, and the graphs in it."""
Key = tuple[Situation, Parts]

UNCHANGED: Parts = ((-1, 1.0),)
MOST_ENTRIES = 2**25
"""Numbers in the mixings that are kept for later."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """A problem with finitely many states on the types of `mixing`, a closure of its contact graph."""

    problem: Problem
    mixing: Mixing

    @cached_property
    def _kept(self) -> _Kept:
        return _Kept()

    @property
    def changes(self) -> bool:
        """Whether anything changes in time."""
        return bool(self.problem.events) or self.problem.graph.changes is not None

    @property
    def foreseen(self) -> bool:
        """Whether all that changes is known before anything runs."""
        return all(event.threshold is None and event.vaccination is None for event in self.problem.events.items)

    def check(self, where: str) -> None:
        """Raise `InputError` for changes that the types, or the control, cannot follow."""
        events, game = self.problem.events.items, self.problem.finite_game
        regraphs = self.problem.graph.changes is not None or any(event.close for event in events)
        if regraphs and self.mixing.membership is None:
            raise InputError(
                "degrees 'law' on a contact graph that changes",
                where=where,
                rule="the types of a degree law know no nodes, whose contacts could change",
                hint="use degrees: graph",
            )
        for number, event in enumerate(events):
            changed = self.game(self.problem.events.situation((number,)))
            before, after = (None if each.control is None else each.control.states for each in (game, changed))
            if before != after:
                raise InputError(
                    f"event '{event.name}' changes in which states agents choose",
                    where=where,
                    rule="they choose in the same states at all times",
                    hint="set the game's bounds of the control instead",
                )

    @cached_property
    def situations(self) -> tuple[Situation, ...]:
        """The situation in every save interval, where events are foreseen."""
        events, shares = self.problem.events, self.problem.population.shares
        history: tuple[int, ...] = ()
        found = []
        for time in self.problem.clock.times[:-1]:
            history = (*history, *events.due(float(time), shares, history))
            found.append(events.situation(history))
        return tuple(found)

    def model(self, steps: int) -> MeanField:
        """The mean field over all times with at least `steps` Runge-Kutta steps per save interval, all events foreseen."""
        if not self.changes:
            nodes = half_step_grid(self.problem.clock.times, steps)
            return MeanField(self.problem.finite_game, self.mixing, self.problem.type_shares(self.mixing), nodes)
        return self.part(steps, 0, self.situations, self.problem.type_shares(self.mixing))

    def part(self, steps: int, first: int, situations: Sequence[Situation], initial: FloatArray) -> MeanField:
        """The mean field over the intervals from number `first` on, in the situation given for each."""
        times = self.problem.clock.times
        ends: list[tuple[float, Key]] = []
        for index, situation in enumerate(situations, start=first):
            start, stop = float(times[index]), float(times[index + 1])
            graph = self._graph(situation.closed)
            cut = _equal_steps(start, stop, steps) if graph.changes is None else _cut(graph.changes, start, stop, steps)
            ends += [(end, (situation, parts)) for end, parts in cut]
        return self._on(float(times[first]), ends, initial)

    def game(self, situation: Situation) -> FiniteStateGame:
        """The game with the parameters of a situation."""
        if not situation.parameters:
            return self.problem.finite_game
        game = self.problem.events.game(situation)
        assert isinstance(game, FiniteStateGame)
        return game

    def _on(self, start: float, ends: list[tuple[float, Key]], initial: FloatArray) -> MeanField:
        """The mean field on steps that end there; steps of length zero are put where the regime changes."""
        keys: dict[Key, int] = {}
        now = keys.setdefault(ends[0][1], 0)
        nodes, numbers = [start], [now]
        for stop, key in ends:
            left, before, now = nodes[-1], now, keys.setdefault(key, len(keys))
            if now != before:
                nodes += [left, left]
                numbers += [now, now]
            nodes += [(left + stop) / 2, stop]
            numbers += [now, now]
        by_number = list(keys)
        games = tuple(dict.fromkeys(self.game(situation) for situation, _ in by_number))
        course = Course(np.array(numbers, np.int64), lambda number: self._regime(by_number[number]), games)
        return MeanField(games[0], self.mixing, initial, np.array(nodes), course)

    def _graph(self, closed: frozenset[str]) -> ContactGraph:
        return self.problem.graph.without(closed) if closed else self.problem.graph

    def _regime(self, key: Key) -> Regime:
        found = self._kept.get(key)
        if found is None:
            found = Regime(self.game(key[0]), self._mixing(*key))
            self._kept.put(key, found)
        return found

    def _mixing(self, situation: Situation, parts: Parts) -> Mixing:
        graph, normalise = self._graph(situation.closed), self.problem.game.normalise
        if parts == UNCHANGED:
            return mixing_among(self.mixing, graph, normalise) if situation.closed else self.mixing
        assert graph.changes is not None
        each = [(mixing_among(self.mixing, graph.changes.graph(number), normalise), share) for number, share in parts]
        return average_mixing(each)


class _Kept:
    """Regimes by key, up to a bound on what they hold; those that were not used for long are let go."""

    def __init__(self) -> None:
        self.regimes: OrderedDict[Key, Regime] = OrderedDict()
        self.entries = 0

    def get(self, key: Key) -> Regime | None:
        found = self.regimes.get(key)
        if found is not None:
            self.regimes.move_to_end(key)
        return found

    def put(self, key: Key, regime: Regime) -> None:
        self.regimes[key] = regime
        self.entries += _entries(key, regime)
        while self.entries > MOST_ENTRIES and len(self.regimes) > 1:
            self.entries -= _entries(*self.regimes.popitem(last=False))


def _entries(key: Key, regime: Regime) -> int:
    """About how many numbers a regime holds: an average of outer products keeps two columns of each."""
    return regime.mixing.entries + 2 * len(key[1]) * len(regime.mixing.types)


def _equal_steps(start: float, stop: float, steps: int, parts: Parts = UNCHANGED) -> Iterator[Step]:
    for number in range(1, steps):
        yield start + (stop - start) * number / steps, parts
    yield stop, parts


def _cut(changes: GraphChanges, start: float, stop: float, steps: int) -> Iterator[Step]:
    """Steps of at most 1/`steps` of [start, stop], each in one piece, or of whole pieces that are shorter."""
    longest, left = (stop - start) / steps, start
    waiting: dict[int, float] = {}
    pieces = list(changes.pieces(start, stop))
    for place, piece in enumerate(pieces):
        begin, end = max(piece.start, start), stop if place + 1 == len(pieces) else piece.stop
        length, held = end - begin, sum(waiting.values())
        if waiting and held + length > longest * (1 + 1e-9):
            yield begin, _shares(waiting)
            waiting, left = {}, begin
        if length >= longest * (1 - 1e-9):
            count, _ = substeps(left, end, longest)
            yield from _equal_steps(left, end, count, ((piece.number, 1.0),))
            left = end
        else:
            waiting[piece.number] = waiting.get(piece.number, 0.0) + length
    if waiting:
        yield stop, _shares(waiting)


def _shares(lengths: dict[int, float]) -> Parts:
    total = sum(lengths.values())
    if len(lengths) == 1:
        return ((next(iter(lengths)), 1.0),)
    return tuple((number, length / total) for number, length in lengths.items())
