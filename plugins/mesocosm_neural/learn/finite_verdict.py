"""How well paths predict what was held out: energy scores, baselines, and the coverage of a band."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mesocosm import Labelled
from mesocosm_neural.learn.observations import FloatArray, IntArray, Observations
from mesocosm_neural.learn.series_loss import SeriesLoss

BAND = (0.05, 0.95)
"""Quantiles of the ensemble of all seeds between which nine observations in ten should lie."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What is predicted of these series by an ensemble: `paths` [seed, path, time, column]."""

    series: tuple[int, ...]
    paths: FloatArray


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges paths by observed series: shares of the population, or counts.

    Attributes
    ----------
    values: what was observed, [series, time, column]; a column is a state, or the count.
    of_counts: which of both.
    """

    values: FloatArray
    of_counts: bool

    @classmethod
    def of(cls, observations: Observations) -> Judge:
        """A judge of what the networks learned from."""
        counts = observations.counts
        return cls(observations.values, False) if counts is None else cls(counts[..., None], True)

    def score(self, series: Sequence[int], saves: IntArray, paths: FloatArray) -> FloatArray:
        """Energy score, averaged over saves and series: paths [seed, path, time, column] to [seed].

        Series with the same gaps are scored together: the score is linear in the law of the data.
        """
        window = self.values[list(series)][:, saves]
        known = ~np.isnan(window)
        groups: dict[bytes, list[int]] = {}
        for number, each in enumerate(known):
            if each.any():
                groups.setdefault(each.tobytes(), []).append(number)
        chosen = torch.from_numpy(np.ascontiguousarray(paths[:, :, saves]))
        total = np.zeros(len(paths))
        for rows in groups.values():
            data = torch.from_numpy(np.nan_to_num(window[rows]))
            loss = SeriesLoss(data, torch.from_numpy(known[rows[0]].astype(np.float64)))
            total += len(rows) * loss.marginal(chosen).numpy()
        return total / sum(map(len, groups.values()))

    def persistence(self, series: Sequence[int], train: IntArray) -> FloatArray:
        """The last value of each column in the training window, held: [1, series, time, column]; 0 where there was none."""
        window = self.values[list(series)][:, [0, *train]]
        held = np.zeros_like(window[:, 0])
        for now in window.transpose(1, 0, 2):
            held = np.where(np.isnan(now), held, now)
        return np.repeat(held[None, :, None], self.values.shape[1], axis=2)

    def mean_score(self, predictions: Sequence[Prediction], saves: IntArray) -> FloatArray:
        """`score` of every series by its own prediction, averaged over series: [seed]."""
        scores = [self.score(each.series, saves, each.paths) for each in predictions]
        return np.average(scores, axis=0, weights=[len(each.series) for each in predictions])

    def coverage(self, name: str, predictions: Sequence[Prediction], saves: IntArray) -> dict[str, float | Labelled]:
        """Share of observations inside the central 90 % band of all paths, ends included, under `name`.

        Of shares also for each state, NaN for one that was not observed, under the name with `_of_state`.
        """
        inside, known = np.sum([self._inside(each, saves) for each in predictions], axis=0)
        result: dict[str, float | Labelled] = {name: float(inside.sum() / known.sum())}
        if not self.of_counts:
            by_state = np.where(known > 0, inside / np.maximum(known, 1), np.nan)
            result[f"{name}_of_state"] = Labelled(("state",), by_state)
        return result

    def _inside(self, prediction: Prediction, saves: IntArray) -> FloatArray:
        """How many observations lie inside the band, and how many there are: [2, column]."""
        window = self.values[list(prediction.series)][:, saves]
        paths = prediction.paths[:, :, saves].reshape(-1, *window.shape[1:])
        low, high = np.quantile(paths, BAND, axis=0)
        inside = (window >= low) & (window <= high)
        return np.stack([inside.sum(axis=(0, 1)), (~np.isnan(window)).sum(axis=(0, 1))]).astype(np.float64)


def verdict_of_series(
    observations: Observations, predict: Callable[[int, bool], FloatArray]
) -> dict[str, float | Labelled]:
    """How well the series that are held out are predicted, each from its own start.

    `predict` (series, learned) gives paths of one of them, [seed, path, time, column].
    """
    judge, kept = Judge.of(observations), range(observations.kept)
    every = np.arange(1, len(observations.times))
    series = [each for each in range(observations.kept, observations.series) if observations.known[each].any()]
    if not series:
        return {}
    learned = [Prediction((each,), predict(each, True)) for each in series]
    before = [Prediction((each,), predict(each, False)) for each in series]
    result: dict[str, float | Labelled] = {
        "series_score": Labelled(("seed",), judge.mean_score(learned, every)),
        "series_score_unlearned": float(judge.mean_score(before, every).mean()),
        **judge.coverage("series_coverage", learned, every),
    }
    climatology = [Prediction((each,), judge.values[None, kept]) for each in series]
    score = judge.mean_score(climatology, every)[0]
    return {**result, "series_score_climatology": float(score)} if np.isfinite(score) else result
