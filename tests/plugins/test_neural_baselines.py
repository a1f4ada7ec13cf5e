"""Scores of forecasts, what counts reveal, and forecasts without a network: closed forms, and an SIR of the test's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import norm

from mesocosm import Clock, ContactGraph, Population, Problem, resolve_device
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.forecast.baselines import Baselines, ensemble
from mesocosm_neural.forecast.counted import CountedLaw, History, history_of, relative_noise, trailing_mean
from mesocosm_neural.forecast.skill import absolute_error, crps, is_covered, log_crps, scores
from mesocosm_neural.learn.law import GameLaw

FloatArray = NDArray[np.float64]

SIZE, GAME_BETA, GAMMA, SHARE = 1e6, 0.2, 0.2, 0.5


def counted_law(saves: int) -> CountedLaw:
    """SIR in float64 with one Euler step a day."""
    problem = Problem(
        name="baselines",
        seed=3,
        game=SIR(SIROptions(beta=GAME_BETA, gamma=GAMMA)),
        graph=ContactGraph.complete(int(SIZE)),
        population=Population(int(SIZE), np.array([0.999, 0.001, 0.0])),
        clock=Clock(float(saves - 1), 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: ContactGraph.complete(int(SIZE)),
    )
    law = GameLaw(problem, problem.finite_game, torch.device("cpu"), torch.float64)
    return CountedLaw(law, 0, SHARE, 1)


def sir(betas: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reported cases in each interval and shares at each save, start included, of an Euler SIR written for the test."""
    susceptible, infected, removed = shares
    cases, path = [], [shares]
    for beta in betas:
        new, gone = beta * susceptible * infected, GAMMA * infected
        susceptible, infected, removed = susceptible - new, infected + new - gone, removed + gone
        cases.append(new * SIZE * SHARE)
        path.append(np.array([susceptible, infected, removed]))
    return np.array(cases), np.array(path)


def history(betas: FloatArray, average: int = 7) -> tuple[CountedLaw, History, FloatArray]:
    """Law, history and shares of an epidemic with these rates."""
    cases, shares = sir(betas, np.array([0.999, 0.001, 0.0]))
    law = counted_law(len(shares))
    return law, history_of(law, np.concatenate([cases[:1], cases]), shares, average), shares


@pytest.mark.parametrize("outcome", [-1.3, 0.0, 2.1])
def test_the_score_of_a_normal_ensemble(outcome: float) -> None:
    """Catches a lost half or wrong weights of sorted members: the closed form for a normal law (Gneiting and Raftery 2007)."""
    members = norm.ppf((np.arange(4000) + 0.5) / 4000)
    exact = outcome * (2 * norm.cdf(outcome) - 1) + 2 * norm.pdf(outcome) - 1 / math.sqrt(math.pi)
    assert float(crps(members, np.array(outcome))) == pytest.approx(exact, abs=1e-3)


def test_scores_of_one_member_and_their_scale() -> None:
    """Catches a score that is no absolute error for a single forecast, or a logarithm that is not that of 1 + count."""
    assert crps(np.array([[5.0], [2.0]]), np.array([3.0, 3.0])).tolist() == [2.0, 1.0]
    assert float(log_crps(np.array([np.e - 1.0]), np.array(0.0))) == pytest.approx(1.0)
    assert float(absolute_error(np.array([1.0, 2.0, 9.0]), np.array(4.0))) == 2.0


def test_bands_of_a_calibrated_forecaster() -> None:
    """Catches a wrong probability of the band. 4000 outcomes: standard error .0047, false alarm below 1e-4; the band of a
    forecaster with half the spread holds .589, and is seen to fail."""
    random = np.random.default_rng(5)
    centre = random.normal(size=4000)
    outcome = centre + random.normal(size=4000)
    noise = random.normal(size=(4000, 1000))
    assert is_covered(centre[:, None] + noise, outcome).mean() == pytest.approx(0.9, abs=0.019)
    assert is_covered(centre[:, None] + 0.5 * noise, outcome).mean() == pytest.approx(0.589, abs=0.031)


def test_scores_are_averaged_over_origins_and_groups() -> None:
    """Catches an axis that is mixed up: two origins, one horizon, a forecast in one group and in two."""
    outcome = np.array([[1.0], [2.0]])
    alone = scores([[np.array([1.0])], [np.array([5.0])]], outcome)
    assert alone["forecast_crps"].tolist() == [1.5]
    assert alone["forecast_coverage"].tolist() == [0.5]
    grouped = scores([[np.array([[1.0], [3.0]])], [np.array([[5.0], [2.0]])]], outcome)
    assert grouped["forecast_error"].tolist() == [(0 + 2 + 3 + 0) / 4]


def test_trailing_means() -> None:
    """Catches a mean that looks ahead, or pads the start with zeros."""
    assert trailing_mean(np.array([1.0, 3.0, 5.0, 7.0]), 3).tolist() == [1.0, 2.0, 3.0, 5.0]


def test_counts_reveal_the_rate() -> None:
    """Catches a shift in time or a lost share of reported cases: a constant rate 1.5 times that of the game."""
    _, known, _ = history(np.full(60, 1.5 * GAME_BETA))
    assert known.revealed[8:] == pytest.approx(np.full(53, math.log(1.5)), abs=1e-3)


