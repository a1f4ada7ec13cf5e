"""Equilibria of games in discrete time: learning from the flow, one evaluation in each iteration.

    fictitious_play    L <- (1 - w) L + w L of the best response, with w = 1/(k + 2) in iteration k = 0, 1, ...
    picard             the same with a constant w, the option `damping`
    mirror_descent     y <- y - w Q of the policy, policy = softmax(y), with w the option `damping`, from y = 0

`anderson` and `newton` follow the path of `discrete_path`. Fictitious play and mirror descent make the same updates as
`FictitiousPlay(alpha=0)` and `OnlineMirrorDescent(alpha=w)` of MFGLib 0.3.0. Neither converges in every game: in cyclic ones
mirror descent circles.

Sources: Perrin et al., NeurIPS 2020, arXiv 2007.03458 (fictitious play); Perolat et al., arXiv 2103.00623 (mirror descent).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mesocosm_mfg.discrete_flow import DiscreteField, Evaluation, as_policy, greedy
from mesocosm_mfg.discrete_newton import ComplementaritySystem
from mesocosm_mfg.discrete_path import Stage, follow_path

FloatArray = NDArray[np.float64]

Report = Callable[[int, float], None]
"""Called with the number of an iteration, from 0, and the relative exploitability after it."""


@dataclass(frozen=True, eq=False)
class DiscreteEquilibrium:
    """What a method ended with.

    Attributes
    ----------
    policy: the best policy found, [time, state, action]. evaluation: of this policy.
    exploitabilities: of the initial guess, then after each iteration, in costs.
    residuals: the same relative to the mean absolute cost under the guess.
    converged: whether that of `policy` is within the tolerance.
    solves: linear systems solved; 0 for methods that learn.
    """

    policy: FloatArray
    evaluation: Evaluation
    residuals: FloatArray
    exploitabilities: FloatArray
    converged: bool
    solves: int


def solve_discrete(
    model: DiscreteField,
    guess: FloatArray,
    *,
    method: str,
    tolerance: float,
    iterations: int,
    damping: float,
    report: Report,
) -> DiscreteEquilibrium:
    """Iterate from `guess` [time, state, action] until the relative exploitability is within `tolerance`."""
    started = model.evaluate(guess)
    system: ComplementaritySystem | None = None
    if method == "fictitious_play":
        stages = fictitious_play(model, started, None)
    elif method == "picard":
        stages = fictitious_play(model, started, damping)
    elif method == "mirror_descent":
        stages = mirror_descent(model, guess, started, damping)
    else:
        system = ComplementaritySystem(model, guess, started)
        stages = follow_path(system)
    policy, best, within = guess, started, tolerance * started.scale
    exploitabilities = [started.exploitability]
    while best.exploitability > within and len(exploitabilities) <= iterations:
        found = next(stages, None)
        if found is None:
            break
        exploitabilities.append(found[1].exploitability)
        report(len(exploitabilities) - 2, exploitabilities[-1] / started.scale)
        if exploitabilities[-1] < best.exploitability:
            policy, best = found
    values = np.array(exploitabilities)
    return DiscreteEquilibrium(
        policy=policy,
        evaluation=best,
        residuals=np.maximum(values, 0.0) / started.scale,
        exploitabilities=values,
        converged=best.exploitability <= within,
        solves=system.solves if system else 0,
    )


def fictitious_play(model: DiscreteField, evaluation: Evaluation, weight: float | None) -> Iterator[Stage]:
    """Policies of fictitious play, with their evaluations; with a constant weight, of the damped best response."""
    number = 0
    while True:
        share = 1.0 / (number + 2) if weight is None else weight
        best = model.flow(greedy(evaluation.best_cost_to_come))
        policy = as_policy((1.0 - share) * evaluation.flow + share * best)
        evaluation = model.evaluate(policy)
        yield policy, evaluation
        number += 1


def mirror_descent(model: DiscreteField, policy: FloatArray, evaluation: Evaluation, rate: float) -> Iterator[Stage]:
    """Policies of online mirror descent, with their evaluations."""
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(policy), np.log(np.finfo(float).tiny))
    while True:
        logits = logits - rate * evaluation.cost_to_come
        policy = np.asarray(softmax(logits, axis=-1), np.float64)
        evaluation = model.evaluate(policy)
        yield policy, evaluation
