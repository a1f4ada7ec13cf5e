"""The neural mean-field game in play mode, diffusion games: deep fictitious play with particles.

A policy network is trained by differentiating the cost of one agent along its simulated path, while the flow of the
population is held fixed (see `diffusion_cost`, `field_flow`). Flows of the policies that training passes through are
averaged, and agents respond to the average; where that settles, nobody gains by deviating: a Nash equilibrium of the
mean-field game.

Sources: Cardaliaguet and Hadikhanloo, ESAIM: COCV 23, 569 (2017), fictitious play; Carmona and Lauriere, Ann. Appl.
Probab. 32, 4065 (2022), training on particles; Min and Hu, arXiv 2106.03272, conditional on common noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Assessment, DiffusionGame, InputError, Interval, Labelled, Marginals, Policy, assess
from mesocosm_neural.particles import Particles
from mesocosm_neural.play.diffusion_policy import policy_of
from mesocosm_neural.play.diffusion_training import DiffusionTraining
from mesocosm_neural.play.options import PLAYED_WITHOUT, check_meaning
from mesocosm_neural.play.particle_population import Population, PopulationWalk, pack, unpack
from mesocosm_neural.play.playing import Playing
from mesocosm_neural.trainer import History, Trainer

FloatArray = NDArray[np.float64]

TABLE_TIMES = 100
"""Intervals between the times of the table of a policy."""

SAMPLED = frozenset({"paths", "batch"})
"""Options that playing with particles has, beside those of every kind of game."""


class DiffusionPlay(Playing):
    """Policies trained by deep fictitious play, one for each seed, and a population of `paths` particles that plays each.

    Replicates are seeds. Observes what `mesocosm.Marginals` names. At the end: `value(seed)`, the cost of an agent by Monte
    Carlo, with `value_error(seed)`; the scalars of the game for each replicate; `loss(training_step)`, averaged over seeds;
    `iterations`; `residual(seed)`, the largest distance of the last flow from the average, NaN where flows are not averaged.

    Where the game can be assessed: `exploitability_of_seed(seed)` by the grid method of `mesocosm.assess`, which training
    does not use, `exploitability_by_check(check)`, averaged over seeds, and `converged`, whether the policy of `best_seed`,
    which others may play, is exploitable by at most `tolerance` of its cost.

    With common noise each seed is trained on `scenarios` populations. A policy that does not see the field cannot answer it;
    nothing is then said of its exploitability, and the best seed is the one of least cost. There is no `consistency` then:
    the population of each seed has met a shock of its own.
    """

    history: History
    assessments: tuple[Assessment, ...] = ()

    @property
    def game(self) -> DiffusionGame:
        """The game."""
        return self.problem.diffusion_game

    def check(self) -> None:
        super().check()
        game, sees_field = self.game, "field" in self.play.sees
        faults = {
            f"game {type(game).__name__}, whose agents choose nothing": (
                game.control is None or not game.has_costs,
                "playing needs a game with a control and costs",
            ),
            "a box with doors": (
                bool(game.doors),
                "particles leave by whole sides; doors are for classical_mfg and agents",
            ),
            f"common noise '{game.common}' in a game with signals": (
                game.common is not None and bool(game.signals),
                "signals are averaged over training, and each shock would have signals of its own",
            ),
            f"sees: field, with the interaction {game.interaction}": (
                sees_field and game.interaction != "emission",
                "a policy sees a field that all receive alike",
            ),
        }
        for what, (wrong, rule) in faults.items():
            if wrong:
                raise InputError(what, where=self.where("play"), rule=rule)
        check_meaning(self.context.label, self.options, PLAYED_WITHOUT - SAMPLED)
        unfit = frozenset({"closure", "shock"} | (set() if game.common is not None else {"scenarios"}))
        check_meaning(self.context.label, self.play, unfit, "play.")
        _ = self.particles

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return self.marginals.dimensions

    def coordinates(self) -> dict[str, Sequence[Any]]:
        return dict(self.marginals.coordinates)

    def prepare(self) -> None:
        training = self.training
        trainer = Trainer(
            training.network.weights,
            training.loss,
            self.options,
            self.context,
            self._fingerprint(),
            validate=self._exploitabilities if self._is_assessed else None,
            memory=training.flow,
        )
        self.history = trainer.run()
        if self._is_assessed:
            self.assessments = self._assess()

    def init(self) -> Population:
        paths = self.options.paths
        return self.population.begin(lambda random: self.particles.start(random, 1, paths), self.options.seeds)

    def advance(self, state: Population, interval: Interval) -> Population:
        return self.population.advance(state, interval)

    def observe(self, state: Population) -> dict[str, NDArray[Any]]:
        places = state.places.double().cpu().numpy()
        return dict(self.marginals.of_agents(places, state.inside.cpu().numpy() > 0.5))

    def summary(self, state: Population) -> dict[str, float | Labelled]:
        passages = self.population.passages(state, self.problem.clock.end)
        signals = self.training.walk().signals_of(passages).double().cpu().numpy()
        rows = [self.game.scalars(each, found) for each, found in zip(passages, signals, strict=True)]
        found: dict[str, float | Labelled] = {
            name: Labelled(("replicate",), np.array([row[name] for row in rows], np.float64)) for name in rows[0]
        }
        values, errors = self._values
        found |= {
            "value": Labelled(("seed",), values),
            "value_error": Labelled(("seed",), errors),
            "loss": Labelled(("training_step",), np.mean(self.history.losses, axis=1)),
            "residual": Labelled(("seed",), self._residual),
            "iterations": float(len(self.history.losses)),
            "best_seed": float(self.best_seed),
        }
        if self.game.common is not None:
            found["consistency"] = float("nan")  # each seed's population has met a shock of its own
        if self.assessments:
            gains, best = self._gains, self.best_seed
            found |= {
                "exploitability_of_seed": Labelled(("seed",), gains),
                "exploitability_by_check": Labelled(("check",), np.mean(self.history.scores, axis=1)),
                "converged": float(gains[best] <= self.play.tolerance * abs(self.assessments[best].value)),
            }
        return found

    def pack(self, state: Population) -> dict[str, NDArray[Any]]:
        return pack(state)

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Population:
        return unpack(arrays, self.device)

    def plays(self) -> Policy | None:
        return self.policy() if self._is_assessed else None

    def policy(self) -> Policy:
        return self.policy_of(self.best_seed)

    def policy_of(self, seed: int) -> Policy:
        """The policy of one seed."""
        times = np.linspace(0.0, self.problem.clock.end, TABLE_TIMES + 1)
        origin = self.training.first_field.double().cpu().numpy()
        return policy_of(self.training.network, seed, times, origin)

    @cached_property
    def particles(self) -> Particles:
        """The game on the device."""
        return Particles.of(self.problem, self.game, self.device, self.dtype)

    @cached_property
    def marginals(self) -> Marginals:
        """What is observed."""
        return Marginals(self.game)

    @cached_property
    def training(self) -> DiffusionTraining:
        """The networks, and what they are trained on."""
        end = self.problem.clock.end
        return DiffusionTraining(self.particles, self.options, self.context.streams, end, self.generators())

    @cached_property
    def population(self) -> PopulationWalk:
        """The particles that are observed."""
        step = float(self.training.times[1])
        return PopulationWalk(lambda times: self.training.walk(times=times), self.context.streams, step)

    @property
    def best_seed(self) -> int:
        """The seed of least exploitability; of least cost where that is not known."""
        return int((self._gains if self.assessments else self._values[0]).argmin())

    @cached_property
    def _values(self) -> tuple[FloatArray, FloatArray]:
        return self.training.values(self.options.paths, "value")

    @property
    def _is_assessed(self) -> bool:
        """Whether the grid method has an answer: not for common noise that the policy cannot see."""
        game = self.game
        return game.common is None or (game.moves_with is not None and "field" in self.play.sees)

    @property
    def _residual(self) -> FloatArray:
        found = self.training.flow.average.residual.double().cpu().numpy()
        return np.broadcast_to(found, (self.options.seeds,)).copy()

    @property
    def _gains(self) -> FloatArray:
        return np.array([each.exploitability for each in self.assessments])

    def _assess(self) -> tuple[Assessment, ...]:
        return tuple(assess(self.problem, self.policy_of(seed)) for seed in range(self.options.seeds))

    def _exploitabilities(self, step: int) -> torch.Tensor:
        return torch.tensor([each.exploitability for each in self._assess()], dtype=torch.float64)

    def _fingerprint(self) -> str:
        game = self.game
        return self.fingerprint_of([game.axes, game.start, self.particles.strength], without={"paths"})
