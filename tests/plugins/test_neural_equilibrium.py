"""Equilibria as equations: against known numbers, and their exact derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mesocosm import ContactGraph, Control, FiniteStateGame, MeanField, Options, RunError, Transition, half_step_grid
from mesocosm_games.effort import Effort
from mesocosm_games.epidemics import SEIR, SIR, SIS
from mesocosm_games.finite_options import EffortGameOptions
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions, SISOptions
from mesocosm_neural.calibrate.collocation import Collocation
from mesocosm_neural.calibrate.implicit import Equilibria, Solution
from mesocosm_neural.calibrate.options import ParameterOptions
from mesocosm_neural.calibrate.parameters import Parameters

CAREFUL = EffortOptions(cost=0.1, infection_cost=1.0)


class CrowdOptions(Options):
    pull: float = 1.0
    crowding: float = 0.5
    parting: float = 0.8


class Crowd(FiniteStateGame):
    """Agents outside choose at what rate they go in; what they emit is that rate, so that the field needs the control.

    Who is in at the end is paid, so that parameters matter there, too.
    """

    states: ClassVar[tuple[str, ...]] = ("out", "in")
    channels: ClassVar[tuple[str, ...]] = ("activity",)

    def __init__(self, options: CrowdOptions) -> None:
        self.options = options
        self.control = Control("rate", ("out",), 0.0, 5.0, neutral=0.0)
        self.transitions = (
            Transition.spontaneous("out", "in", rate=1.0, controlled=True),
            Transition.spontaneous("in", "out", rate=0.7),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([control * (state == 0)], like=control)

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        moving = (0.5 * control**2 + self.options.crowding * control * field[..., 0]) * (state == 0)
        return moving - (self.options.pull + 0.1 * t + 0.0 * control) * (state == 1)

    def terminal_cost(self, state: Any, field: Any) -> Any:
        return (0.0 * field[..., 0] - self.options.parting) * (state == 1)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        result = 0.0 * value
        gain = value[..., 0] - value[..., 1] - self.options.crowding * field[..., 0]
        result[..., 0] = gain.clip(0.0, 5.0)
        return result


def equations_of(
    game: FiniteStateGame,
    names: Sequence[str],
    initial: Sequence[float],
    *,
    horizon: int,
    stride: int = 2,
    closure: str = "homogeneous",
    graph: ContactGraph | None = None,
) -> tuple[Collocation, torch.Tensor]:
    """The equations of a game on a complete graph, and its own parameters at every node, [1, parameter, node]."""
    parameters = Parameters(game, {name: ParameterOptions() for name in names}, "test")
    mixing = (graph or ContactGraph.complete(1000)).mixing(closure, normalise=game.normalise)
    nodes = half_step_grid(np.arange(horizon + 1.0), stride)
    shares = np.tile(np.array(initial), (len(mixing.types), 1))
    equations = Collocation(game, parameters.rebuild, mixing, shares, nodes)
    theta = torch.tensor(parameters.starts, dtype=torch.float64)
    return equations, theta[None, :, None].repeat(1, 1, len(nodes))


def solved(
    game: FiniteStateGame, initial: Sequence[float], **options: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares and costs to come at the nodes, [node, state], and the control at nodes and middles."""
    equations, theta = equations_of(game, ("gamma",), initial, **options)
    solution = Equilibria(equations).solve(theta)
    shares, value, _, _ = equations.parts(solution.unknowns[0])
    return shares[:, 0].numpy(), value[:, 0].numpy(), equations.control(solution.unknowns, theta)[0, :, 0].numpy()


def test_equilibrium_of_effort_is_the_one_known() -> None:
    """Catches wrong HJB or Kolmogorov equations, boundary conditions and a wrong clip: math.md section 2, both cases."""
    game = SIR(SIROptions(beta=0.3, gamma=0.1, effort=EffortOptions(cost=1.0, infection_cost=1.0)))
    shares, value, control = solved(game, (0.99, 0.01, 0.0), horizon=120)
    assert shares[:, 1].max() == pytest.approx(0.26810, abs=2e-5)
    assert 1 - shares[-1, 0] == pytest.approx(0.89724, abs=6e-6)
    assert control.min() == pytest.approx(0.75080, abs=6e-6)
    assert value[0, 0] == pytest.approx(9.15391, abs=6e-6)
    game = SIR(SIROptions(beta=0.4, gamma=0.125, effort=CAREFUL))
    shares, value, control = solved(game, (0.99, 0.01, 0.0), horizon=40, stride=4)
    assert shares[-1, 0] == pytest.approx(0.8145579, abs=1e-7)
    assert value[0, 0] == pytest.approx(1.5406732, abs=1e-7)
    assert control.min() == pytest.approx(0.341626, abs=2e-6)


def test_equilibrium_of_elie_hubert_turinici() -> None:
    """Catches a solver that loses a long and stiff equilibrium: 360 days at a plateau, reached by turning up contacts."""
    shares, value, control = solved(Effort(EffortGameOptions()), (0.99, 0.01, 0.0), horizon=360, stride=1)
    assert value[0, 0] == pytest.approx(211.3266, abs=1e-3)
    assert 1 - shares[-1, 0] == pytest.approx(0.647347, abs=2e-6)
    assert shares[:, 1].max() == pytest.approx(0.086475, abs=3e-5)  # of the nodes, a day apart
    assert control.min() == pytest.approx(0.131269, abs=1e-5)


