"""Averages over training: what agents respond to in fictitious play."""

from __future__ import annotations

from collections.abc import Mapping

import torch

LEAST = 0.1
"""Smallest default weight of the newest: what came long before is forgotten at this rate."""


class Averaged:
    """Averages of what populations made in the course of a training: tensors by name. It goes into checkpoints.

    Attributes
    ----------
    count: how many there were. values: the averages. residual: the largest distance of the newest from the average before
    it, over all but the leading axis; NaN before the second one.
    """

    def __init__(self, weight: float | None, device: torch.device | None = None) -> None:
        self.weight, self.device, self.count = weight, device, 0
        self.values: dict[str, torch.Tensor] = {}
        self.residual = torch.full((1,), torch.nan)

    def add(self, newest: Mapping[str, torch.Tensor]) -> None:
        """Take one more into the average, with the weight given, or else that of a plain mean, and at least `LEAST`."""
        self.count += 1
        if self.count == 1:
            self.values = dict(newest)
            self.residual = torch.full((len(next(iter(newest.values()))),), torch.nan)
            return
        weight = max(LEAST, 1.0 / self.count) if self.weight is None else self.weight
        moves = {name: value - self.values[name] for name, value in newest.items()}
        self.residual = torch.stack([move.abs().flatten(1).amax(dim=1) for move in moves.values()]).amax(dim=0).cpu()
        self.values = {name: self.values[name] + weight * move for name, move in moves.items()}

    def pack(self) -> dict[str, torch.Tensor]:
        """As tensors on the CPU."""
        values = {f"value {name}": value.cpu() for name, value in self.values.items()}
        return {"count": torch.tensor(self.count), "residual": self.residual, **values}

    def unpack(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take up what `pack` gave."""
        self.count, self.residual = int(tensors["count"]), tensors["residual"]
        known = [name for name in tensors if name.startswith("value ")]
        self.values = {name.removeprefix("value "): tensors[name].to(self.device) for name in known}
