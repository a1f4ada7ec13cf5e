"""The neural mean-field game in learn mode, for agents that move in a box: the game's SDE with learned drift and noise.

    dX = [b_game (+) f(t, X, z, u)] dt + [sigma_game (+) g(t, X, z, u)] dW

Source of the idea: Thoeni, Bachrach and Kachman, arXiv 2504.13228. How f and g enter is in `sde_networks`, the sides of the
box in `sde_law`, the loss in `sde_fit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Axis, DiffusionGame, InputError, Labelled, Marginals, Passage
from mesocosm_neural.learn.sample_learning import Paths, SampleLearning
from mesocosm_neural.learn.samples import Samples, samples_of
from mesocosm_neural.learn.sde_law import GamePart
from mesocosm_neural.learn.sde_task import Start
from mesocosm_neural.learn.sde_units import Units, spaced, tensor_of, units_of
from mesocosm_neural.learn.space import Space
from mesocosm_neural.particles import Particles
from mesocosm_neural.start_game import start_game

STARTS = 4096
"""Places that are drawn from the game's start, for paths to start from."""


class DiffusionLearning(SampleLearning):
    """A diffusion game with learned drift and noise, trained on places of agents, their quantiles, or a table.

    Replicates are the seeds: each is one population of `paths` agents, in the homogeneous mean field and under the neutral
    control; what these miss, the networks have to learn. Paths start from the places at time 0 where rows are followed and
    were observed then, else from the game's own start. Observes what `mesocosm.Marginals` names. Summary: see
    `SampleLearning`; `seed_of_replicate(replicate)`; and where agents can leave the game's own numbers, such as `start_time`,
    with shares that are linear in time between two saves.
    """

    @property
    def replicates(self) -> int:
        return self.options.seeds

    def check(self) -> None:
        super().check()
        game, where = self.game, f"{self.context.label}.learn"
        if game.doors:
            raise InputError(
                f"{len(game.doors)} doors", where=where, rule="agents leave through whole sides, or not at all"
            )
        if game.common is not None:
            raise InputError(
                f"common noise '{game.common}'",
                where=where,
                rule="a population is learned whose noise is each agent's own",
                hint="switch the common noise of the game off",
            )
        self.particles  # noqa: B018  a density without a width is found before anything is trained
        for name in ("quantities", "bounds"):
            if name in self.learn.changed:
                raise InputError(
                    f"{name} for a diffusion game", where=f"{where}.{name}", rule="for stage games: leave it out"
                )

    @cached_property
    def game(self) -> DiffusionGame:
        """The game that training starts from."""
        game: Any = self.problem.diffusion_game
        changed: Any = start_game(game, self.options.parameters)
        assert isinstance(changed, DiffusionGame)
        return changed

    @cached_property
    def particles(self) -> Particles:
        """The game on the device."""
        return Particles.of(self.problem, self.game, self.device, self.dtype)

    @cached_property
    def space(self) -> Space:
        return Space.of_box(self.game.axes)

    @property
    def sides(self) -> tuple[Axis, ...]:
        return tuple(self.game.axes)

    @cached_property
    def part(self) -> GamePart:
        return GamePart(self.particles)

    @cached_property
    def samples(self) -> Samples:
        names = [axis.name for axis in self.game.axes]
        return samples_of(self.context.trajectories_of(self.learn.from_), names, self.learn, self.problem.clock)

    @cached_property
    def start(self) -> Start:
        samples, like = self.samples, torch.zeros((), device=self.device, dtype=self.dtype)
        if samples.followed and samples.train[0].any():
            return Start(tensor_of(samples.values[0, samples.train[0]], like))
        return Start(self.particles.start(self.context.streams.generator("start"), 1, STARTS)[0])

    @cached_property
    def units(self) -> Units:
        """Read off the data, fields among the rows of each save included."""
        samples, clock = self.samples, self.problem.clock
        fields = []
        for save in samples.train_saves:
            places = tensor_of(spaced(samples.values[save, samples.train[save]]), self.start.places)[None]
            fields.append(self.part(float(clock.times[save]), places, None)[2][0])
        return units_of(self.space, samples, clock, torch.cat(fields))

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return self._marginals.dimensions

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return self._marginals.coordinates

    def observe(self, state: Paths) -> dict[str, NDArray[Any]]:
        inside = self.law.inside(state.places)
        shape = state.places.shape[:2]
        within = np.ones(shape, np.bool_) if inside is None else inside.cpu().numpy()
        return dict(self._marginals.of_agents(state.saved[-1], within))

    def summary(self, state: Paths) -> dict[str, float | Labelled]:
        result = {
            **super().summary(state),
            "seed_of_replicate": Labelled(("replicate",), np.arange(self.options.seeds)),
        }
        return result | self._scalars(state)

    def signature(self) -> bytes:
        """Drift and noise of the game at some places and times, which is what training sees of it."""
        drawn = self.start.places[:: max(1, len(self.start.places) // 64)][None]
        times = self.problem.clock.times[:: max(1, len(self.problem.clock.times) // 8)]
        terms = [term for time in times for term in self.part(float(time), drawn, None)]
        return b"".join(term.cpu().numpy().tobytes() for term in terms)

    def _scalars(self, state: Paths) -> dict[str, Labelled]:
        """The game's numbers, one for each replicate, from the shares that have left by each save."""
        if not self.game.has_exits:
            return {}
        within = [self.law.inside(tensor_of(saved, state.places)) for saved in state.saved]
        left = np.stack([1.0 - part.double().mean(dim=1).cpu().numpy() for part in within if part is not None], axis=-1)
        passages = [Passage(self.problem.clock.times, row) for row in left]
        signals = [np.minimum(self.game.find_signals(each), self.problem.clock.end) for each in passages]
        rows = [self.game.scalars(passage, found) for passage, found in zip(passages, signals, strict=True)]
        return {name: Labelled(("replicate",), np.array([row[name] for row in rows])) for name in rows[0]}

    @cached_property
    def _marginals(self) -> Marginals:
        return Marginals(self.game)
