"""Networks of several members trained side by side on a population in finite states, each on what it may see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Context, InputError, substeps
from mesocosm_neural.learn.correction import Correction
from mesocosm_neural.learn.covariates import Covariates, SeenCovariates
from mesocosm_neural.learn.law import GameLaw
from mesocosm_neural.learn.observations import Observations
from mesocosm_neural.learn.options import LearnOptions, ReportingOptions
from mesocosm_neural.learn.prior import Prior
from mesocosm_neural.learn.reconstruction import Reconstruction
from mesocosm_neural.learn.reporting import Reporting
from mesocosm_neural.learn.simulator import Cohort, Simulator
from mesocosm_neural.learn.window_scores import CountScore, LawScore, ShareScore, WindowScore
from mesocosm_neural.learn.windows import Member as Member
from mesocosm_neural.learn.windows import training_windows, validation_windows
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.trainer import History, Trainer, one_thread

FloatArray = NDArray[np.float64]

STEP_OF_FASTEST = 0.1
"""Default step of the SDE, in units of 1 / the largest intensity of the game."""

PATHS_OF_WINDOW = 8
"""Paths of one window in a training step; a batch has as many windows as fit."""

MOST_CHECKED, LEAST_CHECKED = 16, 64
"""Windows, at most, and paths of all windows together, at least, of one validation."""


class Forecast(NamedTuple):
    """Paths from a start that is given, and reported counts with their noise: [member, path, saves, state] and without state.

    `counts` is None without reporting.
    """

    shares: FloatArray
    counts: FloatArray | None


class FiniteFit:
    """Networks of several members (seed, origin, ...), trained on windows of observations, each on what it may see.

    Without `window` and `reporting`, all series are samples of one law: paths start at time 0, and their distribution is
    compared with that of the series. Otherwise a training step draws windows, starts paths in each from the shares at its
    start (see `reconstruction`) and compares them with the one series that was observed: by the distance that `loss` names,
    or, for counts, by their likelihood. With `validation` the last saves that a member may see are not trained on, and the
    weights are kept that score best there, always with the same noise.

    Parameters
    ----------
    law: the game, unlearned.
    members: what is trained; the leading axis of all networks.
    options: of the dynamics, with `learn`.
    observations, covariates, reporting: what is learned from and how.
    context: streams, folder and progress.
    fingerprint: what the result depends on beside this.
    name: of the files, where there is more than one fit.
    """

    def __init__(
        self,
        law: GameLaw,
        members: Sequence[Member],
        options: NeuralSDEOptions,
        observations: Observations,
        covariates: Covariates | None,
        reporting: ReportingOptions | None,
        context: Context,
        fingerprint: str,
        name: str = "",
    ) -> None:
        self.law, self.members, self.options, self.context = law, tuple(members), options, context
        self.observations, self.fingerprint, self.name = observations, fingerprint, name
        self.like = law.identity
        self.seen = None if covariates is None else SeenCovariates(covariates, self.members, self.like)
        self.networks = self._networks()
        self.transition = None if reporting is None else transition_number(law, reporting.transition)
        self.reporting, self.unlearned_reporting = self._reporting(reporting), self._reporting(reporting)
        duration = float(observations.times[1])
        self.step = largest_step(law, options)
        self.simulator = Simulator(law, self.networks, substeps(0.0, duration, self.step)[0], options.solver)
        self.validation = round(self.learn.validation / duration)
        self.ends = [member.until - self.validation for member in self.members]

    @property
    def learn(self) -> LearnOptions:
        """The options of this mode."""
        assert self.options.learn is not None
        return self.options.learn

    @property
    def weights(self) -> list[torch.Tensor]:
        """Everything that is trained."""
        return [*self.networks.weights, *(self.reporting.weights if self.reporting else [])]

    def train(self) -> History:
        """Train all members; from a checkpoint where there is one."""
        length, observations = self.learn.window, self.observations
        self.training = training_windows(self.members, observations, self.ends, length)
        self.score = self._score([0] * len(self.members), self.ends)
        self.prior = Prior(self.networks, self.members, self.options.batch, self._strength(), self.seen, self.like)
        validate = None
        if self.validation:
            self.checking = validation_windows(self.members, observations, self.ends, length)
            self.check = self._score(self.ends, [member.until for member in self.members])
            validate = self._validate
        trainer = Trainer(
            self.weights, self._loss, self.options, self.context, self.fingerprint, validate=validate, name=self.name
        )
        return trainer.run()

    def forecast(
        self,
        initial: FloatArray,
        start: int | Sequence[int],
        saves: int,
        known_until: int | Sequence[int] | None,
        seed: int,
        *,
        series: int = 0,
        learned: bool = True,
    ) -> Forecast:
        """Paths of every member from given shares.

        Parameters
        ----------
        initial: [member, path, state].
        start: number of the save at which they start, one for all members or one for each.
        saves: how many saves ahead.
        known_until: covariates later than this save are held at the last one known; None, all are known.
        seed: of the noise.
        series: whose covariates they see.
        learned: False for the game itself, with reporting as before training.
        """
        members, paths, states = initial.shape
        begin = np.broadcast_to(np.asarray(start), (members,))
        known = None if known_until is None else np.broadcast_to(np.asarray(known_until), (members,)).tolist()
        starts = torch.tensor(np.repeat(begin, paths), device=self.like.device)
        cohort = self.cohort(torch.full_like(starts, series), starts, known)
        shares = torch.from_numpy(np.ascontiguousarray(initial)).to(self.like).view(-1, states)
        with torch.no_grad(), one_thread():
            path, extents = self.simulator(shares, cohort, saves, torch.Generator().manual_seed(seed), learned=learned)
            jumps = extents.view(members, paths, saves, -1)
            reporting = self.reporting if learned else self.unlearned_reporting
            counts = None if reporting is None else reporting.sample(jumps, seed)
        return Forecast(to_host(path).reshape(members, paths, saves, states), counts)

    def known_shares(self, save: int | Sequence[int], series: int = 0) -> FloatArray:
        """Shares at a save, one for all members or one for each, from what was observed up to it: [member, state]."""
        saves = torch.tensor(np.broadcast_to(np.asarray(save), (len(self.members),)).tolist())
        with torch.no_grad(), one_thread():
            starts = self._reconstructed() if self.learn.window is None else self._starts()
            member = torch.arange(len(saves)) * (len(starts) > 1)
            return to_host(starts[member, series, saves])

    def cohort(self, series: torch.Tensor, starts: torch.Tensor, known: Sequence[int] | None) -> Cohort:
        """Paths with these series and starts, [path]; their networks know covariates up to save `known` of each member."""
        if self.seen is None:
            return Cohort(series, starts)
        every = [len(self.observations.times) - 1] * len(self.members)
        return Cohort(series, starts, self.seen(tuple(known or every)), self.seen.linear)

    def _reporting(self, options: ReportingOptions | None) -> Reporting | None:
        if options is None or self.transition is None:
            return None
        like = self.like
        return Reporting(options, self.transition, self.law.size, len(self.members), like.device, like.dtype)

    def _networks(self) -> Correction:
        options, law = self.options, self.law
        inputs = len(law.states) * ("occupancy" in options.inputs) + ("time" in options.inputs)
        inputs += 0 if self.seen is None else len(self.seen.names)
        streams = self.context.streams
        seeds = [streams.integer("weights", replicate=member.seed) for member in self.members]
        return Correction(
            (inputs, *([options.width] * options.depth), len(law.sources)),
            [torch.Generator().manual_seed(seed) for seed in seeds],
            horizon=float(self.observations.times[-1]),
            inputs=options.inputs,
            learn_noise=options.noise == "learned",
            device=self.like.device,
            dtype=self.like.dtype,
        )

    @property
    def _is_law(self) -> bool:
        """Whether series are samples of one law, compared from time 0 on."""
        return self.reporting is None and self.learn.window is None

    @cached_property
    def _reconstruction(self) -> Reconstruction:
        return Reconstruction(self.law, self.observations, self.step, self.transition)

    @cached_property
    def _fixed_starts(self) -> torch.Tensor | None:
        """Shares that windows start from, as `_starts`; None where they change with a learned share."""
        if self.learn.window is None:
            return self._reconstruction.initial[None, :, None]
        return None if self.reporting is not None and self.reporting.learns_share else self._reconstructed()

    def _reconstructed(self) -> torch.Tensor:
        """Shares at all saves, [1 or member, series, time, state]."""
        return self._reconstruction(None if self.reporting is None else self.reporting.share)

    def _starts(self) -> torch.Tensor:
        """Shares that windows start from, [1 or member, series, time, state]."""
        return self._reconstructed() if self._fixed_starts is None else self._fixed_starts

    def _score(self, above: Sequence[int], upto: Sequence[int]) -> WindowScore:
        observations, smallest = self.observations, 1.0 / self.law.size
        if self.reporting is not None:
            return CountScore(observations, above, upto, self.reporting, self.like)
        kind = LawScore if self._is_law else ShareScore
        return kind(observations, self.members, above, upto, self.options.loss, smallest, self.like)

    def _strength(self) -> list[float]:
        """Of the prior, for each member: `regularisation` times the part that one window, or one count, is of what it sees."""
        known, result = self.observations.known, []
        for member, end in zip(self.members, self.ends, strict=True):
            if self.reporting is None:
                result.append(min(self.training.length, end) / (len(member.series) * end))
            else:
                result.append(1.0 / max(1, int(known[list(member.series), : end + 1].sum())))
        return [self.options.regularisation * part for part in result]

    def _loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        paths = 1 if self._is_law else min(PATHS_OF_WINDOW, self.options.batch)
        windows = self.training.draw(self.options.batch // paths, generator).to(self.like.device)
        losses = self.score(*self._simulate(windows, paths, self.training.length, generator), windows)
        return losses if self.options.regularisation == 0 else losses + self.prior(generator)

    def _validate(self, step: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.context.streams.integer("validation" + self.name))
        windows = self.checking.spread(MOST_CHECKED).to(self.like.device)
        paths = max(2 * PATHS_OF_WINDOW, math.ceil(LEAST_CHECKED / windows.shape[1]))
        return self.check(*self._simulate(windows, paths, self.checking.length, generator), windows)

    def _simulate(
        self, windows: torch.Tensor, paths: int, saves: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """So many paths of every window: shares and extents, both [member, window, path, time, ...]."""
        members, count, _ = windows.shape
        starts = self._starts()
        member = torch.arange(members, device=self.like.device)[:, None] * (len(starts) > 1)
        initial = starts[member, windows[:, :, 0], windows[:, :, 1]]
        each = windows.repeat_interleave(paths, dim=1).reshape(-1, 2)
        cohort = self.cohort(each[:, 0], each[:, 1], [member.until for member in self.members])
        shares = initial.repeat_interleave(paths, dim=1).reshape(-1, initial.shape[-1])
        path, extents = self.simulator(shares, cohort, saves, generator)
        shape = (members, count, paths, saves)
        return path.view(*shape, -1), extents.view(*shape, -1)


def transition_number(law: GameLaw, name: str) -> int:
    """Number of the transition that is written 'S -> I'; `InputError` where there is none, or more than one."""
    names = [f"{entry.source} -> {entry.target}" for entry in law.game.transitions]
    if names.count(name) != 1:
        raise InputError(f"transition '{name}'", where="learn.reporting.transition", rule=f"one of: {', '.join(names)}")
    return names.index(name)


def largest_step(law: GameLaw, options: NeuralSDEOptions) -> float:
    """Largest step of the SDE."""
    fastest = float(law.largest.max())
    return options.step or (STEP_OF_FASTEST / fastest if fastest > 0 else law.clock.save_every)


def to_host(values: torch.Tensor) -> FloatArray:
    """On the host in double precision, adding up to 1."""
    shares = values.detach().cpu().numpy().astype(np.float64)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float64)
