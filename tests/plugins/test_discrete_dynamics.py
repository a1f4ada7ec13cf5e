"""Games in discrete time, in mean field and agent by agent.

Catches agents that draw actions or moves with wrong probabilities, pay at the wrong time or against the wrong distribution, a
policy that is not the one asked for, options that mean nothing here and are silently ignored, and a run that does not go on
from where it was stopped.
"""

from __future__ import annotations

import numpy as np
import pytest

import mesocosm
from mesocosm import DynamicsError, InputError, MesocosmError, ScenarioError, Trajectories

SCENARIO = """
mesocosm: 1
name: discrete
seed: 5
time: {{end: {end}, save_every: 1}}
population: {{size: {size}{initial}}}
graph: {graph}
game: {{kind: {kind}}}
dynamics:
{dynamics}
"""

COMPLETE = "{kind: complete}"
INFECTED = ", initial: {S: 0.4, I: 0.6}"


def simulate(
    dynamics: dict[str, str],
    *,
    kind: str = "left_right",
    end: int = 1,
    size: int = 100,
    initial: str = "",
    graph: str = COMPLETE,
) -> dict[str, Trajectories]:
    """Run dynamics, each given as what stands between the braces of a scenario."""
    lines = "\n".join(f"  {label}: {{{options}}}" for label, options in dynamics.items())
    text = SCENARIO.format(end=end, size=size, initial=initial, graph=graph, kind=kind, dynamics=lines)
    scenario = mesocosm.parse(text)
    return mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over replicates, the first axis."""
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def test_few_agents_pay_what_the_binomial_says() -> None:
    """By hand: N agents that go left with probability p pay p^2 + 2 q^2 + 3 p q / N each; at p = 2/3 it is 2/3 (1 + 1/N).

    The standard error is a third of a per cent of the 10 % by which N = 10 differs from the mean field.
    """
    found = simulate(
        {
            "nash": "kind: classical_mfg",
            "agents": "kind: agent_based, replicates: 4000, policy: {from: nash}",
        },
        size=10,
    )
    cost = found["agents"].array("cost")
    assert standard_error(cost) < 0.003
    assert abs(cost.mean() - 2 / 3 * 1.1) < 4 * standard_error(cost)
    shares = found["agents"].array("action_shares")[:, 0, 0]
    assert abs(shares.mean() - 2 / 3) < 4 * standard_error(shares)
    assert shares.var() == pytest.approx(2 / 9 / 10, rel=0.1)


def test_many_agents_follow_the_mean_field() -> None:
    """Within 4 standard errors and the bias 1/N, at every step, under the policy of all actions alike."""
    size = 20_000
    found = simulate(
        {"mean": "kind: classical_mfg, policy: none", "agents": "kind: agent_based, replicates: 40"},
        kind="susceptible_infected",
        end=20,
        size=size,
        initial=INFECTED,
    )
    for name in ("occupancy", "action_shares"):
        limit, seen = found["mean"].array(name)[0], found["agents"].array(name)
        error = standard_error(seen)
        assert error.max() < 0.002
        assert (np.abs(seen.mean(axis=0) - limit) <= 4 * error + 2 / size).all()
    cost = found["agents"].array("cost")
    assert standard_error(cost) < 0.005 * cost.mean()
    assert abs(cost.mean() - float(found["mean"].array("value"))) < 4 * standard_error(cost)


def test_agents_move_by_the_beach() -> None:
    """Catches moves that lose the ends of the beach or its random pushes: the mean field of the beach, place by place."""
    found = simulate(
        {
            "nash": "kind: classical_mfg",
            "agents": "kind: agent_based, replicates: 50, policy: {from: nash}",
        },
        kind="beach_bar",
        end=4,
        size=5000,
    )
    seen, limit = found["agents"].array("occupancy"), found["nash"].array("occupancy")[0]
    assert found["nash"].array("converged") == 1.0
    assert seen.sum(axis=-1) == pytest.approx(1.0)
    assert (np.abs(seen.mean(axis=0) - limit) <= 4 * standard_error(seen) + 1e-12).all()


def test_replicates_differ_and_seeds_repeat() -> None:
    """Catches one stream for all replicates, and randomness from elsewhere."""
    agents = {"agents": "kind: agent_based, replicates: 3"}
    first, again = (simulate(agents, end=6, size=50)["agents"].array("action_shares") for _ in range(2))
    assert (first == again).all()
    assert not (first[0] == first[1]).all()
    assert not (first[0, 0] == first[0, 1]).all()


def test_the_policy_of_one_solver_starts_another() -> None:
    """Catches an initial guess that is ignored: from the equilibrium itself, no iteration is needed."""
    found = simulate(
        {
            "nash": "kind: classical_mfg, tolerance: 1e-9",
            "again": "kind: classical_mfg, method: fictitious_play, initial_guess: {from: nash}, tolerance: 1e-8",
            "played": "kind: classical_mfg, policy: {from: nash}",
        },
        kind="beach_bar",
        end=3,
    )
    assert found["again"].array("iterations") == 0.0
    assert found["again"].array("converged") == 1.0
    assert found["played"].array("value") == pytest.approx(found["nash"].array("value"), rel=1e-12)
    assert "iterations" not in found["played"].variables


@pytest.mark.parametrize(
    ("method", "gap"), [("fictitious_play", 0.05), ("picard", 0.3), ("mirror_descent", 0.05), ("newton", 1e-9)]
)
def test_every_method_comes_down(method: str, gap: float) -> None:
    """Catches a method that is another one under its name: how far each gets in 60 iterations of the beach bar."""
    found = simulate(
        {"mean": f"kind: classical_mfg, method: {method}, iterations: 60, damping: 0.1, tolerance: 1e-10"},
        kind="beach_bar",
        end=2,
    )["mean"]
    values = found.array("exploitability_by_iteration")
    assert values.min() == pytest.approx(float(found.array("exploitability")), abs=1e-12)
    assert values.min() < gap * values[0]
    assert found.array("converged") == float(method == "newton")
    assert found.array("iterations") == len(values) - 1 <= 60


def test_fictitious_play_does_not_claim_to_have_converged() -> None:
    """Catches `converged` that is always true: fictitious play falls like 1/k."""
    found = simulate({"mean": "kind: classical_mfg, method: fictitious_play, iterations: 20"})["mean"]
    assert found.array("converged") == 0.0
    assert found.array("residual")[-1] > 1e-3


@pytest.mark.parametrize(
    ("dynamics", "says"),
    [
        ("kind: classical_mfg, closure: degree", "closure degree"),
        ("kind: classical_mfg, cells: 100", "cells 100"),
        ("kind: classical_mfg, policy: {constant: 1}", "has no control"),
        ("kind: classical_mfg, initial_guess: better", "policy 'better'"),
        ("kind: agent_based, step: 0.5", "step 0.5"),
        ("kind: agent_based, engine: mesa", "engine mesa"),
        ("kind: agent_based, deviations: 3", "deviations 3"),
        ("kind: agent_based, policy: better", "policy 'better'"),
    ],
)
def test_what_means_nothing_here_is_refused(dynamics: str, says: str) -> None:
    """Catches an option that is read, means nothing in discrete time, and is silently ignored."""
    with pytest.raises((InputError, DynamicsError, ScenarioError), match=says):
        simulate({"it": dynamics})


def test_agents_need_everyone_as_their_contact() -> None:
    """Catches agents on a sparse graph that are given the distribution of all as if it were that of their contacts."""
    with pytest.raises(MesocosmError, match="that is not complete"):
        simulate({"agents": "kind: agent_based"}, size=20, graph="{kind: regular, degree: 4}")


def test_a_policy_for_another_horizon_is_refused() -> None:
    """Catches a policy whose table is too short for the run and is played up to its end."""
    from mesocosm import Context, DiscretePolicy
    from mesocosm_agents.dynamics import AgentBased
    from mesocosm_agents.options import AgentBasedOptions

    text = SCENARIO.format(
        end=3, size=20, initial="", graph=COMPLETE, kind="left_right", dynamics="  a: {kind: agent_based}"
    )
    problem = mesocosm.build(mesocosm.parse(text))
    short = DiscretePolicy.uniform(problem.discrete_game, np.arange(2.0))
    context = Context("a", problem.streams("a"), policy_of=lambda _: short)
    agents = AgentBased(problem, AgentBasedOptions(policy={"from": "b"}), context)
    with pytest.raises(InputError, match="a policy of shape"):
        agents.init()


def test_a_stopped_run_goes_on_with_the_same_agents() -> None:
    """Catches a state that is packed without its actions or its costs."""
    from mesocosm import Context
    from mesocosm_agents.dynamics import AgentBased
    from mesocosm_agents.options import AgentBasedOptions

    text = SCENARIO.format(
        end=4, size=30, initial="", graph=COMPLETE, kind="beach_bar", dynamics="  a: {kind: agent_based}"
    )
    problem = mesocosm.build(mesocosm.parse(text))
    agents = AgentBased(problem, AgentBasedOptions(replicates=2), Context("a", problem.streams("a")))
    straight = stopped = agents.init()
    for interval in problem.clock.intervals():
        straight = agents.advance(straight, interval)
        packed = agents.pack(stopped)
        assert packed is not None
        stopped = agents.advance(agents.unpack(packed), interval)
    for name, value in agents.observe(straight).items():
        assert (value == agents.observe(stopped)[name]).all()
    assert (agents.summary(straight)["cost"].values == agents.summary(stopped)["cost"].values).all()
