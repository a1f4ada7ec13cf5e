"""The neural mean-field game in learn mode: the game's SDE on the simplex with learned rates and noise.

Source of the idea: Thoeni, Bachrach and Kachman, arXiv 2504.13228, a mean-field game whose agents' drift and diffusion
carry neural corrections, trained on observed population dynamics. Here the corrections are multiplicative, so that shares
stay shares (`law`), and the loss compares distributions, not means (`losses`), or counts by their likelihood (`reporting`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError, Interval, Labelled
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.correction import Correction
from mesocosm_neural.learn.covariates import Covariates, gather_covariates
from mesocosm_neural.learn.finite_fit import FiniteFit, Member, to_host, transition_number
from mesocosm_neural.learn.finite_verdict import Judge, Prediction, verdict_of_series
from mesocosm_neural.learn.law import GameLaw
from mesocosm_neural.learn.observations import Observations, observe
from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.learn.simulator import Cohort
from mesocosm_neural.start_game import start_game as start_game
from mesocosm_neural.trainer import one_thread

FloatArray = NDArray[np.float64]

OF_OTHER_GAMES = {"drift", "diffusion", "sees", "quantities", "bounds"}
"""Options of `learn` that mean nothing for a game in finite states."""


@dataclass(frozen=True, eq=False)
class Paths:
    """Shares now, [path, state], and at all saves so far; reported counts likewise, empty without reporting."""

    shares: torch.Tensor
    saved: tuple[FloatArray, ...]
    counts: tuple[FloatArray, ...] = ()


class FiniteLearning(NeuralSDE):
    """A neural SDE trained on the trajectories of another dynamics, or on a table (see `law` for the equation).

    Several networks (`seeds`) are trained from weights of their own; replicates are `paths` paths of each. It assumes the
    homogeneous closure and the neutral control: what these miss, the network has to learn. Paths run freely from time 0,
    each with the initial shares and covariates of one series, drawn at random; covariates later than `until` are held at
    the last one known. With `reporting` the reported quantity is recorded too, by its name; it is 0 at time 0, before which
    there is no interval.

    Summary: `loss(training_step)`, averaged over seeds; `seed_of_replicate(replicate)`; `kept_step(seed)` with `validation`;
    `reporting_share(seed)` and `reporting_size(seed)` where they are learned; `final_size(replicate)` for an epidemic.
    Energy scores, in shares of the population or in counts, averaged over saves: `train_score(seed)`, and, of what lies after
    `until`, `heldout_score(seed)`, `heldout_score_persistence` (the last value of the training window) and
    `heldout_score_unlearned` (the same SDE before training). Of series that are held out, from their own start:
    `series_score(seed)`, `series_score_climatology` (the series that were learned from, at the same save) and
    `series_score_unlearned`. `heldout_coverage` and `series_coverage`: the share of these observations inside the central
    90 % band of all paths of all seeds, noise of reporting included; with `_of_state`, of each state.
    """

    def check(self) -> None:
        super().check()
        start_game(self.problem.finite_game, self.options.parameters)
        learn, options = self.learn, self.options
        unused = sorted(learn.changed & OF_OTHER_GAMES)
        if unused:
            raise InputError(f"option {unused[0]}", where="learn", rule="it is for diffusion and stage games")
        if learn.reporting is not None:
            transition_number(self.law, learn.reporting.transition)
            if options.loss != "energy":
                raise InputError(
                    f"loss {options.loss}", where="loss", rule="with reporting, counts are scored by their likelihood"
                )
        elif learn.window is not None and options.loss == "sliced_wasserstein":
            raise InputError(
                "loss sliced_wasserstein with window",
                where="loss",
                rule="it compares two samples, and in a window one series was observed",
                hint="choose energy, crps or mmd",
            )

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
    def covariates(self) -> Covariates | None:
        """What the networks see beside the population."""
        chosen = self.learn.covariates
        if chosen is None:
            return None
        return gather_covariates(self.context.trajectories_of, chosen, self.observations.series)

    @cached_property
    def fit(self) -> FiniteFit:
        """The networks and how they are trained, one member for each seed."""
        observations = self.observations
        series = tuple(range(observations.kept))
        members = [Member(seed, observations.until, series) for seed in range(self.options.seeds)]
        return FiniteFit(
            self.law,
            members,
            self.options,
            observations,
            self.covariates,
            self.learn.reporting,
            self.context,
            self.fingerprint(),
        )

    @property
    def networks(self) -> Correction:
        """The networks before `prepare`, trained in place by it."""
        return self.fit.networks

    def prepare(self) -> None:
        self.history = self.fit.train()
        self.losses = np.array(self.history.losses)

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        reporting = self.learn.reporting
        counted: dict[str, tuple[str, ...]] = {} if reporting is None else {reporting.quantity: ("replicate",)}
        return {"occupancy": ("replicate", "state"), **counted}

    @cached_property
    def cohort(self) -> Cohort:
        """The series that each replicate stands for; nothing later than the training window is known."""
        generator = torch.Generator().manual_seed(self.context.streams.integer("initial"))
        series = torch.randint(self.observations.kept, (self.replicates,), generator=generator)
        series = series.to(self.law.identity.device)
        known = [self.observations.until] * self.options.seeds
        return self.fit.cohort(series, torch.zeros_like(series), known)

    def init(self) -> Paths:
        rows = torch.from_numpy(self.observations.initial).to(self.law.identity)
        shares = rows[self.cohort.series % len(rows)]
        return Paths(shares, (to_host(shares),), () if self.fit.reporting is None else (np.zeros(len(shares)),))

    def advance(self, state: Paths, interval: Interval) -> Paths:
        return self._advance(state, interval, "paths", learned=True)

    def observe(self, state: Paths) -> dict[str, NDArray[Any]]:
        reporting = self.fit.reporting
        counted = {} if reporting is None else {reporting.quantity: state.counts[-1]}
        return {"occupancy": state.saved[-1], **counted}

    def summary(self, state: Paths) -> dict[str, float | Labelled]:
        seeds, reporting, observations = self.options.seeds, self.fit.reporting, self.observations
        result: dict[str, float | Labelled] = {
            "loss": Labelled(("training_step",), self.losses.mean(axis=1)),
            "seed_of_replicate": Labelled(("replicate",), np.repeat(np.arange(seeds), self.options.paths)),
        }
        if self.history.scores:
            result["kept_step"] = Labelled(("seed",), np.array(self.history.best))
        if reporting is not None and reporting.learns_share:
            result["reporting_share"] = Labelled(("seed",), reporting.share.detach().double().cpu().numpy().ravel())
        if reporting is not None and reporting.learns_size:
            result["reporting_size"] = Labelled(("seed",), reporting.size.detach().double().cpu().numpy().ravel())
        result |= self._scores(state)
        if observations.kept < observations.series:
            result |= verdict_of_series(observations, self._from_the_start)
        game = self.problem.finite_game
        if game.at_risk is not None:
            result["final_size"] = Labelled(("replicate",), 1.0 - state.saved[-1][:, game.state_index(game.at_risk)])
        return result

    def pack(self, state: Paths) -> dict[str, NDArray[Any]]:
        shares = state.shares.detach().cpu().numpy()
        return {"shares": shares, "saved": np.stack(state.saved), "counts": np.array(state.counts)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Paths:
        shares = torch.from_numpy(arrays["shares"]).to(self.law.identity)
        return Paths(shares, tuple(arrays["saved"]), tuple(arrays["counts"]))

    def unlearned(self) -> Paths:
        """Paths of the SDE before training, f = 0 and g = 1, over the whole run, with noise of their own."""
        state = self.init()
        for interval in self.problem.clock.intervals():
            state = self._advance(state, interval, "unlearned", learned=False)
        return state

    def fingerprint(self) -> str:
        """A hash of everything that the trained weights depend on."""
        observations, law = self.observations, self.law
        arrays = [observations.initial, observations.values[: observations.kept, : observations.until + 1]]
        if observations.counts is not None:
            arrays.append(observations.counts[: observations.kept, : observations.until + 1])
        if self.covariates is not None:
            arrays.append(self.covariates.values)
        parts = (law.game.table(), law.contacts, self.problem.population.size)
        return self.fingerprint_of(parts, arrays, without={"paths"})

    def _advance(self, state: Paths, interval: Interval, purpose: str, *, learned: bool) -> Paths:
        fit, seed = self.fit, self.context.streams.integer(purpose, interval=interval.index)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), one_thread():
            shares, extents = fit.simulator.interval(
                state.shares, self.cohort, interval.index, generator, learned=learned
            )
        saved, reporting = (*state.saved, to_host(shares)), fit.reporting if learned else fit.unlearned_reporting
        if reporting is None:
            return Paths(shares, saved)
        counts = reporting.sample(extents.view(self.options.seeds, self.options.paths, -1), seed)
        return Paths(shares, saved, (*state.counts, counts.ravel()))

    def _scores(self, state: Paths) -> dict[str, float | Labelled]:
        """Of the series that are learned from."""
        observations, judge = self.observations, Judge.of(self.observations)
        series, held_out = range(observations.kept), observations.held_out
        learned = self._predictions(self._judged(state, self.options.seeds), learned=True)
        result: dict[str, float | Labelled] = {
            "train_score": Labelled(("seed",), judge.mean_score(learned, observations.train))
        }
        if len(held_out):
            unlearned = self._predictions(self._judged(self.unlearned(), 1), learned=False)
            persistence = judge.persistence(series, observations.train)
            result |= {
                "heldout_score": Labelled(("seed",), judge.mean_score(learned, held_out)),
                "heldout_score_persistence": float(judge.score(series, held_out, persistence)[0]),
                "heldout_score_unlearned": float(judge.mean_score(unlearned, held_out)[0]),
                **judge.coverage("heldout_coverage", learned, held_out),
            }
        return result

    def _predictions(self, paths: FloatArray, *, learned: bool) -> list[Prediction]:
        """What is predicted of the series that are learned from: by `paths`, or, with covariates of their own, one by one."""
        kept = range(self.observations.kept)
        if self.covariates is None or len(kept) == 1:
            return [Prediction(tuple(kept), paths)]
        until = self.observations.until
        own = (self._from_the_start(each, learned, until) for each in kept)
        return [
            Prediction((each,), found.reshape(len(paths), -1, *found.shape[2:]))
            for each, found in zip(kept, own, strict=True)
        ]

    def _from_the_start(self, series: int, learned: bool, known: int | None = None) -> FloatArray:
        """What paths of a series predict: [seed, path, time, column]; at time 0 what was observed, which nobody scores.

        Covariates are held after save `known`; None, all are known.
        """
        first, paths = self.observations.first(series).mean(axis=0), self.options.paths
        initial = np.tile(first, (self.options.seeds, paths, 1))
        saves, seed = len(self.observations.times) - 1, self.context.streams.integer("series", replicate=series)
        found = self.fit.forecast(initial, 0, saves, known, seed, series=series, learned=learned)
        later = found.shares if found.counts is None else found.counts[..., None]
        start = initial[:, :, None] if found.counts is None else np.zeros_like(later[:, :, :1])
        return np.concatenate([start, later], axis=2)

    def _judged(self, state: Paths, seeds: int) -> FloatArray:
        """What is compared with the observations: [seed, path, time, column]."""
        saved = np.stack(state.saved, axis=1) if not state.counts else np.stack(state.counts, axis=1)[..., None]
        return saved.reshape(seeds, -1, *saved.shape[1:])
