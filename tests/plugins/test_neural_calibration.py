"""Calibration through the equilibrium: what comes back, what is refused, what is recorded, kept and played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    FiniteStateGame,
    InputError,
    Labelled,
    MeanField,
    Population,
    Problem,
    Streams,
    Trajectories,
    half_step_grid,
    resolve_device,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.finite_options import VaccinationOptions
from mesocosm_games.options import EffortOptions, SIROptions
from mesocosm_games.vaccination import Vaccination
from mesocosm_neural.calibrate.calibration import Calibration
from mesocosm_neural.calibrate.curves import CurveFit, VaryingGame
from mesocosm_neural.calibrate.options import ParameterOptions
from mesocosm_neural.calibrate.parameters import Parameters
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.options import NeuralSDEOptions

CAREFUL = EffortOptions(cost=0.1, infection_cost=1.0)


class Searching(SIR):
    """Leaves the best control to the general search, which is NumPy's."""

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        return FiniteStateGame.best_control(self, t, field, value)


def problem_of(game: FiniteStateGame, initial: Sequence[float], days: int) -> Problem:
    graph = ContactGraph.complete(1000)
    return Problem(
        name="calibration",
        seed=7,
        game=game,
        graph=graph,
        population=Population(1000, np.array(initial)),
        clock=Clock(float(days), 1.0, "day"),
        device=resolve_device("cpu"),
        precision="float32",
        draw=lambda replicate: graph,
    )


def calibration(
    game: FiniteStateGame, data: np.ndarray | None, folder: Path | None = None, **options: Any
) -> Calibration:
    """A calibration of `game` on shares [replicate, time, state], checked and not prepared."""
    values = np.zeros((1, 11, len(game.states))) if data is None else data
    problem = problem_of(
        game, values[0, 0] if data is not None else [1.0] + [0.0] * (len(game.states) - 1), values.shape[1] - 1
    )
    recorded = Trajectories(
        "data",
        "agent_based",
        problem.clock.times,
        {"occupancy": Labelled(("replicate", "time", "state"), values)},
        {},
        stochastic=True,
    )

    def nobody(label: str) -> Any:
        raise AssertionError("calibration needs no policy")

    context = Context("calibrated", Streams(7, "calibrated"), nobody, lambda label: recorded, folder)
    model = NeuralSDE(problem, NeuralSDEOptions.model_validate({"seeds": 1, **options}), context)
    assert isinstance(model, Calibration)
    model.check()
    return model


def exact(game: FiniteStateGame, initial: Sequence[float], days: int) -> np.ndarray:
    """Shares of the equilibrium by the framework's own solver of a mean field, found by damped best responses."""
    mixing = ContactGraph.complete(1000).mixing("homogeneous", normalise="sum")
    model = MeanField(game, mixing, np.array([initial]), half_step_grid(np.arange(days + 1.0), 4))
    flow = model.flow(model.neutral())
    for _ in range(300):
        field = flow.field
        _, control = model.best_response(flow)
        answer = model.flow(control)
        if np.abs(answer.field - field).max() < 1e-11:
            break
        flow = type(flow)(answer.occupancy, 0.7 * field + 0.3 * answer.field)
    return answer.occupancy[::8, 0][None]


def test_planted_parameters_come_back_from_exact_shares() -> None:
    """Catches a calibration of another game than the framework solves: costs and rates to 1e-5, from I alone as well."""
    planted = SIR(SIROptions(beta=0.5, gamma=0.125, effort=EffortOptions(cost=0.5, infection_cost=1.0)))
    data = exact(planted, (0.95, 0.05, 0.0), 30)
    start = SIR(SIROptions(beta=0.4, gamma=0.2, effort=EffortOptions(cost=0.8, infection_cost=1.0)))
    names = {"beta": {}, "gamma": {"low": 0.05, "high": 0.5}, "effort.cost": {}}
    for partial in (False, True):
        seen = data.copy()
        seen[:, 1:, [0, 2]] = np.nan if partial else seen[:, 1:, [0, 2]]
        model = calibration(start, seen, calibrate={"from": "data", "parameters": names})
        model.prepare()
        summary = model.summary(model.init())
        np.testing.assert_allclose(summary["parameter_value"].values, [0.5, 0.125, 0.5], rtol=1e-4)
        assert summary["converged"] == 1.0
        assert summary["residual"].values[-1] < 1e-11
        assert abs(summary["exploitability"]) < 1e-6


