"""Rolling-origin forecasts of reported counts by the neural mean-field game, beside baselines, and their scores.

At every origin an ensemble of networks, trained on what was known there and on nothing later, forecasts up to the longest
horizon (see `network` for the model, `training` for the training). What happened then scores it (`skill`),
and the same scores are given for forecasts without a network (`baselines`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError, Interval, Labelled, substeps
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.forecast.baselines import Baselines, ensemble
from mesocosm_neural.forecast.counted import CountedLaw, History, history_of, relative_noise
from mesocosm_neural.forecast.network import ForecastNetworks
from mesocosm_neural.forecast.options import ForecastOptions
from mesocosm_neural.forecast.schedule import check_options, origins_of, saves_of
from mesocosm_neural.forecast.skill import crps, scores
from mesocosm_neural.forecast.training import ForecastTraining, KnownCovariates, Past, past_of, resampled
from mesocosm_neural.learn.covariates import Covariates, gather_covariates
from mesocosm_neural.learn.finite_fit import largest_step, transition_number
from mesocosm_neural.learn.finite_learning import start_game
from mesocosm_neural.learn.law import GameLaw
from mesocosm_neural.learn.observations import Observations, observe
from mesocosm_neural.learn.options import LearnOptions, ReportingOptions
from mesocosm_neural.learn.reconstruction import Reconstruction
from mesocosm_neural.losses import distance
from mesocosm_neural.trainer import Trainer

FloatArray = NDArray[np.float64]


class Forecasting(NeuralSDE):
    """Forecasts of the counts of one series from many origins.

    Recorded, under the name of the counts or `learn.forecasts.record`: the averaged counts, [replicate], as forecast from the
    newest origin before each save, and NaN up to the first origin. A replicate is a path of a network; it is another
    network's at the next origin.

    Summary, with the models `ensemble` (all seeds together), `learned` (each seed alone, scores averaged), `persistence`,
    `damped`, `least_squares` and `unlearned` (see `baselines`): `forecast_crps(model, horizon)`, `forecast_log_crps`, the
    same of log(1 + count), `forecast_error` (of the median), `forecast_coverage` (of the central 90 % band), all averaged
    over origins; `forecast_crps_by_seed(seed, horizon)`; `forecast_origins`, their number; `loss(training_step)`, averaged
    over networks; `seed_of_replicate(replicate)`.
    """

    partial: ClassVar[bool] = True

    def check(self) -> None:
        super().check()
        start_game(self.problem.finite_game, self.options.parameters)
        check_options(self.options, f"dynamics '{self.context.label}'")
        transition_number(self.law.law, self.reporting.transition)
        self.horizons  # noqa: B018
        self.origins  # noqa: B018

    @property
    def learn(self) -> LearnOptions:
        """What is learned from."""
        assert self.options.learn is not None
        return self.options.learn

    @property
    def forecasts(self) -> ForecastOptions:
        """What is forecast."""
        assert self.learn.forecasts is not None
        return self.learn.forecasts

    @property
    def reporting(self) -> ReportingOptions:
        """What is counted."""
        assert self.learn.reporting is not None
        return self.learn.reporting

    @cached_property
    def horizons(self) -> list[int]:
        """In saves, as in the options."""
        return [saves_of(horizon, "horizons", self.problem.clock) for horizon in self.forecasts.horizons]

    @cached_property
    def origins(self) -> list[int]:
        """Numbers of the saves from which is forecast."""
        return origins_of(self.forecasts, self.horizons, self.problem.clock)

    @cached_property
    def law(self) -> CountedLaw:
        """The game that training starts from, on the device."""
        return self._law(self.device, self.dtype)

    @cached_property
    def exact_law(self) -> CountedLaw:
        """The same in float64 on the CPU."""
        return self._law(torch.device("cpu"), torch.float64)

    @cached_property
    def observations(self) -> Observations:
        """The one series that is learned from."""
        found = observe(self.context.trajectories_of(self.learn.from_), self.learn, self.problem)
        where = f"learn from '{self.learn.from_}'"
        if found.series != 1:
            raise InputError(f"{found.series} series", where=where, rule="forecasts are of one series")
        assert found.counts is not None
        gaps = np.flatnonzero(np.isnan(found.counts[0]))
        if len(gaps):
            raise InputError(
                f"{self.reporting.quantity} is missing at time {found.times[gaps[0]]:g}",
                where=where,
                rule="forecasts need a count at every save",
                hint="choose a longer save_every, or an earlier end",
            )
        return found

    @cached_property
    def history(self) -> History:
        """What the counts say, save by save."""
        counts = self.observations.counts
        assert counts is not None
        share = torch.full((1, 1, 1), float(self.reporting.share or 1.0), dtype=torch.float64)
        reconstruction = Reconstruction(
            self.exact_law.law, self.observations, self.law.duration / self.law.steps, self.law.transition
        )
        with torch.no_grad():
            shares = reconstruction(share)[0, 0].numpy()
        return history_of(self.exact_law, counts[0], shares, self.forecasts.average)

    @cached_property
    def covariates(self) -> Covariates | None:
        """What the networks see as well."""
        options = self.learn.covariates
        return None if options is None else gather_covariates(self.context.trajectories_of, options, 1)

    @cached_property
    def pasts(self) -> list[Past]:
        """What may be seen at each origin."""
        covariates = None if self.covariates is None else KnownCovariates(self.covariates)
        average, shortest = self.forecasts.average, min(self.horizons)
        return [past_of(self.history, covariates, origin, average, shortest) for origin in self.origins]

    @cached_property
    def networks(self) -> ForecastNetworks:
        """Those of all origins and seeds, before `prepare`, which trains them in place."""
        options, average = self.options, self.forecasts.average
        return ForecastNetworks(
            self.pasts[0].known.shape[-1],
            [options.width] * options.depth,
            [generator for _ in self.origins for generator in self.generators()],
            max(self.horizons) * self.law.duration,
            [relative_noise(self.history, average, origin) for origin in self.origins for _ in range(options.seeds)],
            learn_noise=options.noise == "learned",
            like=self.law.law.identity,
        )

    @cached_property
    def training(self) -> ForecastTraining:
        """Loss and forecasts of the networks."""
        options, streams = self.options, self.context.streams
        starts = [
            resampled(past.starts, self.forecasts.block, streams.generator("blocks", replicate=seed))
            for past in self.pasts
            for seed in range(options.seeds)
        ]
        return ForecastTraining(
            self.law,
            self.networks,
            self.history,
            self.pasts,
            starts,
            seeds=options.seeds,
            horizon=max(self.horizons),
            average=self.forecasts.average,
            loss=distance(options.loss),
            batch=options.batch,
            regularisation=options.regularisation,
        )

    @cached_property
    def ensembles(self) -> FloatArray:
        """What the trained networks forecast: [origin, seed, path, save ahead]."""
        return self.training.forecasts(self.options.paths, self.context.streams.integer("forecasts"))

    def prepare(self) -> None:
        trainer = Trainer(self.networks.weights, self.training, self.options, self.context, self._fingerprint())
        self.losses = np.array(trainer.run().losses)

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {self.forecasts.record or self.reporting.quantity: ("replicate",)}

    def coordinates(self) -> dict[str, Sequence[Any]]:
        models = ["ensemble", "learned", "persistence", "damped", "least_squares", "unlearned"]
        return {"model": models, "horizon": list(self.forecasts.horizons), "seed": list(range(self.options.seeds))}

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Interval) -> int:
        return interval.index + 1

    def observe(self, state: int) -> dict[str, NDArray[Any]]:
        (name,) = self.dimensions()
        before = [number for number, origin in enumerate(self.origins) if origin < state <= origin + max(self.horizons)]
        if not before:
            return {name: np.full(self.replicates, np.nan)}
        return {name: self.ensembles[before[-1], :, :, state - self.origins[before[-1]] - 1].ravel()}

    def summary(self, state: int) -> dict[str, float | Labelled]:
        outcome = np.array(
            [[self.history.averages[origin + each] for each in self.horizons] for origin in self.origins]
        )
        ahead = [horizon - 1 for horizon in self.horizons]
        learned = self.ensembles[..., ahead].transpose(0, 3, 1, 2)
        pooled = learned.reshape(*learned.shape[:2], -1)
        models = [scores(pooled, outcome), scores(learned, outcome)]
        models += [scores(each, outcome) for each in self._baselines()]
        result: dict[str, float | Labelled] = {
            name: Labelled(("model", "horizon"), np.stack([each[name] for each in models])) for name in models[0]
        }
        by_seed = crps(learned, outcome[:, :, None]).mean(axis=0).T
        seeds = np.repeat(np.arange(self.options.seeds), self.options.paths)
        return result | {
            "forecast_crps_by_seed": Labelled(("seed", "horizon"), np.ascontiguousarray(by_seed)),
            "forecast_origins": float(len(self.origins)),
            "loss": Labelled(("training_step",), self.losses.mean(axis=1)),
            "seed_of_replicate": Labelled(("replicate",), seeds),
        }

    def pack(self, state: int) -> dict[str, NDArray[Any]]:
        return {"save": np.array(state)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> int:
        return int(arrays["save"])

    def _baselines(self) -> list[list[list[FloatArray]]]:
        """Ensembles [member] of each baseline at each origin and horizon."""
        history, average = self.history, self.forecasts.average
        found = Baselines(self.exact_law, history, self.horizons, average).forecasts()
        return [
            [
                [
                    ensemble(forecasts[:, column], history.averages, origin, horizon, average)
                    for column, horizon in enumerate(self.horizons)
                ]
                for origin in self.origins
            ]
            for forecasts in found.values()
        ]

    def _law(self, device: torch.device, dtype: torch.dtype) -> CountedLaw:
        game = start_game(self.problem.finite_game, self.options.parameters)
        law = GameLaw(self.problem, game, device, dtype)
        steps, _ = substeps(0.0, self.problem.clock.save_every, largest_step(law, self.options))
        number = transition_number(law, self.reporting.transition)
        return CountedLaw(law, number, float(self.reporting.share or 1.0), steps)

    def _fingerprint(self) -> str:
        history, law = self.history, self.law.law
        arrays = [history.counts, history.shares, *([] if self.covariates is None else [self.covariates.values])]
        parts = (law.game.table(), law.contacts, self.problem.population.size)
        return self.fingerprint_of(parts, arrays, without={"paths"})
