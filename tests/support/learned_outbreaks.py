"""Outbreaks whose law is known, and networks that learn from them: what several test files share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
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
from mesocosm_neural.options import NeuralSDEOptions

EFFECT = -0.8


def binomial_chain(
    size: int,
    infected: int,
    *,
    beta: float,
    gamma: float,
    days: int,
    replicates: int,
    seed: int,
    measures: np.ndarray | None = None,
) -> np.ndarray:
    """Shares [replicate, day, state] of a well-mixed SIR population whose agents jump in steps of a fiftieth.

    With `measures` u [replicate, day], beta is multiplied by exp(-0.8 u) on each day.
    """
    random, step = np.random.default_rng(seed), 0.02
    s, i = np.full(replicates, size - infected), np.full(replicates, infected)
    saves = [np.stack([s, i, size - s - i], axis=-1)]
    for day in range(days):
        now = beta if measures is None else beta * np.exp(EFFECT * measures[:, day])
        for _ in range(round(1 / step)):
            infections = random.binomial(s, 1 - np.exp(-now * i / size * step))
            recoveries = random.binomial(i, 1 - np.exp(-gamma * step))
            s, i = s - infections, i + infections - recoveries
        saves.append(np.stack([s, i, size - s - i], axis=-1))
    return np.stack(saves, axis=1) / size


class Learned(NamedTuple):
    occupancy: np.ndarray
    summary: dict[str, Any]
    model: NeuralSDE


def learn(
    data: np.ndarray,
    *,
    size: int,
    infected: float,
    beta: float,
    gamma: float,
    measures: np.ndarray | None = None,
    **options: Any,
) -> Learned:
    """Train on shares [replicate, day, state], or on counts [replicate, day], and play, in the order of calls of a run.

    The covariate `measures` is that of the label `seen`.
    """
    graph = ContactGraph.complete(size)
    problem = Problem(
        name="learning",
        seed=1,
        game=SIR(SIROptions(beta=beta, gamma=gamma)),
        graph=graph,
        population=Population(size, np.array([1 - infected, infected, 0.0])),
        clock=Clock(float(data.shape[1] - 1), 1.0, "day"),
        device=resolve_device("cpu"),
        precision="float32",
        draw=lambda replicate: graph,
    )
    dims = ("replicate", "time", "state")[: data.ndim]
    values = {"data": {"occupancy" if data.ndim == 3 else "new_cases": Labelled(dims, data)}}
    if measures is not None:
        values["seen"] = {"measures": Labelled(dims[:2], measures)}

    def recorded(label: str) -> Trajectories:
        return Trajectories(label, "agent_based", problem.clock.times, values[label], {}, stochastic=True)

    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    context = Context("neural", Streams(1, "neural"), nobody, recorded)
    model = NeuralSDE(problem, NeuralSDEOptions.model_validate(options), context)
    model.check()
    model.prepare()
    state = model.init()
    saves = [model.observe(state)["occupancy"]]
    for interval in problem.clock.intervals():
        state = model.advance(state, interval)
        saves.append(model.observe(state)["occupancy"])
    summary = {
        name: value.values if isinstance(value, Labelled) else value for name, value in model.summary(state).items()
    }
    return Learned(np.stack(saves, axis=1), summary, model)
