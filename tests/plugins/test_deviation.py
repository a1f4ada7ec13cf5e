"""The gain from deviating alone: against closed forms, against the exploitability in mean field, and what may not change.

Would catch a deviator whose others change their random numbers, a best response to the wrong flow, a martingale that is
none, a standard error that is too small, and a gain that is not that of N players. Bounds are 4 standard errors.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mesocosm
from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    Feedback,
    InputError,
    MeanField,
    Policy,
    Population,
    Problem,
    constant_control,
    half_step_grid,
    resolve_device,
)
from mesocosm_agents.deviation import Deviating, Trials, measure, summarise
from mesocosm_agents.diffusion_deviation import DiffusionRerun
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.finite_deviation import FiniteRerun
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_games.diffusion_options import InterbankOptions
from mesocosm_games.epidemics import SIR
from mesocosm_games.interbank import Interbank
from mesocosm_games.options import EffortOptions, SIROptions


@pytest.fixture
def make():
    """A dynamics on a hand-made problem; `policy` is an option, or a policy that another dynamics found."""

    def build(game, graph, *, end=1.0, shares=(), policy="none", seed=5, **options):
        found = policy if isinstance(policy, Policy) else None
        problem = Problem(
            name="hand-made",
            seed=seed,
            game=game,
            graph=graph,
            population=Population(graph.node_count, np.array(shares, float)),
            clock=Clock(end, 1.0),
            device=resolve_device("cpu"),
            precision="float64",
            draw=lambda replicate: graph,
        )
        context = Context("agents", problem.streams("agents"), policy_of=lambda label: found)
        chosen = {"replicates": 1, "policy": policy if found is None else {"from": "other"}} | options
        dynamics = AgentBased(problem, AgentBasedOptions(**chosen), context)
        dynamics.check()
        return dynamics

    return build


def sir(beta=0.4, gamma=0.125, cost=0.1):
    return SIR(SIROptions(beta=beta, gamma=gamma, effort=EffortOptions(cost=cost, infection_cost=1.0, minimum=0.01)))


def trials_of(dynamics, count):
    size = dynamics.problem.graph.node_count
    return Trials.draw(count, dynamics.replicates, size, dynamics.context.streams)


def run(dynamics):
    """What it knows at the end."""
    state = dynamics.init()
    for interval in dynamics.problem.clock.intervals():
        state = dynamics.advance(state, interval)
    return dynamics.summary(state)


def within(values, exact, *, relative):
    """Within 4 standard errors, and these small enough to see the relative error that is named."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert 4 * error < relative * abs(exact), f"no power: 4 s.e. are {4 * error / abs(exact):.3g} of it"
    assert abs(values.mean() - exact) < 4 * error, f"{values.mean():.6g} +- {error:.2g}, not {exact:.6g}"


# --- inter-bank lending: one bank leaves the mean-field gain ---------------------------------------------------------

RHO, A, Q, EPSILON, C = 0.2, 0.1, 0.1, 0.5, 0.5
BANK = InterbankOptions(correlation=RHO)


def riccati(right):
    """eta(t) on [0, 1] with eta(1) = c and eta' = right(t, eta)."""
    solved = solve_ivp(lambda t, y: right(t, y[0]), (1.0, 0.0), [C], rtol=1e-11, atol=1e-13, dense_output=True)
    return lambda t: solved.sol(t)[0]


def bank_gains(size):
    """Gains on G = mean - X: of the mean-field policy, and of one of `size` banks that answers best to all others playing it.

    The others' gain k moves the mean: dG = [-(1 - 1/N) alpha - (a + k/N) G] dt + noise. So with value p G^2 / 2 + r the best
    response is alpha = [q + (1 - 1/N) p] G, with p' = (q + (1 - 1/N) p)^2 - eps + 2 p (a + k/N), p(T) = c.
    """
    others = 1 - 1 / size
    eta = riccati(lambda t, y: 2 * (A + Q) * y + y**2 - (EPSILON - Q**2))
    p = riccati(lambda t, y: (Q + others * y) ** 2 - EPSILON + 2 * y * (A + (Q + eta(t)) / size))
    return (lambda t: Q + eta(t)), (lambda t: Q + others * p(t))


def bank_cost(size, all_play, one_plays, steps):
    """Expected cost of one bank that starts at the mean, by the recursion of the scheme for the variance of its G."""
    others, step, variance, cost = 1 - 1 / size, 1 / steps, 0.0, 0.0
    for t in np.arange(steps) * step:
        k, alpha = all_play(t), one_plays(t)
        cost += step * (0.5 * alpha**2 - Q * alpha + EPSILON / 2) * variance
        kept = 1 - step * (others * alpha + A + k / size)
        variance = kept**2 * variance + (1 - RHO**2) * others * step
    return cost + C / 2 * variance


