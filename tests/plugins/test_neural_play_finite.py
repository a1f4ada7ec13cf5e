"""Play in finite states: the cost of one agent and its derivative, records, resume, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mesocosm
from mesocosm import (
    Context,
    Control,
    FiniteStateGame,
    InputError,
    Labelled,
    MeanField,
    Mixing,
    Policy,
    Problem,
    Streams,
    Transition,
    half_step_grid,
    load_policy,
)
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.play.finite_flow import OneAgent, product
from mesocosm_neural.play.finite_play import FinitePlay

EFFORT = "{kind: sir, beta: 0.6, gamma: 0.2, effort: {cost: 1, infection_cost: 1}}"
SMALL = {"play": {}, "seeds": 2, "steps": 12, "check_every": 4, "checkpoint_every": 4, "width": 6, "depth": 1}
FIELD = {"sees": ["time", "state", "field"], "scenarios": 3}
DOUBLE = torch.float64


class KilledError(Exception):
    """Stands for whatever ends a run."""


class Seasonal(FiniteStateGame):
    """Everything that a game may have: two states with a choice, a season, a general intensity, a terminal cost."""

    states = ("out", "in", "gone")
    channels = ("in", "effort")
    control = Control("effort", ("out", "in"), 0.0, 2.0, neutral=0.5)

    def __init__(self) -> None:
        self.transitions = (
            Transition.general("out", "in", self.attraction),
            Transition.induced("in", "out", rate=0.3, channel="effort", controlled=True),
            Transition.spontaneous("in", "gone", rate=0.1),
        )

    def attraction(self, t: Any, field: Any, control: Any) -> Any:
        return (1.0 + 0.5 * (t / 3.0)) * (0.2 + field[..., 0] ** 2) / (1.0 + control)

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return self.stack([(state == 1) * (1.0 + 0.1 * t), 0.4 * control], like=control)

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return (1.0 + 0.2 * t) * control**2 * (state < 2) + field[..., 1] * (state == 1)

    def terminal_cost(self, state: Any, field: Any) -> Any:
        return (2.0 + field[..., 0]) * (state == 2)


def problem_of(game: str = EFFORT, *, end: float = 20, save: float = 2, graph: str = "{kind: complete}") -> Problem:
    scenario = mesocosm.parse(
        f"mesocosm: 1\nname: play\nseed: 3\ntime: {{end: {end}, save_every: {save}}}\n"
        f"population: {{size: 200, initial: {{I: 0.02}}}}\ngraph: {graph}\ngame: {game}\n"
    )
    return mesocosm.build(scenario)


def play(
    problem: Problem | None = None,
    *,
    folder: Path | None = None,
    seed: int = 3,
    report: Callable[[str, float, str], None] = lambda phase, fraction, note: None,
    **options: Any,
) -> FinitePlay:
    """The dynamics, checked and prepared."""
    context = Context("neural", Streams(seed, "neural"), folder=folder, report=report)
    model = NeuralSDE(problem or problem_of(), NeuralSDEOptions.model_validate({**SMALL, **options}), context)
    assert isinstance(model, FinitePlay)
    model.check()
    model.prepare()
    return model


def weights_of(model: FinitePlay) -> bytes:
    return b"".join(layer.detach().numpy().tobytes() for layer in model.policies.network.layers)


def apart(count: int) -> Mixing:
    """Populations side by side."""
    names, even = tuple(map(str, range(count))), np.full(count, 1 / count)
    return Mixing("individual", names, even, np.ones(count), None, matrix=np.eye(count))


def test_the_cost_of_one_agent_is_that_of_the_value_equation() -> None:
    """Catches a wrong generator, order of factors, quadrature or terminal cost, and a time that stands still.

    The reference is the value equation, solved backward; to rounding, because both are the same Runge-Kutta method.
    """
    random, game = np.random.default_rng(4), Seasonal()
    initial = random.dirichlet(np.ones(3), 2)
    model = MeanField(game, apart(2), initial, half_step_grid(np.array([0.0, 1.0, 1.5, 4.0]), 3))
    control = random.uniform(0.0, 2.0, (len(model.nodes), 2, 3))
    flow = model.flow(control)
    expected = (initial * model.value(flow, control)).sum(axis=-1)
    rows = [torch.from_numpy(each.swapaxes(0, 1).copy()) for each in (control, flow.field)]
    found = OneAgent(game, torch.from_numpy(model.nodes)).cost(*rows, torch.from_numpy(initial))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)


def test_the_derivative_of_the_cost_is_exact() -> None:
    """Catches a derivative that misses a part: against central differences, in every direction of a random control."""
    random, game = np.random.default_rng(5), Seasonal()
    nodes = torch.linspace(0.0, 2.0, 7, dtype=DOUBLE)
    control, field, initial = (
        torch.from_numpy(random.uniform(0.2, 1.5, shape)) for shape in ((2, 7, 3), (2, 7, 2), (2, 3))
    )
    agent = OneAgent(game, nodes)
    control.requires_grad_()
    assert torch.autograd.gradcheck(lambda chosen: agent.cost(chosen, field, initial), (control,), rtol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
def test_the_product_keeps_the_order(count: int) -> None:
    """Catches a factor that is lost where their number is odd, and factors in the wrong order."""
    matrices = torch.from_numpy(np.random.default_rng(count).normal(size=(2, count, 3, 3)))
    expected = torch.stack([torch.linalg.multi_dot([*row, torch.eye(3, dtype=DOUBLE)]) for row in matrices])
    torch.testing.assert_close(product(matrices), expected)


def test_records_and_summary() -> None:
    """Catches a record that is not the flow of the policy, and a verdict on a policy other than the one that is offered."""
    model = play()
    state, saves = model.init(), []
    for interval in model.problem.clock.intervals():
        saves.append(model.observe(state))
        state = model.advance(state, interval)
    saves.append(model.observe(state))
    occupancy = np.stack([each["occupancy"] for each in saves], axis=1)
    assert occupancy.shape == (2, 11, 3)
    np.testing.assert_allclose(occupancy.sum(axis=-1), 1.0, atol=1e-12)
    summary = {
        name: value.values if isinstance(value, Labelled) else value for name, value in model.summary(state).items()
    }
    best = int(summary["best_seed"])
    policy = model.policy()
    assessed = mesocosm.assess(model.problem, policy, {"occupancy": occupancy[best : best + 1]})
    assert assessed.value == pytest.approx(summary["value"][best], abs=1e-5)
    assert assessed.exploitability == pytest.approx(summary["exploitability_of_seed"][best], abs=1e-6)
    assert assessed.consistency < 1e-6
    chosen = np.stack([each["control"][best, 0] for each in saves])
    tabulated = [
        policy.control(t, np.zeros(1, np.int64), np.zeros(1, np.int64), None)[0] for t in model.problem.clock.times
    ]
    np.testing.assert_allclose(chosen, tabulated, atol=1e-12)
    assert summary["final_size"] == pytest.approx(1 - occupancy[:, -1, 0])
    assert len(summary["loss"]) == summary["iterations"] == 12
    assert summary["exploitability_by_check"].shape == (3,)
    assert summary["residual"].shape == (2,)


@pytest.mark.parametrize("seen", [{}, FIELD])
@pytest.mark.parametrize("kill_at", [7, 10])
def test_training_that_was_cut_short_continues_to_the_same_bytes(
    tmp_path: Path, kill_at: int, seen: dict[str, Any]
) -> None:
    """Catches averaged flows that are lost or counted anew, also between two flows (every 5 steps, checkpoints every 4)."""
    options = {"play": seen, "step": 1.0}
    whole, steps = play(**options), 0

    def kill(phase: str, fraction: float, note: str) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise KilledError

    with pytest.raises(KilledError):
        play(folder=tmp_path, report=kill, **options)
    assert weights_of(play(folder=tmp_path, **options)) == weights_of(whole)


def test_seeds_are_trainings_of_their_own() -> None:
    """Catches numbers that pass between seeds: the first of three is the first of one, up to rounding."""
    three, one = play(seeds=3), play(seeds=1)
    np.testing.assert_allclose(three.control[:, 0], one.control[:, 0], atol=1e-9)
    assert np.abs(three.control[:, 1] - three.control[:, 0]).max() > 1e-5
    other = play(seeds=1, seed=4)
    assert np.abs(other.control - one.control).max() > 1e-5


def test_single_precision_computes() -> None:
    """Catches numbers of mixed precision."""
    scenario = mesocosm.parse(
        "mesocosm: 1\nname: play\nseed: 3\nprecision: float32\ntime: {end: 20, save_every: 2}\n"
        f"population: {{size: 200, initial: {{I: 0.02}}}}\ngraph: {{kind: complete}}\ngame: {EFFORT}\n"
    )
    single, double = play(mesocosm.build(scenario), play=FIELD, step=1.0), play(play=FIELD, step=1.0)
    assert single.policies.network.layers[0].dtype == torch.float32
    np.testing.assert_allclose(single.control, double.control, atol=1e-2)


@pytest.mark.parametrize(
    ("game", "options", "message"),
    [
        ("{kind: sir, beta: 0.3, gamma: 0.1}", {}, "whose agents choose nothing"),
        (EFFORT, {"paths": 8}, "paths 8.*leave it out"),
        (EFFORT, {"loss": "crps"}, "loss crps.*leave it out"),
        (EFFORT, {"play": {"shock": 0.1}}, "shock.*does not see the field"),
        (
            EFFORT,
            {"play": {"closure": "degree", "sees": ["time", "state", "field"]}},
            "'degree' for a policy that sees the",
        ),
        ("{kind: beach_bar}", {}, "play is for games of these kinds: finite"),
    ],
)
def test_what_cannot_be_played_is_refused(game: str, options: dict[str, Any], message: str) -> None:
    """Catches options that mean nothing and are passed over, and games for which there is nothing to train."""
    text = problem_text(game)
    with pytest.raises(InputError, match=message):
        play(mesocosm.build(mesocosm.parse(text)), **options)


def problem_text(game: str) -> str:
    initial = "" if "beach" in game else ", initial: {I: 0.02}"
    return (
        "mesocosm: 1\nname: play\nseed: 3\ntime: {end: 20, save_every: 1}\n"
        f"population: {{size: 200{initial}}}\ngraph: {{kind: complete}}\ngame: {game}\n"
    )


@pytest.mark.parametrize("sees", ["[time, state]", "[time, state, field]"])
def test_agents_play_what_was_learned(tmp_path: Path, sees: str) -> None:
    """Catches a policy that agents cannot play or that no file can keep, and a verdict that a run leaves out."""
    scenario = mesocosm.parse(
        problem_text(EFFORT) + "dynamics:\n"
        f"  neural: {{kind: neural_sde, play: {{sees: {sees}}}, seeds: 2, steps: 6, check_every: 3, step: 1, width: 4}}\n"
        "  agents: {kind: agent_based, replicates: 4, step: 0.25, policy: {from: neural}}\n"
    )
    results = mesocosm.run(scenario, tmp_path, report=False)
    assert np.isfinite(results["agents"].control).all()
    assert 0 <= float(results["neural"].exploitability) < 2
    assert float(results["neural"].consistency) < 0.1
    kept: list[Policy] = [load_policy(path) for path in tmp_path.rglob("policies/neural.npz")]
    assert len(kept) == (0 if "field" in sees else 1)
