"""What the engines share: the play that they advance, and the law of one time step.

Time is cut into equal steps. In a step every agent sees the field at its beginning; with q the summed intensity of the
transitions out of its state it leaves with probability 1 - exp(-q dt), to a target chosen in proportion. All agents
move at once. The error against continuous time is first order in dt. Source: tau-leaping, Gillespie, J. Chem. Phys.
115, 1716 (2001), with a limit of one jump per agent and step.

An agent whose policy looks at the field chooses by the field that it would receive if all others were neutral; where
emissions depend on the control, the intensities then use the field of what was chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mesocosm import DynamicsError, FiniteStateGame, InputError, Interval, Policy, Streams, Transition, substeps
from mesocosm_agents.arrays import FloatArray, StateArray
from mesocosm_agents.contacts import Graphs


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

    def generator(self, interval: Interval, replicate: int) -> np.random.Generator:
        """The random numbers of one replicate in one interval; the same however many replicates there are."""
        return self.streams.generator("transitions", interval=interval.index, replicate=replicate)

    def substeps(self, interval: Interval) -> tuple[int, float]:
        """Number and length of the steps in an interval."""
        return substeps(interval.start, interval.stop, self.step)

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
    """One way to compute the steps of all replicates."""

    def __init__(self, play: Play) -> None:
        self.play = play

    @abstractmethod
    def advance(self, states: StateArray, interval: Interval) -> FloatArray:
        """Advance `states` [replicate, N] in place over one interval.

        Returns the integral of the running cost over the interval, averaged over agents, shape [replicate]: a left
        Riemann sum over the steps, zero where the game has no costs. Raises `DynamicsError` for an invalid intensity.
        """
