"""A contact graph that changes in time: piecewise constant, one graph after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesocosm.graph import ContactGraph


@dataclass(frozen=True)
class Piece:
    """The time [start, stop] in which the graph stays as it is; `number` says which graph, for `GraphChanges.graph`."""

    start: float
    stop: float
    number: int


class GraphChanges(ABC):
    """How a contact graph changes."""

    @abstractmethod
    def pieces(self, start: float, stop: float) -> Iterator[Piece]:
        """The pieces that cover [start, stop], in order, without gaps."""

    @abstractmethod
    def graph(self, number: int) -> ContactGraph:
        """The graph of a piece, on the same nodes with the same attributes."""
