"""The neural mean-field game in play mode, games of simultaneous actions: fictitious play by gradients.

In an infinite population a policy is one number, the action, so there is no network here: the number itself is trained, by the
training loop of all modes. The signals of the population that plays it are held fixed while the cost of one agent is
differentiated, made anew every `flow_every` training steps, and averaged. The derivative is a central difference, because such
games are written in NumPy; it is of one cost in one number, and costs two evaluations.

Where a cost jumps at the equilibrium, as in the El Farol bar, the gradient changes its sign there, and the decay of the
learning rate decides how near the action comes. Give `averaging: 1, flow_every: 1` and some thousand steps: the exploitability
of an infinite population falls to 0 only when the action is right to the tolerance of the game, 1e-9 for the bar.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import ConstantPolicy, InputError, Interval, Labelled, Policy, StageGame, assess
from mesocosm_neural.play.averaging import Averaged
from mesocosm_neural.play.options import PLAYED_WITHOUT, check_meaning
from mesocosm_neural.play.playing import Playing
from mesocosm_neural.play.policy_network import within
from mesocosm_neural.trainer import Trainer

FloatArray = NDArray[np.float64]

SIGNALS = "signals"

NO_NETWORK = frozenset({"width", "depth", "step"})
UNSEEN = frozenset({"closure", "sees", "frequencies", "scenarios", "shock"})
"""Options of networks, and of what they see."""

DIFFERENCE = 1e-5
"""Half the span of the central difference, as a share of the range of the control."""


class StagePlay(Playing):
    """Actions trained by fictitious play, one for each seed, from anywhere in the range of the control.

    Replicates are seeds; each plays its action in every round, in an infinite population. Observes what the mean field of a
    stage game does: `action`, the scalars of the game, and their means over the rounds so far. At the end: `value(seed)` and
    `exploitability_of_seed(seed)`, by `mesocosm.assess`; `exploitability_by_check(check)` and `loss(training_step)`, averaged
    over seeds; `residual(seed)`, the distance of the last signals from the averaged ones; `iterations`; `best_seed`, whose
    action others may play; `converged`, whether that one is exploitable by at most `tolerance` of its cost; and the constants
    of the game for the population of the scenario.
    """

    devices: ClassVar[tuple[str, ...]] = ("cpu",)

    @property
    def game(self) -> StageGame:
        """What is played."""
        return self.problem.stage_game

    def check(self) -> None:
        super().check()
        check_meaning(self.context.label, self.options, PLAYED_WITHOUT | NO_NETWORK)
        check_meaning(self.context.label, self.play, UNSEEN, "play.")
        if self.game.tables:
            raise InputError(
                f"a game with {self.game.tables} tables",
                where=self.where("play"),
                rule="an infinite population plays at one table",
                hint="play them with agent_based",
            )
        self.game.limit(self.game.control.neutral)  # a game that has no infinite population says so here

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names = self._scalars(self.game.control.neutral)
        return dict.fromkeys(["action", *names, *(f"{name}_so_far" for name in names)], ("replicate",))

    def prepare(self) -> None:
        # In double precision wherever it runs: a cost may jump where the action is right to nine digits.
        starts = [2.0 * torch.rand(1, 1, generator=each, dtype=torch.float64) - 1.0 for each in self.generators()]
        self.weight = torch.stack(starts).requires_grad_()
        self.average = Averaged(self.play.averaging)
        trainer = Trainer(
            [self.weight],
            self._loss,
            self.options,
            self.context,
            self.fingerprint_of(()),
            validate=self._exploitabilities,
            memory=self.average,
        )
        self.history = trainer.run()
        found = [assess(self.problem, ConstantPolicy.of(action)) for action in self.actions]
        self.values = np.array([each.value for each in found])
        self.exploitabilities = np.array([each.exploitability for each in found])
        self.best_seed = int(self.exploitabilities.argmin())

    @property
    def actions(self) -> FloatArray:
        """The action of every seed, [seed]."""
        return np.asarray(self._chosen().detach().numpy(), np.float64)

    def init(self) -> NDArray[np.int64]:
        """The state is the number of the round: all rounds are the same."""
        return np.array(0)

    def advance(self, state: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
        return np.array(interval.index + 1)

    def observe(self, state: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        return self._observed

    @cached_property
    def _observed(self) -> dict[str, NDArray[Any]]:
        rows = [self._scalars(action) for action in self.actions]
        scalars = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return {"action": self.actions, **scalars, **{f"{name}_so_far": value for name, value in scalars.items()}}

    def summary(self, state: NDArray[np.int64]) -> dict[str, float | Labelled]:
        best, history = self.best_seed, self.history
        return {
            "loss": Labelled(("training_step",), np.mean(history.losses, axis=1)),
            "value": Labelled(("seed",), self.values),
            "exploitability_of_seed": Labelled(("seed",), self.exploitabilities),
            "exploitability_by_check": Labelled(("check",), np.mean(history.scores, axis=1)),
            "residual": Labelled(("seed",), self.average.residual.numpy()),
            "iterations": float(len(history.losses)),
            "best_seed": float(best),
            "converged": float(self.exploitabilities[best] <= self.play.tolerance * abs(self.values[best])),
            **self.game.constants(self.problem.population.size),
        }

    def policy(self) -> Policy:
        """The action of the best seed."""
        return ConstantPolicy.of(float(self.actions[self.best_seed]))

    def _chosen(self) -> torch.Tensor:
        control = self.game.control
        scale = 0.5 * (control.maximum - control.minimum)
        return within(control.neutral + scale * self.weight[:, 0, 0], control.minimum, control.maximum)

    def _loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The expected cost of one agent of every seed, [seed]."""
        if step % self.play.flow_every == 0:
            newest = np.stack([self.game.limit(float(action)) for action in self.actions])
            self.average.add({SIGNALS: torch.from_numpy(newest)})
        action, signals = self._chosen(), self.average.values[SIGNALS].numpy()
        costs, slopes = (torch.from_numpy(part) for part in self._differentiated(self.actions, signals))
        return costs + slopes * (action - action.detach())

    def _differentiated(self, actions: FloatArray, signals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The cost of every seed's action against its signals, [seed], and its derivative."""
        control = self.game.control
        half = DIFFERENCE * (control.maximum - control.minimum)
        points = (actions + half * np.array([[-1.0], [0.0], [1.0]])).clip(control.minimum, control.maximum)
        costs = np.stack([self.game.expected_cost(*each) for each in zip(points.T, signals, strict=True)])
        return costs[:, 1], (costs[:, 2] - costs[:, 0]) / (points[2] - points[0])

    def _exploitabilities(self, step: int) -> torch.Tensor:
        policies = [ConstantPolicy.of(float(action)) for action in self.actions]
        return torch.tensor([assess(self.problem, policy).exploitability for policy in policies], dtype=torch.float64)

    def _scalars(self, action: float) -> dict[str, float]:
        return dict(self.game.limit_scalars(action, self.game.limit(action)))