def test_replaying_gives_the_equilibrium_and_its_control() -> None:
    """Catches saves that are shifted against the grid: what is recorded at a save is the equilibrium there."""
    planted = SIR(SIROptions(beta=0.5, gamma=0.125, effort=EffortOptions(cost=0.5, infection_cost=1.0)))
    data = exact(planted, (0.95, 0.05, 0.0), 20)
    parameters = {"beta": {"start": 0.45}}
    model = calibration(planted, data, calibrate={"from": "data", "parameters": parameters, "until": 12})
    model.prepare()
    state, seen = model.init(), []
    seen.append(model.observe(state))
    for interval in model.problem.clock.intervals():
        state = model.advance(state, interval)
        seen.append(model.observe(state))
    occupancy = np.stack([each["occupancy"] for each in seen], axis=1)
    assert np.abs(occupancy - data).max() < 1e-6
    levels = np.array([each["control"][0, 0] for each in seen])
    policy = model.policy()
    assert policy is not None
    at = np.zeros(1, np.int64)
    expected = [float(policy.control(t, at, at, None)[0]) for t in model.problem.clock.times]
    np.testing.assert_allclose(levels, expected, atol=1e-12)
    assert levels.min() < 0.9
    assert model.plays() is None
    summary = model.summary(state)
    assert summary["heldout_error"] < 1e-6 < summary["heldout_error_start"]


