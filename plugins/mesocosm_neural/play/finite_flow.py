"""What one agent of a finite-state game pays against a given field, exactly and differentiable in its control.

With the field z(t) held fixed, the law p of one agent and its cost so far c obey a linear equation, whatever the game:

    (p, c)' = (p, c) G(t),      G = [ Q(t, z, a)  f(t, z, a) ]
                                    [     0           0      ]

with Q the generator of its jumps and f the running cost in every state. One step of the classical Runge-Kutta method of order
4 is then a matrix, the same for every start, and a whole run is their product. All matrices are made at once, and multiplied
in pairs, pairs of pairs, and so on: a training step takes the logarithm of the number of steps, not that number.

The expectation over paths is exact, so there is nothing to sample. Source of the equation: Gomes, Mohr, Souza, Appl. Math.
Optim. 68, 99 (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mesocosm import FiniteStateGame


@dataclass(frozen=True, eq=False)
class OneAgent:
    """One agent of a game on a half-step grid (see `mesocosm.half_step_grid`): `nodes` has shape [2 steps + 1]."""

    game: FiniteStateGame
    nodes: torch.Tensor

    def cost(self, control: torch.Tensor, field: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        """Expected cost of one agent, [row].

        `control` is [row, node, state], `field` what it receives [row, node, channel], `initial` its law at time 0,
        [row, state].
        """
        whole = product(self.steps(control, field))
        start = torch.cat([initial, torch.zeros_like(initial[:, :1])], dim=-1)
        end = (start[:, None] @ whole)[:, 0]
        last = field[:, -1, None].expand(-1, initial.shape[1], -1)
        terminal = self.game.terminal_cost(self._states(initial), last)
        return end[:, -1] + (end[:, :-1] * terminal).sum(dim=-1)

    def steps(self, control: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        """The matrix of every Runge-Kutta step, [row, step, state + 1, state + 1]."""
        generator = self.generator(control, field)
        length = (self.nodes[2::2] - self.nodes[:-1:2])[:, None, None]
        left, middle, right = generator[:, :-1:2], generator[:, 1::2], generator[:, 2::2]
        one = torch.eye(generator.shape[-1], device=generator.device, dtype=generator.dtype)
        second = (one + length / 2 * left) @ middle
        third = (one + length / 2 * second) @ middle
        fourth = (one + length * third) @ right
        return one + length / 6 * (left + 2 * second + 2 * third + fourth)

    def generator(self, control: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        """G at every node, [row, node, state + 1, state + 1]."""
        game, states = self.game, self._states(control[:, 0])
        ends = [(game.state_index(each.source), game.state_index(each.target)) for each in game.transitions]

        def at(time: torch.Tensor, chosen: torch.Tensor, felt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            rates = [
                game.intensity(each, time, felt, chosen[:, source])
                for each, (source, _) in zip(game.transitions, ends, strict=True)
            ]
            spread = felt[:, None].expand(*chosen.shape, felt.shape[-1])
            return torch.stack(rates, dim=-1), game.running_cost(time, states, spread, chosen)

        # Games are written for one time at once, which may be any scalar: all nodes go through them side by side.
        rates, running = torch.vmap(at, in_dims=(0, 1, 1), out_dims=1)(self.nodes, control, field)
        count = control.shape[-1]
        jumps = torch.zeros(len(ends), count + 1, count + 1, device=control.device, dtype=control.dtype)
        for number, (source, target) in enumerate(ends):
            jumps[number, source, target], jumps[number, source, source] = 1.0, -1.0
        moves = torch.tensordot(rates, jumps, dims=1)
        return moves + torch.nn.functional.pad(running[..., None], (count, 0, 0, 1))

    def _states(self, like: torch.Tensor) -> torch.Tensor:
        """State numbers, in the shape [row, state] of `like`."""
        return torch.arange(like.shape[-1], device=like.device).expand(like.shape)


def product(matrices: torch.Tensor) -> torch.Tensor:
    """The product of matrices along an axis, first one left: [row, step, n, n] to [row, n, n]."""
    while matrices.shape[1] > 1:
        even = matrices.shape[1] // 2 * 2
        pairs, odd = matrices[:, 0:even:2] @ matrices[:, 1:even:2], matrices[:, even:]
        matrices = torch.cat([pairs, odd], dim=1) if odd.shape[1] else pairs
    return matrices[:, 0]
