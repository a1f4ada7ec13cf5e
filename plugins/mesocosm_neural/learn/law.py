"""A finite-state game as an SDE on the simplex, in the coordinates of its transitions.

The *extent* xi_r of transition r counts its jumps per head since the last save. With shares m, intensity q_r, population
size N, and two learned corrections f_r and g_r,

    d xi_r = lambda_r dt + sqrt(lambda_r / N) g_r dW_r,      lambda_r = m_source(r) q_r(t, field(m)) exp(f_r),
    m = P(m_0 + sum_r nu_r xi_r),                            nu_r = e_target(r) - e_source(r).

P clips at 0 and divides by the sum; it is part of the model. Mass is conserved by construction, the noise is diagonal in
extents and independent between paths and between transitions, and an empty state has no outflow. With f = 0 and g = 1 this
is the chemical Langevin equation of the game (Gillespie 2000, J. Chem. Phys. 113, 297; Ethier and Kurtz 1986, chapter 11).

Below a rate of a tenth of an agent at the transition's largest intensity the root is continued linearly,
sqrt(lambda) -> lambda / sqrt(floor): the equation has no meaning there, and the slope stays bounded for backpropagation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch

from mesocosm import FiniteStateGame, Problem
from mesocosm_neural.engine import integrate

Time: TypeAlias = "float | torch.Tensor"
"""One time for all paths, or one for each, [path, 1]."""

Factors = Callable[[Time, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""(time, shares [path, state]) -> exp(f) and g, the factors of rates and of noises, both [path, transition]."""

SMALLEST_AGENT = 0.1


