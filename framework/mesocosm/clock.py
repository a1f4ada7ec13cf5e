"""Horizon and save grid: the only place where time is advanced.

Times are in the scenario's unit. A run saves at 0, save_every, 2 save_every, ..., end; an *interval* lies between two
saves. A dynamics cuts an interval into equal inner steps with `substeps`, so that every engine lands exactly on the saves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mesocosm.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Interval:
    """The stretch of time [start, stop] between two saves; `index` counts from 0."""

    index: int
    start: float
    stop: float


@dataclass(frozen=True)
class Clock:
    """Time from 0 to `end`, saved every `save_every`; both positive, `end` a whole number of `save_every`."""

    end: float
    save_every: float
    unit: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.end < math.inf and 0 < self.save_every < math.inf):
            raise InputError(
                f"end {self.end:g} and save_every {self.save_every:g}",
                where="time",
                rule="both must be positive and finite",
            )
        count = self.end / self.save_every
        if abs(count - round(count)) > 1e-9 * max(1.0, count) or round(count) < 1:
            raise InputError(
                f"end {self.end:g} with save_every {self.save_every:g}",
                where="time",
                rule="end must be a whole number of save_every",
                hint="change one of them",
            )

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """The save times, shape [intervals + 1], from 0 to end."""
        import numpy as np

        count = round(self.end / self.save_every)
        return np.linspace(0.0, self.end, count + 1)

    def intervals(self, first: int = 0) -> Iterator[Interval]:
        """The intervals in order, from number `first` on."""
        times = self.times
        for index in range(first, len(times) - 1):
            yield Interval(index, float(times[index]), float(times[index + 1]))

    def index_of(self, time: float) -> int:
        """The number of the save at `time`; an error names the nearest one where there is none."""
        index = int(abs(self.times - time).argmin())
        if abs(self.times[index] - time) > 1e-9 * max(1.0, self.end):
            raise InputError(
                f"time {time:g} is not saved",
                where="time",
                rule=f"saves are every {self.save_every:g} from 0 to {self.end:g}",
                hint=f"the nearest is {self.times[index]:g}",
            )
        return index


def substeps(start: float, stop: float, step: float) -> tuple[int, float]:
    """Equal inner steps of at most `step` that fill [start, stop]: their number and their length."""
    count = max(1, math.ceil((stop - start) / step - 1e-9))
    return count, (stop - start) / count
