"""Deep fictitious play in a diffusion game: the loss of a training step, and where training begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import DiffusionGame, Passage, Streams, substeps
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.particles import Particles
from mesocosm_neural.play.antithetic import Draws
from mesocosm_neural.play.diffusion_cost import Walk
from mesocosm_neural.play.feedback_network import FeedbackNetwork, Sight
from mesocosm_neural.play.field_flow import AveragedFlow, is_averaged
from mesocosm_neural.play.hedging import Hedge
from mesocosm_neural.trainer import one_thread

FloatArray = NDArray[np.float64]

STEPS = 40
"""Steps over the horizon where no `step` is given."""

FIRST_RESPONSE = 0.2
"""Share of the training in which a policy responds to the first flow, before flows are averaged."""

EXPLORERS = 0.25
"""Share of the particles of a training step that explore: they start as far away as a neutral population spreads."""

POPULATION = 64
"""With common noise, particles of each of the populations by which a value is found."""

LEAST_SPREAD = 1e-6
"""A standard deviation below it is taken as 1: there is nothing to tell apart."""


@dataclass(frozen=True, eq=False)
class DiffusionTraining:
    """The networks of all seeds, the flow that they respond to, and the particles that play them."""

    particles: Particles
    options: NeuralSDEOptions
    streams: Streams
    end: float
    generators: Sequence[torch.Generator]

    @property
    def game(self) -> DiffusionGame:
        """The game."""
        return self.particles.game

    @property
    def sees_field(self) -> bool:
        """Whether the policies look at the field."""
        return self.options.play is not None and "field" in self.options.play.sees

    @cached_property
    def times(self) -> FloatArray:
        """Nodes of equal steps from 0 to the horizon."""
        return np.linspace(0.0, self.end, substeps(0.0, self.end, self.options.step or self.end / STEPS)[0] + 1)

    def draws(self, paths: int, explorers: float = 0.0, scenarios: int | None = None) -> Draws:
        """About so many particles for each seed, of which a share explores: whole pairs, in scenarios of equal size."""
        assert self.options.play is not None
        if self.game.common is None:
            scenarios = 1
        elif scenarios is None:
            scenarios = self.options.play.scenarios
        pairs = paths / (2 * scenarios)
        members, others = max(1, round((1.0 - explorers) * pairs)), round(explorers * pairs)
        reach = self.network.sight.spread if others else None
        return Draws(self.particles, self.options.seeds, scenarios, members, len(self.times) - 1, others, reach)

    def loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The cost of one agent against the averaged flow, [seed]; the flow that these agents make enters the average."""
        draws = self.draws(self.options.batch, EXPLORERS)
        start = draws.start(generator, spread=True)
        noise = draws.noise(generator, matched=start)
        walk = replace(self.walk(draws.scenarios, draws.members), hedge=self.hedge)
        journey = walk.travel(start, noise, self.times, self.flow.field, self.flow.signals)
        self.flow.add(step, journey.field, journey.signals)
        return journey.cost.mean(dim=1)

    def walk(self, scenarios: int = 1, members: torch.Tensor | None = None, times: FloatArray | None = None) -> Walk:
        """Particles that play the networks as they are, at the nodes of training or at other times."""
        choose = self.network.over((self.times if times is None else times).tolist())
        return Walk(self.particles, choose, self.sees_field, scenarios, members)

    @property
    def hedge(self) -> Hedge | None:
        """By the policies as they are, where particles leave; elsewhere matched noise is enough."""
        if not self.network.sight.sides:
            return None
        return Hedge(self.game, self.network.frozen().over(self.times.tolist()))

    def values(self, paths: int, purpose: str) -> tuple[FloatArray, FloatArray]:
        """Cost of an agent whose population plays the same, by so many particles, and its standard error: [seed] both."""
        assert self.options.play is not None
        generator = torch.Generator().manual_seed(self.streams.integer(purpose))
        draws = self.draws(paths, scenarios=max(self.options.play.scenarios, 2 * (paths // (2 * POPULATION))))
        with torch.no_grad(), one_thread():
            start, noise = draws.start(generator), draws.noise(generator)
            costs = self.walk(draws.scenarios).travel(start, noise, self.times).cost
            mean, error = draws.mean(costs, noise[0])
            return mean.cpu().numpy(), error.cpu().numpy()

    @cached_property
    def network(self) -> FeedbackNetwork:
        """The networks, trained in place; what they see is scaled by where a neutral population goes."""
        options, game = self.options, self.game
        assert options.play is not None
        assert game.control is not None
        places, field = self._visited
        sight = Sight(game, options.play.sees, places.mean(dim=0), _spread(places), field.mean(dim=0), _spread(field))
        longest, span = max(axis.length for axis in game.axes), game.control.maximum - game.control.minimum
        return FeedbackNetwork(
            sight,
            game.control,
            self.generators,
            hidden=(options.width,) * options.depth,
            horizon=self.end,
            frequencies=options.play.frequencies,
            scale=0.5 * min(span, longest / self.end),
        )

    @cached_property
    def flow(self) -> AveragedFlow:
        """The flow that agents respond to: first the field of a neutral population, and the signals of one that leaves at
        once, which is where a meeting starts earliest; then the average."""
        options = self.options
        assert options.play is not None
        journey = None
        if is_averaged(self.particles):
            start, noise, idle = self._neutral
            with torch.no_grad(), one_thread():
                journey = idle.travel(start, noise, self.times)
        gone = Passage(np.array([0.0, self.end]), np.ones(2))
        return AveragedFlow(
            None if journey is None else journey.field,
            self.walk().signals_of([gone] * options.seeds),
            every=options.play.flow_every,
            weight=options.play.averaging,
            patience=round(FIRST_RESPONSE * options.steps),
        )

    @cached_property
    def first_field(self) -> torch.Tensor:
        """The field of a neutral population at time 0, [channel]."""
        start, _, idle = self._neutral
        return idle.node(0.0, start).field.mean(dim=(0, 1))

    @cached_property
    def _neutral(self) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], Walk]:
        """A population that does not choose: where it starts, its noise, and how it walks."""
        draws = self.draws(self.options.batch)
        generator = torch.Generator().manual_seed(self.streams.integer("neutral"))
        idle = Walk(self.particles, lambda t, places, field: self.game.neutral_control(places), False, draws.scenarios)
        start = draws.start(generator)
        return start, draws.noise(generator, matched=start), idle

    @cached_property
    def _visited(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Places where a neutral population is, and the field that it feels there: [row, axis] and [row, channel]."""
        start, noise, idle = self._neutral
        nodes, node = self.times.tolist(), idle.node(0.0, start)
        visited, felt = [node.places], [node.field]
        with torch.no_grad(), one_thread():
            for k in range(len(nodes) - 1):
                node = idle.step((nodes[k], nodes[k + 1]), node, (noise[0][k], noise[1][k])).node
                visited.append(node.places)
                felt.append(node.field)
        return torch.stack(visited).flatten(0, 2), torch.stack(felt).flatten(0, 2)


def _spread(values: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each column, [row, column] to [column]."""
    found = values.std(dim=0)
    return torch.where(found > LEAST_SPREAD, found, torch.ones_like(found))
