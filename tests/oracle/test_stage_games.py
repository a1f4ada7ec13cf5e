"""Stage games against closed forms and independent calculation: equilibria, costs, exploitability, deviations.

Would catch a wrong equilibrium of the static meeting or of El Farol, a cost that disagrees with sampling or integration, an
exploitability that is always 0, and a scenario without an equilibrium that is run all the same.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm

import mesocosm
from mesocosm import InputError, ScenarioError, Trajectories
from mesocosm_games.el_farol import ElFarol
from mesocosm_games.meeting_options import MeetingOptions
from mesocosm_games.meeting_static import StaticMeeting
from mesocosm_games.stage_options import ElFarolOptions, PayoffOptions

MEETING = "{kind: meeting, form: static, scheduled: 12, sigma: 0.5, quorum: 0.8}"


def solved(game: str, dynamics: str, end: int = 1, size: int = 10) -> Trajectories:
    scenario = mesocosm.parse(
        f"{{mesocosm: 1, name: stage, seed: 3, time: {{end: {end}, save_every: 1}}, population: {{size: {size}}}, "
        f"graph: {{kind: complete}}, game: {game}, dynamics: {{it: {dynamics}}}}}"
    )
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))["it"]


def meeting(**options: Any) -> StaticMeeting:
    return StaticMeeting(MeetingOptions(form="static", **{"scheduled": 12.0, "sigma": 0.5, "quorum": 0.8, **options}))


def arrival_cost(game: StaticMeeting, s: np.ndarray, start: np.ndarray | float) -> np.ndarray:
    """c(s), as in Gueant, Lasry, Lions (2011)."""
    o = game.options
    late, after = np.maximum(s - o.scheduled, 0), np.maximum(s - start, 0)
    return np.asarray(o.reputation * late + o.inconvenience * after + o.waiting * np.maximum(start - s, 0))


def integrated(game: StaticMeeting, tau: float, start: float) -> float:
    """Expected cost of meaning to come at tau, by quadrature over the noise."""
    sigma, kinks = (
        game.options.sigma,
        [(game.options.scheduled - tau) / game.options.sigma, (start - tau) / game.options.sigma],
    )

    def weighted(e: float) -> float:
        return float(arrival_cost(game, np.array(tau + sigma * e), start)) * float(norm.pdf(e))

    return float(quad(weighted, -12, 12, points=sorted(kinks), epsabs=1e-13, epsrel=1e-12, limit=200)[0])


def test_meeting_numbers() -> None:
    """T and tau of the reference case, to all digits given."""
    found = solved(MEETING, "{kind: classical_mfg}")
    assert found.array("start_time")[0] == pytest.approx([12.5474841684] * 2, abs=1e-10)
    assert found.array("action")[0] == pytest.approx([12.1266735516] * 2, abs=1e-10)
    assert found.array("median_arrival")[0, 0] == pytest.approx(12.1266735516, abs=1e-10)
    assert found.array("arrived_on_schedule")[0, 0] == pytest.approx(0.4, rel=1e-12)  # Phi(-Phi^-1(r)), r = 0.6
    game = meeting()
    assert found.array("value") == pytest.approx(integrated(game, 12.1266735516, 12.5474841684), rel=1e-9)
    assert float(found.array("exploitability")) == pytest.approx(0.0, abs=1e-12)
    assert found.array("converged") == 1
    assert found.array("residual")[-1] < 1e-7


@pytest.mark.parametrize(
    ("weights", "late"),
    [
        ((1.0, 1.0, 1.0, 0.8), True),
        ((2.0, 4.0, 0.5, 0.9), False),
        ((5.0, 1.0, 1.0, 0.5), False),
        ((1.0, 0.2, 1.1, 0.85), True),
        ((0.3, 3.0, 1.0, 0.6), False),
    ],
)
def test_meeting_equilibrium_is_its_own_best_response(weights: tuple[float, float, float, float], late: bool) -> None:
    """By minimising the integral over the noise, in cases where the quorum decides the start, and where the schedule does."""
    reputation, inconvenience, waiting, quorum = weights
    game = meeting(reputation=reputation, inconvenience=inconvenience, waiting=waiting, quorum=quorum)
    tau = game.equilibrium()
    start = max(12.0, tau + 0.5 * float(norm.ppf(quorum)))
    assert game.limit(tau)[0] == pytest.approx(start, rel=1e-12)
    assert (start > 12.0) == late
    best = minimize_scalar(
        lambda a: integrated(game, a, start), bounds=(9.0, 15.0), method="bounded", options={"xatol": 1e-9}
    )
    assert tau == pytest.approx(float(best.x), abs=1e-5)
    assert integrated(game, tau, start) <= float(best.fun) + 1e-11


@pytest.mark.parametrize("tau", [10.0, 11.7, 12.3, 14.0])
def test_meeting_costs(tau: float) -> None:
    """Expected cost, its slope, and the cost of one round, against quadrature and finite differences."""
    game = meeting(reputation=1.5, inconvenience=0.7, waiting=1.2)
    start = np.array([12.4])
    assert float(game.expected_cost(np.array(tau), start)) == pytest.approx(integrated(game, tau, 12.4), rel=1e-9)
    ahead, behind = (game.expected_cost(np.array(tau + step), start) for step in (1e-5, -1e-5))
    assert float(game.slope(np.array(tau), 12.4)) == pytest.approx(float(ahead - behind) / 2e-5, abs=1e-8)
    places = np.linspace(10, 15, 101)
    np.testing.assert_allclose(
        game.cost(places, np.zeros((101, 1)), start), arrival_cost(game, places, 12.4), rtol=1e-14
    )


@pytest.mark.parametrize("size", [2, 5, 10])
def test_meeting_alone_against_others(size: int) -> None:
    """The cost of a deviator, whose own arrival may decide the start, against a dense sum over its arrival time."""
    game = meeting(reputation=1.5, inconvenience=0.7, waiting=1.2)
    others = np.random.default_rng(size).normal(12.2, 0.5, size - 1)
    noise = norm.ppf((np.arange(20000) + 0.5) / 20000)
    for tau in (11.0, 12.0, 13.0):
        own = tau + 0.5 * noise
        costs = [
            float(arrival_cost(game, y, max(12.0, np.sort(np.append(others, y))[math.ceil(0.8 * size - 1e-9) - 1])))
            for y in own[::10]
        ]
        found = game.deviating_cost(np.array([tau]), others, np.zeros(1))
        assert float(found[0]) == pytest.approx(float(np.mean(costs)), rel=2e-3)


@pytest.mark.parametrize("command", ["build", "run"])
def test_a_meeting_without_an_equilibrium_is_refused(tmp_path: Path, command: str) -> None:
    """r = (0.8 * 3 - 0.2)/1 = 2.2: the error stands at the game of the scenario and gives the reason."""
    file = tmp_path / "s.yaml"
    file.write_text(
        "mesocosm: 1\nname: stage\nseed: 3\ntime: {end: 1, save_every: 1}\npopulation: {size: 10}\n"
        "graph: {kind: complete}\ngame: {kind: meeting, form: static, scheduled: 12, waiting: 3}\n"
        "dynamics:\n  it: {kind: classical_mfg}\n"
    )
    with pytest.raises(ScenarioError, match="no equilibrium for r >= 1") as caught:
        mesocosm.build(mesocosm.load(file)) if command == "build" else mesocosm.run(file, tmp_path / "runs")
    assert "s.yaml:7:" in str(caught.value)
    assert "2.2" in str(caught.value)
    assert not list((tmp_path / "runs").glob("*"))


def test_waiting_for_nothing_is_refused() -> None:
    """Without a cost of waiting, earlier is always better."""
    with pytest.raises(InputError, match="earlier is always better"):
        meeting(waiting=0)


def test_gradient_flow_settles_at_the_equilibrium() -> None:
    """In the mean field; and on the way there it is elsewhere, exploitable."""
    found = solved(MEETING, "{kind: classical_mfg, policy: gradient_flow}", end=200)
    action = found.array("action")[0]
    assert action[0] == 12.0
    assert abs(action[3] - 12.1266735516) > 1e-3
    assert action[-1] == pytest.approx(12.1266735516, abs=1e-9)
    early = solved(MEETING, "{kind: classical_mfg, policy: gradient_flow}", end=1)
    assert float(early.array("exploitability")) > 1e-4


@pytest.mark.parametrize(("size", "p"), [(10, 0.6069151672), (100, 0.6006692573), (10_000, 0.6000066667)])
def test_el_farol_equilibria(size: int, p: float) -> None:
    """p* at 60 % for N = 10, 100, 10^4."""
    game = "{kind: el_farol, capacity: 0.6}"
    found = solved(game, "{kind: classical_mfg}", size=size)
    assert float(found.array("equilibrium_probability")) == pytest.approx(p, abs=1e-9)
    assert found.array("attendance")[0, 0] == pytest.approx(0.6, rel=1e-12)
    assert float(found.array("value")) == pytest.approx(-0.5, rel=1e-12)
    assert float(found.array("exploitability")) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("size", [2, 3, 7, 10, 55])
@pytest.mark.parametrize("capacity", [0.34, 0.6, 0.9])
@pytest.mark.parametrize("home", [0.2, 0.5, 1.4])
def test_el_farol_indifference(size: int, capacity: float, home: float) -> None:
    """At p* the bar is uncrowded, for one who goes, with the probability at which going is worth as much as home."""
    game = ElFarol(ElFarolOptions(capacity=capacity, payoffs=PayoffOptions(uncrowded=1.5, home=home, crowded=-0.5)))
    places, p = math.floor(capacity * size + 1e-6), game.mixed_equilibrium(size)
    assert game.places(size) == places
    if places == 0:
        assert p == 0.0
        return
    assert binom.cdf(places - 1, size - 1, p) == pytest.approx((home + 0.5) / 2.0, rel=1e-9)


def test_el_farol_where_all_fit_or_none() -> None:
    """Everyone goes where all fit in, though no such share can be an option; nobody where no one does."""
    game = ElFarol(ElFarolOptions(capacity=0.3))
    assert game.mixed_equilibrium(2) == 0.0
    game.capacity = 1.0
    assert game.mixed_equilibrium(5) == 1.0


def test_el_farol_away_from_the_equilibrium_is_exploitable() -> None:
    """Everyone goes less than the bar holds: going is worth 1, and p = 0.5 earns 0.75."""
    found = solved("{kind: el_farol, capacity: 0.6}", "{kind: classical_mfg, policy: none}")
    assert float(found.array("exploitability")) == pytest.approx(0.25, rel=1e-9)
    crowded = solved("{kind: el_farol, capacity: 0.6}", "{kind: classical_mfg, policy: {constant: 0.8}}")
    assert float(crowded.array("exploitability")) == pytest.approx(0.4, rel=1e-9)


def test_logit_in_the_mean_field_circles_the_capacity() -> None:
    """The deterministic map has no rest point at a jump; its long-run mean is the capacity (sliding along it), within 1 %."""
    game = "{kind: el_farol, form: repeated, capacity: 0.6, logit: {rate: 0.01}}"
    found = solved(game, "{kind: classical_mfg, policy: logit}", end=1000)
    attendance = found.array("attendance")[0]
    assert attendance[0] == 0.5
    assert attendance[500:].mean() == pytest.approx(0.6, rel=0.01)
    assert attendance[500:].std() > 1e-3


def test_predictors_have_no_mean_field() -> None:
    """The reason is given, before anything runs."""
    with pytest.raises(InputError, match="no mean field"):
        solved("{kind: el_farol, form: repeated}", "{kind: classical_mfg, policy: predictors}")
