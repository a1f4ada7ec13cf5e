"""Windows of observations: where one starts, what the population was there, and how paths go on."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from windowed_epidemics import (
    BETA,
    GAMMA,
    SAVES,
    SERIES,
    SIZE,
    epidemic,
    law_of,
    learning,
    observations_of,
    problem_of,
    series,
)

from mesocosm import (
    FiniteStateGame,
    InputError,
    Transition,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.learn.finite_fit import Member
from mesocosm_neural.learn.law import GameLaw
from mesocosm_neural.learn.reconstruction import Reconstruction
from mesocosm_neural.learn.simulator import Cohort, Simulator
from mesocosm_neural.learn.windows import Windows


def test_counts_say_what_the_population_was() -> None:
    """Catches a share that is applied the wrong way round, recoveries left out, and counts of the wrong interval.

    Oracle: the SIR equations. The game's beta is wrong by a factor of 3, which must not matter.
    """
    shares, infections = epidemic()
    counts = 0.25 * SIZE * infections[None]
    found = Reconstruction(
        law_of(3 * BETA), observations_of(np.full((1, SAVES, 3), np.nan), counts), step=0.125, transition=0
    )(torch.full((2, 1, 1), 0.25, dtype=torch.float64)).numpy()
    assert found.shape == (2, 1, SAVES, 3)
    np.testing.assert_allclose(found[1, 0, :, 0], shares[:, 0], atol=1e-9)
    np.testing.assert_allclose(found[1, 0, :, 1], shares[:, 1], rtol=0.02)


@pytest.mark.parametrize("seen", [(1,), (0,), (0, 2), (0, 1, 2)])
def test_states_that_were_observed_are_kept_and_the_others_follow_the_game(seen: tuple[int, ...]) -> None:
    """Catches observed states that are smoothed, lost mass, and unobserved states that stay where they were.

    Oracle: the SIR equations; the rest is the error of steps of an eighth.
    """
    shares, _ = epidemic()
    values = np.full((1, SAVES, 3), np.nan)
    values[0, 1:, seen] = shares[1:, seen].T
    found = Reconstruction(law_of(), observations_of(values), step=0.125)().numpy()[0, 0]
    np.testing.assert_allclose(found[:, seen], shares[:, seen], atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found, shares, atol=0.01)


def test_windows_are_those_that_start_where_all_is_known_and_see_something() -> None:
    """Catches windows that reach beyond what a member may see, start in a gap, or hold nothing; against a list by hand."""
    random = np.random.default_rng(4)
    startable, observed = random.random((SERIES, SAVES)) < 0.6, random.random((SERIES, SAVES)) < 0.3
    startable[:, 0] = True
    members = [Member(0, 7, (0, 2)), Member(1, 12, (0, 1, 2))]
    windows = Windows(members, startable, observed, [0, 3], [7, 12], 3)
    for number, (member, first) in enumerate(zip(members, (0, 3), strict=True)):
        wanted = {
            (each, start)
            for each in member.series
            for start in range(first, member.until - 2)
            if startable[each, start] and observed[each, start + 1 : start + 4].any()
        }
        drawn = {tuple(pair) for pair in windows.draw(4000, torch.Generator().manual_seed(1))[number].tolist()}
        assert drawn == wanted
        assert {tuple(pair) for pair in windows.spread(1000)[number].tolist()} == wanted
    with pytest.raises(InputError, match="no window of 9 saves"):
        Windows(members, startable, observed, [0, 3], [7, 12], 9)


class Seasonal(FiniteStateGame):
    """A rate that depends on time in the table, and one in a general function."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)

    def __init__(self) -> None:
        self.transitions = (
            Transition.induced("S", "I", rate=1.0, channel="infected"),
            Transition.general("I", "R", lambda t, field, control: (0.1 + 0.3 * t) * (1.0 + 0.0 * field[..., 0])),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return (1.0 + np.sin(t)) * self.stack([state == 1], like=control)


def test_windows_that_start_at_different_times_follow_the_game_of_their_time() -> None:
    """Catches a batch in which all windows see the rates of one of them."""
    game = Seasonal()
    law = GameLaw(problem_of(game, 10**12), game, torch.device("cpu"), torch.float64)
    model = learning({"data": {"occupancy": series()}}, {"window": 2})
    simulator = Simulator(law, model.networks, 4, "euler")
    shares = torch.tensor([[0.7, 0.2, 0.1]] * 4, dtype=torch.float64)
    starts = torch.tensor([0, 5, 9, 5])
    together, _ = simulator(shares, Cohort(starts * 0, starts), 3, torch.Generator().manual_seed(1), learned=False)
    for path, start in enumerate(starts.tolist()):
        cohort = Cohort(torch.tensor([0]), torch.tensor([start]))
        alone, _ = simulator(shares[:1], cohort, 3, torch.Generator().manual_seed(1), learned=False)
        np.testing.assert_allclose(together[path], alone[0], atol=1e-5)
    assert not law.is_steady
    assert law_of().is_steady


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("milstein", 1), ("srk", 2), ("reversible_heun", 2)])
def test_every_solver_reaches_the_equations_of_a_large_population(solver: str, order: int) -> None:
    """Catches a solver that is not passed on: with 10^12 agents the error falls as fast as the order for drifts, or faster."""
    game = SIR(SIROptions(beta=BETA, gamma=GAMMA))
    law = GameLaw(problem_of(game, 10**12), game, torch.device("cpu"), torch.float64)
    model = learning({"data": {"occupancy": series()}}, {"window": 2})
    errors = []
    for count in (4, 8):
        simulator = Simulator(law, model.networks, count, solver)
        cohort = Cohort(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
        with torch.no_grad():
            shares, extents = simulator(
                torch.tensor([[0.95, 0.05, 0.0]], dtype=torch.float64),
                cohort,
                SAVES - 1,
                torch.Generator().manual_seed(1),
                learned=False,
            )
        np.testing.assert_allclose(extents.sum(dim=1)[0, 0], 0.95 - shares[0, -1, 0], atol=1e-9)
        errors.append(np.abs(shares[0].numpy() - epidemic()[0][1:]).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.3
