"""Equilibria of games in discrete time, against hand computation, convex optimisation and the numbers of MFGLib.

Catches an exploitability that is defined differently from MFGLib's, updates of fictitious play or mirror descent that are not
the published ones, an equilibrium that is none, and a method that stops short of rounding or misses mixed equilibria.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, minimize

import mesocosm
from mesocosm import Trajectories

GAMES = {
    "rock_paper_scissors": (1, ""),
    "left_right": (1, ""),
    "susceptible_infected": (50, ", initial: {S: 0.4, I: 0.6}"),
    "beach_bar": (2, ", initial: {place_0: 0.25, place_1: 0.25, place_2: 0.25, place_3: 0.25}"),
}
"""Kind -> horizon and start of MFGLib."""

WANDERING = ("rock_paper_scissors", "susceptible_infected")
"""Where mirror descent does not converge."""

RELATIVE = 1e-8


def solve(kind: str, options: str = "", *, end: int | None = None, game: str = "") -> Trajectories:
    """The mean field of a bundled game, from the start of MFGLib."""
    horizon, initial = GAMES[kind]
    scenario = mesocosm.parse(
        f"""
mesocosm: 1
name: oracle
seed: 1
time: {{end: {end or horizon}, save_every: 1}}
population: {{size: 10{initial}}}
graph: {{kind: complete}}
game: {{kind: {kind}{game}}}
dynamics:
  mean_field: {{kind: classical_mfg{options}}}
