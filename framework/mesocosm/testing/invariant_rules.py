"""Invariants: shares are shares, agents are whole, and who is in an absorbing state stays there."""

from __future__ import annotations

import numpy as np

from mesocosm.testing.applies import AGENTS, THE_GAME, complete_record
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import basic, epidemic, problem, ring
from mesocosm.testing.subject import DynamicsSubject, observations

ROUNDING = 1e-9


@rule("invariants", applies=complete_record)
def conserves_mass(subject: DynamicsSubject) -> None:
    """In float64, shares lie in [0, 1] and add up to 1 within 1e-9 at every save."""
    for save, seen in enumerate(observations(subject.make(basic("mass")))):
        shares = np.asarray(seen["occupancy"], np.float64)
        lost = float(np.abs(shares.sum(axis=-1) - 1.0).max())
        if lost > ROUNDING:
            raise ConformanceError(f"shares miss 1 by {lost:.2g} at save {save}")
        if shares.min() < -ROUNDING or shares.max() > 1.0 + ROUNDING:
            raise ConformanceError(f"a share is {shares.min():.6g} or {shares.max():.6g} at save {save}")


@rule("invariants", applies=AGENTS)
def agents_are_whole(subject: DynamicsSubject) -> None:
    """Every share is a whole number of agents out of all of them: nobody is lost, and nobody is counted twice."""
    size = 60
    for save, seen in enumerate(observations(subject.make(problem(ring(size, 3), epidemic(), name="whole")))):
        counts = np.asarray(seen["occupancy"], np.float64) * size
        if np.abs(counts - np.round(counts)).max() > 1e-6:
            raise ConformanceError(
                f"there are {counts.ravel()[np.abs(counts - np.round(counts)).argmax()]:.4f} agents in a state "
                f"at save {save}",
                hint="divide counts by the number of agents, and lose none",
            )


@rule("invariants", applies=THE_GAME)
def absorbing_states_absorb(subject: DynamicsSubject) -> None:
    """In SIR nobody leaves R and nobody enters S, in any replicate."""
    seen = np.stack([np.asarray(save["occupancy"]) for save in observations(subject.make(basic("absorbing")))])
    change = np.diff(seen, axis=0)
    for state, sign, word in ((0, 1.0, "entered"), (2, -1.0, "left")):
        worst = float((sign * change[..., state]).max())
        if worst > ROUNDING:
            raise ConformanceError(f"a share of {worst:.3g} {word} {'SIR'[state]} between two saves")


RULES = (conserves_mass, agents_are_whole, absorbing_states_absorb)
