"""Comparison: exact gaps, intervals against independent formulas, and what must not be claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mesocosm.comparing import Row, compare, compare_runs
from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.errors import InputError
from mesocosm.noise import Side
from mesocosm.results import Results

TIMES = np.arange(11.0)
STATES = ("S", "I")


def recorded(label, infected, *, stochastic=False, times=TIMES, **summary):
    """Trajectories with occupancy.I as given, shape [replicate, time], and occupancy.S = 1 - I."""
    infected = np.atleast_2d(np.asarray(infected, float))
    occupancy = np.stack([1 - infected, infected], axis=-1)
    variables = {"occupancy": Labelled(("replicate", "time", "state"), occupancy)}
    for name, values in summary.items():
        array = np.asarray(values, float)
        variables[name] = Labelled(("replicate",) if array.ndim else (), array)
    return Trajectories(label, "test", np.asarray(times, float), variables, {"state": STATES}, stochastic)


def rows_of(*dynamics, reference, **options) -> dict[tuple[str, str, str], Row]:
    comparison = compare({item.label: item for item in dynamics}, reference, **options)
    return {(row.dynamics, row.observable, row.measure): row for row in comparison.rows}


def bump(height, peak):
    return height * np.exp(-((TIMES - peak) ** 2) / 8)


def test_gaps_of_curves_are_exact_where_nothing_is_random():
    """Would catch a gap that is signed, squared, not averaged over time, or taken at the wrong time."""
    truth = recorded("truth", bump(0.5, 4))
    ours = recorded("ours", bump(0.5, 4) + np.where(TIMES == 7, -0.2, 0.1))
    rows = rows_of(truth, ours, reference="truth", observables=["occupancy.I"])
    sup, mean_square = rows["ours", "occupancy.I", "sup_gap"], rows["ours", "occupancy.I", "l2_gap"]
    assert sup.gap == pytest.approx(0.2, rel=1e-12)
    assert sup.value - sup.reference_value == pytest.approx(-0.2, rel=1e-12)
    assert mean_square.gap == pytest.approx(np.sqrt((0.04 + 10 * 0.01) / 11), rel=1e-12)
    assert (sup.low, sup.high) == pytest.approx((0.2, 0.2))
    assert sup.exceeds_noise is True


def test_peaks_are_functionals_of_each_replicate():
    """Would catch the peak of the mean curve in place of the mean of the peaks: 0.4 here, where every replicate has 0.5."""
    truth = recorded("truth", [bump(0.5, 3), bump(0.5, 6)], stochastic=True)
    ours = recorded("ours", bump(0.3, 6))
    rows = rows_of(truth, ours, reference="truth")
    size, time = rows["ours", "occupancy.I", "peak_size"], rows["ours", "occupancy.I", "peak_time"]
    assert (size.value, size.reference_value, size.gap) == pytest.approx((0.3, 0.5, -0.2))
    assert (time.value, time.reference_value, time.gap) == pytest.approx((6.0, 4.5, 1.5))


def test_peak_times_are_no_sharper_than_the_grid():
    """Would catch a gap of half a save interval, which reading a peak off the grid makes, that is called more than noise."""
    truth = recorded("truth", bump(0.5, 4.4))
    for peak, exceeds in ((4.6, False), (6.0, True)):
        row = rows_of(truth, recorded("ours", bump(0.5, peak)), reference="truth")["ours", "occupancy.I", "peak_time"]
        assert row.low <= peak - 4.4 <= row.high
        assert row.exceeds_noise is exceeds


def test_no_peak_at_the_edge_of_the_window():
    """Would catch a 'peak' of a curve that only falls, or that the window cuts off while it still rises."""
    truth, ours = recorded("truth", bump(0.5, 5)), recorded("ours", bump(0.4, 5))
    whole = rows_of(truth, ours, reference="truth")
    assert ("ours", "occupancy.I", "peak_size") in whole
    assert ("ours", "occupancy.S", "peak_size") not in whole
    assert ("ours", "occupancy.I", "peak_size") not in rows_of(truth, ours, reference="truth", window=(0, 4))


def test_attack_rate_is_taken_at_the_end_and_only_where_it_is_seen():
    """Would catch an attack rate from another state or time, or one made up for data that do not observe it."""
    truth, ours = recorded("truth", bump(0.5, 5)), recorded("ours", bump(0.5, 5) + 0.1 * TIMES / 10)
    row = rows_of(truth, ours, reference="truth", at_risk="S")["ours", "occupancy.S", "attack_rate"]
    assert row.gap == pytest.approx(0.1)
    assert row.value == pytest.approx(bump(0.5, 5)[-1] + 0.1)
    unseen = recorded("ours", np.where(TIMES == 10, np.nan, bump(0.5, 5)))
    rows = rows_of(truth, unseen, reference="truth", at_risk="S")
    assert not any(measure == "attack_rate" for _, _, measure in rows)


def test_welch_interval_against_scipy():
    """Would catch wrong degrees of freedom, a biased variance, or a normal quantile in place of Student's."""
    generator = np.random.default_rng(5)
    costs = generator.normal(1.0, 0.3, 7), generator.normal(1.2, 0.1, 19)
    flat = np.zeros((7, 11)), np.zeros((19, 11))
    ours = recorded("ours", flat[0], stochastic=True, cost=costs[0])
    truth = recorded("truth", flat[1], stochastic=True, cost=costs[1])
    row = rows_of(truth, ours, reference="truth")["ours", "cost", "cost"]
    oracle = stats.ttest_ind(*costs, equal_var=False).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((oracle.low, oracle.high), rel=1e-9)
    assert row.exceeds_noise is not (oracle.low <= 0 <= oracle.high)


