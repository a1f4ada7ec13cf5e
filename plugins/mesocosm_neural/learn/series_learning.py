"""The neural mean-field game in learn mode, for stage games: an SDE of what a round records, such as attendance.

    dY = f(Y, Y_k) dt + g(Y, Y_k) dW          from round k to round k + 1, with Y_k = Y at round k
    value = Y, or low + (high - low) / (1 + exp(-Y)) for a quantity between two bounds

Rounds are discrete, and what follows on a full night may well be an empty one. A diffusion in one dimension, whose paths do
not cross, cannot say that (its autocorrelation is never below 0); one that also sees where the round began can.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Axis, InputError, Labelled
from mesocosm_neural.learn.sample_learning import Paths, SampleLearning
from mesocosm_neural.learn.samples import Samples, samples_of
from mesocosm_neural.learn.sde_law import UnitPart
from mesocosm_neural.learn.sde_task import Start
from mesocosm_neural.learn.sde_units import Units, tensor_of, units_of
from mesocosm_neural.learn.space import Space


class SeriesLearning(SampleLearning):
    """Recorded quantities of a stage game as one SDE, trained on the replicates of another dynamics or of a table.

    Replicates are `paths` series of each seed. The game itself has no SDE: before training there is no drift, and a noise in
    units of the data. Series start from those observed at time 0. A quantity of a population of N people takes N + 1 values;
    the SDE's takes all in between. Observes each quantity by its name, [replicate], and its mean over the rounds so far,
    `NAME_so_far`. Summary: see `SampleLearning`; and `seed_of_replicate(replicate)`.
    """

    has_origin = True

    def check(self) -> None:
        super().check()
        learn, where = self.learn, f"{self.context.label}.learn"
        for name in learn.bounds:
            if name not in self.names:
                raise InputError(
                    f"bounds of '{name}'", where=f"{where}.bounds", rule=f"it learns {', '.join(self.names)}"
                )
        for name, (low, high) in learn.bounds.items():
            if not low < high:
                raise InputError(f"from {low:g} to {high:g}", where=f"{where}.bounds.{name}", rule="low below high")
        if learn.drift == "rescale" or "field" in learn.sees:
            raise InputError(
                "drift rescale" if learn.drift == "rescale" else "a field",
                where=where,
                rule="a stage game has no drift and no field of its own",
                hint="leave 'drift' out, and let 'sees' name state and time",
            )
        if self.options.parameters:
            raise InputError(
                "parameters",
                where=f"{self.context.label}.parameters",
                rule="nothing of a stage game enters: leave them out",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """What is learned."""
        return self.learn.quantities or self.problem.stage_game.signals

    @cached_property
    def space(self) -> Space:
        return Space.of_ranges([self.learn.bounds.get(name) for name in self.names])

    @property
    def sides(self) -> tuple[Axis, ...]:
        return ()

    @cached_property
    def part(self) -> UnitPart:
        return UnitPart(self.units.noise)

    @cached_property
    def samples(self) -> Samples:
        trajectories = self.context.trajectories_of(self.learn.from_)
        samples = samples_of(trajectories, self.names, self.learn, self.problem.clock)
        for column, name in enumerate(self.names):
            low, high = self.learn.bounds.get(name, (-np.inf, np.inf))
            known = samples.values[..., column][~np.isnan(samples.values[..., column])]
            if known.min() < low or known.max() > high:
                raise InputError(
                    f"{name} from {known.min():g} to {known.max():g}",
                    where=f"learn from '{trajectories.label}'",
                    rule=f"its bounds are {low:g} and {high:g}",
                )
        return samples

    @cached_property
    def start(self) -> Start:
        samples = self.samples
        if not samples.train[0].any():
            raise InputError(
                "nothing was observed at time 0",
                where=f"learn from '{self.learn.from_}'",
                rule="series start from what was observed then",
            )
        return Start(self.space.places(tensor_of(samples.values[0, samples.train[0]], self._like)))

    @cached_property
    def units(self) -> Units:
        return units_of(self.space, self.samples, self.problem.clock, self._like.new_zeros(1, 0))

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names = [*self.names, *(f"{name}_so_far" for name in self.names)]
        return dict.fromkeys(names, ("replicate",))

    def observe(self, state: Paths) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        for suffix, values in (("", state.saved[-1]), ("_so_far", np.mean(state.saved, axis=0))):
            columns = values.reshape(self.replicates, -1).T
            found |= {f"{name}{suffix}": column for name, column in zip(self.names, columns, strict=True)}
        return found

    def summary(self, state: Paths) -> dict[str, float | Labelled]:
        seeds = np.repeat(np.arange(self.options.seeds), self.options.paths)
        return {**super().summary(state), "seed_of_replicate": Labelled(("replicate",), seeds)}

    def signature(self) -> bytes:
        """Nothing of the game enters."""
        return b""

    @property
    def _like(self) -> torch.Tensor:
        return torch.zeros((), device=self.device, dtype=self.dtype)
