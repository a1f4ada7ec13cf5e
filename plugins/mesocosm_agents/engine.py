"""What the engines share: the play that they advance, and the law of one time step (the engine `exact` has none).

Time is cut into equal steps. In a step every agent sees the field at its beginning; with q the summed intensity of the
transitions out of its state it leaves with probability 1 - exp(-q dt), to a target chosen in proportion. All agents
move at once. The error against continuous time is first order in dt. Source: tau-leaping, Gillespie, J. Chem. Phys.
115, 1716 (2001), with a limit of one jump per agent and step.

An agent whose policy looks at the field chooses by the field that it would receive if all others were neutral; where
emissions depend on the control, the intensities then use the field of what was chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DynamicsError, FiniteStateGame, InputError, Policy, Streams, Transition, substeps
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.contacts import Graphs


@dataclass(frozen=True)
class Stretch:
    """A time [start, stop] in which neither game nor graph changes: part number `part` of save interval number `index`."""

    index: int
    start: float
    stop: float
    part: int = 0


@dataclass(frozen=True, eq=False)
class Play:
    """A game, the policy that agents play, the graph of each replicate, random streams, and the longest time step."""

    game: FiniteStateGame
    policy: Policy
    graphs: Graphs
    streams: Streams
    step: float

    @cached_property
    def leaving(self) -> tuple[tuple[Transition, ...], ...]:
        """The transitions out of each state, in the order of the game's table."""
        return tuple(
            tuple(transition for transition in self.game.transitions if transition.source == name)
            for name in self.game.states
        )

    def generator(self, stretch: Stretch, replicate: int) -> np.random.Generator:
        """The random numbers of one replicate in one stretch; the same however many replicates there are."""
        purpose = f"transitions, part {stretch.part}" if stretch.part else "transitions"
        return self.streams.generator(purpose, interval=stretch.index, replicate=replicate)

    def substeps(self, stretch: Stretch) -> tuple[int, float]:
        """Number and length of the steps in a stretch."""
        return substeps(stretch.start, stretch.stop, self.step)

    def emission(self, t: float, states: Any, control: FloatArray) -> FloatArray:
        """What agents emit, shape of `control` plus a last axis of channels; an error for any other shape."""
        emission = np.asarray(self.game.emission(t, states, control), np.float64)
        expected = (*control.shape, len(self.game.channels))
        if emission.shape != expected:
            raise InputError(
                f"emission returned shape {emission.shape}",
                where=f"game {type(self.game).__name__}",
                rule=f"for agents of shape {control.shape} it is {expected}, with one entry per channel",
                hint="build it with self.stack",
            )
        return emission

    def invalid(self, time: float, replicate: int, transition: Transition, value: float) -> DynamicsError:
        """The error for an intensity that is negative, infinite or NaN."""
        return DynamicsError(
            f"the intensity of {transition.source} -> {transition.target} is {value:g} in replicate {replicate}",
            where=f"dynamics '{self.streams.label}' at time {time:g}",
            rule="an intensity is finite and not negative",
            hint=f"it is {transition.describe()}: look at the game's emission and at the policy",
        )


class Engine(ABC):
    """One way to compute the jumps of all replicates.

    An engine holds agents in a form of its own, which says nothing of game, policy or graph: engines of one class go on with
    what another of that class holds. Unless overridden it is the states themselves, [replicate, N].
    """

    def __init__(self, play: Play) -> None:
        self.play = play

    def load(self, states: StateArray) -> Any:
        """What this engine holds, from `states` [replicate, N], which it neither changes nor keeps."""
        return states.copy()

    def unload(self, held: Any) -> StateArray:
        """The states [replicate, N]; not to be changed."""
        return np.asarray(held)

    def copy(self, held: Any) -> Any:
        """A copy that can be advanced apart."""
        return held.copy()

    def occupancy(self, held: Any) -> FloatArray:
        """Share of agents in each state, [replicate, state]."""
        return occupancy(self.unload(held), len(self.play.game.states))

    def pack(self, held: Any) -> Mapping[str, NDArray[Any]]:
        """What a checkpoint keeps beside the states."""
        return {}

    def unpack(self, held: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
        """What was held, from what `load` made of the states and what `pack` kept."""
        return held

    @abstractmethod
    def advance(self, held: Any, numbers: IntArray, stretch: Stretch) -> FloatArray:
        """Advance agents in place over one stretch; `numbers` [replicate] say which replicates they are: their graphs and
        their random numbers.

        Returns the integral of the running cost over the stretch, averaged over agents, shape [replicate]: a left
        Riemann sum over the steps, zero where the game has no costs. Raises `DynamicsError` for an invalid intensity.
        """


def count_states(states: StateArray, state_count: int) -> IntArray:
    """How many agents are in each state: shapes [replicate, N] to [replicate, state]."""
    # One state after the other: `bincount` would make an array of eight bytes for each agent, and takes longer.
    counts = [[np.count_nonzero(row == number) for number in range(state_count)] for row in states]
    return np.array(counts, np.int64)


def occupancy(states: StateArray, state_count: int) -> FloatArray:
    """Share of agents in each state: shapes [replicate, N] to [replicate, state]."""
    return np.asarray(count_states(states, state_count) / states.shape[1], np.float64)
