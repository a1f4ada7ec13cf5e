"""Demographic noise of the SDE against the closed form of a linear Langevin equation."""

from __future__ import annotations

import math

import numpy as np
import torch

from mesocosm import Clock, ContactGraph, Population, Problem, resolve_device
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.learn.law import GameLaw, Span, uncorrected

SIZE, GAMMA, PATHS, STEP = 1000, 0.8, 8000, 0.001


def test_noise_of_linear_decay_has_the_variance_of_the_langevin_equation() -> None:
    """Everyone is infected at time 0, so only dm = -gamma m dt - sqrt(gamma m / N) dW is left, and

        E m = exp(-gamma t),    (d/dt) Var m = -2 gamma Var m + gamma E m / N,
        hence Var m = exp(-gamma t) (1 - exp(-gamma t)) / N.

    8000 paths, 4 standard errors for mean and variance: alarms falsely once in 8000, and sees a noise that is wrong by 5 %
    (variance by 10 %) in 98 of 100 cases. Catches a missing 1/N, a root that is left out, and noise shared between paths.
    """
    graph = ContactGraph.complete(SIZE)
    game = SIR(SIROptions(beta=2.0, gamma=GAMMA))
    shares = np.array([0.0, 1.0, 0.0])
    problem = Problem(
        name="decay",
        seed=1,
        game=game,
        graph=graph,
        population=Population(SIZE, shares),
        clock=Clock(1.0, 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: graph,
    )
    law = GameLaw(problem, game, torch.device("cpu"), torch.float64)
    count = round(1.0 / STEP)
    increments = torch.randn(count, PATHS, 2, generator=torch.Generator().manual_seed(20), dtype=torch.float64)
    start = torch.from_numpy(np.tile(shares, (PATHS, 1)))
    infected = law.advance(uncorrected, start, Span(0.0, STEP, count), increments).numpy()[:, 1]
    mean, variance = math.exp(-GAMMA), math.exp(-GAMMA) * (1 - math.exp(-GAMMA)) / SIZE
    step_bias = 0.5 * GAMMA**2 * STEP * mean
    assert abs(infected.mean() - mean) < 4 * math.sqrt(variance / PATHS) + step_bias
    assert abs(infected.var() / variance - 1) < 4 * math.sqrt(2 / PATHS) + GAMMA * STEP