def test_relative_noise_of_counts() -> None:
    """Catches a noise that sees the future, or counts that are not divided by their averages."""
    known = History(np.array([100.0, 120.0, 80.0, 1e6]), np.full(4, 100.0), np.zeros((4, 3)), np.zeros(4))
    assert relative_noise(known, 0, 2) == pytest.approx(math.sqrt(0.08 / 3), rel=0.01)


def test_noise_of_a_step() -> None:
    """Catches a noise that is not that of a negative binomial, mean + (.3 mean)^2, or changes the other transition: 20000
    paths, standard error 1 % of the variance."""
    law = counted_law(9)
    shares = torch.tensor([[0.9, 0.1, 0.0]], dtype=torch.float64).expand(20000, -1)
    ones = torch.ones(20000, 1, dtype=torch.float64)
    factors = lambda time, now: law.factors(time, now, 0.5 * ones, 0.3 * ones)  # noqa: E731
    normals = torch.randn(1, 20000, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    _, extents = law.law.move(factors, shares, law.span(torch.zeros(20000)), normals)
    infected, recovered = (extents * SIZE).T
    mean = 0.9 * 0.1 * GAME_BETA * math.exp(0.5) * SIZE
    assert float(infected.mean()) == pytest.approx(mean, rel=0.01)
    assert float(infected.var()) == pytest.approx(mean + (0.3 * mean) ** 2, rel=0.05)
    assert float(recovered.var()) == pytest.approx(0.1 * GAMMA * SIZE, rel=0.05)


def test_the_game_alone_is_forecast() -> None:
    """Catches a forecast that starts at the wrong save or averages the wrong counts: the test's own SIR, to 1e-9."""
    betas = np.where(np.arange(50) < 25, 0.35, 0.12)
    law, known, shares = history(betas)
    forecasts = Baselines(law, known, [3, 10], 7).forecasts()["unlearned"]
    cases, _ = sir(np.full(10, GAME_BETA), shares[30])
    joined = np.concatenate([known.counts[:31], cases])
    expected = [joined[30 + ahead - 6 : 30 + ahead + 1].mean() for ahead in (3, 10)]
    assert forecasts[30] == pytest.approx(expected, rel=1e-9)


def test_least_squares_against_scipy() -> None:
    """Catches a fit that stops early or reads another window: planted rates by weeks to 1e-3, and scipy's minimum on
    noisy counts of the test's own SIR to 1e-3."""
    weekly = np.repeat([0.3, 0.22, 0.35, 0.15, 0.25, 0.18], 7)
    law, known, shares = history(weekly)
    fitted = Baselines(law, known, [7], 7).fitted()
    assert fitted[35] == pytest.approx(np.log(np.array([0.35, 0.15, 0.25]) / GAME_BETA), abs=1e-3)

    random = np.random.default_rng(2)
    noisy = known.counts * random.gamma(30.0, 1 / 30.0, size=len(known.counts))
    seen = History(noisy, trailing_mean(noisy, 7), shares, known.revealed)
    ours = Baselines(law, seen, [7], 7).fitted()[40]

    def residuals(logs: FloatArray) -> FloatArray:
        cases, _ = sir(GAME_BETA * np.exp(np.repeat(logs, 7)), shares[19])
        averages = trailing_mean(np.concatenate([noisy[13:20], cases]), 7)[7:]
        return np.asarray(np.log(averages + 0.1) - np.log(seen.averages[20:41] + 0.1))

    reference = least_squares(residuals, np.zeros(3), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    assert ours == pytest.approx(reference.x, abs=1e-3)


def test_a_damped_trend_chooses_its_memory_from_the_past() -> None:
    """Catches a memory that is chosen with hindsight. A rate that stays asks for endless memory; where rates change by
    the week, other outcomes after a save change later forecasts alone."""
    law, known, _ = history(np.full(80, 1.3 * GAME_BETA))
    forecasts = Baselines(law, known, [7, 14], 7).forecasts()["damped"]
    assert forecasts[50, 1] == pytest.approx(known.averages[64], rel=0.01)

    logs = np.random.default_rng(4).normal(0.0, 0.4, size=12)
    law, known, _ = history(GAME_BETA * np.exp(np.repeat(logs, 7)))
    forecasts = Baselines(law, known, [7, 14], 7).forecasts()["damped"]
    changes = 0
    for save in (20, 30, 40):
        for factor in (0.1, 10.0):
            changed = np.concatenate([known.averages[: save + 1], factor * known.averages[save + 1 :]])
            later = History(known.counts, changed, known.shares, known.revealed)
            again = Baselines(law, later, [7, 14], 7).forecasts()["damped"]
            assert np.array_equal(again[: save + 1], forecasts[: save + 1])
            changes += not np.array_equal(again, forecasts)
    assert changes > 0


def test_ensembles_of_baselines() -> None:
    """Catches errors that were not known yet, or a median that is no longer the forecast."""
    random = np.random.default_rng(1)
    averages = random.gamma(20.0, 50.0, size=60)
    members = ensemble(averages, averages, 40, 7, first=7)
    assert len(members) == 2 * (40 - 7 - 7 + 1) + 1
    assert np.median(members) == pytest.approx(averages[40], rel=1e-12)
    assert np.sqrt(np.prod((np.sort(members) + 0.1)[[0, -1]])) == pytest.approx(averages[40] + 0.1, rel=1e-9)
    changed = np.concatenate([averages[:41], 9 * averages[41:]])
    assert np.array_equal(ensemble(changed, changed, 40, 7, first=7), members)
    assert ensemble(averages, averages, 10, 7, first=7).tolist() == [pytest.approx(averages[10])]
