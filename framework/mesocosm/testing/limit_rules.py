"""Limits: cases in which the answer is known without any dynamics."""

from __future__ import annotations

import numpy as np

from mesocosm import ContactGraph
from mesocosm.testing.applies import AGENTS, THE_GAME, all_of, option
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.contact_rules import STEP
from mesocosm.testing.oracles import PairLaw, mean_field
from mesocosm.testing.problems import epidemic, pairs, problem, ring
from mesocosm.testing.statistics import LIMIT, require_mean, require_spread
from mesocosm.testing.subject import DynamicsSubject

CLOSURE_ERROR = 1e-3
"""By how much a deterministic dynamics may miss the mean field."""


@rule("limits", applies=THE_GAME)
def zero_rates_change_nothing(subject: DynamicsSubject) -> None:
    """Where all rates are zero, nothing moves."""
    found = subject.run(problem(ring(60, 3), epidemic(0.0, 0.0), name="zero")).array("occupancy")
    if np.abs(found - found[:, :1]).max() > 1e-12:
        raise ConformanceError(f"a share moves by {np.abs(found - found[:, :1]).max():.3g} although all rates are zero")


@rule(
    "limits", detects="an error of 5 % in the rate of infection along a contact, or in that of recovery", applies=AGENTS
)
def two_nodes_have_the_exact_law(subject: DynamicsSubject) -> None:
    """On separate pairs, one infected and one susceptible, mean and spread of all shares are those of the Markov chain."""
    count, draws, law = 100, 580, PairLaw(beta=1.0, gamma=0.25)
    groups = {"first": (0.0, 1.0, 0.0), "second": (1.0, 0.0, 0.0)}
    posed = problem(
        pairs(count), epidemic(law.beta, law.gamma), (0.5, 0.5, 0.0), name="pairs", save_every=1.5, groups=groups
    )
    sample = subject.with_options(step=STEP).sample(posed, draws)[:, 1:]
    mean, variance = law.moments(posed.clock.times[1:])
    error = np.sqrt(variance / (count * len(sample)))
    require_mean(sample, mean, "the share in S, I or R of pairs", error=error)
    require_spread(sample, variance / count, "the variance of the shares of pairs over the exact one")


@rule("limits", detects="an error of 5 % in the rate of contact (a closure: of 0.3 %)", applies=THE_GAME)
def complete_graph_has_the_mean_field(subject: DynamicsSubject) -> None:
    """On a large complete graph the mean is that of the mean-field equation, within noise and 1/N."""
    size, draws, beta, gamma, shares = 1000, 100, 1.0, 0.25, (0.9, 0.1, 0.0)
    posed = problem(
        ContactGraph.complete(size), epidemic(beta, gamma), shares, name="complete", end=8.0, save_every=2.0
    )
    sample = subject.with_options(step=STEP).sample(posed, draws)
    expected = mean_field(beta, gamma, shares, posed.clock.times)
    if not subject.cls.stochastic:
        gap = float(np.abs(sample - expected).max())
        if gap > CLOSURE_ERROR:
            raise ConformanceError(f"a share is {gap:.3g} from the mean field", rule=f"at most {CLOSURE_ERROR:g}")
        return
    # The mean of finitely many agents is off by an amount of the order of 1/N: move it that far at most.
    gap = sample.mean(axis=0) - expected
    nearest = expected + np.clip(gap, -1 / size, 1 / size)
    require_mean(sample[:, 1:], nearest[1:], "the share in S, I or R on a complete graph")


@rule(
    "limits",
    detects="an error in a share that grows by 0.03 when the step is halved",
    applies=all_of(THE_GAME, option("step")),
)
def halving_the_step_converges(subject: DynamicsSubject) -> None:
    """With the option `step` halved, answers come closer together: from 0.2 to 0.1 they move by no more than from 0.4 to
    0.2, up to noise."""
    size, draws = 500, 200
    posed = problem(
        ContactGraph.complete(size), epidemic(2.0, 0.5), (0.8, 0.2, 0.0), name="halving", end=4.0, save_every=2.0
    )
    samples = [subject.with_options(step=step).sample(posed, draws) for step in (0.4, 0.2, 0.1)]
    means = [sample.mean(axis=0) for sample in samples]
    first, second = np.abs(means[1] - means[0]), np.abs(means[2] - means[1])
    excess = second - first
    if not subject.cls.stochastic:
        error, limit = np.ones_like(excess), 1e-6
    else:
        # The middle mean stands in both differences. Below rounding there is no error to measure.
        variances = [sample.var(axis=0, ddof=1) / len(sample) for sample in samples]
        error, limit = np.sqrt(variances[0] + 4 * variances[1] + variances[2]), LIMIT
    gap = excess / np.maximum(error, 1e-9)
    worst = np.unravel_index(int(gap.argmax()), gap.shape)
    if gap[worst] > limit:
        noise = f": {gap[worst]:.1f} standard errors more, {limit:.1f} are allowed" if subject.cls.stochastic else ""
        raise ConformanceError(
            f"a share moves by {first[worst]:.4f} from step 0.4 to 0.2 and by {second[worst]:.4f} from 0.2 to 0.1{noise}",
            hint="use mesocosm.substeps: equal steps of at most `step` that fill the interval",
        )


RULES = (
    zero_rates_change_nothing,
    two_nodes_have_the_exact_law,
    complete_graph_has_the_mean_field,
    halving_the_step_converges,
)
