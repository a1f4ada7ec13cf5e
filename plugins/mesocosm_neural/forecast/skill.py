"""How good forecasts are: a score of the ensemble, the error of its median, and how often its band holds the outcome.

Sources: Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007), for the continuous ranked probability score; Bosse et
al., PLoS Comput. Biol. 19, e1011393 (2023), for scoring counts on the scale of log(1 + count).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BAND = 0.9
"""Probability inside the central band."""


def crps(ensemble: FloatArray, outcome: FloatArray) -> FloatArray:
    """Continuous ranked probability score of the ensemble's own distribution: [..., member] and [...] to [...].

    E|X - y| - E|X - X'| / 2, in the unit of y, 0 at best. For one member it is the absolute error.
    """
    ordered = np.sort(ensemble, axis=-1)
    members = ordered.shape[-1]
    weights = 2.0 * np.arange(1, members + 1) - members - 1.0
    distance = np.abs(ordered - outcome[..., None]).mean(axis=-1)
    return np.asarray(distance - ordered @ weights / members**2, np.float64)


def absolute_error(ensemble: FloatArray, outcome: FloatArray) -> FloatArray:
    """Distance of the median from what happened: [..., member] and [...] to [...]."""
    return np.asarray(np.abs(np.median(ensemble, axis=-1) - outcome), np.float64)


def is_covered(ensemble: FloatArray, outcome: FloatArray) -> FloatArray:
    """1 where the outcome lies in the central band of the ensemble, its ends included: [..., member] and [...] to [...]."""
    low, high = np.quantile(ensemble, [0.5 - BAND / 2, 0.5 + BAND / 2], axis=-1)
    return np.asarray((low <= outcome) & (outcome <= high), np.float64)


def log_crps(ensemble: FloatArray, outcome: FloatArray) -> FloatArray:
    """`crps` of log(1 + count): relative errors, so that a large wave does not outweigh all others."""
    return crps(np.log1p(ensemble), np.log1p(outcome))


SCORES = {
    "forecast_crps": crps,
    "forecast_log_crps": log_crps,
    "forecast_error": absolute_error,
    "forecast_coverage": is_covered,
}
"""By the names under which they are reported."""


def scores(ensembles: Sequence[Sequence[FloatArray]] | FloatArray, outcome: FloatArray) -> dict[str, FloatArray]:
    """Every score, averaged over origins: by name, [horizon].

    `ensembles[origin][horizon]` are the members of a forecast, [member] or [group, member], where each group (the paths of a
    seed, say) is a forecast of its own and scores are averaged over groups; outcome is [origin, horizon].
    """
    return {
        name: np.array(
            [
                [_mean(score, members, value) for members, value in zip(row, values, strict=True)]
                for row, values in zip(ensembles, outcome, strict=True)
            ]
        ).mean(axis=0)
        for name, score in SCORES.items()
    }


def _mean(score: Callable[[FloatArray, FloatArray], FloatArray], members: FloatArray, outcome: float) -> float:
    return float(score(members, np.broadcast_to(outcome, members.shape[:-1])).mean())
