"""From the events of a checked scenario to those of a problem: names become numbers of states, and strategies are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mesocosm.clock import Clock
from mesocosm.errors import InputError, ScenarioError, suggestion
from mesocosm.event_checks import GAME, certain_before
from mesocosm.event_options import ThresholdOptions, VaccinateOptions, leaves, name_of
from mesocosm.events import Event, Events, Strategy, Threshold, Vaccination
from mesocosm.game import FiniteStateGame, Game
from mesocosm.graph import ContactGraph
from mesocosm.grouped import GroupedGame
from mesocosm.registry import Registry
from mesocosm.scenario import Choice, EventChoice, Scenario
from mesocosm.source import Path_


def make_events(
    scenario: Scenario,
    registry: Registry,
    game: Game,
    graph: ContactGraph,
    make: Callable[[Mapping[str, Any]], Game],
) -> Events:
    """The events of a scenario on its game and contact graph; raises `ScenarioError` with every fault at once.

    `make` makes the game with some parameters changed, from the name of the option, without `game.`, to its value.
    """
    if not scenario.events:
        return Events()
    builder = _Builder(scenario, registry, game, graph)
    items = [builder.event(number, choice) for number, choice in enumerate(scenario.events)]
    events = Events(
        tuple(items), lambda parameters: make({key.removeprefix(GAME): value for key, value in parameters.items()})
    )
    builder.check_games(events)
    if builder.faults:
        raise ScenarioError([scenario.document.fault(path, what) for path, what in builder.faults])
    return events


class _Builder:
    """Makes events one by one and notes what is wrong in them; `faults` are (path, what)."""

    def __init__(self, scenario: Scenario, registry: Registry, game: Game, graph: ContactGraph) -> None:
        self.scenario, self.registry, self.game, self.graph = scenario, registry, game, graph
        self.clock = Clock(scenario.time.end, scenario.time.save_every)
        self.names = [name_of(number, event.options.name) for number, event in enumerate(scenario.events)]
        self.faults: list[tuple[Path_, str]] = []
        self._states = game.plain.states if isinstance(game, FiniteStateGame) else ()

    def event(self, number: int, choice: EventChoice) -> Event:
        """Event `number`, without the parts that have faults."""
        options, path = choice.options, ("events", number)
        for key, layers in (("close", options.close), ("open", options.open)):
            for place, layer in enumerate(layers):
                if layer not in self.graph.layers:
                    rule = suggestion(layer, self.graph.layers) or "it is not made of layers"
                    self._fault((*path, key, place), f"the contact graph has no layer '{layer}'; {rule}")
        return Event(
            self.names[number],
            at=None if options.at is None else float(self.clock.times[self.clock.index_of(options.at)]),
            threshold=self._threshold(options.when, (*path, "when")) if options.when else None,
            after=None if options.after is None else self.names.index(options.after),
            close=options.close,
            open=options.open,
            parameters=leaves(options.set_),
            vaccination=self._vaccination(options.vaccinate, choice.strategy, (*path, "vaccinate"))
            if options.vaccinate
            else None,
        )

    def _threshold(self, options: ThresholdOptions, path: Path_) -> Threshold | None:
        _, *group, state = options.observable.split(".")
        place, game = (*path, "observable"), self.game
        number = self._state(state, place)
        if number is None:
            return None
        if not isinstance(game, GroupedGame):
            if group:
                rule = (
                    "only groups with parameters of their own, or with a contact matrix, are told apart; use occupancy"
                )
                self._fault(place, f"'{options.observable}' cannot be looked at by an event; {rule}")
            return Threshold((number,), None, options.above, options.below)
        if not group:
            return Threshold(game.copies(state), None, options.above, options.below)
        if group[0] not in game.groups:
            self._fault(place, f"no node is in group '{group[0]}'; {suggestion(group[0], game.groups)}")
            return None
        every = [game.copies(name)[game.groups.index(group[0])] for name in game.plain.states]
        return Threshold((every[number],), tuple(every), options.above, options.below)

    def _vaccination(self, options: VaccinateOptions, choice: Choice | None, path: Path_) -> Vaccination | None:
        size = self.graph.node_count
        count = options.count if options.count is not None else round((options.share or 0.0) * size)
        if not 1 <= count <= size:
            key = "count" if options.count is not None else "share"
            self._fault(
                (*path, key), f"{count} doses for {size} agents; each gets at most one, and there is at least one"
            )
        into, sources = self._state(options.into, (*path, "into")), self._sources(options, path)
        strategy = self._strategy(choice, count, (*path, "strategy")) if choice else None
        if choice is None or strategy is None or into is None:
            return None
        per_group = len(self.game.plain.states) if isinstance(self.game, GroupedGame) else None
        return Vaccination(count, into, sources, choice.name, strategy, per_group)

    def _sources(self, options: VaccinateOptions, path: Path_) -> frozenset[int] | None:
        if options.anyone:
            return None
        if options.from_ is None:
            if options.into in self._states[:1]:
                what = f"a dose leads to '{options.into}', the first state, in which agents are by default; give from"
                self._fault((*path, "into"), what)
            return frozenset((0,))
        numbers = [self._state(name, (*path, "from", place)) for place, name in enumerate(options.from_)]
        return frozenset(number for number in numbers if number is not None)

    def _strategy(self, choice: Choice, count: int, path: Path_) -> Strategy | None:
        try:
            strategy = self.registry.factory("strategy", choice.name)(choice.options)
            if not isinstance(strategy, Strategy):
                raise InputError(
                    f"the factory of strategy '{choice.name}' made a {type(strategy).__name__}",
                    where=self.registry.origin("strategy", choice.name),
                    rule="it makes a mesocosm.Strategy",
                )
            strategy.check(self.graph, count)
        except InputError as error:
            self._fault(path, error.message())
            return None
        return strategy

    def _state(self, name: str, path: Path_) -> int | None:
        if name not in self._states:
            hint = suggestion(name, self._states) or "its agents are not in finitely many states"
            self._fault(path, f"the game '{self.scenario.game.name}' has no state '{name}'; {hint}")
            return None
        return self._states.index(name)

    def check_games(self, events: Events) -> None:
        """Make the game of each event that sets parameters, on top of what is certain to have been set before."""
        options = {number: event.options for number, event in enumerate(self.scenario.events)}
        for number, event in enumerate(events.items):
            if not event.parameters:
                continue
            history = (*certain_before(number, options), number)
            try:
                fault = next(self._differences(events.game(events.situation(history))), "")
            except InputError as error:
                fault = error.faults[0].what if isinstance(error, ScenarioError) else error.message()
            if fault:
                self._fault(("events", number, "set"), fault)

    def _differences(self, changed: Game) -> Iterator[str]:
        for what in ("states", "channels", "normalise"):
            before, after = getattr(self.game, what, ()), getattr(changed, what, ())
            if before != after:
                yield f"the game with these options has other {what}, {after} and not {before}; they have to stay"

    def _fault(self, path: Path_, what: str) -> None:
        self.faults.append((path, what))
