"""The training loop of every mode: draw, score, step; with early stopping, and checkpoints that continue to the same result.

Several networks, one for each seed, are trained side by side: every weight has a leading axis of seeds and no number passes
between seeds. The noise of step k depends on (seed of the run, label, k) alone and the learning rate on k alone, so a training
that was cut short and continued gives, on the CPU, the same bytes as one that was not.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Context, DynamicsError, StoreError
from mesocosm_neural.adam import Adam
from mesocosm_neural.options import TrainingOptions

CHECKPOINT, WEIGHTS = "training.pt", "weights.pt"

FloatArray = NDArray[np.float64]
Loss = Callable[[int, torch.Generator], torch.Tensor]
"""(step, generator of that step, on the CPU) -> loss of every seed, [seed], with gradients."""


class Memory(Protocol):
    """What a training carries from step to step beside weights: averaged flows, for instance."""

    def pack(self) -> dict[str, torch.Tensor]:
        """As tensors on the CPU."""

    def unpack(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take up what `pack` gave."""


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread: these tensors are too small to share out, and sums then do not depend on the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(eq=False)
class History:
    """What a training left behind.

    Attributes
    ----------
    losses: of every step and seed, [step, seed].
    scores: of every check and seed, [check, seed]; empty without a validation.
    best: the step after which each seed's weights were kept, [seed]; the last step without a validation.
    """

    losses: list[list[float]] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)
    best: list[int] = field(default_factory=list)


