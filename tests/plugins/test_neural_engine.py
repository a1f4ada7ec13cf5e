"""SDE solvers: orders of convergence, Ito's sense, and gradients, by adjoint and through the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mesocosm
from mesocosm_neural.engine import Law, integrate
from mesocosm_neural.learn.correction import Correction
from mesocosm_neural.learn.law import GameLaw, Span
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.perceptron import Perceptrons
from mesocosm_neural.tape import NoiseTape

SOLVERS = NeuralSDEOptions.model_fields["solver"].annotation.__args__
DOUBLE = torch.zeros(1, dtype=torch.float64)
GROWTH, NOISE = torch.tensor([0.5, -0.3]).double(), torch.tensor([1.0, 0.6]).double()

EPIDEMIC = """
mesocosm: 1
name: epidemic
seed: 5
time: {end: 4, save_every: 2}
population: {size: 500, initial: {S: 0.9, I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 1.0, gamma: 0.3}
"""


@pytest.fixture
def fine() -> NoiseTape:
    """256 steps of 2000 paths in two channels."""
    return NoiseTape.drawn(torch.Generator().manual_seed(4), 256, 2000, 2, DOUBLE, areas=True)


def geometric(steps: int) -> Law:
    """Geometric Brownian motion over a unit of time, in units of a step."""
    return lambda time, state: (GROWTH * state / steps, NOISE * state / steps**0.5)


def error(tape: NoiseTape, solver: str) -> float:
    """Mean distance from the exact solution exp((mu - sigma^2 / 2) + sigma W), of all paths and channels."""
    steps = len(tape.increments)
    brownian = tape.increments.sum(dim=0) / steps**0.5
    with torch.no_grad():
        start = torch.ones_like(brownian)
        got = integrate(geometric(steps), start, tape.increments, solver=solver, areas=tape.areas)
    return float((got - torch.exp(GROWTH - NOISE**2 / 2 + NOISE * brownian)).abs().mean())


@pytest.mark.parametrize(
    ("solver", "order", "at_most"),
    [("euler", 0.5, 0.05), ("milstein", 1.0, 3e-3), ("srk", 1.5, 1e-4), ("reversible_heun", 1.0, 4e-3)],
)
def test_strong_order_on_geometric_brownian_motion(fine: NoiseTape, solver: str, order: float, at_most: float) -> None:
    """Catches a wrong Milstein term or area, Stratonovich taken for Ito, and a step or a time that is off by one.

    Oracle: the exact solution on the same Brownian path, whose coarser tapes are sums of the finest. The published order of
    reversible Heun is 1/2 in general; noise of this kind commutes, and 1 is seen. The standard deviation of the
    slope between seeds is 0.015, so that 0.15 is ten of them, and orders 0.5 apart are never confused.
    """
    errors = [error(fine.coarsened(factor), solver) for factor in (1, 2, 4, 8, 16)]
    slope = np.polyfit(np.arange(5), np.log2(errors), 1)[0]
    assert abs(slope - order) < 0.15
    assert errors[0] < at_most


@pytest.mark.parametrize(("used", "order"), [(True, 2.0), (False, 1.0)])
def test_areas_are_what_lifts_srk_above_order_one(fine: NoiseTape, used: bool, order: float) -> None:
    """Catches areas that the solver does not use, or that coarser tapes get wrong: then the order is 1.

    Ornstein-Uhlenbeck process dX = -2 X dt + dW; geometric Brownian motion does not feel areas, they cancel there. A linear
    drift and a constant noise leave h^2.5 in a step, without mean, so the order is 2. Oracle: the exact recursion
    X <- e^(-2h) X + integral of e^(-2(h-s)) dW over the finest steps, by parts to order h^2.5.
    """
    steps = len(fine.increments)
    exact = torch.ones(2000, 2).double()
    for increment, area in zip(fine.increments, fine.areas, strict=True):
        integral = increment - 2 / steps * np.exp(-1 / steps) * (increment / 2 + area)
        exact = np.exp(-2 / steps) * exact + integral / steps**0.5
    errors = []
    for factor in (2, 4, 8, 16):
        tape = fine.coarsened(factor)
        count = len(tape.increments)
        got = integrate(
            lambda time, state, count=count: (-2 * state / count, torch.full_like(state, count**-0.5)),
            torch.ones(2000, 2).double(), tape.increments,
            solver="srk", areas=tape.areas * used,
        )  # fmt: skip
        errors.append(float((got - exact).abs().mean()))
    assert abs(np.polyfit(np.arange(4), np.log2(errors), 1)[0] - order) < 0.15


def test_noise_that_channels_take_from_each_other_is_still_that_of_ito() -> None:
    """Catches a Stratonovich correction by derivatives in other channels, which would make a martingale drift.

    dX = Y dW, dY = X dV has E X = 1 for ever; such a correction would make it exp(-1/2) at time 1. 4 standard errors.
    """
    tape = NoiseTape.drawn(torch.Generator().manual_seed(9), 32, 8000, 2, DOUBLE)
    with torch.no_grad():
        start = torch.ones(8000, 2).double()
        got = integrate(
            lambda time, state: (torch.zeros_like(state), state.flip(-1) / 32**0.5),
            start, tape.increments, solver="reversible_heun",
        )  # fmt: skip
    assert float(got.std()) / 16000**0.5 < 0.02
    assert abs(float(got.mean()) - 1) < 4 * float(got.std()) / 16000**0.5


@pytest.fixture
def learned() -> tuple[Perceptrons, Law]:
    """A network for drift and diffusion, the latter depending on the state, and its law over 20 steps of 0.05."""
    network = Perceptrons([2, 5, 4], [torch.Generator().manual_seed(2)], torch.device("cpu"), torch.float64, last=1.0)

    def law(time: float, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        drift, noise = network(state[None])[0].chunk(2, dim=-1)
        return 0.05 * drift, 0.05**0.5 * (1.5 + noise * state.sin()) * (1 + 0.02 * time)

    return network, law


def gradients(
    network: Perceptrons, law: Law, solver: str, weights: Any = (), **tape: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """State and gradients of a loss in it: of weights and of the initial state."""
    initial = torch.linspace(-1, 1, 12).double().view(6, 2).requires_grad_()
    reached = integrate(law, initial, solver=solver, weights=weights, **tape)
    reached.square().sum().backward()
    found = [initial.grad, *(layer.grad for layer in network.layers)]
    for layer in network.layers:
        layer.grad = None
    return reached.detach(), found


def test_adjoint_of_reversible_heun_equals_backpropagation(learned: tuple[Perceptrons, Law]) -> None:
    """Catches a correction that is missing on the way back, lost weights, and noise that is read in the wrong order."""
    network, law = learned
    tape = NoiseTape.drawn(torch.Generator().manual_seed(3), 20, 6, 2, DOUBLE)
    plain, through = gradients(network, law, "reversible_heun", increments=tape.increments)
    same, adjoint = gradients(network, law, "reversible_heun", network.layers, increments=tape.increments)
    np.testing.assert_allclose(same, plain, rtol=1e-12)
    for got, wanted in zip(adjoint, through, strict=True):
        assert float(wanted.norm()) > 0
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-10 * float(wanted.abs().max()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients_of_every_solver_are_those_of_finite_differences(
    learned: tuple[Perceptrons, Law], solver: str
) -> None:
    """Catches a solver that an option offers and the engine does not know, and gradients that are cut inside a step."""
    network, law = learned
    tape = NoiseTape.drawn(torch.Generator().manual_seed(3), 20, 6, 2, DOUBLE, areas=True)
    noise = {"increments": tape.increments, "areas": tape.areas}
    _, found = gradients(network, law, solver, **noise)
    losses = []
    for change in (1e-6, -1e-6):
        with torch.no_grad():
            network.layers[0][0, 1, 2] += change
        losses.append(float(gradients(network, law, solver, **noise)[0].square().sum()))
        with torch.no_grad():
            network.layers[0][0, 1, 2] -= change
    np.testing.assert_allclose((losses[0] - losses[1]) / 2e-6, found[1][0, 1, 2], rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_single_precision_stays_single(fine: NoiseTape, solver: str) -> None:
    """Catches times or constants that turn float32 into float64, and a solver that loses more than single precision does."""
    tape = fine.coarsened(8)
    single = NoiseTape(tape.increments.float(), tape.areas.float())
    with torch.no_grad():
        ends = [
            integrate(
                lambda time, state: (-state / 32, (1 + state.square()).sqrt().to(state) / 32**0.5),
                torch.ones_like(each.increments[0]), each.increments, solver=solver, areas=each.areas,
            )
            for each in (tape, single)
        ]  # fmt: skip
    assert ends[1].dtype == torch.float32
    np.testing.assert_allclose(ends[1], ends[0], rtol=2e-3, atol=1e-4)


def test_an_adjoint_that_would_lose_a_gradient_is_refused(learned: tuple[Perceptrons, Law]) -> None:
    """Catches gradients that are silently zero: of a weight that is not named, and of what was computed from weights."""
    network, law = learned
    increments = torch.zeros(2, 6, 2).double()
    start = torch.zeros(6, 2).double()
    computed = network(start[None])[0, :, :2]
    with pytest.raises(ValueError, match="'weights'"):
        integrate(law, start, increments, solver="reversible_heun", weights=network.layers[:1])
    with pytest.raises(ValueError, match="'weights'"):
        integrate(
            lambda time, state: (state - computed, torch.ones_like(state)),
            start, increments, solver="reversible_heun", weights=network.layers,
        )  # fmt: skip


def test_adjoint_goes_through_intervals_on_the_simplex() -> None:
    """Catches a start of an interval whose gradient an adjoint does not see. Oracle: backpropagation, over two intervals."""
    problem = mesocosm.build(mesocosm.parse(EPIDEMIC))
    law = GameLaw(problem, problem.finite_game, torch.device("cpu"), torch.float64)
    network = Correction(
        [4, 5, 2], [torch.Generator().manual_seed(2)], horizon=4.0, inputs=("occupancy", "time"), learn_noise=True,
        device=torch.device("cpu"), dtype=torch.float64,
    )  # fmt: skip
    tape = NoiseTape.drawn(torch.Generator().manual_seed(3), 16, 6, 2, DOUBLE)
    found = []
    for weights in ((), network.weights):
        shares = torch.tensor([[0.9, 0.1, 0.0]]).double().expand(6, 3)
        for number in range(2):
            span, noise = Span(2.0 * number, 0.25, 8), tape.increments[8 * number : 8 * number + 8]
            shares, extents = law.move(network.factors, shares, span, noise, solver="reversible_heun", weights=weights)
        (shares.square().sum() + extents.square().sum()).backward()
        found.append([shares.detach(), extents.detach(), *(weight.grad for weight in network.weights)])
        for weight in network.weights:
            weight.grad = None
    for plain, adjoint in zip(*found, strict=True):
        assert float(plain.norm()) > 0
        np.testing.assert_allclose(adjoint, plain, rtol=1e-8, atol=1e-10 * float(plain.abs().max()))


def test_learning_with_every_solver_starts_alike(tmp_path: Path) -> None:
    """Catches an option that does not reach the engine, and a solver whose noise is off: on one tape all take nearly the same
    way, so that the first losses agree to the error of a step, and differ in their digits."""
    entries = [
        f"  {solver}: {{kind: neural_sde, learn: {{from: agents}}, seeds: 1, steps: 2, paths: 8, batch: 16, step: 0.1, "
        f"solver: {solver}, noise: demographic}}\n"
        for solver in SOLVERS
    ]
    text = EPIDEMIC + "dynamics:\n  agents: {kind: agent_based, replicates: 4, engine: step}\n" + "".join(entries)
    run = mesocosm.run(mesocosm.parse(text.replace("epidemic", "solvers")), tmp_path, report=False)
    first = [float(run.tree[solver]["loss"].values[0]) for solver in SOLVERS]
    assert len(set(first)) == len(SOLVERS)
    np.testing.assert_allclose(first, first[0], rtol=0.1)
