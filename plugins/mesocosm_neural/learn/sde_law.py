"""The SDE of agents or series, part from the game and part learned, from one save to the next.

    dX = drift dt + noise dW         with drift and noise from `sde_networks`, W independent for every path and column

**Sides of the box.** Reflecting and periodic sides need nothing of the solver: it moves unfolded coordinates Y with
X = fold(Y), dY = fold'(Y) drift(X) dt + noise(X) dW, which has the law of the Euler scheme that mirrors at every step (Bossy,
Gobet, Talay, J. Appl. Probab. 41, 877, 2004). At an absorbing side a path stops for good as soon as it is nearer than 0.5826
noise sqrt(h) for steps of length h. That shift makes up, to first order in sqrt(h), for crossings between steps that nobody
sees (Gobet and Menozzi, Stoch. Process. Appl. 120, 130, 2010); who starts as near as that stops at once. Gradients go through
where a path stops, not through whether it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from mesocosm import Axis, substeps
from mesocosm_neural.engine import integrate
from mesocosm_neural.learn.sde_networks import DriftAndNoise
from mesocosm_neural.learn.space import Space
from mesocosm_neural.particles import Particles
from mesocosm_neural.tape import NoiseTape

Terms = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Part = Callable[[float, torch.Tensor, torch.Tensor | None], Terms]
"""(time, places [seed, path, column], who is inside [seed, path] or None) -> the game's drift, noise and field."""

SHIFT = 0.5826
"""- zeta(1/2) / sqrt(2 pi)."""


@dataclass(frozen=True, eq=False)
class GamePart:
    """Drift, noise and field of a diffusion game whose agents take the neutral control."""

    particles: Particles

    def __call__(self, time: float, places: torch.Tensor, inside: torch.Tensor | None) -> Terms:
        game = self.particles.game
        control = game.neutral_control(places)
        field = self.particles.field(time, places, control, inside)
        drift, noise = game.drift(time, places, field, control), game.noise(time, places, field)
        return drift.expand_as(places), noise.expand_as(places), field


@dataclass(frozen=True, eq=False)
class UnitPart:
    """No drift, a constant noise [column], no field: where there is no game."""

    noise: torch.Tensor

    def __call__(self, time: float, places: torch.Tensor, inside: torch.Tensor | None) -> Terms:
        return torch.zeros_like(places), self.noise.expand_as(places), places[..., :0]


@dataclass(frozen=True, eq=False)
class SDELaw:
    """The law of all seeds' paths.

    Attributes
    ----------
    part, networks: what the game gives, and what is learned; None for the game alone.
    axes: the sides of the box; none for series. step: the longest step. solver: its name.
    """

    part: Part
    networks: DriftAndNoise | None
    space: Space
    axes: tuple[Axis, ...]
    step: float
    solver: str = "euler"

    def count(self, start: float, stop: float) -> int:
        """How many steps fill an interval."""
        return substeps(start, stop, self.step)[0]

    def advance(self, places: torch.Tensor, start: float, stop: float, tape: NoiseTape) -> torch.Tensor:
        """Places [seed, path, column] at `stop`; the tape has a channel for each column of seed * path paths."""
        shape, (_, length) = places.shape, substeps(start, stop, self.step)
        origin = self.space.compared(places)

        def law(count: float, unfolded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            now, turned = folded(unfolded.view(shape), self.axes)
            drift, noise = self._moves(start + count * length, length, now, origin)
            return (drift * turned * length).view_as(unfolded), (noise * length**0.5).view_as(unfolded)

        initial = places.reshape(-1, shape[-1])
        unfolded = integrate(law, initial, tape.increments, solver=self.solver, areas=tape.areas)
        now, _ = folded(unfolded.view(shape), self.axes)
        if not any(side == "absorbing" for axis in self.axes for side in (axis.lower, axis.upper)):
            return now
        _, noise = self._terms(stop, now, origin)
        return self._at_rest(now, noise.detach() * length**0.5)

    def inside(self, places: torch.Tensor) -> torch.Tensor | None:
        """Who has not left, [seed, path]; None where nobody can."""
        result: torch.Tensor | None = None
        for axis, column in zip(self.axes, places.unbind(dim=-1), strict=False):
            for side, within in ((axis.lower, column > axis.low), (axis.upper, column < axis.high)):
                if side == "absorbing":
                    result = within if result is None else result & within
        return result

    def _terms(self, time: float, now: torch.Tensor, origin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = self.part(time, now, self.inside(now))
        if self.networks is None:
            return given[:2]
        before = origin if self.networks.has_origin else None
        return self.networks.terms(time, self.space.compared(now), before, given)

    def _moves(
        self, time: float, length: float, now: torch.Tensor, origin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Drift and noise of who still moves, 0 of who has stopped."""
        drift, noise = self._terms(time, now, origin)
        stopped = self._stopped(now, noise.detach() * length**0.5)
        if stopped is None:
            return drift, noise
        moving = (~stopped.any(dim=-1, keepdim=True)).to(now)
        return drift * moving, noise * moving

    def _stopped(self, now: torch.Tensor, reach: torch.Tensor) -> torch.Tensor | None:
        """Who is at an absorbing side, by axis and side: [seed, path, 2 * axis]; `reach` is the noise of a step."""
        columns = []
        for number, axis in enumerate(self.axes):
            near, column = SHIFT * reach[..., number], now[..., number]
            if axis.lower == "absorbing":
                columns.append(column - axis.low <= near)
            if axis.upper == "absorbing":
                columns.append(axis.high - column <= near)
        return torch.stack(columns, dim=-1) if columns else None

    def _at_rest(self, now: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
        """Places with those that have stopped put on the side where they did."""
        columns = []
        for number, axis in enumerate(self.axes):
            near, column = SHIFT * reach[..., number], now[..., number]
            if axis.lower == "absorbing":
                column = torch.where(column - axis.low <= near, axis.low, column)
            if axis.upper == "absorbing":
                column = torch.where(axis.high - column <= near, axis.high, column)
            columns.append(column)
        return torch.stack(columns, dim=-1)


def folded(unfolded: torch.Tensor, axes: tuple[Axis, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in the box from coordinates that go on beyond its sides, and the derivative 1 or -1, both [..., column]."""
    if all(side in ("open", "absorbing") for axis in axes for side in (axis.lower, axis.upper)):
        return unfolded, unfolded.new_ones(())
    places, turns = [], []
    for axis, column in zip(axes, unfolded.unbind(dim=-1), strict=True):
        away, turn = column - axis.low, torch.ones_like(column)
        if axis.is_periodic:
            away = torch.remainder(away, axis.length)
        elif axis.lower == "reflecting" and axis.upper == "reflecting":
            away = torch.remainder(away, 2 * axis.length)
            turn = torch.where(away > axis.length, -turn, turn)
            away = torch.minimum(away, 2 * axis.length - away)
        elif axis.lower == "reflecting":
            turn, away = torch.where(away < 0, -turn, turn), away.abs()
        elif axis.upper == "reflecting":
            turn = torch.where(away > axis.length, -turn, turn)
            away = axis.length - (axis.length - away).abs()
        places.append(axis.low + away)
        turns.append(turn)
    return torch.stack(places, dim=-1), torch.stack(turns, dim=-1)
