"""A noise tape: increments of Brownian motions over unit steps, drawn once, on the CPU, so that every device sees the same.

A tape drawn beforehand replaces torchsde's `BrownianInterval`, which answers queries at any time and costs several times as
much as the step itself. Agents, the Euler scheme and the solvers of torchsde can be driven by one tape, and a coarser tape of
the same Brownian motion shows how an error falls with the step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mesocosm import Interval, Streams


@dataclass(frozen=True, eq=False)
class NoiseTape:
    """Independent Brownian motions W over unit steps. It answers what `torchsde.sdeint` asks of its `bm`.

    Attributes
    ----------
    increments: W(k + 1) - W(k), standard normal, shape [step, path, channel].
    areas: space-time Levy areas H, the mean over a step of W(s) - W(k) less half the increment: normal with variance 1/12,
        independent of the increments, same shape. None where no solver asks for them.
    """

    increments: torch.Tensor
    areas: torch.Tensor | None = None

    @classmethod
    def drawn(
        cls,
        generator: torch.Generator,
        steps: int,
        paths: int,
        channels: int,
        like: torch.Tensor,
        *,
        areas: bool = False,
    ) -> NoiseTape:
        """A new tape, of the type and on the device of `like`; increments are the same with and without areas."""
        count = 2 if areas else 1
        drawn = [torch.randn(steps, paths, channels, generator=generator, dtype=torch.float64) for _ in range(count)]
        return cls(drawn[0].to(like), (drawn[1] / 12**0.5).to(like) if areas else None)

    @property
    def levy_area_approximation(self) -> str:
        return "none" if self.areas is None else "space-time"

    @property
    def shape(self) -> torch.Size:
        return self.increments.shape[1:]

    @property
    def dtype(self) -> torch.dtype:
        return self.increments.dtype

    @property
    def device(self) -> torch.device:
        return self.increments.device

    def __call__(
        self, start: torch.Tensor, stop: torch.Tensor, return_U: bool = False, return_A: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The increment over [k, k + 1], and with `return_U` also the integral of W(s) - W(k) over it; k is whole.

        Raises `ValueError` for other stretches of time, and for what the tape does not hold.
        """
        first = float(start)
        if not first.is_integer() or float(stop) != first + 1.0:
            raise ValueError(f"increment over [{first:g}, {float(stop):g}]; the tape has unit steps from whole numbers")
        if return_A or (return_U and self.areas is None):
            raise ValueError("Levy areas that the tape does not hold")
        increment = self.increments[int(first)]
        if not return_U or self.areas is None:
            return increment
        return increment, 0.5 * increment + self.areas[int(first)]

    def coarsened(self, factor: int) -> NoiseTape:
        """The same Brownian motions over steps `factor` times as long, in units of the new step.

        Raises `ValueError` where the steps do not divide.
        """
        steps = len(self.increments)
        if factor < 1 or steps % factor:
            raise ValueError(f"{steps} steps do not make whole steps of {factor}")
        blocks = self.increments.unflatten(0, (steps // factor, factor))
        total = blocks.sum(dim=1)
        if self.areas is None:
            return NoiseTape(total / factor**0.5)
        reached = blocks.cumsum(dim=1) - 0.5 * blocks
        means = (reached + self.areas.unflatten(0, (steps // factor, factor))).mean(dim=1)
        return NoiseTape(total / factor**0.5, (means - 0.5 * total) / factor**0.5)


def noise_of_agents(
    streams: Streams, interval: Interval, replicates: int, size: int, steps: int, axes: int, *, common: bool = False
) -> torch.Tensor:
    """The standard normals that agents of a diffusion game without exits are moved by, float64 [step, replicate, agent, axis].

    `streams` are those of the label of the agents, `steps` how many they take in the interval. With `common`, the noise that
    all agents of a replicate share, [step, replicate, 1, axis].
    """
    purpose, rows = ("common", 1) if common else ("diffusion", size)
    generators = (streams.generator(purpose, interval=interval.index, replicate=number) for number in range(replicates))
    drawn = np.stack([generator.standard_normal((steps, rows, axes)) for generator in generators], axis=1)
    return torch.from_numpy(drawn)