def test_expected_value_of_a_solver_is_compared_with_the_cost_of_agents():
    """Would catch a solver's value that is ignored, or noise that is charged to it: one-sample Student's t."""
    costs = np.array([1.0, 1.3, 0.8, 1.1, 1.6])
    agents = recorded("agents", np.zeros((5, 11)), stochastic=True, cost=costs)
    nash = recorded("nash", np.zeros(11), value=1.9)
    row = rows_of(agents, nash, reference="agents")["nash", "cost", "cost"]
    oracle = stats.ttest_1samp(costs, 1.9).confidence_interval(0.95)
    assert (row.low, row.high) == pytest.approx((1.9 - oracle.high, 1.9 - oracle.low), rel=1e-9)
    assert row.exceeds_noise is True


def test_one_observation_is_as_noisy_as_one_replicate():
    """Would catch data taken for exact (or for a mean): the interval is the prediction interval of a normal sample."""
    peaks = np.random.default_rng(8).normal(0.5, 0.05, 400)
    agents = recorded("agents", np.stack([bump(peak, 5) for peak in peaks]), stochastic=True)
    data = recorded("data", bump(0.7, 5), stochastic=True)
    row = rows_of(agents, data, reference="agents")["data", "occupancy.I", "peak_size"]
    assert row.gap == pytest.approx(0.7 - peaks.mean())
    half = stats.t.ppf(0.975, 399) * peaks.std(ddof=1) * np.sqrt(1 + 1 / 400)
    assert (row.gap - row.low, row.high - row.gap) == pytest.approx((half, half), rel=0.1)


@pytest.mark.parametrize("other_is_random", [False, True])
def test_noise_that_nothing_shows_is_unknown(other_is_random):
    """Would catch invented certainty: one realisation against a deterministic curve or another single realisation."""
    data = recorded("data", bump(0.5, 5), stochastic=True)
    ours = recorded("ours", bump(0.3, 5), stochastic=other_is_random)
    rows = rows_of(data, ours, reference="data", at_risk="S")
    assert {measure for _, _, measure in rows} == {"sup_gap", "l2_gap", "peak_size", "peak_time", "attack_rate"}
    for row in rows.values():
        assert row.exceeds_noise is None
        assert np.isnan([row.low, row.high]).all()
        assert np.isfinite(row.gap)


def test_only_times_that_both_observe_count():
    """Would catch a gap at a time where one side has no observation, or NaN that spreads into it."""
    holes = np.where(np.isin(TIMES, [2, 5]), np.nan, 0.2)
    truth = recorded("truth", holes, stochastic=True)
    ours = recorded("ours", np.where(TIMES == 5, 0.9, 0.3))
    row = rows_of(truth, ours, reference="truth")["ours", "occupancy.I", "sup_gap"]
    assert row.gap == pytest.approx(0.1)


def test_grids_are_matched_by_time_and_cut_by_the_window():
    """Would catch curves that are compared by position, or a window that leaves out its ends."""
    truth = recorded("truth", 0.1 * TIMES / 10)
    ours = recorded("ours", 0.1 * np.arange(0, 10.5, 0.5) / 10, times=np.arange(0, 10.5, 0.5))
    same = rows_of(truth, ours, reference="truth")["ours", "occupancy.I", "sup_gap"]
    assert same.gap == pytest.approx(0, abs=1e-15)
    assert same.exceeds_noise is False
    steep = recorded("ours", TIMES / 100)
    flat = recorded("truth", np.zeros(11))
    row = rows_of(flat, steep, reference="truth", window=(2, 6))["ours", "occupancy.I", "sup_gap"]
    assert row.gap == pytest.approx(0.06)


def test_rounding_is_no_gap():
    """Would catch a gap of 1e-17 that is called more than noise, because replicates that are all equal have no spread."""
    truth = recorded("truth", np.full((7, 11), 0.7), stochastic=True)
    ours = recorded("ours", np.full((3, 11), 0.7), stochastic=True)
    assert not any(row.exceeds_noise for row in rows_of(truth, ours, reference="truth").values())


