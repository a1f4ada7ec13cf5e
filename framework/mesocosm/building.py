"""From a checked scenario to a frozen Problem (game, graph, population, clock, device) and to what makes its dynamics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from mesocosm.clock import Clock
from mesocosm.device import resolve_device
from mesocosm.discrete import DiscreteTimeGame
from mesocosm.dynamics import FOLLOWS, Context, Dynamics
from mesocosm.errors import InputError, MesocosmError, RunError, ScenarioError, suggestion
from mesocosm.game import FiniteStateGame, Game
from mesocosm.graph import ContactGraph
from mesocosm.problem import Population, Problem
from mesocosm.registry import Registry, installed
from mesocosm.scenario import Scenario
from mesocosm.seeding import Streams

FloatArray = NDArray[np.float64]
Maker = Callable[[Problem, Context], Dynamics]


def build(scenario: Scenario, registry: Registry | None = None) -> Problem:
    """Make everything that a dynamics receives. Raises `ScenarioError` with the place in the scenario."""
    plugins = registry or installed()
    with _located(scenario, "device"):
        device = resolve_device(scenario.device)
    with _located(scenario, "game"):
        game: Game = plugins.factory("game", scenario.game.name)(scenario.game.options)
        game.check()
    draw = _drawer(scenario, plugins)
    with _located(scenario, "graph"):
        graph = draw(0)
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
        makers[label] = factory.bind(choice.options)
    return makers


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
    states = game.states if isinstance(game, (FiniteStateGame, DiscreteTimeGame)) else ()
    initial = options.initial or {name: count / graph.node_count for name, count in options.initial_counts.items()}
    key = "initial_counts" if options.initial_counts else "initial"
    shares = _shares(scenario, initial, states, ("population", key))
    groups: dict[str, FloatArray] = {}
    for name, group in options.groups.items():
        with _located(scenario, "population", "groups", name):
            known, _ = graph.group_index()
            if name not in known:
                raise InputError(f"no node is in group '{name}'", rule=suggestion(name, known))
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
