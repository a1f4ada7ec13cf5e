"""What a simulated window is worth: shares by a distance, counts by their likelihood, or all series as samples of one law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from mesocosm_neural.learn.observations import Observations
from mesocosm_neural.learn.reporting import Reporting
from mesocosm_neural.learn.series_loss import OF_WHOLE_PATHS, SeriesLoss
from mesocosm_neural.learn.windows import Member
from mesocosm_neural.losses import distance


class WindowScore(Protocol):
    """Score of windows, lower is better."""

    def __call__(self, shares: torch.Tensor, extents: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        """Shares and extents [member, window, path, time, ...], series and start [member, window, 2], to [member]."""


class _Scope:
    """The saves after `above` and up to `upto` of each member, both [member]."""

    def __init__(self, above: Sequence[int], upto: Sequence[int], saves: int, device: torch.device) -> None:
        self.above, self.upto = (torch.tensor(list(each), device=device)[:, None, None] for each in (above, upto))
        self.last = saves - 1

    def __call__(self, windows: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers of the saves of every window, and whether they count: both [member, window, time]."""
        saves = windows[:, :, 1:] + 1 + torch.arange(length, device=windows.device)
        inside = (saves > self.above) & (saves <= self.upto) & (saves <= self.last)
        return saves.clamp(max=self.last), inside


class ShareScore:
    """Distance of each window's paths from the one series that was observed in it, averaged over windows.

    States are in units of their standard deviation over what the member may see.
    """

    def __init__(
        self,
        observations: Observations,
        members: Sequence[Member],
        above: Sequence[int],
        upto: Sequence[int],
        loss: str,
        smallest: float,
        like: torch.Tensor,
    ) -> None:
        self.scope = _Scope(above, upto, len(observations.times), like.device)
        self.values = torch.from_numpy(observations.values).to(like)
        scales = [observations.scale(member.until, member.series, smallest) for member in members]
        self.scales = torch.from_numpy(np.stack(scales)).to(like)[:, None, None]
        self.distance, self.whole_paths = distance(loss), loss in OF_WHOLE_PATHS

    def __call__(self, shares: torch.Tensor, extents: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        saves, inside = self.scope(windows, shares.shape[3])
        data = self.values[windows[:, :, :1], saves]
        weight = self.scales * (inside[..., None] & ~data.isnan())
        scaled = (data.nan_to_num(0.0) * weight).unsqueeze(2)
        return SeriesLoss(scaled, weight, self.distance, self.whole_paths)(shares).mean(dim=1)


class CountScore:
    """- log likelihood of the counts, averaged over observed saves and windows.

    Of each save alone: the probability of a count is its mean over the paths of the window. The mean over finitely many
    paths makes the score too large by about half the relative variance of the probability between paths / their number.
    """

    def __init__(
        self,
        observations: Observations,
        above: Sequence[int],
        upto: Sequence[int],
        reporting: Reporting,
        like: torch.Tensor,
    ) -> None:
        assert observations.counts is not None
        self.scope = _Scope(above, upto, len(observations.times), like.device)
        self.counts = torch.from_numpy(observations.counts).to(like)
        self.reporting = reporting

    def __call__(self, shares: torch.Tensor, extents: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        saves, inside = self.scope(windows, extents.shape[3])
        counts = self.counts[windows[:, :, :1], saves]
        known = inside & ~counts.isnan()
        counts = counts.nan_to_num(0.0).unsqueeze(2)
        each = self.reporting.log_likelihood(counts, self.reporting.mean(extents))
        mixed = each.logsumexp(dim=2) - float(np.log(extents.shape[2]))
        return -(mixed * known).sum(dim=(1, 2)) / known.sum(dim=(1, 2)).clamp(min=1)


class LawScore:
    """Distance between the paths from time 0 and all series that a member may see, as samples of one law."""

    def __init__(
        self,
        observations: Observations,
        members: Sequence[Member],
        above: Sequence[int],
        upto: Sequence[int],
        loss: str,
        smallest: float,
        like: torch.Tensor,
    ) -> None:
        groups: dict[tuple[int, int, tuple[int, ...]], list[int]] = {}
        for number, (member, low, high) in enumerate(zip(members, above, upto, strict=True)):
            groups.setdefault((low, high, member.series), []).append(number)
        self.groups = []
        for (low, high, series), numbers in groups.items():
            saves = low + 1 + np.flatnonzero(observations.known[list(series), low + 1 : high + 1].any(axis=0))
            scale = observations.spread(saves, series, smallest)
            loss_of_group = series_loss(observations, series, saves, scale, loss, like)
            self.groups.append((numbers, torch.from_numpy(saves - 1).to(like.device), loss_of_group))

    def __call__(self, shares: torch.Tensor, extents: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
        paths = shares.flatten(1, 2)
        result = paths.new_zeros(len(paths))
        for numbers, saves, loss in self.groups:
            rows = torch.tensor(numbers, device=paths.device)
            result = result.index_put((rows,), loss(paths[rows][:, :, saves]))
        return result


def series_loss(
    observations: Observations,
    series: Sequence[int],
    saves: np.ndarray[tuple[int], np.dtype[np.int64]],
    scale: np.ndarray[tuple[int], np.dtype[np.float64]],
    loss: str,
    like: torch.Tensor,
) -> SeriesLoss:
    """The loss against these series at these saves, states times `scale`; the same entries are missing in all of them."""
    window = observations.values[list(series)][:, saves]
    known = ~np.isnan(window)
    scaled = np.where(known, window, 0.0) * scale
    return SeriesLoss(
        torch.from_numpy(scaled).to(like),
        torch.from_numpy(known[0] * scale).to(like),
        distance(loss),
        loss in OF_WHOLE_PATHS,
    )
