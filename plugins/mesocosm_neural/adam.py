"""Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1) for several networks at once.

torch's own optimisers load its compiler, which takes longer to import than many a training takes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8


class Adam:
    """First and second moments of the gradients of `weights`; every weight has a leading axis of seeds.

    Gradients are clipped by the norm of each seed's own, so no number passes between seeds.
    """

    def __init__(self, weights: Sequence[torch.Tensor]) -> None:
        self.weights = list(weights)
        self.moments = [[torch.zeros_like(weight) for weight in self.weights] for _ in range(2)]

    def step(self, count: int, rate: float, largest: float) -> None:
        """Move the weights by their gradients: the `count`-th step (from 1), with norms of at most `largest`."""
        gradients = self._clipped(largest)
        with torch.no_grad():
            for weight, gradient, first, second in zip(self.weights, gradients, *self.moments, strict=True):
                first.mul_(FIRST).add_(gradient, alpha=1.0 - FIRST)
                second.mul_(SECOND).addcmul_(gradient, gradient, value=1.0 - SECOND)
                root = (second / (1.0 - SECOND**count)).sqrt().add_(SMALL)
                weight.addcdiv_(first, root, value=-rate / (1.0 - FIRST**count))

    def _clipped(self, largest: float) -> list[torch.Tensor]:
        gradients = [weight.grad for weight in self.weights]
        squares = torch.stack([gradient.pow(2).sum(dim=(1, 2)) for gradient in gradients]).sum(dim=0)
        factor = (largest / squares.sqrt().clamp(min=1e-30)).clamp(max=1.0)[:, None, None]
        return [gradient * factor for gradient in gradients]
