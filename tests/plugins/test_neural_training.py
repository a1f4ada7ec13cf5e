"""Training of `neural_sde`: reproducible, resumable, and clear about what is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    DeviceError,
    DynamicsError,
    InputError,
    Labelled,
    Population,
    Problem,
    StoreError,
    Streams,
    Trajectories,
    resolve_device,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import EffortOptions, SIROptions
from mesocosm_neural.dynamics import NeuralSDE, torch_device
from mesocosm_neural.learn.finite_learning import start_game
from mesocosm_neural.options import NeuralSDEOptions

SMALL = {
    "learn": {"from": "data", "until": 3},
    "seeds": 2,
    "paths": 8,
    "batch": 6,
    "steps": 6,
    "width": 4,
    "step": 0.25,
    "checkpoint_every": 2,
}


class KilledError(Exception):
    """Stands for whatever ends a run."""


def problem_of(precision: str = "float32") -> Problem:
    graph = ContactGraph.complete(200)
    return Problem(
        name="training",
        seed=3,
        game=SIR(SIROptions(beta=1.0, gamma=0.4)),
        graph=graph,
        population=Population(200, np.array([0.95, 0.05, 0.0])),
        clock=Clock(5.0, 1.0),
        device=resolve_device("cpu"),
        precision=precision,
        draw=lambda replicate: graph,
    )


def observed() -> np.ndarray:
    """Three replicates of shares that fall and rise smoothly, [replicate, time, state]."""
    infected = np.array([[0.05, 0.08, 0.13, 0.18, 0.2, 0.19]]) * np.array([[1.0], [1.1], [0.9]])
    susceptible = 0.95 - np.array([0.0, 0.05, 0.12, 0.2, 0.3, 0.4]) * np.array([[1.0], [1.1], [0.9]])
    return np.stack([susceptible, infected, 1 - susceptible - infected], axis=-1)


def neural(
    data: np.ndarray | None = None,
    *,
    folder: Path | None = None,
    seed: int = 3,
    precision: str = "float32",
    report: Callable[[str, float, str], None] = lambda phase, fraction, note: None,
    **options: Any,
) -> NeuralSDE:
    problem = problem_of(precision)
    values = observed() if data is None else data
    dims = ("replicate", "time", "state")
    recorded = Trajectories(
        "data", "table", problem.clock.times, {"occupancy": Labelled(dims, values)}, {}, stochastic=True
    )

    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    context = Context("neural", Streams(seed, "neural"), nobody, lambda label: recorded, folder, report)
    chosen = NeuralSDEOptions.model_validate({**SMALL, **options})
    return NeuralSDE(problem, chosen, context)


def played(model: NeuralSDE) -> tuple[np.ndarray, dict[str, Any]]:
    """Occupancy [replicate, time, state] and the summary, in the order of calls of a run."""
    model.check()
    model.prepare()
    state = model.init()
    saves = [model.observe(state)["occupancy"]]
    for interval in model.problem.clock.intervals():
        state = model.advance(state, interval)
        saves.append(model.observe(state)["occupancy"])
    summary = model.summary(state)
    return np.stack(saves, axis=1), {
        name: value.values if isinstance(value, Labelled) else value for name, value in summary.items()
    }


def weights_of(model: NeuralSDE) -> bytes:
    return b"".join(weight.detach().numpy().tobytes() for weight in model.networks.weights)


def test_same_seed_same_bytes_whatever_the_global_state() -> None:
    """Catches noise from a global generator, global state left changed, and a seed that is ignored."""
    first, _ = played(neural())
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    random.seed(99)
    threads, states = torch.get_num_threads(), (torch.get_rng_state(), np.random.get_state()[1], random.getstate())  # noqa: NPY002
    second, _ = played(neural())
    assert first.tobytes() == second.tobytes()
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert states[2] == random.getstate()
    assert threads == torch.get_num_threads()
    other, _ = played(neural(seed=4))
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize("kill_at", [1, 3, 5])
def test_training_that_was_cut_short_continues_to_the_same_bytes(tmp_path: Path, kill_at: int) -> None:
    """Catches moments, step numbers or losses that are lost, and noise that depends on what was drawn before."""
    whole = neural()
    whole.prepare()
    steps = 0

    def kill(phase: str, fraction: float, note: str) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise KilledError

    with pytest.raises(KilledError):
        neural(folder=tmp_path, report=kill).prepare()
    resumed = neural(folder=tmp_path)
    resumed.prepare()
    assert weights_of(resumed) == weights_of(whole)
    assert resumed.losses.tobytes() == whole.losses.tobytes()
    saved = torch.load(tmp_path / "weights.pt", weights_only=True)["weights"]
    assert b"".join(weight.numpy().tobytes() for weight in saved) == weights_of(whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training.pt", "weights.pt"]


def test_a_checkpoint_of_another_training_is_not_used(tmp_path: Path) -> None:
    """Catches weights of other options or other data that are taken over."""
    neural(folder=tmp_path, learning_rate=0.5).prepare()
    after = neural(folder=tmp_path)
    after.prepare()
    fresh = neural()
    fresh.prepare()
    assert weights_of(after) == weights_of(fresh)


def test_a_broken_checkpoint_is_an_error(tmp_path: Path) -> None:
    """Catches a half-written or foreign file that is silently trained over."""
    (tmp_path / "training.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(StoreError, match="delete it"):
        neural(folder=tmp_path).prepare()


def test_a_training_that_diverges_stops_at_its_step() -> None:
    """Catches NaN weights that are trained on, saved and simulated."""
    with pytest.raises(DynamicsError, match=r"neural, training step \d+: loss .*nan.* at learning rate"):
        neural(learning_rate=1e37).prepare()


def test_networks_are_independent_of_how_many_there_are() -> None:
    """Catches seeds that share initial weights; each network starts nearly as the game."""
    two, three = neural(seeds=2).networks, neural(seeds=3).networks
    for few, many in zip(two.layers, three.layers, strict=True):
        assert torch.equal(few, many[:2])
    assert not torch.equal(two.layers[0][0], two.layers[0][1])
    rates, noises = two.factors(0.0, torch.full((2, 3), 1 / 3))
    assert float((rates - 1).abs().max().detach()) < 0.05
    assert torch.equal(noises, torch.ones_like(noises))


def test_summary_names_what_was_learned_and_judged() -> None:
    """Catches scores without baselines, a score on training saves, and seeds that are not told apart."""
    seen: list[float] = []
    occupancy, summary = played(neural(report=lambda phase, fraction, note: seen.append(fraction)))
    assert occupancy.shape == (16, 6, 3)
    assert summary["loss"].shape == (6,)
    assert summary["seed_of_replicate"].tolist() == [0] * 8 + [1] * 8
    np.testing.assert_array_equal(summary["final_size"], 1 - occupancy[:, -1, 0])
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    data = observed()
    distance = np.linalg.norm(data[:, None, 4:] - data[None, :, 3:4], axis=-1).mean(axis=(0, 1))
    within = np.linalg.norm(data[:, None, 3] - data[None, :, 3], axis=-1).sum() / 6
    assert summary["heldout_score_persistence"] == pytest.approx((distance - within / 2).mean(), rel=1e-9)
    assert summary["heldout_score"].shape == summary["train_score"].shape == (2,)
    assert summary["heldout_score_unlearned"] > 0


def test_without_a_hold_out_nothing_is_said_about_one() -> None:
    """Catches a held-out score that is NaN, or computed on the training window."""
    _, summary = played(neural(learn={"from": "data"}))
    assert not [name for name in summary if name.startswith("heldout")]


def test_a_partly_observed_series_starts_from_the_population() -> None:
    """Catches paths that start from NaN, and unobserved states that enter the loss."""
    data = np.full((1, 6, 3), np.nan)
    data[0, [0, 2, 3, 5], 1] = [0.05, 0.13, 0.18, 0.19]
    occupancy, summary = played(neural(data, inputs=["occupancy", "time"], noise="demographic", precision="float64"))
    np.testing.assert_allclose(occupancy[:, 0], [[0.95, 0.05, 0.0]] * 16, rtol=1e-15)
    assert np.isfinite(occupancy).all()
    assert summary["heldout_score_persistence"] == pytest.approx(0.01, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda data: np.full_like(data, np.nan), {}, "nothing was observed"),
        (lambda data: data[:, :4], {}, "6 saves"),
        (lambda data: np.where(np.arange(3)[:, None, None] == 1, np.nan, data), {}, "replicates miss different"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    change: Callable[[np.ndarray], np.ndarray], options: dict[str, Any], words: str
) -> None:
    """Catches training on nothing, and gaps that are quietly dropped in some replicates."""
    with pytest.raises(InputError, match=words):
        neural(change(observed()), **options).prepare()


def test_parameters_change_the_game_that_training_starts_from() -> None:
    """Catches an override that is ignored, and one that changes the scenario's game itself."""
    game = SIR(SIROptions(beta=1.0, gamma=0.4, effort=EffortOptions(cost=2.0)))
    changed = start_game(game, {"beta": 0.5})
    assert [entry.rate for entry in changed.transitions] == [0.5, 0.4]
    assert [entry.rate for entry in game.transitions] == [1.0, 0.4]
    assert isinstance(changed, SIR)
    assert changed.effort == game.effort


@pytest.mark.parametrize(
    ("parameters", "words"), [({"betta": 1.0}, "beta, gamma"), ({"beta": -1.0}, "parameters.beta")]
)
def test_parameters_that_the_game_does_not_have_are_refused(parameters: dict[str, float], words: str) -> None:
    """Catches a misspelt parameter that changes nothing, and a rate below zero."""
    with pytest.raises(InputError, match=words):
        neural(parameters=parameters).check()


def test_a_device_that_torch_cannot_use_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a silent fallback to the CPU."""
    from mesocosm import Device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    problem = problem_of()
    object.__setattr__(problem, "device", Device("cuda:0", "cuda"))
    with pytest.raises(DeviceError, match="cuda:0"):
        torch_device(problem)
