"""Seeds: the named streams of the context decide every random number, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mesocosm.testing.applies import AGENTS, all_of, complete_record, stochastic
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import basic, empty, epidemic, problem, ring
from mesocosm.testing.statistics import require_spread, require_uncorrelated
from mesocosm.testing.subject import LABEL, DynamicsSubject, as_bytes, observations
from mesocosm.testing.watching import global_states, poisoned


@rule("seeds")
def same_seed_same_bytes(subject: DynamicsSubject) -> None:
    """Two runs with the same seed and label agree to the last bit, whatever the global generators hold."""
    runs = []
    for poison in (1, 2):
        with poisoned(poison):
            runs.append(as_bytes(observations(subject.make(basic("seeds")))))
    if runs[0] != runs[1]:
        save = next(index for index, (first, second) in enumerate(zip(*runs, strict=True)) if first != second)
        raise ConformanceError(
            f"two runs with one seed differ from save {save} on",
            hint="take every generator from self.context.streams; iterate over no set",
        )


@rule("seeds")
def leaves_global_generators_alone(subject: DynamicsSubject) -> None:
    """It draws no number from the global generators of Python, NumPy or torch, or puts their states back."""
    subject.make(basic("globals"))  # what is loaded now does not count
    before = global_states()
    for _ in observations(subject.make(basic("globals"))):
        pass
    after = global_states()
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise ConformanceError(
            f"draws from the global generator of {' and '.join(changed)}",
            hint="hand a generator from self.context.streams to the library, or restore the state",
        )


@rule("seeds", applies=all_of(stochastic, complete_record))
def other_labels_other_noise(subject: DynamicsSubject) -> None:
    """Two labels of one scenario share no noise, nor do two seeds."""
    # All start infected, so that nothing but the noise of the run can differ.
    posed = problem(ring(60, 3), epidemic(0.0, 0.3), (0.0, 1.0, 0.0), name="labels")
    first = as_bytes(observations(subject.make(posed)))
    if first == as_bytes(observations(subject.make(posed, f"{LABEL}-2"))):
        raise ConformanceError(
            "two labels draw the same numbers", hint="use self.context.streams, not a seed of your own"
        )
    if first == as_bytes(observations(subject.make(replace(posed, seed=posed.seed + 1)))):
        raise ConformanceError(
            "two seeds draw the same numbers", hint="use self.context.streams, not a seed of your own"
        )


@rule(
    "seeds",
    detects="a variance that is off by half, or a correlation of 0.33 between neighbouring replicates",
    applies=AGENTS,
)
def replicates_are_independent(subject: DynamicsSubject) -> None:
    """Replicates share no noise: the spread of independent recoveries is binomial, neighbouring replicates uncorrelated."""
    size, draws = 100, 500
    posed = problem(empty(size), epidemic(0.0, 0.5), (0.0, 1.0, 0.0), name="independent", end=2.0, save_every=2.0)
    found = subject.sample(posed, draws)[:draws, -1, 2]
    share = found.mean()
    require_spread(found, np.asarray(share * (1 - share) / size), "the variance of recoveries over the binomial one")
    require_uncorrelated(np.stack([found[:-1], found[1:]], axis=1), "neighbouring replicates")


@rule("seeds", detects="a correlation of 0.19 between the noise of two intervals", applies=AGENTS)
def intervals_are_independent(subject: DynamicsSubject) -> None:
    """An interval has noise of its own: who recovers in one says nothing about the next."""
    size, draws = 100, 500
    posed = problem(empty(size), epidemic(0.0, 0.3), (0.0, 1.0, 0.0), name="intervals", end=4.0)
    infected = subject.sample(posed, draws)[:draws, :, 1] * size
    leaving = infected[:, :-1] - infected[:, 1:]
    chance = leaving.sum(axis=0) / infected[:, :-1].sum(axis=0)
    if (chance == 0).any():
        raise ConformanceError(
            f"nobody recovers in interval {int(np.argmin(chance))}", hint="name a stream by its interval"
        )
    noise = leaving - infected[:, :-1] * chance
    require_uncorrelated(np.stack([noise[:, :-1].ravel(), noise[:, 1:].ravel()], axis=1), "two intervals")


RULES = (
    same_seed_same_bytes,
    leaves_global_generators_alone,
    other_labels_other_noise,
    replicates_are_independent,
    intervals_are_independent,
)
