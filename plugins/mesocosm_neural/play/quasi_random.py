"""Normals for the steps of many particles, spread more evenly than random ones are.

A scrambled Sobol sequence (Owen, J. Complexity 14, 466, 1998) gives each particle a point whose first coordinates are the
most even, so these make what moves it most: the principal components of its Brownian path (Acworth, Broadie, Glasserman
1998). Then they are matched in their second moments: each normal has a mean square of 1 over the particles, and is
uncorrelated with those of other steps and with the start. A cost that is quadratic in noise and start has no variance
from the noise at all.
"""

from __future__ import annotations

from functools import cache

import torch

_EDGE = 1e-12
"""Least distance of a uniform number from 0 and 1."""


def quasi_normals(steps: int, rows: int, axes: int, generator: torch.Generator) -> torch.Tensor:
    """Normals of `rows` particles, [step, row, axis]; the scrambling is drawn from the generator."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    engine = torch.quasirandom.SobolEngine(steps * axes, scramble=True, seed=seed)
    uniform = engine.draw(rows, dtype=torch.float64).clamp(_EDGE, 1.0 - _EDGE)
    components = torch.special.ndtri(uniform).view(rows, steps, axes)
    return torch.einsum("kc,rca->kra", _principal(steps), components)


@cache
def _principal(steps: int) -> torch.Tensor:
    """The orthogonal matrix [step, component] from principal components of a Brownian path to its increments."""
    summing = torch.ones(steps, steps, dtype=torch.float64).tril()
    values, vectors = torch.linalg.eigh(summing @ summing.T)
    return torch.linalg.solve(summing, vectors.flip(1) * values.flip(0).sqrt())


def match(noise: torch.Tensor, begin: torch.Tensor) -> torch.Tensor:
    """Normals [step, seed, scenario, pair, axis] with matched second moments, for places `begin`
    [seed, scenario, pair, axis] at time 0.

    With fewer rows than numbers to match, each step is scaled alone.
    """
    steps, seeds, scenarios, pairs, axes = noise.shape
    rows = scenarios * pairs
    centred = begin - begin.mean(dim=(1, 2), keepdim=True)
    spread = centred.pow(2).mean(dim=(1, 2), keepdim=True).sqrt()
    start = torch.where(spread > 1e-9, centred / spread.clamp(min=1e-9), torch.zeros_like(centred))
    used = int((spread > 1e-9).any())
    columns = noise.permute(1, 2, 3, 0, 4).reshape(seeds, rows, steps * axes)
    if rows <= columns.shape[-1] + used * axes:
        return noise / noise.pow(2).mean(dim=(2, 3), keepdim=True).sqrt()
    whole = torch.cat([start.reshape(seeds, rows, axes), columns], dim=-1) if used else columns
    orthonormal, triangle = torch.linalg.qr(whole)
    signs = torch.diagonal(triangle, dim1=1, dim2=2).sign()[:, None]
    found = (orthonormal * signs * rows**0.5)[..., used * axes :]
    return found.view(seeds, scenarios, pairs, steps, axes).permute(3, 0, 1, 2, 4)