def test_field_that_needs_the_control_is_a_fixed_point_of_the_framework() -> None:
    """Catches a field that lags behind its control, and a wrong time: G(z) = z with G from `mesocosm.MeanField`."""
    equations, theta = equations_of(Crowd(CrowdOptions()), ("pull", "crowding"), (0.8, 0.2), horizon=4, stride=16)
    solution = Equilibria(equations).solve(theta)
    control = equations.control(solution.unknowns, theta)[0].numpy()
    mixing = ContactGraph.complete(1000).mixing("homogeneous", normalise="sum")
    model = MeanField(Crowd(CrowdOptions()), mixing, np.array([[0.8, 0.2]]), equations.times.numpy())
    flow = model.flow(control)
    _, best = model.best_response(flow)
    assert control[:, 0, 0].min() > 0.1
    assert np.abs(best - control).max() < 1e-6
    assert np.abs(flow.occupancy[::2] - equations.parts(solution.unknowns[0])[0].numpy()).max() < 1e-6


CASES: dict[str, tuple[FiniteStateGame, tuple[str, ...], tuple[float, ...]]] = {
    "sir": (SIR(SIROptions(beta=0.4, gamma=0.125)), ("beta", "gamma"), (0.97, 0.03, 0.0)),
    "effort in sir": (
        SIR(SIROptions(beta=0.4, gamma=0.125, effort=CAREFUL)),
        ("beta", "gamma", "effort.cost", "effort.infection_cost"),
        (0.97, 0.03, 0.0),
    ),
    "effort in seir": (
        SEIR(SEIROptions(beta=0.6, gamma=0.125, sigma=0.5, effort=CAREFUL)),
        ("beta", "sigma", "effort.cost"),
        (0.97, 0.0, 0.03, 0.0),
    ),
    "effort in sis": (
        SIS(SISOptions(beta=0.4, gamma=0.125, effort=CAREFUL)),
        ("beta", "gamma", "effort.cost"),
        (0.97, 0.03),
    ),
    "effort": (Effort(EffortGameOptions()), ("beta", "gamma", "infection_cost"), (0.97, 0.03, 0.0)),
    "crowd": (Crowd(CrowdOptions()), ("pull", "crowding", "parting"), (0.8, 0.2)),
}


def projected(solution: Solution, weights: torch.Tensor) -> float:
    return float((solution.unknowns * weights).sum())


def both_derivatives(
    equations: Collocation, theta: torch.Tensor, directions: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random projection of the equilibrium along directions: by adjoint, by sensitivities, by central differences."""
    solver = Equilibria(equations)
    solution = solver.solve(theta)
    weights = torch.randn(solution.unknowns.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    variable = theta.clone().requires_grad_()
    (solution.answering(variable) * weights).sum().backward()
    adjoint = torch.einsum("dpt,pt->d", directions, variable.grad[0])
    sensitivity = (solution.sensitivity(directions)[0] * weights).sum(dim=(1, 2))
    differences = []
    for direction in directions:
        ahead, behind = (solver.solve(theta + sign * 1e-5 * direction, solution.unknowns) for sign in (1.0, -1.0))
        differences.append((projected(ahead, weights) - projected(behind, weights)) / 2e-5)
    return adjoint.numpy(), sensitivity.numpy(), np.array(differences)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_of_the_equilibrium_are_exact(name: str) -> None:
    """Catches any part left out of the implicit function theorem: relative 1e-6 against central differences."""
    game, names, initial = CASES[name]
    equations, theta = equations_of(game, names, initial, horizon=12)
    constant = torch.eye(len(names), dtype=torch.float64)[:, :, None] * theta[0]
    adjoint, sensitivity, differences = both_derivatives(equations, theta, constant)
    assert np.abs(differences).min() > 1e-3
    np.testing.assert_allclose(adjoint, differences, rtol=1e-6)
    np.testing.assert_allclose(sensitivity, adjoint, rtol=1e-9)


def test_derivatives_on_a_closure_with_types_and_in_time() -> None:
    """Catches mixed-up types or times: degree classes, and a rate that changes at one node, at one middle, at the end."""
    star = np.array([(0, other) for other in range(1, 31)])
    ring = np.array([(node, node % 30 + 1) for node in range(1, 31)])
    graph = ContactGraph.from_edges(31, *np.concatenate([star, ring]).T)
    game = SIR(SIROptions(beta=0.15, gamma=0.125, effort=CAREFUL))
    equations, theta = equations_of(
        game, ("beta", "effort.cost"), (0.95, 0.05, 0.0), horizon=10, closure="degree", graph=graph
    )
    directions = torch.zeros(4, 2, theta.shape[-1], dtype=torch.float64)
    directions[0, 0, 8] = directions[1, 0, 9] = directions[2, 0, -1] = directions[3, 1, 6] = 1.0
    adjoint, sensitivity, differences = both_derivatives(equations, theta, directions)
    np.testing.assert_allclose(adjoint, differences, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(sensitivity, adjoint, rtol=1e-8, atol=1e-10)


def test_equations_that_cannot_be_solved_end_a_search_with_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a bare error of the linear solver: a matrix without an inverse is a guess that failed, then a named error."""
    game = SIR(SIROptions(beta=0.5, gamma=0.125))
    equations, theta = equations_of(game, ["beta"], (0.95, 0.05, 0.0), horizon=4)
    linearise = equations.linearise

    def flat(self: Collocation, unknowns: torch.Tensor, theta: torch.Tensor) -> Any:
        found = linearise(unknowns, theta)
        return replace(found, **{name: 0.0 * getattr(found, name) for name in ("left", "right", "last")})

    monkeypatch.setattr(Collocation, "linearise", flat)
    with pytest.raises(RunError, match=r"equilibrium: a residual of .* Newton's method needs"):
        Equilibria(equations).solve(theta)
    found = flat(equations, torch.zeros(1, equations.steps + 1, equations.unknowns, dtype=torch.float64), theta)
    with pytest.raises(RunError, match="matrix is singular"):
        Equilibria(equations).factorised(found)
