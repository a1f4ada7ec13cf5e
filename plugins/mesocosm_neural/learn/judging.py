"""How good paths are as a prediction of what was observed: energy scores and distances, and the coverage of a band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mesocosm_neural.learn.samples import BoolArray, FloatArray, Samples
from mesocosm_neural.learn.sde_units import spaced
from mesocosm_neural.learn.space import Space
from mesocosm_neural.scores import energy_score, pairwise_distances


@dataclass(frozen=True, eq=False)
class Verdict:
    """Means over saves. Attributes: energy score, and energy distance 2 E|X - y| - E|X - X'| - E|y - y'|, each [seed]."""

    score: FloatArray
    distance: FloatArray


def judge(space: Space, samples: Samples, known: BoolArray, paths: FloatArray) -> Verdict:
    """Paths [seed, path, time, column] against the values that are `known` [time, row], both in the units of the data.

    Saves with a single value have no E|y - y'|: their distance is NaN, and so is the mean.
    """
    scores, distances = [], []
    for save in np.flatnonzero(known.any(axis=1)):
        data = torch.from_numpy(spaced(samples.values[save, known[save]]))
        ours = torch.from_numpy(np.stack([spaced(each) for each in paths[:, :, save]]))
        score, within = torch.zeros(len(ours), dtype=torch.float64), 0.0
        for columns in samples.column_groups():
            left, right = (space.of(columns).compared(values[..., columns]) for values in (ours, data))
            score = score + energy_score(left, right)
            count = len(right)
            alone = pairwise_distances(right, right).sum()
            within += float(alone) / (count * (count - 1)) if count > 1 else np.nan
        scores.append(score.numpy())
        distances.append(2 * score.numpy() - within)
    return Verdict(np.mean(scores, axis=0), np.mean(distances, axis=0))


def coverage(samples: Samples, known: BoolArray, paths: FloatArray, band: float) -> float:
    """Share of the known values inside the central `band` of all seeds' paths at their save, over saves, rows and columns."""
    inside, count = 0, 0
    everyone = paths.reshape(-1, *paths.shape[2:])
    for save in np.flatnonzero(known.any(axis=1)):
        data = samples.values[save, known[save]]
        low, high = np.quantile(everyone[:, save], [(1 - band) / 2, (1 + band) / 2], axis=0)
        inside, count = inside + int(((data >= low) & (data <= high)).sum()), count + data.size
    return inside / count