def test_gain_of_one_bank_that_leaves_the_mean_field_policy(make):
    """Simulated gains of 10 and 20 banks against the closed form: positive, falling with N, within 4 standard errors.

    The closed form is that of the scheme at its step of 0.02, whose limit is the Riccati value 0.00037795 (N = 10).
    """
    found = []
    for size in (10, 20):
        all_play, one_plays = bank_gains(size)
        own = 1 - 1 / size
        best = Feedback(lambda t, state, field, gain=one_plays, own=own: gain(t) * own * (field - state))
        dynamics = make(
            Interbank(BANK), ContactGraph.complete(size), policy="mean_field", replicates=2000, deviations=0, step=0.02
        )
        gains = measure(DiffusionRerun(dynamics.problem, dynamics.walk), trials_of(dynamics, 2000), best)
        exact = bank_cost(size, all_play, all_play, 50) - bank_cost(size, all_play, one_plays, 50)
        within(gains, exact, relative=0.08)
        found.append(gains)
    assert found[0].mean() > 2 * found[1].mean() > 0.0


def test_the_recursion_tends_to_the_riccati_value():
    """The reference of the test above: by extrapolation to step 0 it is r_k - r = int sigma^2/2 (p_k - p) dt."""
    size, others = 10, 0.9
    all_play, one_plays = bank_gains(size)
    fine, coarse = (
        bank_cost(size, all_play, all_play, steps) - bank_cost(size, all_play, one_plays, steps) for steps in (800, 400)
    )
    p = riccati(lambda t, y: (Q + others * y) ** 2 - EPSILON + 2 * y * (A + all_play(t) / size))
    kept = riccati(lambda t, y: -(all_play(t) ** 2) + 2 * Q * all_play(t) - EPSILON + 2 * y * (A + all_play(t)))
    times = (np.arange(2000) + 0.5) / 2000
    exact = (1 - RHO**2) * others / 2 * np.mean([kept(t) - p(t) for t in times])
    assert 2 * fine - coarse == pytest.approx(exact, rel=1e-3)
    assert exact == pytest.approx(0.00037795, rel=1e-4)


def test_a_run_of_banks_reports_a_gain_that_falls_with_their_number(make):
    """With the best response on a grid: positive at N = 10 by more than 4 standard errors, and lower at N = 40."""
    gains = {}
    for size in (10, 40):
        dynamics = make(Interbank(BANK), ContactGraph.complete(size), policy="mean_field", replicates=400, step=0.05)
        gains[size] = run(dynamics)
        assert gains[size]["deviations"] == 400
    assert gains[10]["deviation_gain"] > 4 * gains[10]["deviation_gain_error"] > 0
    assert gains[10]["deviation_gain"] > 4 * gains[40]["deviation_gain"]


# --- contact effort in an epidemic -----------------------------------------------------------------------------------

SIR_SHARES = (0.95, 0.05, 0.0)


def mean_field(problem):
    nodes = half_step_grid(problem.clock.times, 10)
    return MeanField(problem.game, problem.graph.mixing("homogeneous"), problem.population.shares[None], nodes)


def test_gain_without_effort_is_the_exploitability(make):
    """800 agents that never avoid contacts, against the mean field; and a deviator that hides too little is seen."""
    graph, shares = ContactGraph.complete(800), SIR_SHARES
    dynamics = make(sir(), graph, end=30.0, shares=shares, replicates=96, step=0.1, deviations=0)
    model = mean_field(dynamics.problem)
    control = model.neutral()
    exact = model.exploitability(model.flow(control), control)
    rerun, trials = FiniteRerun(dynamics.problem, dynamics._play), trials_of(dynamics, 96)
    kept = rerun.costs(trials, None)
    gains = kept - rerun.costs(trials, rerun.best_response())
    # Agents that start infected gain nothing: the share of the others is known, and is taken as such.
    starts = dynamics.init().states[np.arange(96), trials.agents]
    np.testing.assert_allclose(gains[starts == 1], 0.0, atol=1e-9)
    within(0.95 * gains[starts == 0], exact, relative=0.02)
    timid = kept - rerun.costs(trials, constant_control(dynamics.problem.game, 0.1))
    with pytest.raises(AssertionError, match="not"):
        within(0.95 * timid[starts == 0], exact, relative=0.02)


def test_gain_at_the_nash_equilibrium_is_nothing():
    """1000 agents that play the Nash policy of the mean field: at most 1 % of what they would gain without it."""
    scenario = mesocosm.parse("""
        mesocosm: 1
        name: nash
        seed: 4
        time: {end: 30, save_every: 1}
        population: {size: 1000, initial: {I: 0.05}}
        graph: {kind: complete}
        game: {kind: sir, beta: 0.4, gamma: 0.125, effort: {cost: 0.1, infection_cost: 1, minimum: 0.01}}
        dynamics:
          nash: {kind: classical_mfg}
          agents: {kind: agent_based, replicates: 32, step: 0.2, policy: {from: nash}}
        """)
    found = mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))["agents"].variables
    gain, error = (float(found[name].values) for name in ("deviation_gain", "deviation_gain_error"))
    assert 4 * error < 0.04
    assert abs(gain) < 4 * error + 0.005
    assert found["deviations"].values == 32


