"""Equilibria and their exact derivatives, by Newton's method and the implicit function theorem.

`collocation` writes an equilibrium as F(y, theta) = 0. Newton's method solves it, and at the solution

    dy/dtheta = -F_y^-1 F_theta,        dL/dtheta = -lambda^T F_theta,   F_y^T lambda = dL/dy,

whatever the path that led there: no iteration is unrolled. F_y couples neighbouring nodes only, so one sparse
factorisation serves Newton's method, sensitivities and adjoints. With F = y - G(y, theta) this is the adjoint equation
(I - dG/dy)^T lambda = dL/dy of arXiv 2606.23155.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import RunError
from mesocosm_neural.calibrate.collocation import Collocation, Linearisation

FloatArray = NDArray[np.float64]

TOLERANCE, ITERATIONS, HALVINGS = 1e-13, 40, 8
SHORT, STALLED = 0.05, 3
"""Newton's method is given up after three steps in a row that are shorter than a twentieth."""

FIRST_SHARE, SMALLEST_SHARE = 0.25, 1e-3
"""Of all contacts: the first and the smallest step in which they are turned up."""


class Equilibria:
    """Solves the equations of a `Collocation`, several sets of parameters (`batch`) at once."""

    def __init__(self, equations: Collocation) -> None:
        self.equations = equations
        self._indices: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self.newton_steps = 0

    def solve(self, theta: torch.Tensor, guess: torch.Tensor | None = None) -> Solution:
        """The equilibrium at theta, [batch, parameter, 2 steps + 1], nearest to `guess`, [batch, node, unknown].

        Without a guess, or where Newton's method fails from it, contacts are turned up from none to all of them, each
        equilibrium starting the next. Raises `RunError` where that finds none: a residual above 1e-13 of the largest
        unknown.
        """
        if guess is not None:
            found, _ = self._newton(theta.detach(), guess.detach(), self.equations)
            if found is not None:
                return found
        return self._continued(theta.detach())

    def _continued(self, theta: torch.Tensor) -> Solution:
        equations = self.equations
        point = torch.zeros(len(theta), equations.steps + 1, equations.unknowns, dtype=theta.dtype)
        point[..., : equations.sizes[0]] = equations.initial.flatten()
        reached, step = -FIRST_SHARE, FIRST_SHARE
        while step > SMALLEST_SHARE:
            share = min(1.0, reached + step)
            found, size = self._newton(theta, point, equations.with_contacts(share))
            if found is None:
                step /= 3.0
            elif share == 1.0:
                return found
            else:
                reached, step, point = share, 1.5 * step, found.unknowns
        raise RunError(
            f"a residual of {size:.1e} with {share:.3g} of all contacts",
            where="equilibrium",
            rule=f"Newton's method needs one below {TOLERANCE:g}",
            hint="use a shorter 'step', or a narrower range of the parameters",
        )

    def _newton(
        self, theta: torch.Tensor, unknowns: torch.Tensor, equations: Collocation
    ) -> tuple[Solution | None, float]:
        """The equilibrium near some unknowns, or None; and the largest residual."""
        stalled = 0
        for _ in range(ITERATIONS):
            found = equations.linearise(unknowns, theta)
            size = found.residual.abs().amax(dim=1)
            if bool((size <= TOLERANCE * (1.0 + unknowns.abs().amax(dim=(1, 2)))).all()):
                return Solution(self, unknowns, theta, found), float(size.max())
            if not bool(torch.isfinite(size).all()) or stalled == STALLED:
                break
            try:
                unknowns, share = self._moved(unknowns, theta, found, equations)
            except RunError:
                break
            stalled = stalled + 1 if share < SHORT else 0
            self.newton_steps += 1
        return None, float(size.max())

    def _moved(
        self, unknowns: torch.Tensor, theta: torch.Tensor, found: Linearisation, equations: Collocation
    ) -> tuple[torch.Tensor, float]:
        """One step of Newton's method, halved in each batch until the residual is smaller; and the least share of it."""
        move = torch.from_numpy(self.factorised(found).solve(-found.residual.numpy().reshape(-1))).view_as(unknowns)
        before, share = found.residual.norm(dim=1), unknowns.new_ones(len(unknowns))
        for _ in range(HALVINGS):
            after = equations.residual(unknowns + share[:, None, None] * move, theta).norm(dim=1)
            # Near the end rounding decides, and a full step does no harm.
            worse = ~(after <= (1.0 - 1e-4 * share) * before) & (before > TOLERANCE * (1.0 + unknowns.abs().max()))
            if not bool(worse.any()):
                break
            share = torch.where(worse, share / 2, share)
        return unknowns + share[:, None, None] * move, float(share.min())

    def factorised(self, found: Linearisation) -> Any:
        """The sparse LU factors of F_y, of all batches side by side. `RunError` where it has no inverse."""
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        batch = len(found.residual)
        rows, columns = self._places(batch)
        first = np.ones(batch * self.equations.sizes[0])
        blocks = (found.left, found.right, found.last)
        values = np.concatenate([*(block.numpy().reshape(-1) for block in blocks), first])
        size = batch * found.residual.shape[1]
        try:
            return splu(csc_array((values, (rows, columns)), shape=(size, size)))
        except RuntimeError as error:
            raise RunError(
                "the equations cannot be solved: their matrix is singular",
                where="equilibrium",
                hint="use a narrower range of the parameters",
            ) from error

    def _places(self, batch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of every derivative, in the order in which `factorised` lines them up."""
        if batch not in self._indices:
            steps, count, held = self.equations.steps, self.equations.unknowns, self.equations.sizes[0]
            offset = np.arange(batch)[:, None] * (steps + 1) * count
            start = offset + np.arange(steps) * count
            row = np.arange(count)[:, None] + np.zeros(count, np.int64)
            column = row.T
            last_row, last_column = row[held:], column[held:]
            first = np.arange(held)
            end = offset[..., None] + steps * count
            rows = [start[..., None, None] + row] * 2 + [end + last_row, offset + steps * count + first]
            columns = [start[..., None, None] + column, start[..., None, None] + count + column]
            columns += [end + last_column, offset + first]
            # The rows of the last node come after those of m_0.
            flat = [np.concatenate([part.reshape(-1) for part in parts]) for parts in (rows, columns)]
            self._indices[batch] = flat[0].astype(np.int64), flat[1].astype(np.int64)
        return self._indices[batch]


class Solution:
    """One equilibrium of every batch, and how it answers to its parameters.

    Attributes
    ----------
    unknowns: y, [batch, node, unknown]; see `collocation`. theta: the parameters that it was solved for.
    residual: largest |F| over all equations, [batch].
    """

    def __init__(
        self, solver: Equilibria, unknowns: torch.Tensor, theta: torch.Tensor, linearisation: Linearisation
    ) -> None:
        self.solver, self.unknowns, self.theta = solver, unknowns, theta
        self.linearisation = linearisation
        self.residual = linearisation.residual.abs().amax(dim=1)
        self._factors: Any = None

    @property
    def factors(self) -> Any:
        """The factors of F_y at the solution."""
        if self._factors is None:
            self._factors = self.solver.factorised(self.linearisation)
        return self._factors

    def answering(self, theta: torch.Tensor) -> torch.Tensor:
        """The unknowns as a function of theta that torch can differentiate; `theta` holds the values solved for."""
        result: torch.Tensor = _Implicit.apply(theta, self)
        return result

    def adjoint(self, slope: torch.Tensor) -> torch.Tensor:
        """dL/dtheta, [batch, parameter, 2 steps + 1], from dL/dy, [batch, node, unknown]."""
        found, equations = self.linearisation, self.solver.equations
        right = slope.detach().numpy().reshape(-1)
        multipliers = torch.from_numpy(self.factors.solve(right, trans="T")).view(len(slope), -1)
        count, held = equations.unknowns, equations.sizes[0]
        inner = multipliers[:, : equations.steps * count].view(len(slope), equations.steps, count)
        by_step = -torch.einsum("bkr,bkrps->bpks", inner, found.theta)
        result = torch.zeros_like(self.theta)
        for place, part in enumerate((slice(0, -2, 2), slice(1, None, 2), slice(2, None, 2))):
            result[..., part] += by_step[..., place]
        last = multipliers[:, equations.steps * count + held :]
        result[..., -1] -= torch.einsum("br,brp->bp", last, found.last_theta)
        return result

    def sensitivity(self, directions: torch.Tensor) -> torch.Tensor:
        """dy for changes of theta, [direction, parameter, 2 steps + 1]: to [batch, direction, node, unknown]."""
        found, equations = self.linearisation, self.solver.equations
        parts = torch.stack([directions[..., :-2:2], directions[..., 1::2], directions[..., 2::2]], dim=-1)
        inner = torch.einsum("bkrps,dpks->bkrd", found.theta, parts).flatten(1, 2)
        last = torch.einsum("brp,dp->brd", found.last_theta, directions[..., -1])
        first = last.new_zeros(len(last), equations.sizes[0], len(directions))
        right = torch.cat([inner, first, last], dim=1).numpy()
        moved = self.factors.solve(-right.reshape(-1, len(directions)))
        shape = (len(self.unknowns), equations.steps + 1, equations.unknowns, len(directions))
        return torch.from_numpy(moved.reshape(shape)).movedim(-1, 1)


class _Implicit(torch.autograd.Function):  # type: ignore[misc]
    """theta to y, with the adjoint as its derivative."""

    @staticmethod
    def forward(context: Any, theta: torch.Tensor, solution: Solution) -> torch.Tensor:
        context.solution = solution
        return solution.unknowns.clone()

    @staticmethod
    def backward(context: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor, None]:
        solution: Solution = context.solution
        return solution.adjoint(slopes[0]), None
