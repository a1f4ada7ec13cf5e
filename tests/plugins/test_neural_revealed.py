"""The rate that counts reveal, where a save interval is as long as an infection."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from mesocosm import Clock, ContactGraph, Population, Problem, resolve_device
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.forecast.counted import CountedLaw, history_of
from mesocosm_neural.learn.law import GameLaw

SIZE, BETA, GAMMA, FACTOR, WEEKS = 1e6, 2.3, 2.0, 1.3, 8


@pytest.mark.parametrize("average", [1, 3])
def test_the_rate_of_weeks(average: int) -> None:
    """Catches a rate that is read off as a ratio of counts, which grow by more than in proportion within a week: the log of
    the ratio is .64 where that of the rate is .26. The counts are those of the ODE, solved by scipy."""

    def slopes(time: float, state: np.ndarray) -> list[float]:
        susceptible, infected, _ = state
        new = FACTOR * BETA * susceptible * infected
        return [-new, new - GAMMA * infected, new]

    found = solve_ivp(slopes, (0, WEEKS), [0.9999, 1e-4, 0.0], t_eval=range(WEEKS + 1), rtol=1e-10, atol=1e-14)
    counts = np.diff(found.y[2], prepend=0.0) * SIZE
    shares = np.stack([found.y[0], found.y[1], 1 - found.y[0] - found.y[1]], axis=1)
    graph = ContactGraph.complete(int(SIZE))
    problem = Problem(
        name="weeks", seed=3, game=SIR(SIROptions(beta=BETA, gamma=GAMMA)), graph=graph,
        population=Population(int(SIZE), np.array([0.9999, 1e-4, 0.0])), clock=Clock(float(WEEKS), 1.0, "week"),
        device=resolve_device("cpu"), precision="float64", draw=lambda replicate: graph,
    )  # fmt: skip
    law = CountedLaw(GameLaw(problem, problem.finite_game, torch.device("cpu"), torch.float64), 0, 1.0, 200)
    known = history_of(law, counts, shares, average)
    assert known.revealed[average:] == pytest.approx(np.full(WEEKS + 1 - average, math.log(FACTOR)), abs=2e-3)