"""
    )
    problem = mesocosm.build(scenario)
    return mesocosm.simulate(problem, mesocosm.makers_of(scenario))["mean_field"]


def number(found: Trajectories, name: str) -> float:
    """One scalar of a summary."""
    return float(found.array(name))


def anchors(data_folder: Path, kind: str, algorithm: str) -> Mapping[int, float]:
    """Exploitability of MFGLib 0.3.0 after some iterations."""
    with (data_folder / "anchors" / "mfg_exploitability.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["package"] == "mfglib 0.3.0" and row["environment"] == kind]
    found = {int(row["iterations"]): float(row["exploitability"]) for row in rows if row["algorithm"] == algorithm}
    assert len(found) > 5
    return found


def test_left_right_splits_two_to_one() -> None:
    """By hand: share = 2 (1 - share), so that 2/3 go left, and everyone pays 2/3."""
    found = solve("left_right")
    assert found.array("occupancy")[0, 1] == pytest.approx([0.0, 2 / 3, 1 / 3], abs=1e-10)
    assert found.array("action_shares")[0, 0] == pytest.approx([2 / 3, 1 / 3], abs=1e-10)
    assert number(found, "value") == pytest.approx(2 / 3, rel=1e-10)
    assert number(found, "converged") == 1.0


def test_rock_paper_scissors_is_mixed() -> None:
    """By hand: 2S - P = 4R - 2S = 6P - 3R with R + P + S = 1 gives 26/77, 20/77, 31/77, and a gain of 6/11."""
    found = solve("rock_paper_scissors")
    assert found.array("occupancy")[0, 1] == pytest.approx([0.0, 26 / 77, 20 / 77, 31 / 77], abs=1e-10)
    assert number(found, "value") == pytest.approx(-6 / 11, rel=1e-10)


def test_a_dominant_side_is_taken_by_all() -> None:
    """By hand: with the right side free, everyone is there and pays nothing; a boundary equilibrium."""
    found = solve("left_right", game=", left: 1, right: 0")
    assert found.array("occupancy")[0, 1] == pytest.approx([0.0, 0.0, 1.0], abs=1e-9)
    assert number(found, "value") == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind", GAMES)
def test_equilibria_are_reached_to_rounding(kind: str) -> None:
    """Exploitability below 1e-8 of the mean absolute cost under the guess, also where mirror descent does not converge."""
    found = solve(kind, f", tolerance: {RELATIVE}")
    assert number(found, "converged") == 1.0
    assert found.array("residual")[-1] <= RELATIVE
    assert abs(number(found, "exploitability")) <= RELATIVE * max(1.0, abs(number(found, "value")))


def test_susceptible_infected_is_an_equilibrium_by_its_own_recursion() -> None:
    """The conditions by hand, in two numbers: m, the infected, and D, what infection costs.

    D_t = 1 + 0.7 D_{t+1} - min(0.5, 0.81 m_t D_{t+1}), D_51 = 0; out where 0.81 m_t D_{t+1} < 0.5, distance where it is more;
    m_{t+1} = 0.7 m_t + 0.81 m_t out_t, with out_t the share that is susceptible and goes out. The infected always go out.
    """
    found = solve("susceptible_infected", f", tolerance: {RELATIVE}")
    infected = found.array("occupancy")[0, :, 1]
    out = found.array("action_shares")[0, :, 0] - infected
    assert infected[0] == 0.6
    assert infected[1:] == pytest.approx((0.7 * infected + 0.81 * infected * out)[:-1], abs=1e-9)
    burden, mixed = 0.0, 0
    for t in range(50, -1, -1):
        risk = 0.81 * infected[t] * burden
        share = out[t] / (1 - infected[t])
        assert -1e-9 <= share <= 1 + 1e-9
        if share > 1e-6:
            assert risk <= 0.5 + 1e-6, f"at {t} some go out though it costs more"
        if share < 1 - 1e-6:
            assert risk >= 0.5 - 1e-6, f"at {t} some keep their distance though it costs more"
        mixed += 1e-6 < share < 1 - 1e-6
        burden = 1 + 0.7 * burden - min(0.5, risk)
    assert mixed > 0


def test_beach_bar_minimises_its_potential() -> None:
    """The game has a potential, convex in the flow: sum of c L + m log m - m; minimised here by sequential programming."""
    found = solve("beach_bar", f", tolerance: {RELATIVE}")
    game = mesocosm.build(
        mesocosm.parse(
            "{mesocosm: 1, name: a, seed: 1, time: {end: 2, save_every: 1}, population: {size: 9}, "
            "graph: {kind: complete}, game: {kind: beach_bar}}"
        )
    ).discrete_game
    even = np.full((4, 3), 1 / 12)
    plain, moves = game.cost(0.0, even) - np.log(0.25), game.transition(0.0, even)

    def potential(x: np.ndarray) -> tuple[float, np.ndarray]:
        flow = x.reshape(3, 4, 3)
        shares = np.maximum(flow.sum(axis=-1), 1e-12)
        slope = plain + np.log(shares)[:, :, None]
        return float((plain * flow).sum() + (shares * np.log(shares) - shares).sum()), slope.ravel()

    rows, right = np.zeros((12, 36)), np.zeros(12)
    right[:4] = 0.25
    for t in range(3):
        for place in range(4):
            rows[4 * t + place].reshape(3, 4, 3)[t, place] = 1.0
            if t:
                rows[4 * t + place].reshape(3, 4, 3)[t - 1] -= moves[:, :, place]
    start = np.tile(even, (3, 1, 1)).ravel()
    best = minimize(
        potential, start, jac=True, bounds=[(0, 1)] * 36, constraints=LinearConstraint(rows, right, right),
        method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    assert best.success
    assert found.array("occupancy")[0] == pytest.approx(best.x.reshape(3, 4, 3).sum(axis=-1), abs=1e-6)


@pytest.mark.parametrize("kind", GAMES)
def test_exploitability_is_that_of_mfglib(data_folder: Path, kind: str) -> None:
    """Of the policy that plays all actions alike; the file holds six digits in single precision."""
    found = solve(kind, ", policy: none")
    assert number(found, "exploitability") == pytest.approx(anchors(data_folder, kind, "fictitious_play")[0], rel=2e-6)


@pytest.mark.parametrize("kind", GAMES)
@pytest.mark.parametrize(
    ("method", "algorithm"), [("fictitious_play", "fictitious_play"), ("mirror_descent", "online_mirror_descent")]
)
def test_learning_repeats_mfglib_iteration_by_iteration(
    data_folder: Path, kind: str, method: str, algorithm: str
) -> None:
    """The same updates, to 1e-4 for numbers above 1e-3: below, the single precision of the file shows.

    Where mirror descent does not converge it magnifies rounding, so that there only its first steps are compared.
    """
    found = solve(kind, f", method: {method}, damping: 1, iterations: 100, tolerance: 1e-15")
    ours = found.array("exploitability_by_iteration")
    last = 5 if method == "mirror_descent" and kind in WANDERING else 100
    known = anchors(data_folder, kind, algorithm)
    compared = {step: value for step, value in known.items() if value > 1e-3 and step <= last}
    assert len(compared) >= 3
    for step, value in compared.items():
        assert ours[step] == pytest.approx(value, rel=1e-4), step


@pytest.mark.parametrize("kind", WANDERING)
def test_mirror_descent_wanders_where_the_path_arrives(kind: str) -> None:
    """Catches a comparison that is none: after 100 iterations mirror descent is as far from equilibrium as MFGLib's."""
    found = solve(kind, ", method: mirror_descent, damping: 1, iterations: 100")
    assert found.array("converged") == 0.0
    assert found.array("exploitability_by_iteration")[-1] > 0.1
