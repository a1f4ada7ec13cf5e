"""Multiple shooting: which windows of saves a network may draw, and which it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import InputError
from mesocosm_neural.learn.observations import Observations

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Member:
    """One of the networks that are trained side by side, and what it may see.

    Attributes
    ----------
    seed: number of the seed of its weights.
    until: number of the last save that it may see.
    series: the series that it may see.
    """

    seed: int
    until: int
    series: tuple[int, ...]


class Windows:
    """Windows [start, start + length] of saves for each member: start and end between `first` and `last`, both [member].

    A window starts where the shares of all states are known and contains an observation after its start.

    Parameters
    ----------
    startable, observed: [series, time].
    length: in saves.

    Errors: `InputError` for a member that has none.
    """

    def __init__(
        self,
        members: Sequence[Member],
        startable: BoolArray,
        observed: BoolArray,
        first: Sequence[int],
        last: Sequence[int],
        length: int,
    ) -> None:
        self.length = length
        seen = np.concatenate([np.zeros((len(observed), 1), np.int64), observed.cumsum(axis=1)], axis=1)
        found = []
        for member, begin, end in zip(members, first, last, strict=True):
            starts = np.arange(begin, end - length + 1)
            usable = startable[:, starts] & (seen[:, starts + length + 1] > seen[:, starts + 1])
            pairs = [(series, int(start)) for series in member.series for start in starts[usable[series]]]
            if not pairs:
                raise InputError(
                    f"no window of {length} saves between saves {begin} and {end}",
                    where="learn.window",
                    rule="a window starts where the shares are known, ends in what may be seen and has an observation",
                    hint="choose a shorter 'window' or 'validation', or a later 'until'",
                )
            found.append(pairs)
        self.numbers = torch.tensor([len(pairs) for pairs in found])
        most = int(self.numbers.max())
        self.table = torch.tensor([pairs + pairs[:1] * (most - len(pairs)) for pairs in found])

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Series and start of `count` random windows of each member: [member, window, 2]."""
        drawn = torch.rand(len(self.numbers), count, generator=generator, dtype=torch.float64)
        return self._taken((drawn * self.numbers[:, None]).long())

    def spread(self, most: int) -> torch.Tensor:
        """Windows spread evenly over those of each member, at most so many: [member, window, 2]."""
        count = min(most, int(self.numbers.max()))
        return self._taken((torch.arange(count) + 0.5) / count * self.numbers[:, None])

    def _taken(self, positions: torch.Tensor) -> torch.Tensor:
        places = torch.minimum(positions.long(), self.numbers[:, None] - 1)
        return torch.gather(self.table, 1, places[:, :, None].expand(-1, -1, 2))


def training_windows(
    members: Sequence[Member], observations: Observations, ends: Sequence[int], length: int | None
) -> Windows:
    """The windows that end at or before save `ends` of each member; without a length one from time 0, as long as the longest.

    `InputError` where nothing is left to train on.
    """
    if min(ends) < 1:
        raise InputError(
            "validation as long as the training window",
            where="learn.validation",
            rule="something must be left to train on",
            hint="choose a shorter 'validation' or a later 'until'",
        )
    begins, last = [0] * len(members), list(ends)
    if length is None:
        length, last = max(ends), [max(ends)] * len(members)
        return Windows(members, _only_first(observations), observations.known, begins, last, length)
    return Windows(members, _startable(observations), observations.known, begins, last, length)


def validation_windows(
    members: Sequence[Member], observations: Observations, ends: Sequence[int], length: int | None
) -> Windows:
    """The windows between save `ends` and `until` of each member, shortened to that; without a length from time 0 on."""
    until = [member.until for member in members]
    if length is None:
        last = [max(until)] * len(members)
        return Windows(members, _only_first(observations), observations.known, [0] * len(members), last, max(until))
    shortest = min(high - low for low, high in zip(ends, until, strict=True))
    return Windows(members, _startable(observations), observations.known, ends, until, min(length, shortest))


def _only_first(observations: Observations) -> BoolArray:
    result = np.zeros_like(observations.complete)
    result[:, 0] = True
    return result


def _startable(observations: Observations) -> BoolArray:
    """Saves at which a window may start: all, or, in a series where all states were ever observed, those; always time 0."""
    complete = observations.complete
    result = np.where(complete[:, 1:].any(axis=1, keepdims=True), complete, True)
    result[:, 0] = True
    return result
