"""The training loop: what is kept, when it stops, and that a training cut short goes on to the same bytes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mesocosm import Context, DynamicsError, StoreError, Streams
from mesocosm_neural import trainer as trainer_module
from mesocosm_neural.options import TrainingOptions
from mesocosm_neural.trainer import CHECKPOINT, WEIGHTS, History, Trainer, read, write

TARGETS = torch.tensor([[[1.0, -2.0]], [[3.0, 0.5]]])
"""What two seeds should find, [seed, 1, entry]."""


class KilledError(Exception):
    """Stands for whatever ends a run."""


class Average:
    """A memory that changes the loss: the mean of all weights so far, as an averaged flow would."""

    def __init__(self, like: torch.Tensor) -> None:
        self.mean, self.count = torch.zeros_like(like), 0

    def add(self, weight: torch.Tensor) -> None:
        self.count += 1
        self.mean += (weight.detach() - self.mean) / self.count

    def pack(self) -> dict[str, torch.Tensor]:
        return {"mean": self.mean.clone(), "count": torch.tensor(self.count)}

    def unpack(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self.mean, self.count = tensors["mean"].clone(), int(tensors["count"])


def context_of(folder: Path | None = None, seed: int = 3) -> Context:
    def nothing(label: str) -> Any:
        raise AssertionError("a training asks for no policy and no trajectories")

    return Context("net", Streams(seed, "net"), nothing, nothing, folder, lambda phase, fraction, note: None)


class Task:
    """Two seeds look for `TARGETS` through noise and a memory; the check is a noiseless distance that gets worse again."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        dtype: torch.dtype = torch.float64,
        kill_at: int | None = None,
        **options: Any,
    ) -> None:
        self.weight = torch.zeros(2, 1, 2, dtype=dtype).requires_grad_()
        self.memory, self.kill_at = Average(self.weight), kill_at
        chosen = TrainingOptions(
            **{"steps": 40, "learning_rate": 0.3, "checkpoint_every": 3, "check_every": 2, **options}
        )
        self.trainer = Trainer(
            [self.weight], self.loss, chosen, context_of(folder), "print", validate=self.validate, memory=self.memory
        )

    def loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        if step == self.kill_at:
            raise KilledError
        noise = torch.randn(2, 1, 2, generator=generator, dtype=torch.float64).to(self.weight)
        self.memory.add(self.weight)
        pull = self.weight - TARGETS.to(self.weight) + 0.3 * noise + 0.1 * self.memory.mean
        return pull.square().sum(dim=(1, 2))

    def validate(self, step: int) -> torch.Tensor:
        middle = torch.tensor([0.6, 0.8]).to(self.weight)
        return (self.weight - middle[:, None, None] * TARGETS.to(self.weight)).square().sum(dim=(1, 2))

    def result(self) -> tuple[bytes, History, dict[str, torch.Tensor]]:
        history = self.trainer.run()
        return self.weight.detach().numpy().tobytes(), history, self.memory.pack()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kills", [(1,), (5, 6), (4, 11, 13)])
def test_a_training_cut_short_ends_with_the_same_bytes(
    tmp_path: Path, dtype: torch.dtype, kills: tuple[int, ...]
) -> None:
    """Catches moments, the memory, scores, best weights or step numbers that a checkpoint forgets, and noise that depends on
    what was drawn before. Early stopping is on, and ends it before the last step in both."""
    wanted, history, memory = Task(dtype=dtype, patience=3).result()
    assert len(history.losses) < 40
    for kill_at in kills:
        with pytest.raises(KilledError):
            Task(tmp_path, dtype=dtype, patience=3, kill_at=kill_at).trainer.run()
    got, resumed, again = Task(tmp_path, dtype=dtype, patience=3).result()
    assert got == wanted
    assert (resumed.losses, resumed.scores, resumed.best) == (history.losses, history.scores, history.best)
    assert all(torch.equal(memory[name], again[name]) for name in memory)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, WEIGHTS]


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    """Catches a last checkpoint that holds the best weights in place of the last, and steps that are taken twice."""
    first, history, _ = Task(tmp_path).result()
    second, after, _ = Task(tmp_path, kill_at=0).result()
    assert second == first
    assert after.losses == history.losses
    saved = read(tmp_path / WEIGHTS)["weights"][0]
    assert saved.numpy().tobytes() == first


def test_each_seed_keeps_the_weights_of_its_own_best_check() -> None:
    """Catches one seed's best step that is taken for all, and the last weights kept in place of the best."""
    task, seen = Task(check_every=1), []
    inner = task.trainer.validate
    assert inner is not None

    def watched(step: int) -> torch.Tensor:
        seen.append(task.weight.detach().clone())
        return inner(step)

    task.trainer.validate = watched
    history = task.trainer.run()
    scores = np.array(history.scores)
    best = scores.argmin(axis=0)
    assert history.best == [int(number) + 1 for number in best]
    assert 1 < history.best[0] != history.best[1] < 40
    for seed in range(2):
        assert torch.equal(task.weight[seed].detach(), seen[best[seed]][seed])


def test_patience_waits_for_the_last_seed_that_gets_better() -> None:
    """Catches a training that stops when one seed does, one that never stops, and an off-by-one in checks."""
    given = iter([[1.0, 5.0], [2.0, 4.0], [2.0, 3.0], [2.0, 3.5], [2.0, 3.5], [0.0, 0.0]])
    task = Task(patience=2, check_every=4)
    task.trainer.validate = lambda step: torch.tensor(next(given))
    history = task.trainer.run()
    assert len(history.scores) == 5
    assert history.best == [4, 12]