def test_bootstrap_quantile_of_one_time_is_that_of_the_normal_law():
    """Would catch a bootstrap of replicates in place of means, or of one side only: exact for a curve of one time."""
    generator = np.random.default_rng(11)
    first, second = generator.normal(0.4, 0.05, (400, 1)), generator.normal(0.4, 0.02, (100, 1))
    ours = recorded("ours", first, stochastic=True, times=[0.0])
    truth = recorded("truth", second, stochastic=True, times=[0.0])
    row = rows_of(truth, ours, reference="truth")["ours", "occupancy.I", "sup_gap"]
    error = np.sqrt(first.var(ddof=1) / 400 + second.var(ddof=1) / 100)
    assert row.high - row.gap == pytest.approx(1.96 * error, rel=0.08)


def test_deviations_have_the_unbiased_variance():
    """Would catch bootstrap deviations that are too small by sqrt((R - 1) / R), 13 % for 4 replicates."""
    values = np.random.default_rng(1).random((4, 6))
    deviations = Side(values, stochastic=True).deviations
    assert deviations.mean(axis=0) == pytest.approx(np.zeros(6), abs=1e-15)
    assert (deviations**2).mean(axis=0) == pytest.approx(values.var(axis=0, ddof=1))


def test_default_observables_leave_out_a_control_that_nobody_varies():
    """Would catch rows of zeros for a control that is constant, and a control that varies being left out."""

    def with_control(label, curve):
        item = recorded(label, bump(0.5, 5))
        control = np.stack([curve, np.ones(11)], axis=-1)[None]
        variables = {**item.variables, "control": Labelled(("replicate", "time", "state"), control)}
        return Trajectories(label, "test", TIMES, variables, item.coordinates, False)

    constant = with_control("truth", np.ones(11))
    varying = with_control("ours", 1 - bump(0.3, 5))
    observables = {observable for _, observable, _ in rows_of(constant, varying, reference="truth")}
    assert observables == {"occupancy.S", "occupancy.I", "control.S"}


def test_rows_do_not_depend_on_who_else_is_compared():
    """Would catch one shared random stream, and a seed that is ignored."""
    generator = np.random.default_rng(2)
    noisy = {
        label: recorded(label, bump(0.5, 5) + generator.normal(0, 0.01, (8, 11)), stochastic=True)
        for label in ("truth", "first", "second")
    }
    alone = compare({label: noisy[label] for label in ("truth", "second")}, "truth", seed=3)
    together = compare(noisy, "truth", seed=3)
    assert alone.rows == tuple(row for row in together.rows if row.dynamics == "second")
    assert alone.rows != compare({label: noisy[label] for label in ("truth", "second")}, "truth", seed=4).rows


def test_wrong_input_is_refused():
    """Would catch a comparison with nobody, of nothing, or over an empty stretch of time."""
    two = {label: recorded(label, bump(0.5, 5)) for label in ("agents", "nash")}
    with pytest.raises(InputError, match=r"reference 'agent'.*did you mean 'agents'"):
        compare(two, "agent")
    with pytest.raises(InputError, match=r"observable 'occupancy\.II'.*did you mean 'occupancy\.I'"):
        compare(two, "agents", observables=["occupancy.II"])
    with pytest.raises(InputError, match="window"):
        compare(two, "agents", window=(5, 2))


def run_of(folder, *dynamics, reference, unit="day"):
    trajectories = {item.label: item for item in dynamics}
    comparison = compare(trajectories, reference, at_risk="S")
    return Results.of(trajectories, comparison, {"time_unit": unit, "at_risk": "S"}, Path(folder))


def test_runs_are_compared_under_their_folder_names():
    """Would catch runs whose labels collide, a lost attack rate, or a reference from the wrong run."""
    one = run_of("runs/one", recorded("agents", bump(0.5, 5)), recorded("nash", bump(0.4, 5)), reference="agents")
    two = run_of("runs/two", recorded("agents", bump(0.3, 5)), recorded("other", bump(0.4, 5)), reference="agents")
    comparison = compare_runs([one, two])
    assert comparison.reference == "one/agents"
    gaps = {(row.dynamics, row.measure): row.gap for row in comparison.rows if row.observable == "occupancy.I"}
    assert gaps["two/agents", "sup_gap"] == pytest.approx(0.2)
    assert ("two/agents", "attack_rate") in {(row.dynamics, row.measure) for row in comparison.rows}
    assert compare_runs([one, two], "other").reference == "two/other"
    with pytest.raises(InputError, match="it may be one/agents or two/agents"):
        compare_runs([one, two], "agents")
    with pytest.raises(InputError, match="different names"):
        compare_runs([one, one])
    hours = run_of("runs/hours", recorded("agents", bump(0.5, 5)), reference="agents", unit="hour")
    with pytest.raises(InputError, match="unit of time"):
        compare_runs([one, hours])
