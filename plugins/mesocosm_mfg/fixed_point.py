"""Fixed points x = respond(x) of a map between arrays, by the method that the options name.

With the residual f(x) = respond(x) - x and the damping w:

    picard            x <- x + w f(x); w is halved when the residual has not improved for three iterations
    anderson          picard until the residual is 3 % of its largest; then x <- x + w f - (X + w F) c, with c the
                      least-squares solution of F c = f, and the last five differences of x and f as columns of X and F.
                      A residual that grows tenfold, or has not improved for 16 iterations, sends it back to the best x,
                      with half of w
    newton            x <- x + s d with f'(x) d = -f(x), d by GMRES with finite-difference products, s by line search
    fictitious_play   x <- the mean of all responses so far

Sources: H. F. Walker, P. Ni, SIAM J. Numer. Anal. 49, 1715 (2011), type II in the naming of Fang and Saad (2009);
D. A. Knoll, D. E. Keyes, J. Comput. Phys. 193, 357 (2004); G. W. Brown, in Activity Analysis (1951).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mesocosm import RunError

FloatArray = NDArray[np.float64]
Map = Callable[[FloatArray], FloatArray]

SMALLEST_DAMPING, PATIENCE = 1 / 256, 3
MEMORY, CUTOFF, NEAR, GROWTH, REACH, STALLED = 5, 1e-10, 0.03, 10.0, 4.0, 16
KRYLOV, LINEAR_TOLERANCE, HALVINGS = 20, 1e-3, 6


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """What the iteration ended with.

    Attributes
    ----------
    point: the last iterate, of the shape of the start.
    residuals: max |respond(x) - x| of every iterate, shape [iteration]; the last is that of `point`.
    exploitabilities: of every iterate, shape [iteration]; empty where not asked for.
    converged: whether the last residual is below the tolerance.
    """

    point: FloatArray
    residuals: FloatArray
    exploitabilities: FloatArray
    converged: bool


@dataclass(frozen=True)
class Iteration:
    """Settings: method (see the module docstring), largest residual, most iterations, damping in (0, 1]."""

    method: str
    tolerance: float
    iterations: int
    damping: float


class Stepper(Protocol):
    """One method: the next iterate from an iterate, its response, and its residual."""

    def __call__(self, x: FloatArray, response: FloatArray, residual: float) -> FloatArray: ...


def solve_fixed_point(
    respond: Map,
    start: FloatArray,
    settings: Iteration,
    *,
    report: Callable[[int, float], None],
    exploitability: Callable[[FloatArray], float] | None = None,
    project: Map | None = None,
    where: str = "equilibrium",
) -> FixedPoint:
    """Iterate from `start` until the residual is below the tolerance, or the iterations are used up.

    `report(iteration, residual)` is called for each iterate, and `exploitability(x)` after `respond(x)`. `project` maps an
    iterate back into the set of those allowed. Raises `RunError` where the residual is not a number.
    """
    allowed = project if project is not None else _unchanged
    remembered = _Remembered(respond)
    step = _stepper(settings, remembered, allowed)
    residuals: list[float] = []
    exploitabilities: list[float] = []
    x = np.asarray(start, np.float64)
    for iteration in range(settings.iterations):
        response = remembered(x)
        residual = float(np.abs(response - x).max())
        if not np.isfinite(residual):
            raise RunError(
                f"the residual is {residual} at iteration {iteration}",
                where=where,
                hint="use a smaller step, or check the costs",
            )
        residuals.append(residual)
        if exploitability is not None:
            exploitabilities.append(exploitability(x))
        report(iteration, residual)
        if residual < settings.tolerance:
            return FixedPoint(x, np.array(residuals), np.array(exploitabilities), converged=True)
        if iteration + 1 < settings.iterations:
            x = step(x, response, residual)
    return FixedPoint(x, np.array(residuals), np.array(exploitabilities), converged=False)


def _stepper(settings: Iteration, respond: Map, project: Map) -> Stepper:
    if settings.method == "picard":
        return _Picard(settings.damping, project)
    if settings.method == "anderson":
        return _Anderson(settings.damping, project)
    if settings.method == "newton":
        return _Newton(settings.damping, respond, project)
    if settings.method == "fictitious_play":
        return _FictitiousPlay(project)
    raise RunError(f"method '{settings.method}'", where="equilibrium", rule="it is no iteration of a fixed point")


def _unchanged(x: FloatArray) -> FloatArray:
    return x


class _Remembered:
    """A map that does not evaluate twice in a row at the same array."""

    def __init__(self, function: Map) -> None:
        self.function = function
        self.last: tuple[FloatArray, FloatArray] | None = None

    def __call__(self, x: FloatArray) -> FloatArray:
        if self.last is None or self.last[0] is not x:
            self.last = (x, np.asarray(self.function(x), np.float64))
        return self.last[1]


class _Picard:
    def __init__(self, damping: float, project: Map) -> None:
        self.damping, self.project = damping, project
        self.lowest, self.stalled = np.inf, 0

    def __call__(self, x: FloatArray, response: FloatArray, residual: float) -> FloatArray:
        self.stalled = 0 if residual < self.lowest else self.stalled + 1
        self.lowest = min(self.lowest, residual)
        if self.stalled >= PATIENCE:
            self.damping, self.stalled = max(self.damping / 2, SMALLEST_DAMPING), 0
        return self.project((1 - self.damping) * x + self.damping * response)


class _FictitiousPlay:
    def __init__(self, project: Map) -> None:
        self.project, self.count = project, 0

    def __call__(self, x: FloatArray, response: FloatArray, residual: float) -> FloatArray:
        self.count += 1
        return self.project(x + (response - x) / self.count)


class _Anderson:
    """Keeps 2 x 5 differences, the last iterate, and the best one."""

    def __init__(self, damping: float, project: Map) -> None:
        self.damping, self.project = damping, project
        self.lowest, self.largest, self.stalled, self.near = np.inf, 0.0, 0, False
        self.best: tuple[FloatArray, FloatArray] | None = None
        self.last: tuple[FloatArray, FloatArray] | None = None
        self.changes: list[tuple[FloatArray, FloatArray]] = []

    def __call__(self, x: FloatArray, response: FloatArray, residual: float) -> FloatArray:
        f = response - x
        self.largest = max(self.largest, residual)
        self.stalled += 1
        if residual < self.lowest:
            self.lowest, self.best, self.stalled = residual, (x, f), 0
        if self.near and (residual > GROWTH * self.lowest or self.stalled >= STALLED):
            return self._back()
        if not self.near and self.stalled >= PATIENCE:
            self.damping, self.stalled = max(self.damping / 2, SMALLEST_DAMPING), 0
        self.near = self.near or residual <= NEAR * self.largest
        if self.last is not None:
            self.changes = [*self.changes, (x - self.last[0], f - self.last[1])][-MEMORY:]
        self.last = (x, f)
        move = self.damping * f
        correction = self._correction(f) if self.near else None
        if correction is not None and np.abs(move - correction).max() <= REACH * self.largest:
            move = move - correction
        return self.project(x + move)

    def _back(self) -> FloatArray:
        """From the best iterate, with half the damping and nothing remembered."""
        assert self.best is not None
        self.damping = max(self.damping / 2, SMALLEST_DAMPING)
        self.changes, self.last, self.stalled = [], None, 0
        x, f = self.best
        return self.project(x + self.damping * f)

    def _correction(self, f: FloatArray) -> FloatArray | None:
        """(X + w F) c; None where nothing is remembered. Small singular values of the scaled F are cut off."""
        scales = [float(np.linalg.norm(change)) for _, change in self.changes]
        kept = [(pair, scale) for pair, scale in zip(self.changes, scales, strict=True) if scale > 0]
        if not kept:
            return None
        columns = np.stack([pair[1].ravel() / scale for pair, scale in kept], axis=1)
        weights = np.linalg.lstsq(columns, f.ravel(), rcond=CUTOFF)[0]
        result = np.zeros_like(f)
        for ((dx, df), scale), weight in zip(kept, weights, strict=True):
            result += (weight / scale) * (dx + self.damping * df)
        return result


class _Newton:
    def __init__(self, damping: float, respond: Map, project: Map) -> None:
        self.damping, self.respond, self.project = damping, respond, project

    def __call__(self, x: FloatArray, response: FloatArray, residual: float) -> FloatArray:
        f = response - x
        direction = self._direction(x, f)
        size = float(np.linalg.norm(f))
        share = 1.0
        for _ in range(HALVINGS):
            trial = self.project(x + share * direction)
            after = float(np.linalg.norm(self.respond(trial) - trial))
            if np.isfinite(after) and after <= (1 - 1e-4 * share) * size:
                return trial
            share /= 2
        return self.project(x + self.damping * f)

    def _direction(self, x: FloatArray, f: FloatArray) -> FloatArray:
        """The solution d of f'(x) d = -f, to a relative residual of 1e-3 or in 20 products."""
        from scipy.sparse.linalg import LinearOperator, gmres

        spacing = np.sqrt(np.finfo(np.float64).eps) * (1.0 + float(np.linalg.norm(x)))

        def product(vector: FloatArray) -> FloatArray:
            length = float(np.linalg.norm(vector))
            if length == 0.0:
                return np.zeros(x.size)
            ahead = x + (spacing / length) * vector.reshape(x.shape)
            change = (self.respond(ahead) - ahead - f) * (length / spacing)
            return np.asarray(change.ravel(), np.float64)

        slope = LinearOperator((x.size, x.size), matvec=product, dtype=np.float64)
        found, _ = gmres(slope, -f.ravel(), rtol=LINEAR_TOLERANCE, restart=KRYLOV, maxiter=1)
        return np.asarray(found, np.float64).reshape(x.shape)
