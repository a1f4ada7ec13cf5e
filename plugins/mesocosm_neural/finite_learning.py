"""The neural mean-field game in learn mode: the game's SDE on the simplex with learned rates and noise.

Source of the idea: Thoeni, Bachrach and Kachman, arXiv 2504.13228, a mean-field game whose agents' drift and diffusion
carry neural corrections, trained on observed population dynamics. Here the corrections are multiplicative, so that shares
stay shares (`law`), and the loss compares distributions, not means (`scores`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from mesocosm import FiniteStateGame, InputError, Interval, Labelled, Options
from mesocosm_neural.correction import Correction
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.law import Factors, GameLaw, uncorrected
from mesocosm_neural.learn_options import LearnOptions
from mesocosm_neural.observations import Observations, observe
from mesocosm_neural.trainer import Trainer
from mesocosm_neural.training import Objective, simulate, spans

FloatArray = NDArray[np.float64]

STEP_OF_FASTEST = 0.1
"""Default step of the SDE, in units of 1 / the largest intensity of the game."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Shares now, [path, state], and at all saves so far, each [path, state]."""

    shares: torch.Tensor
    saved: tuple[FloatArray, ...]


class FiniteLearning(NeuralSDE):
    """A neural SDE trained on the trajectories of another dynamics, or on a table (see `law` for the equation).

    Several networks (`seeds`) are trained from weights of their own; replicates are `paths` paths of each. It assumes the
    homogeneous closure and the neutral control: what these miss, the network has to learn.

    Summary: `loss(training_step)`, averaged over seeds; `seed_of_replicate(replicate)`; energy scores in shares of the
    population, averaged over saves: `train_score(seed)`, and, where a window is held out, `heldout_score(seed)`,
    `heldout_score_persistence` (the last value of the training window), `heldout_score_unlearned` (the same SDE before
    training); `final_size(replicate)` for an epidemic.
    """

    def check(self) -> None:
        super().check()
        start_game(self.problem.finite_game, self.options.parameters)

    @cached_property
    def law(self) -> GameLaw:
        """The game that training starts from, on the device."""
        game = start_game(self.problem.finite_game, self.options.parameters)
        return GameLaw(self.problem, game, self.device, self.dtype)

    @property
    def learn(self) -> LearnOptions:
        """What is learned from."""
        assert self.options.learn is not None
        return self.options.learn

    @cached_property
    def observations(self) -> Observations:
        """What is learned from."""
        return observe(self.context.trajectories_of(self.learn.from_), self.learn, self.problem)

    @cached_property
    def step(self) -> float:
        """Largest step of the SDE."""
        fastest = float(self.law.largest.max())
        default = STEP_OF_FASTEST / fastest if fastest > 0 else self.problem.clock.save_every
        return self.options.step or default

    @cached_property
    def networks(self) -> Correction:
        """The networks before `prepare`, trained in place by it."""
        options, states, transitions = self.options, len(self.law.states), len(self.law.sources)
        ends = (
            states * ("occupancy" in options.inputs) + ("time" in options.inputs),
            transitions,
        )
        return Correction(
            (ends[0], *([options.width] * options.depth), ends[1]),
            self.generators(),
            horizon=self.problem.clock.end,
            inputs=options.inputs,
            learn_noise=options.noise == "learned",
            device=self.device,
            dtype=self.dtype,
        )

    def prepare(self) -> None:
        observations, options = self.observations, self.options
        objective = Objective(
            self.law,
            self.networks,
            observations.loss(1.0 / self.problem.population.size, self.device, self.dtype),
            spans(self.problem.clock, self.step, int(observations.train[-1])),
            observations.train,
            self._initial_rows(),
            options.batch,
            options.regularisation,
        )
        trainer = Trainer(self.networks.weights, objective, options, self.context, self._fingerprint())
        self.losses = np.array(trainer.run().losses)

    def init(self) -> Paths:
        rows = self._initial_rows()
        generator = torch.Generator().manual_seed(self.context.streams.integer("initial"))
        chosen = torch.randint(len(rows), (self.replicates,), generator=generator)
        shares = rows[chosen.to(rows.device)]
        return Paths(shares, (_to_host(shares),))

    def advance(self, state: Paths, interval: Interval) -> Paths:
        return self._advance(state, interval, self.networks.factors, "paths")

    def observe(self, state: Paths) -> dict[str, NDArray[Any]]:
        return {"occupancy": state.saved[-1]}

    def summary(self, state: Paths) -> dict[str, float | Labelled]:
        observations, seeds = self.observations, self.options.seeds
        result: dict[str, float | Labelled] = {
            "loss": Labelled(("training_step",), self.losses.mean(axis=1)),
            "seed_of_replicate": Labelled(("replicate",), np.repeat(np.arange(seeds), self.options.paths)),
        }
        learned = _by_seed(state, seeds)
        result["train_score"] = Labelled(("seed",), observations.score(observations.train, learned))
        if len(observations.held_out):
            held_out = observations.held_out
            result["heldout_score"] = Labelled(("seed",), observations.score(held_out, learned))
            result["heldout_score_persistence"] = float(observations.score(held_out, observations.persistence())[0])
            result["heldout_score_unlearned"] = float(observations.score(held_out, _by_seed(self.unlearned(), 1))[0])
        game = self.problem.finite_game
        if game.at_risk is not None:
            result["final_size"] = Labelled(("replicate",), 1.0 - state.saved[-1][:, game.state_index(game.at_risk)])
        return result

    def pack(self, state: Paths) -> dict[str, NDArray[Any]]:
        return {"shares": state.shares.detach().cpu().numpy(), "saved": np.stack(state.saved)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Paths:
        like = self.law.identity
        shares = torch.from_numpy(arrays["shares"]).to(device=like.device, dtype=like.dtype)
        return Paths(shares, tuple(arrays["saved"]))

    def unlearned(self) -> Paths:
        """Paths of the SDE before training, f = 0 and g = 1, over the whole run, with noise of their own."""
        state = self.init()
        for interval in self.problem.clock.intervals():
            state = self._advance(state, interval, uncorrected, "unlearned")
        return state

    def _advance(self, state: Paths, interval: Interval, factors: Factors, purpose: str) -> Paths:
        span = spans(self.problem.clock, self.step, interval.index + 1)[-1]
        seed = self.context.streams.integer(purpose, interval=interval.index)
        shares = simulate(self.law, factors, state.shares, span, seed)
        return Paths(shares, (*state.saved, _to_host(shares)))

    def _initial_rows(self) -> torch.Tensor:
        rows = self.observations.initial
        if rows is None:
            mixing = self.problem.graph.mixing("homogeneous")
            rows = self.problem.type_shares(mixing)
        return torch.from_numpy(rows).to(device=self.law.identity.device, dtype=self.law.identity.dtype)

    def _fingerprint(self) -> str:
        problem, observations = self.problem, self.observations
        parts = (
            self.options.model_dump_json(exclude={"paths", "checkpoint_every"}),
            self.context.label,
            str(self.context.streams.seed),
            self.law.game.table(),
            f"{self.law.contacts} {problem.population.size} {problem.precision} {problem.device.kind} {torch.__version__}",
            repr(problem.clock.times.tolist()),
            repr(self._initial_rows().tolist()),
        )
        data = observations.values[:, observations.train].tobytes()
        return hashlib.blake2b("\n".join(parts).encode() + data, digest_size=16).hexdigest()


def start_game(game: FiniteStateGame, parameters: dict[str, float]) -> FiniteStateGame:
    """The game with other parameters: rebuilt from its `options`. `InputError` for an option that it does not have."""
    if not parameters:
        return game
    options = getattr(game, "options", None)
    if not isinstance(options, Options):
        raise InputError(f"game {type(game).__name__} keeps no options", where="parameters", rule="leave them out")
    known = tuple(type(options).model_fields)
    for name in parameters:
        if name not in known:
            raise InputError(
                f"game {type(game).__name__} has no option '{name}'",
                where="parameters",
                rule=f"it has: {', '.join(known)}",
            )
    try:
        changed = type(options).model_validate({**vars(options), **parameters})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{fault['input']!r}: {fault['msg']}", where=f"parameters.{name}") from error
    rebuild: Any = type(game)
    result: FiniteStateGame = rebuild(changed)
    return result


def _to_host(shares: torch.Tensor) -> FloatArray:
    values = shares.detach().cpu().numpy().astype(np.float64)
    return np.asarray(values / values.sum(axis=-1, keepdims=True), np.float64)


def _by_seed(state: Paths, seeds: int) -> FloatArray:
    paths = np.stack(state.saved, axis=1)
    return paths.reshape(seeds, -1, *paths.shape[1:])