def test_the_martingale_has_mean_zero(make):
    """Costs with and without it agree within 4 standard errors of their difference, on a graph and at small N.

    The value that it is built on is wrong there, as an agent's contacts are few; it must do no harm.
    """
    graph = ContactGraph.from_edges(6, [0, 0, 1, 2, 3, 4], [1, 2, 2, 3, 4, 5])
    dynamics = make(sir(1.0, 0.01), graph, end=4.0, shares=(2 / 3, 1 / 3, 0), replicates=10000, step=0.2, deviations=0)
    rerun, trials = FiniteRerun(dynamics.problem, dynamics._play), trials_of(dynamics, 10000)
    paths = rerun._run(trials, None)
    chance = rerun._chance(paths, rerun._value(dynamics._policy))
    error = chance.std() / np.sqrt(len(chance))
    assert abs(chance.mean()) < 4 * error < 0.01 * paths.paid.mean()
    assert (paths.paid - chance).std() < 0.9 * paths.paid.std()


# --- what may not change ---------------------------------------------------------------------------------------------


class Half(Policy):
    """Half the contacts, whatever the field; looks at it all the same."""

    uses_field: ClassVar[bool] = True

    def control(self, t, row, state, field):
        assert field is not None
        return np.where(np.asarray(state) == 0, 0.5, 1.0)


@pytest.mark.parametrize("redraw", [False, True])
def test_nobody_gains_by_playing_what_all_play(make, redraw):
    """Exactly 0, whether the policy looks at the field or not: random numbers and the deviator's control are the same."""
    options = {"replicates": 3, "redraw": redraw, "deviations": 0}
    finite = make(sir(), ContactGraph.complete(30), end=5.0, shares=SIR_SHARES, policy={"constant": 0.5}, **options)
    bank = make(Interbank(BANK), ContactGraph.complete(7), policy="n_player", **options)
    for rerun, dynamics in (
        (FiniteRerun(finite.problem, finite._play), finite),
        (DiffusionRerun(bank.problem, bank.walk), bank),
    ):
        trials = trials_of(dynamics, 6)
        np.testing.assert_array_equal(measure(rerun, trials, dynamics._policy), 0.0)
    rerun = FiniteRerun(finite.problem, finite._play)
    np.testing.assert_array_equal(measure(rerun, trials_of(finite, 6), Half()), 0.0)


def test_only_the_deviator_plays_something_else():
    """Would catch a deviator in the wrong run, or others that follow it."""
    all_play, best = constant_control(sir(), 0.5), constant_control(sir(), 0.25)
    states = np.zeros((3, 4), np.int8)
    found = Deviating(all_play, best, np.array([2, 0, 3])).control(0.0, np.zeros(4, np.int64), states, None)
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0.25, 0.5], [0.25, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.25]])


def test_trials_go_through_replicates_before_they_take_a_second_agent():
    """Seven trials in three replicates: no agent of a replicate twice, and the first ones do not depend on how many follow."""
    streams = mesocosm.Streams(1, "agents")
    trials = Trials.draw(7, 3, 5, streams)
    np.testing.assert_array_equal(trials.replicates, [0, 1, 2, 0, 1, 2, 0])
    assert len({(int(r), int(a)) for r, a in zip(trials.replicates, trials.agents, strict=True)}) == 7
    np.testing.assert_array_equal(Trials.draw(2, 3, 5, streams).agents, trials.agents[:2])


def test_when_gains_are_measured(make):
    """By default where a policy is played and the run is small enough; never without a control; 0 is none."""

    def reported(policy="none", size=20, **options):
        dynamics = make(sir(), ContactGraph.complete(size), shares=SIR_SHARES, policy=policy, **options)
        return run(dynamics).get("deviations")

    assert reported() is None
    assert reported({"constant": 0.5}, replicates=3) == 3
    assert reported({"constant": 0.5}, deviations=0) is None
    assert reported({"constant": 0.5}, size=3000, replicates=7, step=0.001) is None
    assert reported(deviations=5) == 5


def test_measuring_changes_no_trajectory(make):
    """States and costs are the same bytes with and without deviations."""
    found = []
    for deviations in (0, 4):
        dynamics = make(
            sir(), ContactGraph.complete(40), shares=SIR_SHARES, policy={"constant": 0.5}, deviations=deviations
        )
        found.append(run(dynamics)["cost"].values)
    np.testing.assert_array_equal(*found)


def test_deviations_that_there_cannot_be(make):
    """More than there are agents, or in a game without a choice."""
    graph = ContactGraph.complete(5)
    with pytest.raises(InputError, match="11 deviations"):
        make(sir(), graph, shares=SIR_SHARES, replicates=2, deviations=11)
    with pytest.raises(InputError, match="1 deviations"):
        make(SIR(SIROptions(beta=1.0, gamma=0.0)), graph, shares=SIR_SHARES, deviations=1)


def test_mean_and_standard_error():
    """Of 1, 2, 3, 6: mean 3 and error sqrt(14/3) / 2; of one trial the error is unknown."""
    found = summarise(np.array([1.0, 2.0, 3.0, 6.0]))
    assert found == pytest.approx({"deviation_gain": 3.0, "deviation_gain_error": np.sqrt(14 / 3) / 2, "deviations": 4})
    assert np.isnan(summarise(np.array([1.0]))["deviation_gain_error"])
