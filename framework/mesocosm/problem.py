"""The Problem: everything that a dynamics receives, frozen. Game, contact graph, population, clock, device, precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mesocosm.clock import Clock
from mesocosm.device import Device
from mesocosm.diffusion import DiffusionGame
from mesocosm.discrete import DiscreteTimeGame
from mesocosm.errors import InputError
from mesocosm.events import Events
from mesocosm.game import FiniteStateGame, Game
from mesocosm.graph import ContactGraph
from mesocosm.grouped import GroupedGame
from mesocosm.mixing import Mixing
from mesocosm.seeding import Streams
from mesocosm.stage import StageGame

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Population:
    """How many agents there are, and the share of them in each state at time 0.

    Attributes
    ----------
    size: number of agents N.
    shares: of the plain states, shape [state], sums to 1.
    groups: for some groups of the node attribute `group`, shares of their own, each of shape [state].
    """

    size: int
    shares: FloatArray
    groups: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Problem:
    """One game on one graph, ready to be run by any dynamics. Nothing in it changes.

    `draw(r)` builds the graph anew for replicate r (r = 0 is `graph` itself); graphs that are not random, such as files,
    come back the same. `precision` is float32 or float64, for dynamics that run on a device. `events` are interventions.
    """

    name: str
    seed: int
    game: Game
    graph: ContactGraph
    population: Population
    clock: Clock
    device: Device
    precision: str
    draw: Callable[[int], ContactGraph]
    events: Events = field(default_factory=Events)

    @property
    def finite_game(self) -> FiniteStateGame:
        """The game, where it has finitely many states; an error where it has not."""
        if not isinstance(self.game, FiniteStateGame):
            raise InputError(f"game {type(self.game).__name__}", where="game", rule="a finite-state game is needed")
        return self.game

    @property
    def diffusion_game(self) -> DiffusionGame:
        """The game, where its agents move in a box; an error where they do not."""
        if not isinstance(self.game, DiffusionGame):
            raise InputError(f"game {type(self.game).__name__}", where="game", rule="a diffusion game is needed")
        return self.game

    @property
    def discrete_game(self) -> DiscreteTimeGame:
        """The game, where agents act in steps of discrete time; an error where it is of another kind."""
        if not isinstance(self.game, DiscreteTimeGame):
            raise InputError(f"game {type(self.game).__name__}", where="game", rule="a game in discrete time is needed")
        return self.game

    @property
    def stage_game(self) -> StageGame:
        """The game, where everyone acts at once; an error where it is of another kind."""
        if not isinstance(self.game, StageGame):
            raise InputError(f"game {type(self.game).__name__}", where="game", rule="a stage game is needed")
        return self.game

    def streams(self, label: str) -> Streams:
        """The random streams of one label."""
        return Streams(self.seed, label)

    def node_shares(self, graph: ContactGraph) -> FloatArray:
        """Share of each state at time 0, for every node of a graph by its group: shape [N, state]."""
        shares = np.tile(self.population.shares, (graph.node_count, 1))
        if self.population.groups:
            names, index = graph.group_index()
            for name, own in self.population.groups.items():
                shares[index == names.index(name)] = own
        if isinstance(self.game, GroupedGame):
            return self.game.placed_shares(shares, graph.group_index()[1])
        return shares

    def type_shares(self, mixing: Mixing) -> FloatArray:
        """Share of each state at time 0, for every type of a closure: shape [type, state].

        Types of a degree law know no nodes: each has the shares of the whole population.
        """
        if not self.population.groups and not isinstance(self.game, GroupedGame):
            return np.tile(self.population.shares, (len(mixing.types), 1))
        by_node = self.node_shares(self.graph)
        if mixing.membership is None:
            return np.tile(by_node.mean(axis=0), (len(mixing.types), 1))
        sums = np.stack(
            [np.bincount(mixing.membership, column, minlength=len(mixing.types)) for column in by_node.T], axis=-1
        )
        return np.asarray(sums / sums.sum(axis=-1, keepdims=True), np.float64)

    def initial_states(self, graph: ContactGraph, generator: np.random.Generator) -> NDArray[np.int8]:
        """State of every node at time 0, shape [N]: the shares as whole agents (largest remainders), placed at random.

        With groups of shares of their own, the shares hold within each group.
        """
        states = np.zeros(graph.node_count, np.int8)
        for nodes, shares in self._strata(graph):
            count = graph.node_count if nodes is None else len(nodes)
            counts = largest_remainders(shares * count)
            order = generator.permutation(count if nodes is None else nodes)
            states[order] = np.repeat(np.arange(len(shares), dtype=np.int8), counts)
        if isinstance(self.game, GroupedGame):
            return self.game.placed(states, graph.group_index()[1]).astype(np.int8)
        return states

    def _strata(self, graph: ContactGraph) -> list[tuple[IntArray | None, FloatArray]]:
        """Groups of nodes that have shares of their own, each with its shares; None for all nodes."""
        if not self.population.groups:
            return [(None, self.population.shares)]
        everyone = np.arange(graph.node_count, dtype=np.int64)
        names, index = graph.group_index()
        return [
            (everyone[index == number], self.population.groups.get(name, self.population.shares))
            for number, name in enumerate(names)
        ]


def largest_remainders(amounts: FloatArray) -> IntArray:
    """Whole numbers near `amounts` (shape [state]) with the same sum: round down, then give to the largest remainders."""
    whole = np.floor(amounts + 1e-9).astype(np.int64)
    missing = round(float(amounts.sum())) - int(whole.sum())
    order = np.argsort(whole - amounts, kind="stable")
    whole[order[:missing]] += 1
    return whole
