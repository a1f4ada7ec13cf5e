"""Agents of stage games, within four standard errors of closed forms.

Would catch outcomes drawn with another law, costs booked to the wrong night, a gain from deviating that is biased by choosing
the best of several noisy means, agents that play the mean-field probability where they should play that of ten, and
learners that do not find the capacity.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from scipy.stats import binom, norm

import mesocosm
from mesocosm import Trajectories
from mesocosm_games.meeting_options import MeetingOptions
from mesocosm_games.meeting_static import StaticMeeting

FAROL = "{kind: el_farol, form: repeated, capacity: 0.6}"
MEETING = "{kind: meeting, form: static, scheduled: 12, sigma: 0.5, quorum: 0.8}"


@functools.cache
def played(game: str, policy: str, size: int, replicates: int, rounds: int, deviations: str = "") -> Trajectories:
    scenario = mesocosm.parse(
        f"{{mesocosm: 1, name: stage, seed: 1994, time: {{end: {rounds - 1}, save_every: 1}}, population: {{size: {size}}}, "
        f"graph: {{kind: complete}}, game: {game}, "
        f"dynamics: {{it: {{kind: agent_based, replicates: {replicates}, policy: {policy}{deviations}}}}}}}"
    )
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))["it"]


def error_of_mean(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(values.size))


def test_ten_who_play_their_equilibrium() -> None:
    """Attendance and its spread are binomial with p*, everyone earns 1/2, and nobody gains by deviating."""
    found = played(FAROL, "n_player", 10, 90, 200)
    attendance, p = found.array("attendance"), 0.6069151672
    assert error_of_mean(attendance) < 0.02 * p / 4
    assert abs(attendance.mean() - p) < 4 * error_of_mean(attendance)
    spread = math.sqrt(p * (1 - p) / 10)
    assert abs(attendance.std() / spread - 1) < 4 / math.sqrt(2 * attendance.size)
    shares = np.bincount((attendance * 10).round().astype(int).ravel(), minlength=11) / attendance.size
    expected = binom.pmf(np.arange(11), 10, p)
    assert (np.abs(shares - expected) <= 4 * np.sqrt(expected * (1 - expected) / attendance.size)).all()
    cost = found.array("cost")
    assert error_of_mean(cost) < 0.02 * 0.5 / 4
    assert abs(cost.mean() + 0.5) < 4 * error_of_mean(cost)
    gain, error = float(found.array("deviation_gain")), float(found.array("deviation_gain_error"))
    assert error < 0.002
    assert abs(gain) < 4 * error
    assert found.array("deviations") == 90


def test_who_plays_the_mean_field_can_be_exploited() -> None:
    """Who always goes finds room with P(Bin(N-1, 0.6) <= K-1), 0.517 of ten, 0.505 of 100; the gain is 0.4 of the rest."""
    exact = {size: 0.4 * float(binom.cdf(0.6 * size - 1, size - 1, 0.6) - 0.5) for size in (10, 100)}
    assert exact[10] > 3 * exact[100] > 0
    for size, rounds in ((10, 200), (100, 100)):
        found = played(FAROL, "mean_field", size, 80, rounds)
        gain, error = float(found.array("deviation_gain")), float(found.array("deviation_gain_error"))
        assert abs(gain - exact[size]) < 4 * error < 0.01
        if size == 10:
            assert gain > 3 * error


def test_several_deviators_of_a_night_are_one_observation() -> None:
    """Deviators who saw the same nights tell the same: ten times as many leave the error as it is, up to 20 %."""
    one, ten = (
        played(FAROL, "n_player", 10, 40, 50, f", deviations: {n}").array("deviation_gain_error") for n in (40, 400)
    )
    assert 0.5 < float(ten) / float(one) < 1.2


def test_learners_find_the_capacity() -> None:
    """Arthur (1994): mean attendance settles at the capacity. Within 2 % for predictors and logit choice among 100."""
    for policy in ("predictors", "logit"):
        found = played(FAROL, policy, 100, 16, 250, ", deviations: 0")
        late = found.array("attendance")[:, 100:].mean(axis=1)
        assert abs(late.mean() - 0.6) < 0.012
        assert error_of_mean(late) < 0.003


def test_the_realised_start_of_a_meeting() -> None:
    """Standard deviation sigma sqrt(theta (1-theta)/N) / phi(Phi^-1(theta)) among 1000, and the means of the limit."""
    game = StaticMeeting(MeetingOptions(form="static", scheduled=12, sigma=0.5, quorum=0.8))
    random, action = np.random.default_rng(7), np.full(1000, game.equilibrium())
    starts = np.array([game.find_signals(game.draw(random, action))[0] for _ in range(20_000)])
    predicted = 0.5 * math.sqrt(0.8 * 0.2 / 1000) / norm.pdf(norm.ppf(0.8))
    assert abs(starts.std() / predicted - 1) < 4 / math.sqrt(2 * starts.size)
    found = played(MEETING, "mean_field", 1000, 25, 100, ", deviations: 0")
    start, middle, share = (found.array(name) for name in ("start_time", "median_arrival", "arrived_on_schedule"))
    assert abs(start.std() / predicted - 1) < 4 / math.sqrt(2 * start.size)
    # The mean of the order statistic 800 of 1000 is Phi^-1(800/1001), up to O(1/N^2).
    assert abs(start.mean() - 12.1266735516 - 0.5 * norm.ppf(800 / 1001)) < 4 * error_of_mean(start)
    assert abs(middle.mean() - 12.1266735516) < 4 * error_of_mean(middle)
    assert abs(share.mean() - 0.4) < 4 * error_of_mean(share)


def test_one_who_comes_at_another_time() -> None:
    """Among 100 at the equilibrium of the limit nothing is gained beyond 1e-4; on schedule, 12.0, more than that is."""
    found = played(MEETING, "mean_field", 100, 40, 50)
    assert float(found.array("deviation_gain")) + 4 * float(found.array("deviation_gain_error")) >= 0
    assert float(found.array("deviation_gain")) < 1e-4
    early = played(MEETING, "{constant: 12}", 100, 40, 50)
    gain, error = float(early.array("deviation_gain")), float(early.array("deviation_gain_error"))
    assert gain > 1e-3
    assert gain > 4 * error


def test_gradient_flow_among_many_settles_near_the_equilibrium() -> None:
    """The gap of 1000 agents from the equilibrium is below 0.01, a tenth of that of the schedule that they came from."""
    found = played(MEETING, "gradient_flow", 1000, 20, 100, ", deviations: 0")
    action = found.array("action")
    assert (action[:, 0] == 12.0).all()
    assert abs(action[:, 50:].mean() - 12.1266735516) < 0.01
