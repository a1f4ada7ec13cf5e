"""A contact graph that changes in time: piecewise constant, one graph after the other.

    GraphChanges   what a dynamics asks: the pieces of a stretch of time, and the graph of a piece
    GraphRecord    graphs from a record of known length, played once or again and again

A graph that changes is a `ContactGraph` with `changes`; itself it is the average over time, whose weight of a contact is the
share of time in which the two meet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mesocosm.errors import InputError

if TYPE_CHECKING:
    from mesocosm.graph import ContactGraph

KEPT_BYTES = 2**28
"""Memory for graphs that are kept once they are built; beyond it those are let go that were not used for longest."""


@dataclass(frozen=True)
class Piece:
    """The time [start, stop] in which the graph stays as it is; `number`, from 0, says which, for `GraphChanges.graph`."""

    start: float
    stop: float
    number: int


class GraphChanges(ABC):
    """How a contact graph changes."""

    @abstractmethod
    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        """The pieces that cover [start, stop], in order, without gaps; neighbours are different graphs."""

    @abstractmethod
    def graph(self, number: int) -> ContactGraph:
        """The graph of a piece, on the same nodes with the same attributes, and with its layers as they are then."""

    def check(self, end: float) -> None:
        """Raise `InputError` where the graph is not known until time `end`; called once when a run is built."""


class KeptGraphs:
    """Graphs by number, built when they are asked for; those are kept that were used last, in `KEPT_BYTES` of memory."""

    def __init__(self, build: Callable[[int], ContactGraph]) -> None:
        self._build = build
        self._kept: OrderedDict[int, ContactGraph] = OrderedDict()
        self._bytes = 0

    def get(self, number: int) -> ContactGraph:
        """The graph of a number."""
        if number not in self._kept:
            graph = self._build(number)
            self._kept[number] = graph
            self._bytes += _bytes(graph)
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= _bytes(self._kept.popitem(last=False)[1])
        self._kept.move_to_end(number)
        return self._kept[number]


def _bytes(graph: ContactGraph) -> int:
    """Memory of a graph, with what it computes on demand."""
    return 28 * len(graph.indices) + 24 * graph.node_count + 2000


class GraphRecord(GraphChanges):
    """Graphs one after the other, from a record.

    Parameters
    ----------
    times: shape [pieces + 1], increasing from 0: piece k holds from times[k] to times[k + 1]; the last is the record's end.
    numbers: shape [pieces]: which graph each piece has.
    build: makes the graph of a number; it is called when a graph is first asked for, and again once it was let go.
    loop: after the end, True for the record from its start again, False for the graph `afterwards`, None for an error.

    Piece k of turn c begins at c * times[-1] + times[k], so that no error adds up over turns. A beginning that rounding
    puts next to an end of the stretch that is asked for (1e-9 of the shortest piece) is taken for it.
    """

    def __init__(
        self,
        times: ArrayLike,
        numbers: ArrayLike,
        build: Callable[[int], ContactGraph],
        *,
        loop: bool | None,
        afterwards: int,
    ) -> None:
        self.times: NDArray[np.float64] = np.array(times, np.float64)
        self.numbers: NDArray[np.int64] = np.array(numbers, np.int64)
        lengths = np.diff(self.times)
        if not len(lengths) or len(self.numbers) != len(lengths) or self.times[0] != 0 or not (lengths > 0).all():
            raise InputError(
                f"{len(self.numbers)} pieces with the times {self.times[:3].tolist()} ..",
                where="graph",
                rule="the times of a record increase from 0, and are one more than its pieces",
            )
        self.loop, self.afterwards = loop, afterwards
        self._shortest = float(lengths.min())
        self._kept = KeptGraphs(build)

    @property
    def length(self) -> float:
        """Length of the record."""
        return float(self.times[-1])

    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        near = 1e-9 * self._shortest + 4 * float(np.spacing(stop))
        place = self._place(start + near)
        begin, number = start, self._number(place)
        while (place := place + 1) and (boundary := self._begin(place)) < stop - near:
            follower = self._number(place)
            if follower != number:
                yield Piece(begin, boundary, number)
                begin, number = boundary, follower
        yield Piece(begin, stop, number)

    def graph(self, number: int) -> ContactGraph:
        return self._kept.get(number)

    def check(self, end: float) -> None:
        if self.loop is None and end > self.length * (1 + 1e-9):
            raise InputError(
                f"the record ends at time {self.length:g}, the run at {end:g}",
                where="graph.loop",
                rule="it must be said how the graph goes on",
                hint="give loop: true for the record again and again, or loop: false",
            )

    def _place(self, time: float) -> int:
        """Which piece holds at a time, counted over all turns."""
        count = len(self.numbers)
        turn = int(time // self.length) if self.loop else 0
        place = turn * count + int(np.searchsorted(self.times, time - turn * self.length, side="right")) - 1
        while self._begin(place) > time:
            place -= 1
        while self._begin(place + 1) <= time:
            place += 1
        return place

    def _begin(self, place: int) -> float:
        count = len(self.numbers)
        if not self.loop:
            return float(self.times[place]) if place <= count else np.inf
        turn, piece = divmod(place, count)
        return float(turn * self.times[-1] + self.times[piece])

    def _number(self, place: int) -> int:
        count = len(self.numbers)
        if not self.loop and place >= count:
            return self.afterwards
        return int(self.numbers[place % count])
