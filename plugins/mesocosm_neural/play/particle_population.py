"""A population of particles that play a policy, observed over time: who reaches an absorbing side leaves, or does not, by
a draw.

Steps and chances are those of `diffusion_cost` and `exits`, with shares 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import DynamicsError, Interval, Passage, Streams, substeps
from mesocosm_neural.play.diffusion_cost import Walk
from mesocosm_neural.trainer import one_thread

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """The particles of all seeds at one time.

    Attributes
    ----------
    places: [seed, path, axis]; of one that has left, where it left. inside: 1 or 0, [seed, path].
    left_at: when each left, [seed, path]; infinite while it is inside.
    """

    places: torch.Tensor
    inside: torch.Tensor
    left_at: torch.Tensor


@dataclass(frozen=True, eq=False)
class PopulationWalk:
    """What advances a population: how its particles walk at given times, random streams, and the longest step."""

    walk_over: Callable[[FloatArray], Walk]
    streams: Streams
    step: float

    def begin(self, start: Callable[[np.random.Generator], torch.Tensor], seeds: int) -> Population:
        """At time 0, from the streams named `initial`; `start` gives the places of one seed, [1, path, axis]."""
        places = torch.cat([start(self.streams.generator("initial", replicate=seed)) for seed in range(seeds)])
        inside = torch.ones_like(places[..., 0])
        return Population(places, inside, torch.full_like(inside, float("inf")))

    def advance(self, population: Population, interval: Interval) -> Population:
        """Over one save interval. Raises `DynamicsError` where a place is not finite."""
        count, _ = substeps(interval.start, interval.stop, self.step)
        times = np.linspace(interval.start, interval.stop, count + 1)
        generator = torch.Generator().manual_seed(self.streams.integer("paths", interval=interval.index))
        with torch.no_grad(), one_thread():
            result = self._advance(population, times, generator)
        if not bool(torch.isfinite(result.places).all()):
            raise DynamicsError(
                "a place is not finite",
                where=f"dynamics '{self.streams.label}' at time {interval.stop:g}",
                rule="places are numbers",
                hint="use a smaller 'step'",
            )
        return result

    def passages(self, population: Population, end: float) -> list[Passage]:
        """How the population of each seed leaves: step functions."""
        return [_passage(row, end) for row in population.left_at.double().cpu().numpy()]

    def _advance(self, population: Population, times: FloatArray, generator: torch.Generator) -> Population:
        walk, like = self.walk_over(times), population.places
        seeds, paths, axes = like.shape

        def drawn(draw: Any, *shape: int) -> torch.Tensor:
            values: torch.Tensor = draw(*shape, generator=generator, dtype=torch.float64)
            return values.to(like)

        def touch(chance: torch.Tensor) -> torch.Tensor:
            return (drawn(torch.rand, seeds, paths) < chance).to(chance.dtype)

        places, left_at = population.places, population.left_at
        node = walk.node(float(times[0]), places, population.inside)
        for start, stop in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
            noise = drawn(torch.randn, seeds, paths, axes), drawn(torch.randn, seeds, 1, axes)
            move = walk.step((start, stop), node, noise, touch=touch)
            places = torch.where(node.inside[..., None] > 0.5, move.node.places, places)
            for each in move.exits:
                places = torch.where(each.share[..., None] > 0.5, each.place, places)
                left_at = torch.where(each.share > 0.5, start + each.delay, left_at)
            node = move.node
        return Population(places, node.inside, left_at)


def pack(population: Population) -> dict[str, NDArray[Any]]:
    """As arrays."""
    return {name: part.cpu().numpy() for name, part in vars(population).items()}


def unpack(arrays: Mapping[str, NDArray[Any]], device: torch.device) -> Population:
    """From what `pack` gave."""
    return Population(**{name: torch.from_numpy(np.array(part)).to(device) for name, part in arrays.items()})


def _passage(left_at: FloatArray, end: float) -> Passage:
    times = np.sort(left_at[left_at <= end])
    shares = np.arange(len(times) + 1) / len(left_at)
    return Passage(np.concatenate([[0.0], np.repeat(times, 2), [end]]), np.repeat(shares, 2))
