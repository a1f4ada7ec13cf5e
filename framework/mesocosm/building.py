"""From a checked scenario to a frozen Problem (game, graph, population, clock, device) and to what makes its dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.clock import Clock
from mesocosm.device import resolve_device
from mesocosm.discrete import DiscreteTimeGame
from mesocosm.dynamics import FOLLOWS, Context, Dynamics
from mesocosm.errors import InputError, MesocosmError, RunError, ScenarioError, suggestion
from mesocosm.event_building import make_events
from mesocosm.explaining import Faults
from mesocosm.game import FiniteStateGame, Game
from mesocosm.graph import ContactGraph
from mesocosm.grouped import check_alike, grouped
from mesocosm.problem import Population, Problem
from mesocosm.registry import Registry, installed
from mesocosm.scenario import Choice, Scenario
from mesocosm.seeding import Streams
from mesocosm.varying import varied

FloatArray = NDArray[np.float64]
Maker = Callable[[Problem, Context], Dynamics]


def build(scenario: Scenario, registry: Registry | None = None) -> Problem:
    """Make everything that a dynamics receives. Raises `ScenarioError` with the place in the scenario."""
    plugins = registry or installed()
    with _located(scenario, "device"):
        device = resolve_device(scenario.device)
    games = _games(scenario, plugins, {})
    draw = _drawer(scenario, plugins)
    with _located(scenario, "graph"):
        graph = draw(0)
        if graph.changes is not None:
            graph.changes.check(scenario.time.end)
    game = _joined(scenario, games, graph)

    def changed(parameters: Mapping[str, Any]) -> Game:
        return _joined(scenario, _games(scenario, plugins, parameters), graph)

    size = scenario.population.size
    if size is not None and graph.node_count != size:
        fault = scenario.document.fault(
            ("population", "size"),
            f"{size} agents, but the contact graph '{scenario.graph.name}' has {graph.node_count} nodes; "
            f"every agent is one node; write {graph.node_count}, or leave size out",
        )
        raise ScenarioError([fault])
    return Problem(
        name=scenario.name,
        seed=scenario.seed,
        game=game,
        graph=graph,
        population=_population(scenario, game, graph),
        clock=Clock(scenario.time.end, scenario.time.save_every, scenario.time.unit),
        device=device,
        precision=scenario.precision,
        draw=lambda replicate: graph if replicate == 0 else draw(replicate),
        events=make_events(scenario, plugins, game, graph, changed),
    )


def makers_of(scenario: Scenario, registry: Registry | None = None) -> dict[str, Maker]:
    """What makes each dynamics of a scenario, by label, in the order in which they run: what `simulate` takes.

    Imports the dynamics that the scenario chose. Raises `InputError` for one that is no subclass of `mesocosm.Dynamics`.
    """
    plugins = registry or installed()
    makers: dict[str, Maker] = {}
    for label in scenario.order():
        choice = scenario.dynamics[label]
        factory = plugins.factory("dynamics", choice.name)
        origin = plugins.origin("dynamics", choice.name)
        if not (isinstance(factory, type) and issubclass(factory, Dynamics)):
            raise InputError(
                f"the factory of dynamics '{choice.name}'", where=origin, rule="a subclass of mesocosm.Dynamics"
            )
        if factory.follows not in FOLLOWS:
            raise InputError(
                f"dynamics '{choice.name}' follows {factory.follows!r}",
                where=origin,
                rule=f"one of {', '.join(FOLLOWS)}",
            )
        makers[label] = _with_components(factory.bind(choice.options), plugins)
    return makers


def _with_components(maker: Maker, registry: Registry) -> Maker:
    """A maker whose dynamics finds the components that its options name."""
    return lambda problem, context: maker(problem, replace(context, component=registry.factory))


Games = tuple[Game, Mapping[str, Game]]
"""The game of a scenario, and those of groups that have parameters of their own."""


def _games(scenario: Scenario, registry: Registry, parameters: Mapping[str, Any]) -> Games:
    """The games with `parameters` changed, from dotted option (`effort.cost`) to value; what a group sets for itself stays."""
    with _located(scenario, "game"):
        choice = _varied(registry, scenario.game, parameters) if parameters else scenario.game
        game = _plain_game(registry, choice)
    own: dict[str, Game] = {}
    for name, group in scenario.population.groups.items():
        if group.game:
            with _located(scenario, "population", "groups", name, "game"):
                other = own[name] = _plain_game(registry, _varied(registry, choice, group.game))
                if isinstance(game, FiniteStateGame) and isinstance(other, FiniteStateGame):
                    check_alike(game, other, name)
    return game, own


def _joined(scenario: Scenario, games: Games, graph: ContactGraph) -> Game:
    """One game on a contact graph: a `GroupedGame` where groups have their own, or meet by a contact matrix."""
    plain, own = games
    if not own and graph.contact_matrix is None:
        return plain
    with _located(scenario, "population", "groups") if own else _located(scenario, "graph"):
        return grouped(plain, own, graph)


def _plain_game(registry: Registry, choice: Choice) -> Game:
    game: Game = registry.factory("game", choice.name)(choice.options)
    game.check()
    return game


def _varied(registry: Registry, choice: Choice, changes: Mapping[str, Any]) -> Choice:
    """The game with some options changed; what does not fit was found when the scenario was read."""
    faults: Faults = []
    found = varied(choice, changes, registry.options_model("game", choice.name), faults)
    if found is None:
        path, what = faults[0]
        raise InputError(f"{'.'.join(map(str, path))}: {what}")
    return found


def _drawer(scenario: Scenario, registry: Registry) -> Callable[[int], ContactGraph]:
    factory = registry.factory("graph", scenario.graph.name)
    streams = Streams(scenario.seed, "graph")

    def draw(replicate: int) -> ContactGraph:
        generator = streams.generator("draw", replicate=replicate)
        graph: ContactGraph = factory(scenario.graph.options, scenario.population.size, generator)
        return graph

    return draw


def _population(scenario: Scenario, game: Game, graph: ContactGraph) -> Population:
    options = scenario.population
    plain = game.plain if isinstance(game, FiniteStateGame) else game
    states = plain.states if isinstance(plain, (FiniteStateGame, DiscreteTimeGame)) else ()
    initial = options.initial or {name: count / graph.node_count for name, count in options.initial_counts.items()}
    key = "initial_counts" if options.initial_counts else "initial"
    shares = _shares(scenario, initial, states, ("population", key))
    groups: dict[str, FloatArray] = {}
    for name, group in options.groups.items():
        with _located(scenario, "population", "groups", name):
            known, _ = graph.group_index()
            if name not in known:
                raise InputError(f"no node is in group '{name}'", rule=suggestion(name, known))
        if group.initial is not None:
            groups[name] = _shares(scenario, group.initial, states, ("population", "groups", name, "initial"))
    return Population(graph.node_count, shares, groups)


def _shares(
    scenario: Scenario, initial: Mapping[str, float], states: tuple[str, ...], path: tuple[str, ...]
) -> FloatArray:
    """Shares of all states: what is named, and the rest in the first state."""
    shares = np.zeros(len(states))
    for name, share in initial.items():
        if name not in states:
            what = f"the game '{scenario.game.name}' has no state '{name}'; {suggestion(name, states)}"
            raise ScenarioError([scenario.document.fault((*path, name), what)])
        shares[states.index(name)] = share
    if states and states[0] not in initial:
        shares[0] = max(0.0, 1.0 - shares.sum())
    if states and abs(shares.sum() - 1.0) > 1e-9:
        what = f"the shares add up to {shares.sum():g}; with every state named, they must add up to 1"
        raise ScenarioError([scenario.document.fault(path, what)])
    return shares


@contextmanager
def _located(scenario: Scenario, *path: str) -> Iterator[None]:
    """Input errors from below get the place in the scenario that they are about."""
    try:
        yield
    except ScenarioError:
        raise
    except InputError as error:
        raise scenario.located(error, *path) from error
    except MesocosmError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        where = str(scenario.document.position(path))
        raise RunError(f"{'.'.join(path)} could not be built: {type(error).__name__}: {text}", where=where) from error