def uncorrected(time: Time, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The game itself: f = 0 and g = 1."""
    one = shares.new_ones(())
    return one, one


def project(shares: torch.Tensor) -> torch.Tensor:
    """P: clip at 0, divide by the sum; shape [..., state]."""
    positive = shares.clamp(min=0.0)
    return positive / positive.sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class Span:
    """A save interval cut into `count` steps of length `step` from `start`, which may differ from path to path."""

    start: Time
    step: float
    count: int


class GameLaw:
    """Transition rates of a game under the neutral control in the homogeneous closure, on one torch device.

    Attributes
    ----------
    change: nu, shape [transition, state].
    extent_of: extents that make a change of shares, shape [state, transition].
    is_connected: whether transitions and their reverse lead from every state to every other.
    largest: largest intensity of each transition with everyone in one state, shape [transition].
    """

    def __init__(self, problem: Problem, game: FiniteStateGame, device: torch.device, dtype: torch.dtype) -> None:
        self.game, self.size, self.clock = game, float(problem.population.size), problem.clock
        mixing = problem.graph.mixing("homogeneous", normalise=game.normalise)
        self.contacts = float(mixing.dense()[0, 0])
        self.states = torch.arange(len(game.states), device=device)
        self.identity = torch.eye(len(game.states), device=device, dtype=dtype)
        ends = [(game.state_index(entry.source), game.state_index(entry.target)) for entry in game.transitions]
        self.sources = torch.tensor([source for source, _ in ends], device=device)
        targets = torch.tensor([target for _, target in ends], device=device)
        self.change = self.identity[targets] - self.identity[self.sources]
        self.source = self.identity[self.sources].T.contiguous()
        self.extent_of = torch.linalg.pinv(self.change)
        self.is_connected = int(torch.linalg.matrix_rank(self.change)) == len(game.states) - 1
        self._affine: dict[float, tuple[torch.Tensor, torch.Tensor]] = {}
        self.largest = self.intensities(0.0, self.identity).max(dim=0).values
        self.floor = (SMALLEST_AGENT / self.size * self.largest).clamp(min=torch.finfo(dtype).tiny)

    @cached_property
    def is_steady(self) -> bool:
        """Whether intensities are the same at all saves and half-way between them."""
        saves = self.clock.times
        probe = torch.cat([self.identity, self.identity.mean(dim=0, keepdim=True)])
        first = self.intensities(0.0, probe)
        times = [*saves.tolist(), *(0.5 * (saves[1:] + saves[:-1])).tolist()]
        return all(torch.equal(self.intensities(time, probe), first) for time in times)

    def intensities(self, time: Time, shares: torch.Tensor) -> torch.Tensor:
        """Intensity of each transition for one agent: shapes [path, state] to [path, transition]."""
        if isinstance(time, torch.Tensor):
            return self.intensities(0.0, shares) if self.is_steady else self._intensities_by_path(time, shares)
        constant, slope = self._coefficients(time)
        result = torch.addmm(constant, shares, slope)
        general = [number for number, entry in enumerate(self.game.transitions) if entry.intensity is not None]
        if not general:
            return result
        field, choice = shares @ self._emission(time), self.game.neutral_control(shares[:, 0])
        columns = list(result.unbind(dim=-1))
        for number in general:
            columns[number] = self.game.intensity(self.game.transitions[number], time, field, choice)
        return torch.stack(columns, dim=-1)

    def _intensities_by_path(self, times: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        result = shares.new_zeros(len(shares), len(self.sources))
        for time in times.unique().tolist():
            rows = (times[:, 0] == time).nonzero()[:, 0]
            result = result.index_put((rows,), self.intensities(time, shares[rows]))
        return result

    def _emission(self, time: float) -> torch.Tensor:
        """What a population with everyone in one state exposes each agent to, [state, channel]."""
        with torch.no_grad():
            neutral = self.game.neutral_control(self.identity[0])
            return self.contacts * self.game.emission(time, self.states, neutral)

    def _coefficients(self, time: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Spontaneous and induced intensities are constant + shares @ slope; general ones are 0 here.

        Kept by time, because training passes the same times again and again.
        """
        if time not in self._affine:
            emission = self._emission(time)
            channels = emission.shape[1]
            fields = torch.cat([emission.new_zeros(1, channels), torch.eye(channels).to(emission)])
            neutral = self.game.neutral_control(fields[:, 0])
            columns = [
                torch.zeros_like(neutral) if entry.intensity else self.game.intensity(entry, time, fields, neutral)
                for entry in self.game.transitions
            ]
            values = torch.stack(columns, dim=-1)
            self._affine[time] = values[0], emission @ (values[1:] - values[0])
        return self._affine[time]

    def advance(self, factors: Factors, shares: torch.Tensor, span: Span, increments: torch.Tensor) -> torch.Tensor:
        """Shares at the end of a save interval, [path, state]; `increments` are standard normal [step, path, transition]."""
        return self.move(factors, shares, span, increments)[0]

    def move(
        self,
        factors: Factors,
        shares: torch.Tensor,
        span: Span,
        increments: torch.Tensor,
        *,
        solver: str = "euler",
        areas: torch.Tensor | None = None,
        weights: Sequence[torch.Tensor] = (),
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`advance`, and the extents of its transitions, [path, transition]; `areas` and `weights` as in `integrate`.

        An adjoint sees a start through the state alone. So with `weights` the shares that the law starts from are numbers, and
        their gradient goes through extents at the start, which are 0; not where transitions do not connect all states.
        """
        step, floor, root = span.step, self.floor * span.step, self.size**0.5
        weights = weights if self.is_connected else ()
        origin = shares.detach() if weights else shares
        start = (shares - origin) @ self.extent_of

        def moved(extents: torch.Tensor) -> torch.Tensor:
            return project(torch.addmm(origin, extents, self.change))

        def law(count: float, extents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            time, now = span.start + count * step, moved(extents)
            rate_factor, noise_factor = factors(time, now)
            drift = (now @ self.source) * self.intensities(time, now) * (rate_factor * step)
            return drift, drift * torch.maximum(drift, floor).rsqrt() * (noise_factor / root)

        extents = integrate(law, start, increments, solver=solver, areas=areas, weights=weights)
        return moved(extents), extents - start
