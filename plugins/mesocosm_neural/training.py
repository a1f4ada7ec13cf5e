"""Training: simulate, score against the data, step; with checkpoints that continue to the same result.

All networks are trained side by side. The noise of step k depends on (seed, label, k) alone and the learning rate on k
alone, so a training that was cut short and continued gives, on the CPU, the same bytes as one that was not.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Clock, Context, DynamicsError, StoreError, substeps
from mesocosm_neural.adam import Adam
from mesocosm_neural.law import Correction, GameLaw, Span
from mesocosm_neural.network import Networks
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.scores import EnergyLoss

CHECKPOINT, WEIGHTS = "training.pt", "weights.pt"


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: these tensors are too small to share out, and sums then do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def noise(generator: torch.Generator, steps: int, like: torch.Tensor, transitions: int) -> torch.Tensor:
    """Standard normals [step, path, transition], drawn on the CPU so that every device sees the same ones."""
    drawn = torch.randn(steps, like.shape[0], transitions, generator=generator, dtype=torch.float64)
    return drawn.to(device=like.device, dtype=like.dtype)


class Training:
    """The training loop of one `neural_sde`.

    Parameters
    ----------
    spans: the save intervals from 0 to the last save of the window, cut into steps.
    saves: numbers of the saves that the loss sees.
    initial: shares at time 0 to choose from, [row, state].
    fingerprint: what the result depends on; a checkpoint with another one is not used.
    """

    def __init__(
        self,
        law: GameLaw,
        networks: Networks,
        loss: EnergyLoss,
        spans: list[Span],
        saves: NDArray[np.int64],
        initial: torch.Tensor,
        options: NeuralSDEOptions,
        context: Context,
        fingerprint: str,
    ) -> None:
        self.law, self.networks, self.loss, self.spans = law, networks, loss, spans
        self.saves, self.initial = torch.from_numpy(saves - 1).to(initial.device), initial
        self.options, self.context, self.fingerprint = options, context, fingerprint
        self.optimiser = Adam(networks.weights)
        self.losses: list[list[float]] = []

    def run(self) -> NDArray[np.float64]:
        """Train to the last step, from a checkpoint where there is one; the loss of every step and seed, [step, seed]."""
        total = self.options.steps
        with one_thread():
            for step in range(self._restore(), total):
                self.losses.append(self._step(step))
                if (step + 1) % max(1, total // 100) == 0:
                    note = f"loss {np.mean(self.losses[-1]):.4g}"
                    self.context.report("prepare", (step + 1) / total, note)
                if (step + 1) % self.options.checkpoint_every == 0 or step + 1 == total:
                    self._save(step + 1)
        return np.array(self.losses)

    def _step(self, step: int) -> list[float]:
        generator = torch.Generator().manual_seed(self.context.streams.integer("training", interval=step))
        rate = 0.5 * self.options.learning_rate * (1.0 + math.cos(math.pi * step / self.options.steps))
        for weight in self.networks.weights:
            weight.grad = None
        losses = self.loss(self._paths(generator))
        if self.options.regularisation > 0:
            strength = self.options.regularisation / self.loss.data.shape[0]
            losses = losses + strength * self._variation(generator)
        if not bool(torch.isfinite(losses).all()):
            raise DynamicsError(
                f"loss {losses.detach().cpu().numpy()} at learning rate {rate:.3g}",
                where=f"{self.context.label}, training step {step}",
                rule="a loss is finite",
                hint="choose a smaller 'learning_rate' or 'step'",
            )
        losses.sum().backward()
        self.optimiser.step(step + 1, rate, self.options.gradient_norm)
        return [float(value) for value in losses.detach().cpu()]

    def _paths(self, generator: torch.Generator) -> torch.Tensor:
        """Paths over the window at the observed saves: [seed, path, time, state]."""
        count, batch = self.networks.seeds, self.options.batch
        rows = torch.randint(len(self.initial), (count * batch,), generator=generator)
        shares = self.initial[rows.to(self.initial.device)]
        saved = []
        for span in self.spans:
            increments = noise(generator, span.count, shares, len(self.law.sources))
            shares = self.law.advance(self.networks, shares, span, increments)
            saved.append(shares)
        paths = torch.stack(saved, dim=1)[:, self.saves]
        return paths.view(count, batch, *paths.shape[1:])

    def _variation(self, generator: torch.Generator) -> torch.Tensor:
        """How far the networks are from constant factors, on average over the whole simplex and run: [seed]."""
        count, states = self.networks.seeds * self.options.batch, self.initial.shape[1]
        drawn = torch.rand(count, states + 1, generator=generator, dtype=torch.float64)
        exponential = -torch.log1p(-drawn[:, 1:])
        times, shares = drawn[:, :1] * self.networks.horizon, exponential / exponential.sum(dim=-1, keepdim=True)
        return self.networks.variation(times.to(self.initial), shares.to(self.initial))

    def _save(self, step: int) -> None:
        if self.context.folder is None:
            return
        weights = [weight.detach().cpu() for weight in self.networks.weights]
        if step == self.options.steps:
            write(self.context.folder / WEIGHTS, {"fingerprint": self.fingerprint, "weights": weights})
        write(
            self.context.folder / CHECKPOINT,
            {
                "fingerprint": self.fingerprint,
                "step": step,
                "weights": weights,
                "moments": [[moment.cpu() for moment in order] for order in self.optimiser.moments],
                "losses": torch.tensor(self.losses, dtype=torch.float64),
            },
        )

    def _restore(self) -> int:
        path = None if self.context.folder is None else self.context.folder / CHECKPOINT
        if path is None or not path.exists():
            return 0
        saved = read(path)
        if saved.get("fingerprint") != self.fingerprint:
            return 0
        with torch.no_grad():
            targets = [self.networks.weights, *self.optimiser.moments]
            for target, values in zip(targets, [saved["weights"], *saved["moments"]], strict=True):
                for tensor, value in zip(target, values, strict=True):
                    tensor.copy_(value)
        self.losses = saved["losses"].tolist()
        return int(saved["step"])


def write(path: Path, content: dict[str, Any]) -> None:
    """Save tensors under `path`, which holds the old content or the new, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    with partial.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def read(path: Path) -> dict[str, Any]:
    """Read what `write` saved; only tensors and plain values are unpickled. `StoreError` where it is not readable."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(
            f"not a readable checkpoint ({error})", where=str(path), hint="delete it to train from the start"
        ) from error
    return content


def simulate(law: GameLaw, correction: Correction, shares: torch.Tensor, span: Span, seed: int) -> torch.Tensor:
    """Shares after one save interval, without gradients: [path, state]; the noise depends on `seed` alone."""
    with torch.no_grad(), one_thread():
        increments = noise(torch.Generator().manual_seed(seed), span.count, shares, len(law.sources))
        return law.advance(correction, shares, span, increments)


def spans(clock: Clock, step: float, saves: int) -> list[Span]:
    """The first `saves` save intervals, cut into equal steps of at most `step`."""
    result = []
    for interval in list(clock.intervals())[:saves]:
        count, length = substeps(interval.start, interval.stop, step)
        result.append(Span(interval.start, length, count))
    return result
