"""Restart: a state is all that there is to go on from, and where it was saved does not matter."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mesocosm.testing.applies import THE_GAME
from mesocosm.testing.check import ConformanceError, NotApplicable, rule
from mesocosm.testing.contact_rules import STEP
from mesocosm.testing.problems import basic, epidemic, problem, ring
from mesocosm.testing.statistics import require_equal_means
from mesocosm.testing.subject import DynamicsSubject, as_bytes, observations

HALFWAY = 3


@rule("restart", detects="an error of 10 % in the length of an interval that does not start at 0", applies=THE_GAME)
def intervals_add_up(subject: DynamicsSubject) -> None:
    """One long interval and several short ones lead to the same law, and to the same shares for a deterministic dynamics."""
    fine = subject.with_options(step=STEP)
    one, many = (
        problem(
            ring(100, 2),
            epidemic(0.2, 0.4),
            (0.3, 0.7, 0.0),
            name="long and short",
            seed=seed,
            end=4.0,
            save_every=every,
        )
        for seed, every in ((1, 4.0), (2, 1.0))
    )
    first, second = (fine.sample(posed, 500)[:, -1] for posed in (one, many))
    if subject.cls.stochastic:
        require_equal_means(first, second, "a share at the end of one long interval")
    elif np.abs(first - second).max() > 1e-5:
        raise ConformanceError(
            f"one interval and four differ by {np.abs(first - second).max():.2g} in a share",
            hint="advance by interval.stop - interval.start, at times between them",
        )


@rule("restart")
def the_state_is_all_there_is(subject: DynamicsSubject) -> None:
    """Another instance that is given the state goes on as the first one would have."""
    whole = as_bytes(observations(subject.make(basic("another"))))
    first = subject.make(basic("another"))
    state = first.init()
    for interval in list(first.problem.clock.intervals())[:HALFWAY]:
        state = first.advance(state, interval)
    rest = as_bytes(observations(subject.make(basic("another")), state, HALFWAY))
    if rest != whole[HALFWAY:]:
        raise ConformanceError(
            "another instance goes on differently from the same state",
            hint="keep what changes in the state, not in self",
        )


@rule("restart")
def stops_restores_and_goes_on(subject: DynamicsSubject) -> None:
    """A run goes on from a packed state, in a new instance with the same folder, as if it had not been stopped."""
    with TemporaryDirectory() as folder:
        whole = as_bytes(observations(subject.make(basic("restored"))))
        first = subject.make(basic("restored"), folder=Path(folder))
        state = first.init()
        for interval in list(first.problem.clock.intervals())[:HALFWAY]:
            state = first.advance(state, interval)
        packed = first.pack(state)
        if packed is None:
            raise NotApplicable("it does not pack its state: a run that is resumed starts it again from time 0")
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{name: np.asarray(values) for name, values in packed.items()})
        buffer.seek(0)
        with np.load(buffer, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        second = subject.make(basic("restored"), folder=Path(folder))
        rest = as_bytes(observations(second, second.unpack(arrays), HALFWAY))
    if rest != whole[HALFWAY:]:
        raise ConformanceError("goes on differently from a packed state", hint="pack everything that advance reads")


RULES = (intervals_add_up, the_state_is_all_there_is, stops_restores_and_goes_on)