REFUSED: dict[str, tuple[Callable[[], FiniteStateGame], dict[str, Any], str]] = {
    "unknown": (lambda: SIR(SIROptions(beta=0.4, gamma=0.1)), {"betta": {}}, "no option 'betta'.*beta, effort, gamma"),
    "nested in nothing": (lambda: SIR(SIROptions(beta=0.4, gamma=0.1)), {"effort.cost": {}}, "nothing is given"),
    "no number": (lambda: SIR(SIROptions(beta=0.4, gamma=0.1, effort=CAREFUL)), {"effort": {}}, "a number"),
    "start at its end": (lambda: SIR(SIROptions(beta=0.0, gamma=0.1)), {"beta": {}}, "inside its range"),
    "start outside": (lambda: SIR(SIROptions(beta=0.4, gamma=0.1)), {"beta": {"high": 0.3}}, "from 0 to 0.3"),
    "bang-bang": (lambda: Vaccination(VaccinationOptions()), {"beta": {}}, "linear in 'vaccination rate'"),
    "general search": (
        lambda: Searching(SIROptions(beta=0.4, gamma=0.1, effort=CAREFUL)),
        {"beta": {}},
        "cannot be differentiated",
    ),
    "number among tensors": (
        lambda: SIR(SIROptions(beta=0.4, gamma=0.1, effort=EffortOptions(minimum=0.2))),
        {"effort.minimum": {}},
        "cannot be differentiated",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_calibrated_is_refused_before_the_run(case: str) -> None:
    """Catches errors from deep inside torch, and searches that start nowhere."""
    make, parameters, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        calibration(make(), None, calibrate={"from": "data", "parameters": parameters})


def test_searched_axis_keeps_to_the_range() -> None:
    """Catches a wrong transform or slope: back and forth, at the ends, and against differences."""
    game = SIR(SIROptions(beta=0.4, gamma=0.1))
    options = {"beta": ParameterOptions(), "gamma": ParameterOptions(low=0.05, high=0.3)}
    parameters = Parameters(game, options, "test")
    raw = parameters.raw([0.4, 0.1])
    torch.testing.assert_close(parameters.natural(raw), torch.tensor([0.4, 0.1], dtype=torch.float64))
    far = parameters.natural(torch.tensor([[-50.0, -50.0], [3.0, 50.0]], dtype=torch.float64))
    assert bool((far >= parameters.low).all())
    assert bool((far <= parameters.high).all())
    step = 1e-6
    differences = (parameters.natural(raw + step) - parameters.natural(raw - step)) / (2 * step)
    torch.testing.assert_close(parameters.slope(raw), differences, rtol=1e-8, atol=0.0)


def curve_run(data: np.ndarray, folder: Path | None, steps: int = 6, **options: Any) -> Calibration:
    start = SIR(SIROptions(beta=0.45, gamma=0.2))
    model = calibration(
        start,
        data,
        folder,
        calibrate={"from": "data", "parameters": {"beta": {"varies": True}, "gamma": {}}},
        steps=steps,
        width=4,
        seeds=2,
        checkpoint_every=2,
        **options,
    )
    model.prepare()
    return model


def test_curves_resume_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a checkpoint without the equilibrium from which the next one is found: same bytes after a kill."""
    data = exact(SIR(SIROptions(beta=0.5, gamma=0.125)), (0.95, 0.05, 0.0), 12)
    whole = curve_run(data, tmp_path / "whole")
    call, count = CurveFit.__call__, [0]

    def killed(self: CurveFit, step: int, generator: torch.Generator) -> torch.Tensor:
        count[0] += 1
        if count[0] == 6:
            raise KeyboardInterrupt
        return call(self, step, generator)

    monkeypatch.setattr(CurveFit, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        curve_run(data, tmp_path / "cut")
    monkeypatch.setattr(CurveFit, "__call__", call)
    again = curve_run(data, tmp_path / "cut")
    assert whole.found.steps is not None
    assert again.found.steps is not None
    np.testing.assert_array_equal(whole.found.steps, again.found.steps)
    assert torch.equal(whole.found.theta, again.found.theta)
    assert whole.found.steps.shape == (6, 2)


def test_game_with_curves_is_the_game_of_each_time() -> None:
    """Catches parameters taken at another time: intensities and costs of the calibrated game against its curve.

    Two per cent more are infected by the end than a constant rate explains, so that the curve is no constant.
    """
    data = exact(SIR(SIROptions(beta=0.5, gamma=0.125)), (0.95, 0.05, 0.0), 12)
    data = data + 0.02 * np.linspace(0.0, 1.0, 13)[:, None] ** 3 * np.array([-1.0, 1.0, 0.0])
    model = curve_run(data, None)
    game, beta = model.game(), model.found.theta[0].numpy()
    assert np.ptp(beta) > 1e-3
    summary = model.summary(model.init())
    np.testing.assert_array_equal(summary["parameter_curve"].values[0], beta[:: 2 * model.stride])
    assert summary["parameter_curve_error"].values.shape == (2, 13)
    for node in (0, 5, 16):
        t = float(model.model.solver.equations.times[node])
        found = game.intensity(game.transitions[0], t, np.array([0.2]), np.array(1.0))
        assert float(found) == pytest.approx(0.2 * beta[node])


def test_a_cost_that_changes_comes_back_with_an_equilibrium() -> None:
    """Catches a policy that belongs to other times than the game with curves: by the framework nobody gains by deviating.

    The cost rises from 0.4 to 0.8 over the run; where behaviour tells it, on days 2 to 8, it comes back within 5 %.
    """
    start = SIR(SIROptions(beta=0.5, gamma=0.125, effort=EffortOptions(cost=0.5, infection_cost=1.0)))
    cost = Parameters(start, {"effort.cost": ParameterOptions()}, "test")
    planted = VaryingGame(cost, np.array([0.0, 12.0]), np.array([[0.4, 0.8]]))
    data = exact(planted, (0.95, 0.05, 0.0), 12)
    parameters = {"effort.cost": {"varies": True}}
    model = calibration(start, data, calibrate={"from": "data", "parameters": parameters}, steps=30, width=8)
    model.prepare()
    summary = model.summary(model.init())
    curve = summary["parameter_curve"].values[0]
    np.testing.assert_allclose(curve[2:9], np.linspace(0.4, 0.8, 13)[2:9], rtol=0.05)
    assert abs(summary["exploitability"]) < 1e-5
