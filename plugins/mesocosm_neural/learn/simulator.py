"""Paths of the SDE on the simplex, interval by interval, for several networks, each path from a start of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mesocosm_neural.learn.correction import Correction
from mesocosm_neural.learn.law import Factors, GameLaw, Span, Time, uncorrected
from mesocosm_neural.tape import NoiseTape


@dataclass(frozen=True, eq=False)
class Cohort:
    """Which series and which save each path starts from; paths are sorted by member.

    Attributes
    ----------
    series, starts: numbers, [path].
    covariates: what the networks of each member see, [member, series, time, name]; None without covariates.
    linear: whether covariates change within an interval.
    """

    series: torch.Tensor
    starts: torch.Tensor
    covariates: torch.Tensor | None = None
    linear: bool = False

    def seen(self, offset: int, duration: float) -> Callable[[Time], torch.Tensor] | None:
        """Covariates [path, name] by the time within the interval that begins `offset` saves after the start."""
        table = self.covariates
        if table is None:
            return None
        members, last = len(table), table.shape[2] - 1
        member = torch.arange(members, device=table.device).repeat_interleave(len(self.series) // members)
        before = table[member, self.series, (self.starts + offset).clamp(max=last)]
        if not self.linear:
            return lambda elapsed: before
        after = table[member, self.series, (self.starts + offset + 1).clamp(max=last)]
        return lambda elapsed: before + (elapsed / duration) * (after - before)


class Simulator:
    """Advances paths by save intervals of equal length, cut into `count` steps of `solver`."""

    def __init__(self, law: GameLaw, networks: Correction, count: int, solver: str) -> None:
        self.law, self.networks, self.count, self.solver = law, networks, count, solver
        self.duration = float(law.clock.times[1])

    def __call__(
        self, shares: torch.Tensor, cohort: Cohort, saves: int, generator: torch.Generator, *, learned: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Paths over so many intervals: shares [path, time, state] and extents [path, time, transition]."""
        saved, jumps = [], []
        for offset in range(saves):
            shares, extents = self.interval(shares, cohort, offset, generator, learned=learned)
            saved.append(shares)
            jumps.append(extents)
        return torch.stack(saved, dim=1), torch.stack(jumps, dim=1)

    def interval(
        self, shares: torch.Tensor, cohort: Cohort, offset: int, generator: torch.Generator, *, learned: bool = True
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One interval, `offset` saves after the start: shares at its end and extents; unlearned it is the game itself."""
        paths, transitions = len(shares), len(self.law.sources)
        tape = NoiseTape.drawn(generator, self.count, paths, transitions, shares, areas=self.solver == "srk")
        begins = (cohort.starts + offset).to(shares) * self.duration
        same = bool((cohort.starts == cohort.starts[0]).all())
        start: Time = float(begins[0]) if same else begins[:, None]
        span = Span(start, self.duration / self.count, self.count)
        factors = self._factors(cohort, offset, start) if learned else uncorrected
        weights = self.networks.weights if learned and self.solver == "reversible_heun" else ()
        return self.law.move(
            factors, shares, span, tape.increments, solver=self.solver, areas=tape.areas, weights=weights
        )

    def _factors(self, cohort: Cohort, offset: int, start: Time) -> Factors:
        seen = cohort.seen(offset, self.duration)
        if seen is None:
            return self.networks.factors
        return lambda time, now: self.networks.factors(time, now, seen(time - start))
