"""The SDE on the simplex: mass, absorption, the mean-field limit, and the engine under it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from mesocosm import Clock, ContactGraph, FiniteStateGame, Population, Problem, Transition, resolve_device
from mesocosm_games.epidemics import SEIR, SIR
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions
from mesocosm_neural.engine import integrate
from mesocosm_neural.learn.law import GameLaw, Span, uncorrected
from mesocosm_neural.tape import NoiseTape


def law_of(game: FiniteStateGame, size: int, graph: ContactGraph | None = None) -> GameLaw:
    contacts = ContactGraph.complete(10) if graph is None else graph
    shares = np.eye(len(game.states))[0]
    problem = Problem(
        name="law",
        seed=1,
        game=game,
        graph=contacts,
        population=Population(size, shares),
        clock=Clock(1.0, 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: contacts,
    )
    return GameLaw(problem, game, torch.device("cpu"), torch.float64)


def normals(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(
    rates=st.tuples(*[st.floats(0.0, 20.0)] * 3),
    start=st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda shares: sum(shares) > 0.01),
    size=st.integers(2, 10**6),
    logs=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    seed=st.integers(0, 2**32),
)
def test_shares_stay_on_the_simplex(
    rates: tuple[float, float, float], start: list[float], size: int, logs: tuple[float, float], seed: int
) -> None:
    """Catches lost mass and negative shares, whatever the rates, the noise and the learned factors."""
    beta, gamma, sigma = rates
    law = law_of(SEIR(SEIROptions(beta=beta, gamma=gamma, sigma=sigma)), size)
    shares = torch.tensor([start] * 5, dtype=torch.float64)
    shares = shares / shares.sum(dim=-1, keepdim=True)
    factors = torch.full((5, 3), logs[0]).double().exp(), torch.full((5, 3), logs[1]).double().exp()
    after = law.advance(lambda time, now: factors, shares, Span(0.0, 0.1, 20), normals(seed, 20, 5, 3)).numpy()
    assert np.isfinite(after).all()
    assert after.min() >= 0.0
    np.testing.assert_allclose(after.sum(axis=-1), 1.0, rtol=0, atol=1e-14)


def test_an_empty_state_has_no_outflow() -> None:
    """Catches noise where nobody is: without infected, nothing ever happens again, to the last bit."""
    law = law_of(SIR(SIROptions(beta=2.0, gamma=1.0)), 100)
    shares = torch.tensor([[0.75, 0.0, 0.25]], dtype=torch.float64)
    after = law.advance(uncorrected, shares, Span(0.0, 0.1, 50), normals(1, 50, 1, 2))
    assert torch.equal(after, shares)


def sir_error(step: float) -> float:
    """Largest error at time 12 against the SIR equations of a large population on a graph of mean degree 4."""
    edges = [(node, (node + jump) % 20) for node in range(20) for jump in (1, 2)]
    graph = ContactGraph.from_edges(20, [a for a, _ in edges], [b for _, b in edges])
    law = law_of(SIR(SIROptions(beta=0.25, gamma=0.4, effort=EffortOptions())), 10**12, graph)
    count = round(12 / step)
    start = torch.tensor([[0.98, 0.02, 0.0]], dtype=torch.float64)
    after = law.advance(uncorrected, start, Span(0.0, step, count), normals(4, count, 1, 2))

    def slope(time: float, m: np.ndarray) -> list[float]:
        return [-m[0] * m[1], m[0] * m[1] - 0.4 * m[1], 0.4 * m[1]]

    exact = solve_ivp(slope, (0, 12), [0.98, 0.02, 0.0], rtol=1e-10, atol=1e-12).y[:, -1]
    return float(np.abs(after.numpy()[0] - exact).max())


def test_without_noise_it_is_the_mean_field_equation() -> None:
    """Catches wrong rates, stoichiometry, mean degree and neutral control; the error is first order in the step."""
    coarse, fine = sir_error(0.02), sir_error(0.005)
    assert fine < 2e-3
    assert np.log(coarse / fine) / np.log(4.0) == pytest.approx(1.0, abs=0.1)


class Rumour(FiniteStateGame):
    """A spreader who meets the informed loses interest, at a rate that depends on time and saturates."""

    states: ClassVar[tuple[str, ...]] = ("ignorant", "spreader", "stifler")
    channels: ClassVar[tuple[str, ...]] = ("spreaders", "informed")

    def __init__(self) -> None:
        self.transitions = (
            Transition.induced("ignorant", "spreader", rate=0.8, channel="spreaders"),
            Transition.general("spreader", "stifler", self.lose),
            Transition.spontaneous("stifler", "ignorant", rate=0.1),
        )

    def lose(self, t: float, field: Any, control: Any) -> Any:
        return (1.0 + t) * field[..., 1] / (1.0 + field[..., 0])

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1, state >= 1], like=control)


def test_intensities_are_those_of_the_game() -> None:
    """Catches a shortcut for spontaneous and induced transitions that differs from the game's own intensity."""
    game, law = Rumour(), law_of(Rumour(), 100)
    shares = np.array([[0.5, 0.2, 0.3], [0.1, 0.9, 0.0]])
    field = np.stack([shares[:, 1], shares[:, 1] + shares[:, 2]], axis=-1)
    wanted = np.stack([game.intensity(entry, 0.7, field, np.ones(2)) for entry in game.transitions], axis=-1)
    np.testing.assert_allclose(law.intensities(0.7, torch.from_numpy(shares)).numpy(), wanted, rtol=1e-14)


def test_engine_takes_the_steps_of_euler_and_maruyama() -> None:
    """Catches a step too many, a tape read at the wrong place, and rounding of times.

    Oracle: the recursion written out, to the last bit.
    """
    increments = normals(2, 1000, 3, 2)
    state = torch.ones(3, 2, dtype=torch.float64)
    got = integrate(lambda time, now: (0.01 * (time - now), 0.1 * now), state, increments)
    for step in range(1000):
        state = state + 0.01 * (step - state) + 0.1 * state * increments[step]
    assert torch.equal(got, state)


def test_tape_refuses_times_between_its_steps() -> None:
    """Catches an increment that is returned for a stretch of time that it does not belong to."""
    tape = NoiseTape(normals(1, 3, 1, 1))
    with pytest.raises(ValueError, match="unit steps"):
        tape(torch.tensor(0.5), torch.tensor(1.5))