def test_without_a_validation_the_last_weights_are_kept() -> None:
    """Catches initial weights that come back, and a `best` that is not the last step."""
    task = Task()
    task.trainer.validate = None
    history = task.trainer.run()
    assert (history.best, history.scores) == ([40, 40], [])
    assert float((task.weight - TARGETS / 1.1).abs().max().detach()) < 0.5


def broken(task: Task, fault: str) -> Callable[[int, torch.Generator], torch.Tensor]:
    """The loss, which goes wrong for the second seed at step 8."""

    def loss(step: int, generator: torch.Generator) -> torch.Tensor:
        value = task.loss(step, generator)
        if step == 8 and fault == "loss":
            return value * torch.tensor([1.0, float("nan")])
        if step == 8 and fault == "gradient":
            return value + (task.weight[:, 0, 0] - task.weight[:, 0, 0].detach()).abs().sqrt() * torch.tensor(
                [0.0, 1.0]
            )
        return value

    return loss


@pytest.mark.parametrize(("fault", "words"), [("loss", "loss .*, nan"), ("gradient", "a gradient that is not finite")])
def test_numbers_that_are_not_finite_stop_the_training(tmp_path: Path, fault: str, words: str) -> None:
    """Catches NaN that is trained on or saved. The error names step, learning rate and the last good checkpoint, and training
    goes on from there when the fault is gone."""
    wanted, _, _ = Task().result()
    task = Task(tmp_path)
    task.trainer.loss = broken(task, fault)
    rate = f"{task.trainer.rate(8):.3g}"
    with pytest.raises(DynamicsError, match=words) as raised:
        task.trainer.run()
    for said in ("net, training step 8", f"learning rate {rate}", f"after step 6, is {tmp_path / CHECKPOINT}"):
        assert said in str(raised.value)
    saved = read(tmp_path / CHECKPOINT)
    assert saved["step"] == 6
    assert torch.isfinite(saved["weights"][0]).all()
    assert Task(tmp_path).result()[0] == wanted


def test_without_a_checkpoint_the_error_says_so() -> None:
    """Catches a path in a message that leads nowhere."""
    task = Task()
    task.trainer.loss = broken(task, "loss")
    with pytest.raises(DynamicsError, match="no checkpoint yet"):
        task.trainer.run()


def test_a_check_that_is_not_a_number_stops_the_training() -> None:
    """Catches NaN that counts as the best score for ever, because nothing is less."""
    task = Task()
    task.trainer.validate = lambda step: torch.tensor([1.0, float("nan")])
    with pytest.raises(DynamicsError, match=r"check 1, nan.*"):
        task.trainer.run()


class Foreign:
    """An object that runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(str(self.__dict__["path"])),))


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, form: str) -> None:
    """Catches loading that unpickles whatever it finds: only tensors and plain values are read."""
    trap, evil = tmp_path / "trap", Foreign()
    evil.__dict__["path"] = trap
    file = tmp_path / CHECKPOINT
    if form == "pickle":
        file.write_bytes(pickle.dumps({"fingerprint": "print", "step": evil}, protocol=2))
    else:
        torch.save({"fingerprint": "print", "step": evil}, file)
    with pytest.raises(StoreError, match="delete it"):
        Task(tmp_path).trainer.run()
    assert not trap.exists()


def test_a_checkpoint_is_whole_or_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a half-written checkpoint that takes the place of a good one when a run dies while it saves."""
    file = tmp_path / CHECKPOINT
    write(file, {"step": 1})

    def dies(content: Any, stream: Any) -> None:
        stream.write(b"half")
        raise KilledError

    monkeypatch.setattr(trainer_module.torch, "save", dies)
    with pytest.raises(KilledError):
        write(file, {"step": 2})
    assert read(file) == {"step": 1}


def test_another_training_neither_uses_a_checkpoint_nor_its_noise(tmp_path: Path) -> None:
    """Catches names of files and of streams that two trainings of one dynamics share."""
    Task(tmp_path).trainer.run()
    other = Task(tmp_path)
    other.trainer.name = "second"
    history = other.trainer.run()
    assert history.losses != Task().trainer.run().losses
    assert {path.name for path in tmp_path.iterdir()} == {
        CHECKPOINT,
        WEIGHTS,
        f"second-{CHECKPOINT}",
        f"second-{WEIGHTS}",
    }
    renamed = Task(tmp_path)
    renamed.trainer.fingerprint = "changed"
    assert renamed.trainer.run().losses == Task().trainer.run().losses
    assert read(tmp_path / CHECKPOINT)["fingerprint"] == "changed"


def test_every_step_has_noise_of_its_own() -> None:
    """Catches noise that repeats from step to step, and noise that other seeds of the run share."""
    draws = []
    for seed in (3, 3, 4):
        task = Task(steps=6)
        task.trainer.context = context_of(seed=seed)
        seen: list[float] = []
        inner = task.trainer.loss

        def watched(
            step: int, generator: torch.Generator, seen: list[float] = seen, inner: Any = inner
        ) -> torch.Tensor:
            seen.append(float(torch.rand(1, generator=generator)))
            return inner(step, generator)

        task.trainer.loss = watched
        task.trainer.run()
        draws.append(seen)
    assert draws[0] == draws[1]
    assert len({*draws[0], *draws[2]}) == 12


def test_threads_are_given_back_after_a_fault() -> None:
    """Catches a training that leaves one thread to all that comes after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KilledError):
            Task(kill_at=2).trainer.run()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_rate_falls_as_a_cosine() -> None:
    """Catches a rate that never falls or starts at zero; between, half of it at half time."""
    rates = [Task().trainer.rate(step) for step in (0, 20, 40)]
    np.testing.assert_allclose(rates, [0.3, 0.15, 0.0], atol=1e-15)
