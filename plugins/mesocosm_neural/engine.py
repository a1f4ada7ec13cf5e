"""Steps of an SDE with diagonal noise, driven by a noise tape: our own Euler-Maruyama, and the one place that knows torchsde.

The equation dX = f(t, X) dt + g(t, X) dW is meant in the sense of Ito; time is counted in steps, so that a solver adds whole
numbers, lands exactly on the last one, and asks for one row of the tape per step.

    euler            X + f + g dW: strong order 1/2, 1 where g does not depend on X. A plain loop: compiling its step gains a
                     seventh on a CPU and takes half a minute; the tanh of `activation` gains more
    milstein         adds g g' (dW^2 - 1) / 2: strong order 1
    srk              Rossler's SRID2, 20 evaluations of f or g a step: strong order 1.5; asks for areas of the tape
    reversible_heun  Kidger et al., arXiv 2105.13493. It solves the Stratonovich equation, whose drift is f - g g' / 2; strong
                     order 1/2, 1 where g does not depend on X. With `weights`, gradients come from its adjoint, which runs the
                     steps backwards and needs no memory for them: exact up to rounding

The orders hold where channel c of g depends on channel c of X alone (diagonal noise in the strict sense; Kloeden and Platen,
Numerical Solution of SDEs, 10.3). Otherwise all converge with order 1/2 to the Ito solution. Paths are independent given the
law: g' does not see that other paths depend on this one, as they do through a field that is not detached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mesocosm_neural.tape import NoiseTape

Law = Callable[[float, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(time in steps, state [path, channel]) -> drift and diffusion per step, both [path, channel]."""


def integrate(
    law: Law,
    initial: torch.Tensor,
    increments: torch.Tensor,
    *,
    solver: str = "euler",
    areas: torch.Tensor | None = None,
    weights: Sequence[torch.Tensor] = (),
) -> torch.Tensor:
    """The state after as many steps as the tape has, [path, channel].

    Parameters
    ----------
    initial: [path, channel].
    increments: standard normals, [step, path, channel].
    solver: euler, milstein, srk or reversible_heun.
    areas: for srk, those of a `NoiseTape`, [step, path, channel].
    weights: for reversible_heun, all tensors with gradients that the law uses beside its state. The adjoint then replaces
        backpropagation through every step. `ValueError` where the law also uses others, whose gradients would be lost.
    """
    if solver == "euler":
        return _euler(law, initial, increments)
    if solver == "srk" and areas is None:
        raise ValueError("srk without areas; draw the tape with areas=True")
    tape = NoiseTape(increments, areas)
    if solver != "reversible_heun":
        return _torchsde(_Equation(law), initial, tape, solver)
    if weights:
        _check_closure(law, initial, weights)
    return _torchsde(_Stratonovich(law), initial, tape, solver, weights)


def _euler(law: Law, state: torch.Tensor, increments: torch.Tensor) -> torch.Tensor:
    for count, increment in enumerate(increments.unbind()):
        drift, diffusion = law(float(count), state)
        state = state + drift + diffusion * increment
    return state


def _torchsde(
    equation: _Equation, initial: torch.Tensor, tape: NoiseTape, solver: str, weights: Sequence[torch.Tensor] = ()
) -> torch.Tensor:
    import torchsde  # it loads scipy, and euler does without

    ends = torch.tensor([0.0, float(len(tape.increments))], dtype=torch.float64)
    if not weights:
        path: torch.Tensor = torchsde.sdeint(equation, initial, ends, bm=tape, method=solver, dt=1.0)
    else:
        path = torchsde.sdeint_adjoint(
            equation, initial, ends, bm=tape, method=solver, dt=1.0, adjoint_params=tuple(weights)
        )
    return path[-1]


class _Equation:
    """Drift and diffusion in the form that torchsde calls."""

    noise_type = "diagonal"
    sde_type = "ito"

    def __init__(self, law: Law) -> None:
        self.law = law

    def f_and_g(self, time: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        drift, diffusion = self.law(float(time), state)
        return drift.expand_as(state), diffusion.expand_as(state)

    def f(self, time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.f_and_g(time, state)[0]

    def g(self, time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return self.f_and_g(time, state)[1]


class _Stratonovich(_Equation):
    """The same process as a Stratonovich equation: drift f_c - g_c dg_c/dx_c / 2 for every channel c."""

    sde_type = "stratonovich"

    def f_and_g(self, time: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            point = state if state.requires_grad else state.detach().requires_grad_()
            drift, diffusion = super().f_and_g(time, point)
            drift = drift - 0.5 * diffusion * _own_derivative(diffusion, point, wanted)
        return (drift, diffusion) if wanted else (drift.detach(), diffusion.detach())


def _own_derivative(values: torch.Tensor, point: torch.Tensor, differentiable: bool) -> torch.Tensor:
    """Derivative of every channel in that channel of the point, [path, channel]."""
    if not values.requires_grad:
        return torch.zeros_like(point)
    columns = []
    for channel, column in enumerate(values.unbind(dim=-1)):
        (slope,) = torch.autograd.grad(
            column.sum(), point, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
        columns.append(torch.zeros_like(column) if slope is None else slope[..., channel])
    return torch.stack(columns, dim=-1)


def _check_closure(law: Law, initial: torch.Tensor, weights: Sequence[torch.Tensor]) -> None:
    """Whether all that the law differentiates is its state and `weights`: an adjoint does not see anything else."""
    with torch.enable_grad():
        point = initial.detach().requires_grad_()
        marker = (point * 1.0).grad_fn
        assert marker is not None
        before = marker._sequence_nr()
        outputs = [value.grad_fn for value in law(0.0, point) if value.grad_fn is not None]
    known = {id(weight) for weight in (*weights, point)}
    todo, seen = list(outputs), set(outputs)
    while todo:
        node = todo.pop()
        leaf = getattr(node, "variable", None)
        if (leaf is None and node._sequence_nr() < before) or (leaf is not None and id(leaf) not in known):
            raise ValueError(
                "the law uses a tensor with gradients that is neither its state nor one of 'weights'; put it into the state"
            )
        for after, _ in node.next_functions:
            if after is not None and after not in seen:
                seen.add(after)
                todo.append(after)
