"""Fixed points of maps whose solution is known: catches a method that stops elsewhere, or that says it has converged."""

from __future__ import annotations

import numpy as np
import pytest

from mesocosm import RunError
from mesocosm_mfg.fixed_point import Iteration, solve_fixed_point

METHODS = ("picard", "anderson", "newton")


def silent(iteration, residual):
    """Nobody watches."""


def rotation(strength):
    """A linear map of [5, 8] that turns, with spectral radius `strength`, and its fixed point."""
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(40, 40))
    matrix = matrix - matrix.T
    matrix *= strength / np.abs(np.linalg.eigvals(matrix)).max()
    shift = generator.normal(size=40)
    solution = np.linalg.solve(np.eye(40) - matrix, shift).reshape(5, 8)
    return lambda x: (matrix @ x.ravel() + shift).reshape(5, 8), solution


@pytest.mark.parametrize("strength", [0.9, 1.5])
@pytest.mark.parametrize("method", METHODS)
def test_linear_maps(method, strength):
    """Catches a wrong update: the solution of the linear system, also where plain iteration diverges (1.5)."""
    respond, solution = rotation(strength)
    found = solve_fixed_point(respond, np.zeros((5, 8)), Iteration(method, 1e-10, 400, 0.5), report=silent)
    assert found.converged
    assert np.abs(found.point - solution).max() < 1e-9
    assert found.residuals[-1] == np.abs(respond(found.point) - found.point).max() < 1e-10


def test_acceleration():
    """Catches an Anderson or Newton method that is Picard in disguise: both need less than half of its iterations."""
    respond, _ = rotation(1.5)
    counts = {
        method: len(
            solve_fixed_point(respond, np.zeros((5, 8)), Iteration(method, 1e-10, 400, 0.5), report=silent).residuals
        )
        for method in METHODS
    }
    assert counts["anderson"] < counts["picard"] / 2
    assert counts["newton"] <= 5


@pytest.mark.parametrize("method", METHODS)
def test_a_steep_response_with_bounds(method):
    """Catches iterates that jump from bound to bound: x = clip(1 - 30 x, 0, 1) has the solution 1/31."""
    found = solve_fixed_point(
        lambda x: np.clip(1 - 30 * x, 0, 1),
        np.zeros(4),
        Iteration(method, 1e-11, 300, 0.5),
        report=silent,
        project=lambda x: x.clip(0, 1),
    )
    assert found.converged
    assert found.point == pytest.approx(np.full(4, 1 / 31), rel=1e-10)


def test_iterates_stay_in_the_allowed_set():
    """Catches a projection that is forgotten: no point at which the map is evaluated is negative."""
    for method in METHODS:
        seen = []

        def respond(x, seen=seen):
            seen.append(x.min())
            return np.exp(-4 * x)

        def absolute(x):
            return np.abs(x)

        settings = Iteration(method, 1e-10, 300, 1.0)
        found = solve_fixed_point(respond, np.full(3, 5.0), settings, report=silent, project=absolute)
        assert found.converged
        if method != "newton":  # its finite differences step off by 1e-8
            assert min(seen) >= 0


def test_fictitious_play_averages_the_responses():
    """Catches weights that are not 1/k: after n steps the point is the mean of n responses."""
    responses = []

    def respond(x):
        responses.append(np.cos(x))
        return responses[-1]

    settings = Iteration("fictitious_play", 1e-12, 20, 0.5)
    found = solve_fixed_point(respond, np.zeros(2), settings, report=silent)
    assert found.point == pytest.approx(np.mean(responses[:-1], axis=0), rel=1e-14)
    assert not found.converged


def test_what_is_reported():
    """Catches a flag that is always true, and exploitabilities of other iterates than the residuals."""
    seen, asked = [], []

    def exploitability(x):
        asked.append(x.copy())
        return float(x[0])

    found = solve_fixed_point(
        np.cos,
        np.zeros(1),
        Iteration("picard", 1e-12, 3, 0.5),
        report=lambda iteration, residual: seen.append((iteration, residual)),
        exploitability=exploitability,
    )
    assert not found.converged
    assert [number for number, _ in seen] == [0, 1, 2]
    assert np.array_equal([residual for _, residual in seen], found.residuals)
    assert np.array_equal([x[0] for x in asked], found.exploitabilities)
    assert np.array_equal(asked[-1], found.point)


def test_no_number():
    """Catches an iteration that goes on with NaN: one error that says at which iteration."""
    with pytest.raises(RunError, match="the residual is nan at iteration 0"):
        solve_fixed_point(lambda x: x * np.nan, np.ones(2), Iteration("anderson", 1e-9, 9, 0.5), report=silent)
