"""Interventions: what happens to a population from outside, at a time or on a threshold.

Events happen at saves only: those with a time at the save of that time, those with a threshold at the first save at which
it holds. They act after that save was recorded and before the next interval begins, so that within an interval nothing
changes by events; none happens at the horizon. Each happens once. One that is `after` another, which stands above it, waits
until that one has happened, at an earlier save or at the same one. What happens at the same save happens in the order of
the scenario.

A dynamics that expresses events does this for every replicate at the start of an interval:

    due = events.due(time, shares, history)       what happens now
    history = (*history, *due)
    situation = events.situation(history)         the layers that are closed and the parameters that have changed
    game, graph = events.game(situation), graph.without(situation.closed)
    states[nodes] = vaccination.dosed(states[nodes])   for due events with a vaccination, nodes = vaccination.nodes(..)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.errors import InputError
from mesocosm.game import Game
from mesocosm.graph import ContactGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

History = tuple[int, ...]
"""Numbers of the events of one replicate that have happened, in that order."""


class Strategy(ABC):
    """How the nodes that get a dose are chosen: what a component of kind `strategy` makes from its options.

    Doses for those with the fewest contacts, ties at random:

    >>> class Loneliest(Strategy):
    ...     def __init__(self, options):
    ...         self.options = options
    ...     def choose(self, graph, count, generator):
    ...         order = generator.permutation(graph.node_count)
    ...         return order[np.argsort(graph.degrees[order], kind="stable")[:count]]
    >>> star = ContactGraph.from_edges(4, [0, 0, 0], [1, 2, 3])
    >>> sorted(Loneliest(None).choose(star, 3, np.random.default_rng(1)).tolist())
    [1, 2, 3]

    `check` refuses graphs of which nothing can be told, such as the complete one. What has happened to a graph does not
    matter: nodes are chosen from that of the problem, all layers together and averaged over time.
    """

    def check(self, graph: ContactGraph, count: int) -> None:
        """Raise `InputError` for a graph that this strategy cannot choose from; called before anything runs."""

    @abstractmethod
    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> IntArray:
        """Numbers of `count` different nodes, integers of shape [count]. All chance is the generator's."""


@dataclass(frozen=True)
class Threshold:
    """A share of agents that is above, or below, a bound.

    Attributes
    ----------
    states: numbers of the states that count.
    within: numbers of the states of a group, where the share within that group is meant; else of everyone.
    above, below: the bound; one of them is None.
    """

    states: tuple[int, ...]
    within: tuple[int, ...] | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, shares: FloatArray) -> bool:
        """Whether it holds for the shares of all states, shape [state]."""
        share = float(shares[list(self.states)].sum())
        if self.within is not None:
            share /= float(shares[list(self.within)].sum())
        return share > self.above if self.above is not None else self.below is not None and share < self.below