class Trainer:
    """The training loop.

    Parameters
    ----------
    weights: trained in place; each has a leading axis of seeds.
    loss: the loss of every seed at a step.
    options: steps, learning rate, patience, and how often there is a checkpoint.
    context: label, streams, folder and progress of the dynamics.
    fingerprint: what the result depends on; a checkpoint with another one is not used.
    validate: (step) -> a score of every seed, [seed], lower is better, without gradients. With it, the weights that are left
        in the end are those of each seed's best check, and training stops when no seed got better in `patience` checks.
    memory: what else must be kept in a checkpoint.
    name: of the files of this training in the folder, where a dynamics has more than one.
    """

    def __init__(
        self,
        weights: Sequence[torch.Tensor],
        loss: Loss,
        options: TrainingOptions,
        context: Context,
        fingerprint: str,
        *,
        validate: Callable[[int], torch.Tensor] | None = None,
        memory: Memory | None = None,
        name: str = "",
    ) -> None:
        self.weights, self.loss, self.options, self.context = list(weights), loss, options, context
        self.fingerprint, self.validate, self.memory, self.name = fingerprint, validate, memory, name
        self.optimiser = Adam(self.weights)
        self.history = History(best=[0] * len(self.weights[0]))
        self._kept = [weight.detach().clone() for weight in self.weights]

    def run(self) -> History:
        """Train until the last step, or until nothing gets better; from a checkpoint where there is one."""
        options, step = self.options, self._restore()
        with one_thread():
            while step < options.steps and not self._is_stalled():
                self.history.losses.append(self._step(step))
                step += 1
                if self.validate is not None and (step % options.check_every == 0 or step == options.steps):
                    self._check(step)
                if step % max(1, options.steps // 100) == 0:
                    self.context.report("prepare", step / options.steps, self._note())
                if step % options.checkpoint_every == 0:
                    self._save(step)
        self.context.report("prepare", 1.0, self._note())
        self._save(step)
        if self.validate is None:
            self.history.best = [step] * len(self.weights[0])
        else:
            with torch.no_grad():
                for weight, best in zip(self.weights, self._kept, strict=True):
                    weight.copy_(best)
        self._save_weights()
        return self.history

    def rate(self, step: int) -> float:
        """The learning rate of a step: half a cosine from the full one to zero."""
        return 0.5 * self.options.learning_rate * (1.0 + math.cos(math.pi * step / self.options.steps))

    def _step(self, step: int) -> list[float]:
        generator = torch.Generator().manual_seed(self.context.streams.integer("training" + self.name, interval=step))
        for weight in self.weights:
            weight.grad = None
        losses = self.loss(step, generator)
        values = [float(value) for value in losses.detach().cpu()]
        if not np.isfinite(values).all():
            raise self._fault(step, f"loss {', '.join(f'{value:g}' for value in values)}", "a loss is finite")
        losses.sum().backward()
        if not all(bool(torch.isfinite(weight.grad).all()) for weight in self.weights if weight.grad is not None):
            raise self._fault(step, "a gradient that is not finite", "gradients are finite")
        self.optimiser.step(step + 1, self.rate(step), self.options.gradient_norm)
        return values

    def _fault(self, step: int, what: str, rule: str) -> DynamicsError:
        path, good = self._path(CHECKPOINT), "there is no checkpoint yet"
        if path is not None and path.exists():
            good = f"the last good checkpoint, after step {read(path)['step']}, is {path}"
        return DynamicsError(
            f"{what} at learning rate {self.rate(step):.3g}",
            where=f"{self.context.label}, training step {step}",
            rule=rule,
            hint=f"choose a smaller 'learning_rate' or 'step'; {good}",
        )

    def _check(self, step: int) -> None:
        assert self.validate is not None
        with torch.no_grad():
            scores = [float(value) for value in self.validate(step).detach().cpu()]
            if np.isnan(scores).any():
                raise self._fault(step, f"check {', '.join(f'{value:g}' for value in scores)}", "a check is a number")
            before = np.array(self.history.scores)
            for seed, score in enumerate(scores):
                if not len(before) or score < before[:, seed].min():
                    self.history.best[seed] = step
                    for kept, weight in zip(self._kept, self.weights, strict=True):
                        kept[seed].copy_(weight[seed])
        self.history.scores.append(scores)

    def _is_stalled(self) -> bool:
        """Whether no seed's best check is among the last `patience`."""
        patience, scores = self.options.patience, np.array(self.history.scores)
        if patience is None or len(scores) <= patience:
            return False
        return bool((scores.argmin(axis=0) < len(scores) - patience).all())

    def _note(self) -> str:
        parts = [f"loss {np.mean(self.history.losses[-1]):.4g}"] if self.history.losses else []
        if self.history.scores:
            parts.append(f"check {np.mean(self.history.scores[-1]):.4g}")
        return ", ".join(parts)

    def _path(self, file: str) -> Path | None:
        folder = self.context.folder
        return None if folder is None else folder / (f"{self.name}-{file}" if self.name else file)

    def _save_weights(self) -> None:
        path = self._path(WEIGHTS)
        if path is not None:
            weights = [weight.detach().cpu() for weight in self.weights]
            write(path, {"fingerprint": self.fingerprint, "weights": weights})

    def _save(self, step: int) -> None:
        path = self._path(CHECKPOINT)
        if path is None:
            return
        history = self.history
        content = {
            "fingerprint": self.fingerprint,
            "step": step,
            "weights": [weight.detach().cpu() for weight in self.weights],
            "kept": [weight.cpu() for weight in self._kept],
            "moments": [[moment.cpu() for moment in order] for order in self.optimiser.moments],
            "losses": torch.tensor(history.losses, dtype=torch.float64),
            "scores": torch.tensor(history.scores, dtype=torch.float64),
            "best": torch.tensor(history.best),
            "memory": self.memory.pack() if self.memory else {},
        }
        write(path, content)

    def _restore(self) -> int:
        """The step to go on from: 0, or that of a checkpoint."""
        path = self._path(CHECKPOINT)
        if path is None or not path.exists():
            return 0
        saved = read(path)
        if saved.get("fingerprint") != self.fingerprint:
            return 0
        with torch.no_grad():
            targets = [self.weights, self._kept, *self.optimiser.moments]
            for target, values in zip(targets, [saved["weights"], saved["kept"], *saved["moments"]], strict=True):
                for tensor, value in zip(target, values, strict=True):
                    tensor.copy_(value)
        self.history = History(saved["losses"].tolist(), saved["scores"].tolist(), saved["best"].tolist())
        if self.memory:
            self.memory.unpack(saved["memory"])
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
