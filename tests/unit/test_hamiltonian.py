"""The Hamiltonian, and its minimisation without a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesocosm import Control, FiniteStateGame, Transition
from mesocosm.hamiltonian import hamiltonian, minimise_hamiltonian


class Climb(FiniteStateGame):
    """Two states; the control is the rate of climbing, at quadratic cost, with a second, bumpy choice of cost."""

    states = ("low", "high")
    channels = ("one",)
    control = Control("rate", ("low",), 0.0, 4.0, 1.0)

    def __init__(self, bumps: float = 0.0) -> None:
        self.bumps = bumps
        self.transitions = (
            Transition.spontaneous("low", "high", rate=1.0, controlled=True),
            Transition.induced("high", "low", rate=2.0, channel="one"),
        )

    def emission(self, t, state, control):
        return self.stack([state == 0], like=control)

    def running_cost(self, t, state, field, control):
        return 0.5 * control**2 + self.bumps * np.cos(3 * np.pi * control) + 7.0 * (state == 1)


def test_the_formula() -> None:
    """Catches a transition counted in the wrong state, a sign, or a lost cost. Worked out by hand."""
    field, value, control = np.array([3.0]), np.array([1.0, 5.0]), np.array([2.0, 1.0])
    low = 0.5 * 4 + 2 * (5 - 1)
    high = 0.5 * 1 + 7 + 2 * 3 * (1 - 5)
    assert hamiltonian(Climb(), 0.0, field, value, control) == pytest.approx([low, high])


@settings(deadline=None, max_examples=60)
@given(st.floats(-8, 8), st.floats(-8, 8))
def test_the_minimiser_of_a_convex_hamiltonian(low: float, high: float) -> None:
    """Catches a search that stops at its grid: a* = clip(u_low - u_high, 0, 4), to 1e-6 of the range (golden section
    cannot do better where the function is flat to rounding)."""
    chosen = minimise_hamiltonian(Climb(), 0.0, np.array([0.5]), np.array([low, high]))
    assert chosen[0] == pytest.approx(np.clip(low - high, 0, 4), abs=4e-6)
    assert chosen[1] == 1.0


def test_the_lowest_of_several_minima() -> None:
    """Catches golden section alone, which ends in the nearest of the six minima; against a grid of a million points."""
    game, value = Climb(bumps=0.3), np.array([2.0, 0.0])
    fine = np.linspace(0, 4, 1_000_001)
    costs = 0.5 * fine**2 + 0.3 * np.cos(3 * np.pi * fine) + fine * (0.0 - 2.0)
    assert minimise_hamiltonian(game, 0.0, np.array([0.5]), value)[0] == pytest.approx(fine[costs.argmin()], abs=1e-5)


def test_many_types_at_once() -> None:
    """Catches arrays that only work for one type: fields of shape [type, channel], values of shape [time, type, state]."""
    values = np.random.default_rng(1).normal(size=(4, 3, 2)) * 3
    chosen = minimise_hamiltonian(Climb(), 0.0, np.full((3, 1), 0.5), values)
    assert chosen.shape == (4, 3, 2)
    assert chosen[..., 0] == pytest.approx(np.clip(values[..., 0] - values[..., 1], 0, 4), abs=4e-6)


def test_no_choice_is_neutral() -> None:
    """Catches a control made up for a game without one."""

    class Idle(Climb):
        control = None

    assert minimise_hamiltonian(Idle(), 0.0, np.array([0.5]), np.zeros(2)).tolist() == [1.0, 1.0]