@dataclass(frozen=True, eq=False)
class Vaccination:
    """Doses for `count` nodes, whatever their state: nobody is tested before.

    Attributes
    ----------
    count: number of doses.
    into: number of the state that a dose leads to.
    sources: numbers of the states that a dose has an effect on; None: all but `into`.
    strategy: name of the strategy.
    chooser: chooses the nodes.
    plain_states: where the game is one of several groups, the number of states that each has; `into` and `sources` are
        numbers within a group then, and nobody changes group.
    """

    count: int
    into: int
    sources: frozenset[int] | None
    strategy: str
    chooser: Strategy
    plain_states: int | None = None

    def nodes(self, graph: ContactGraph, generator: np.random.Generator) -> IntArray:
        """The nodes that get a dose, shape [count]; raises `InputError` for a strategy that names others or repeats one."""
        chosen = np.asarray(self.chooser.choose(graph, self.count, generator))
        sound = chosen.shape == (self.count,) and chosen.dtype.kind in "iu"
        if sound and self.count:
            sound = len(np.unique(chosen)) == self.count and chosen.min() >= 0 and chosen.max() < graph.node_count
        if not sound:
            raise InputError(
                f"strategy '{self.strategy}' chose {np.array2string(chosen, threshold=10)}",
                where="events",
                rule=f"{self.count} different integers from 0 to {graph.node_count - 1}",
                hint="this is a fault of the strategy",
            )
        return chosen.astype(np.int64)

    def dosed(self, states: NDArray[Any]) -> NDArray[Any]:
        """States after a dose, from those before: a new array of the same shape and type."""
        own = states if self.plain_states is None else states % self.plain_states
        moved = own != self.into if self.sources is None else np.isin(own, list(self.sources))
        return np.where(moved, states - own + np.asarray(self.into, states.dtype), states)


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happens once: at the save time `at`, or at the first save at which `threshold` holds.

    Attributes
    ----------
    name: for people, and for `after`; no two events share one.
    at: a save time before the end; None where there is a threshold.
    threshold: None where there is a time.
    after: number of the event that has to happen before, smaller than its own.
    close, open: names of layers of the contact graph.
    parameters: dotted option, such as `game.beta`, to its value from now on.
    vaccination: who gets a dose.
    """

    name: str
    at: float | None = None
    threshold: Threshold | None = None
    after: int | None = None
    close: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    vaccination: Vaccination | None = None

    def holds(self, time: float, shares: FloatArray) -> bool:
        """Whether its time has come, or its threshold holds."""
        if self.at is not None:
            return math.isclose(time, self.at, rel_tol=1e-9, abs_tol=1e-12)
        return self.threshold is not None and self.threshold.holds(shares)


@dataclass(frozen=True)
class Situation:
    """What events have left behind: the layers that are closed, and parameters of the game that are not as they were.

    `parameters` are (dotted option, value) pairs, by option; lists are tuples in them, so that a situation is hashable.
    """

    closed: frozenset[str] = frozenset()
    parameters: tuple[tuple[str, Any], ...] = ()


def _no_game(parameters: Mapping[str, Any]) -> Game:
    raise InputError("the game of a situation", where="events", rule="these events do not know how to make it")


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a problem, in the order of the scenario.

    `make` makes the game with some parameters changed, from dotted option to value; without any, the game as it is.
    """

    items: tuple[Event, ...] = ()
    make: Callable[[Mapping[str, Any]], Game] = _no_game
    _games: dict[tuple[tuple[str, Any], ...], Game] = field(default_factory=dict, init=False, repr=False)

    def __bool__(self) -> bool:
        return bool(self.items)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the events."""
        return tuple(event.name for event in self.items)

    def due(self, time: float, shares: FloatArray, history: History) -> tuple[int, ...]:
        """Numbers of the events that happen at this save, in their order.

        `shares`: of each state, shape [state], in the replicate whose events so far are `history`.
        """
        found: list[int] = []
        for number, event in enumerate(self.items):
            happened = number in history
            armed = event.after is None or event.after in history or event.after in found
            if not happened and armed and event.holds(time, shares):
                found.append(number)
        return tuple(found)

    def situation(self, history: History) -> Situation:
        """What these events, one after the other, have left behind."""
        closed: set[str] = set()
        parameters: dict[str, Any] = {}
        for number in history:
            event = self.items[number]
            closed = (closed | set(event.close)) - set(event.open)
            # An option that is set as a whole takes what was set within it before along.
            within = {old for old in parameters for new in event.parameters if old.startswith(f"{new}.")}
            parameters = {old: value for old, value in parameters.items() if old not in within} | dict(event.parameters)
        return Situation(frozenset(closed), tuple(sorted((name, frozen(each)) for name, each in parameters.items())))

    def game(self, situation: Situation) -> Game:
        """The game with the parameters of a situation; made once."""
        key = situation.parameters
        if key not in self._games:
            self._games[key] = self.make(dict(key))
        return self._games[key]

    def history(self, fired: FloatArray) -> History:
        """The events of one replicate in the order in which they happened, from when each did: shape [event], NaN: never."""
        times = [(float(time), number) for number, time in enumerate(fired) if not math.isnan(time)]
        return tuple(number for _, number in sorted(times))


def frozen(value: Any) -> Any:
    """A value of a scenario with tuples for lists, so that it is hashable."""
    return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
