"""Epidemics in windows, and networks that learn from them: what several test files share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    FiniteStateGame,
    Labelled,
    Population,
    Problem,
    Streams,
    Trajectories,
    resolve_device,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.finite_learning import FiniteLearning
from mesocosm_neural.learn.law import GameLaw
from mesocosm_neural.learn.observations import Observations
from mesocosm_neural.options import NeuralSDEOptions

SMALL = {"seeds": 2, "paths": 8, "batch": 16, "steps": 4, "width": 4, "step": 0.5, "checkpoint_every": 2}
SAVES, SERIES, SIZE = 13, 3, 1000
BETA, GAMMA = 0.9, 0.4


def problem_of(game: FiniteStateGame, size: int = SIZE, saves: int = SAVES) -> Problem:
    graph = ContactGraph.complete(10)
    return Problem(
        name="windows",
        seed=3,
        game=game,
        graph=graph,
        population=Population(size, np.array([0.95, 0.05, 0.0])),
        clock=Clock(float(saves - 1), 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: graph,
    )


def epidemic(beta: float = BETA, saves: int = SAVES) -> tuple[np.ndarray, np.ndarray]:
    """Shares [time, state] and infections per head in the interval before each save, of the SIR equations."""

    def slope(time: float, m: np.ndarray) -> list[float]:
        return [-beta * m[0] * m[1], beta * m[0] * m[1] - GAMMA * m[1], GAMMA * m[1]]

    times = np.arange(saves)
    shares = solve_ivp(slope, (0, saves), [0.95, 0.05, 0.0], t_eval=times, rtol=1e-9, atol=1e-12).y.T
    return shares, np.append(0.0, -np.diff(shares[:, 0]))


def series() -> np.ndarray:
    """Epidemics of slightly different speed, [series, time, state]."""
    return np.stack([epidemic(BETA * factor)[0] for factor in (0.95, 1.0, 1.05)])


def recorded(label: str, values: Mapping[str, np.ndarray]) -> Trajectories:
    dims = {3: ("replicate", "time", "state"), 2: ("replicate", "time")}
    variables = {name: Labelled(dims[value.ndim], value) for name, value in values.items()}
    return Trajectories(label, "table", np.arange(SAVES, dtype=float), variables, {}, stochastic=True)


def context_of(
    sources: Mapping[str, Mapping[str, np.ndarray]], folder: Path | None = None, report: Any = None
) -> Context:
    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    tell = report or (lambda phase, fraction, note: None)
    return Context("neural", Streams(3, "neural"), nobody, lambda label: recorded(label, sources[label]), folder, tell)


def learning(
    sources: Mapping[str, Mapping[str, np.ndarray]], learn: Mapping[str, Any], folder: Path | None = None, **more: Any
) -> FiniteLearning:
    report = more.pop("report", None)
    options = NeuralSDEOptions.model_validate({**SMALL, "learn": {"from": "data", **learn}, **more})
    made = NeuralSDE(problem_of(SIR(SIROptions(beta=0.8, gamma=GAMMA))), options, context_of(sources, folder, report))
    assert isinstance(made, FiniteLearning)
    return made


def played(model: FiniteLearning) -> dict[str, Any]:
    model.check()
    model.prepare()
    state = model.init()
    for interval in model.problem.clock.intervals():
        state = model.advance(state, interval)
    return {name: each.values if isinstance(each, Labelled) else each for name, each in model.summary(state).items()}


def observations_of(values: np.ndarray, counts: np.ndarray | None = None) -> Observations:
    times = np.arange(values.shape[1], dtype=float)
    return Observations(times, values, counts, np.array([[0.95, 0.05, 0.0]]), len(times) - 1, len(values))


def law_of(beta: float = BETA) -> GameLaw:
    game = SIR(SIROptions(beta=beta, gamma=GAMMA))
    return GameLaw(problem_of(game), game, torch.device("cpu"), torch.float64)
