"""Euler-Maruyama steps of all agents of a diffusion game.

    X(t + h) = X(t) + b(t, X, z, a) h + sigma(t, X, z) sqrt(h) xi + sigma0(t, X, z) sqrt(h) xi0

with xi standard normal, new for every agent, axis and step, and xi0, where the game has common noise, new for every axis and
step and the same for all agents of a replicate. Field z and control a are those at the beginning of the step. What the
sides of the box do is in `walls`. The weak error is first order in h (Kloeden and Platen, Numerical Solution of SDEs, 14.1).

An agent whose policy looks at the field chooses by the field that it would receive if all others were neutral; where
emissions depend on the control, the response then uses the field of what was chosen. Agents that have left expose nothing,
and still count where fields are averages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiffusionGame, DynamicsError, InputError, Interval, Passage, Policy, Streams, substeps
from mesocosm_agents.arrays import BoolArray, FloatArray
from mesocosm_agents.contacts import Contacts, Graphs
from mesocosm_agents.walls import Walls

_AGENTS_AT_ONCE = 2**15
"""Agents whose steps are computed together: their arrays stay in the cache."""

_DRAWN_AHEAD = 2**11
"""Agents x steps whose random numbers are drawn together."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """All agents at one time.

    Attributes
    ----------
    time: in the scenario's unit.
    places: shape [replicate, N, axis]; of an agent that has left, where it left.
    left_at: when each agent left, shape [replicate, N]; infinite while it is inside.
    paid: integral of the running cost of each agent so far, shape [replicate, N].
    """

    time: float
    places: FloatArray
    left_at: FloatArray
    paid: FloatArray

    @property
    def inside(self) -> BoolArray:
        """Who has not left, shape [replicate, N]."""
        return np.isinf(self.left_at)

    def of(self, numbers: NDArray[np.intp]) -> Crowd:
        """Copies of some replicates."""
        return Crowd(self.time, self.places[numbers], self.left_at[numbers], self.paid[numbers])


Witness = Callable[[float, Crowd, FloatArray, FloatArray, FloatArray | float], None]
"""Told of every step at its beginning: time, agents, field [replicate, N, channel], and how far their own noise and the
common one move them in this step, [replicate, N, axis] and the same or 0."""


@dataclass(frozen=True, eq=False)
class Walk:
    """A game, the policy that agents play, the graph of each replicate, random streams, and the longest time step."""

    game: DiffusionGame
    policy: Policy
    graphs: Graphs
    streams: Streams
    step: float

    @cached_property
    def walls(self) -> Walls:
        """The sides of the game's box."""
        return Walls(self.game)

    def begin(self, numbers: NDArray[np.intp], size: int) -> Crowd:
        """All agents of some replicates at time 0, from the streams named `initial`."""
        randoms = (self.streams.generator("initial", replicate=int(number)) for number in numbers)
        drawn = np.stack([np.asarray(self.game.start.sample(random, size), np.float64) for random in randoms])
        places, left = self.walls.begin(drawn)
        return Crowd(0.0, places, np.where(left, 0.0, np.inf), np.zeros(left.shape))

    def emission(self, t: float, places: FloatArray, inside: BoolArray, control: FloatArray) -> FloatArray:
        """What agents expose, [batch, N, channel], from places and controls [batch, N, axis]; nothing where they have left."""
        emission = np.asarray(self.game.emission(t, places, control), np.float64)
        expected = (*inside.shape, len(self.game.channels))
        if emission.shape != expected:
            raise InputError(
                f"emission returned shape {emission.shape}",
                where=f"game {type(self.game).__name__}",
                rule=f"for agents of shape {inside.shape} it is {expected}, with one entry per channel",
                hint="build it with self.stack",
            )
        return emission * inside[..., None]

    def respond(
        self, contacts: Contacts, t: float, places: FloatArray, inside: BoolArray
    ) -> tuple[FloatArray, FloatArray]:
        """Control [batch, N, axis] and field [batch, N, channel] of every agent at time t."""
        game, state = self.game, cast(Any, places)

        def choose(field: FloatArray | None) -> FloatArray:
            chosen = np.asarray(self.policy.control(t, contacts.rows[None, :], state, field), np.float64)
            return np.broadcast_to(chosen, places.shape)

        if game.interaction != "emission":
            felt = contacts.pairwise(lambda receiver, sender: game.influence(t, receiver, sender), places, inside)
            return choose(felt), felt
        if not self.policy.uses_field:
            control = choose(None)
            return control, contacts.field(self.emission(t, places, inside, control))
        emission = self.emission(t, places, inside, np.asarray(game.neutral_control(places), np.float64))
        field = contacts.field(emission)
        control = choose(field)
        after = self.emission(t, places, inside, control)
        return control, field if np.array_equal(after, emission) else contacts.field(after)

    def advance(self, crowd: Crowd, interval: Interval) -> Crowd:
        """The agents at `interval.stop`. Raises `DynamicsError` where a place is not finite."""
        numbers = np.arange(len(crowd.places))
        result = Crowd(interval.stop, *(np.empty_like(array) for array in (crowd.places, crowd.left_at, crowd.paid)))
        for contacts, shared in self.graphs.batches(np.arange(len(numbers))):
            count = max(1, _AGENTS_AT_ONCE // contacts.size)
            for first in range(0, len(shared), count):
                some = shared[first : first + count]
                moved = self.advance_some(contacts, some, crowd.of(some), interval)
                result.places[some], result.left_at[some], result.paid[some] = moved.places, moved.left_at, moved.paid
        return result

    def advance_some(
        self,
        contacts: Contacts,
        numbers: NDArray[np.intp],
        crowd: Crowd,
        interval: Interval,
        witness: Witness | None = None,
    ) -> Crowd:
        """As `advance`, for agents on one graph; `numbers` are their replicates, which decide their random numbers."""
        count, length = substeps(interval.start, interval.stop, self.step)
        draws = Draws(self, interval, numbers, contacts.size, count)
        for step in range(count):
            crowd = self._step(contacts, numbers, crowd, interval.start + step * length, length, draws, witness)
        return Crowd(interval.stop, crowd.places, crowd.left_at, crowd.paid)

    def _step(
        self,
        contacts: Contacts,
        numbers: NDArray[np.intp],
        crowd: Crowd,
        t: float,
        length: float,
        draws: Draws,
        witness: Witness | None,
    ) -> Crowd:
        game, places, inside = self.game, crowd.places, crowd.inside
        normals, uniforms, common = draws.next()
        control, field = self.respond(contacts, t, places, inside)
        with np.errstate(over="ignore", invalid="ignore"):
            noise = np.asarray(game.noise(t, places, field), np.float64)
            own: FloatArray = noise * np.sqrt(length) * normals
            variance, shared = noise**2, 0.0
            if common is not None:
                amplitude = np.asarray(game.common_noise(t, places, field), np.float64)
                shared, variance = amplitude * np.sqrt(length) * common, variance + amplitude**2
            end = places + game.drift(t, places, field, control) * length + own + shared
        if witness is not None:
            witness(t, crowd, field, own, shared)
        self._check(t + length, numbers, end, inside)
        end = np.where(inside[..., None], end, places)
        if self.walls.exits:
            spread = np.broadcast_to(variance, end.shape)
            moved, after = self.walls.cross(places, end, spread, length, inside, uniforms)
            moved = np.where(inside[..., None], moved, places)
            left_at = np.where(after <= length, t + after, crowd.left_at)
            lasted = np.where(inside, np.minimum(after, length), 0.0)
        else:
            moved, left_at, lasted = self.walls.contain(end), crowd.left_at, np.full(inside.shape, length)
        paid = crowd.paid
        if game.has_costs:
            paid = paid + np.broadcast_to(game.running_cost(t, places, field, control), inside.shape) * lasted
        return Crowd(t + length, moved, left_at, paid)

    def _check(self, time: float, numbers: NDArray[np.intp], places: FloatArray, inside: BoolArray) -> None:
        if np.isfinite(places).all():
            return
        wrong = (~np.isfinite(places)).any(axis=-1) & inside
        if wrong.any():
            replicate = int(numbers[np.argwhere(wrong)[0][0]])
            raise DynamicsError(
                f"the place of an agent is not finite in replicate {replicate}",
                where=f"dynamics '{self.streams.label}' at time {time:g}",
                rule="places are finite",
                hint="use a smaller step, or look at the game's drift and noise and at the policy",
            )


class Draws:
    """The random numbers of one interval, step by step, for the replicates `numbers`; the same however many there are.

    They are drawn for several steps ahead where there are few agents: `block`, which depends on their number alone.
    """

    def __init__(self, walk: Walk, interval: Interval, numbers: NDArray[np.intp], size: int, steps: int) -> None:
        streams, axes, exits = walk.streams, len(walk.game.axes), len(walk.walls.exits)
        self._own = [streams.generator("diffusion", interval=interval.index, replicate=int(n)) for n in numbers]
        self._common = [
            streams.generator("common", interval=interval.index, replicate=int(n))
            for n in (numbers if walk.game.common is not None else [])
        ]
        self._block = max(1, min(steps, _DRAWN_AHEAD // size))
        self._shared = np.empty((len(self._common), self._block, 1, axes))
        self._normals = np.empty((len(numbers), self._block, size, axes))
        self._uniforms = np.empty((len(numbers), self._block, size, exits, 1 + axes if exits else 0))
        self._next = self._block

    def next(self) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Those of one step: own normals [batch, N, axis], uniforms of the walls [batch, N, exit, 1 + axis], and common
        normals [batch, 1, axis] or None."""
        if self._next == self._block:
            self._next = 0
            for number, generator in enumerate(self._own):
                generator.standard_normal(out=self._normals[number])
                if self._uniforms.size:
                    generator.random(out=self._uniforms[number])
            for number, generator in enumerate(self._common):
                generator.standard_normal(out=self._shared[number])
        now, self._next = self._next, self._next + 1
        shared = self._shared[:, now] if self._common else None
        return self._normals[:, now], self._uniforms[:, now], shared


def passage_of(left_at: FloatArray, horizon: float) -> Passage:
    """How a population leaves until the horizon, from when each of its agents does, [N]: a step function."""
    times = np.sort(left_at[left_at <= horizon])
    shares = np.arange(len(times) + 1) / len(left_at)
    return Passage(np.concatenate([[0.0], np.repeat(times, 2), [horizon]]), np.repeat(shares, 2))


def signals_of(game: DiffusionGame, passage: Passage) -> FloatArray:
    """The signals of a population, [signal]; one that is infinite, because a share never leaves, is taken as the horizon."""
    found = np.asarray(game.find_signals(passage), np.float64)
    return np.where(np.isinf(found), passage.times[-1], found)


def total_costs(walk: Walk, replicate: int, crowd: Crowd) -> FloatArray:
    """What each agent of one replicate has paid by the horizon, [N], from a crowd of that replicate alone: running cost,
    and exit or terminal cost with the signals that came about."""
    game, inside, places = walk.game, crowd.inside[0], crowd.places[0]
    signals = signals_of(game, passage_of(crowd.left_at[0], crowd.time))
    result: FloatArray = crowd.paid[0].copy()
    if not inside.all():
        left = ~inside
        result[left] += np.broadcast_to(game.exit_cost(crowd.left_at[0, left], places[left], signals), left.sum())
    if inside.any():
        _, field = walk.respond(walk.graphs.contacts(replicate), crowd.time, crowd.places, crowd.inside)
        last = game.terminal_cost(crowd.time, places[inside], field[0, inside], signals)
        result[inside] += np.broadcast_to(last, inside.sum())
    return result
