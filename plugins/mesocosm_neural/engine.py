"""The one place that knows torchsde: Euler steps of an SDE with diagonal noise, driven by a noise tape.

Time is counted in steps, so the solver adds whole numbers, lands exactly on the last one, and asks for one row of the tape
per step. A tape of increments drawn beforehand replaces torchsde's `BrownianInterval`, which answers queries at any time
and costs several times as much as the step itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torchsde

Law = Callable[[float, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(time in steps, state [path, channel]) -> drift and diffusion per step, both [path, channel]."""


class NoiseTape:
    """Increments of independent Brownian motions over unit steps: `increments` has shape [step, path, channel].

    It answers what `torchsde.sdeint` asks of its `bm`: increments over [k, k + 1] for whole k, and nothing else.
    """

    levy_area_approximation = "none"

    def __init__(self, increments: torch.Tensor) -> None:
        self.increments = increments
        self.shape = increments.shape[1:]
        self.dtype = increments.dtype
        self.device = increments.device

    def __call__(self, start: torch.Tensor, stop: torch.Tensor) -> torch.Tensor:
        first = float(start)
        if not first.is_integer() or float(stop) != first + 1.0:
            raise ValueError(f"increment over [{first:g}, {float(stop):g}]; the tape has unit steps from whole numbers")
        return self.increments[int(first)]


class _Equation:
    """Drift and diffusion in the form that torchsde calls."""

    noise_type = "diagonal"
    sde_type = "ito"

    def __init__(self, law: Law) -> None:
        self.law = law

    def f_and_g(self, time: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.law(float(time), state)


def integrate(law: Law, initial: torch.Tensor, increments: torch.Tensor) -> torch.Tensor:
    """The state after as many Euler-Maruyama steps as the tape has; plain backpropagation goes through every step.

    Shapes: `initial` [path, channel] and `increments` [step, path, channel] to [path, channel].
    """
    steps = torch.tensor([0.0, float(increments.shape[0])], dtype=torch.float64)
    path: torch.Tensor = torchsde.sdeint(
        _Equation(law), initial, steps, bm=NoiseTape(increments), method="euler", dt=1.0
    )
    return path[-1]
