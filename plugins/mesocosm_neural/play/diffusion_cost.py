"""The cost of the agents of a diffusion game, differentiable in their policy: particles in steps of second order.

At a node t everything is evaluated once, at a predicted place y: control a = pi(t, y, z), drift b(t, y, z, a), noise
sigma, and running cost f. A step of length h to the next node t', with the increments dW of an agent's own noise and
dW0 of a common one:

    y' = x + b h + sigma dW + sigma0 dW0                         evaluate a', b', f' at (t', y')
    x' = x + (b + b') h/2 + sigma dW + sigma0 dW0
    J += S (1 - p) (f + f') h/2 + S p [w f + w^2 (f' - f)/2] h + S p exit cost at t + w h,          w = tau / h

the stochastic Heun method with one evaluation for each step. It is of weak order 2 where the noise does not depend on
the place (Kloeden and Platen, Numerical Solution of SDEs, 15.1), and of order 1 otherwise; y' is as good a place to
evaluate at as x', because they differ by h^(3/2) with a mean of h^2; beyond an absorbing side, y' is taken to it. S
are weights of being inside, p the chance of leaving in this step, after a mean time tau (see `exits`). Field and
signals are those of a flow that is held fixed (see `field_flow`), so the derivative is that of the cost of one agent
among many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Passage
from mesocosm_neural.particles import Particles
from mesocosm_neural.play.exits import Exit, Side, sides_of
from mesocosm_neural.play.feedback_network import Choose
from mesocosm_neural.play.field_flow import felt
from mesocosm_neural.play.hedging import Hedge

FloatArray = NDArray[np.float64]


GONE = 1e-6
"""A weight of being inside below which a particle has left."""


@dataclass(frozen=True, eq=False)
class Node:
    """What is known of particles at a node of time.

    Attributes
    ----------
    places, inside: x [seed, path, axis], and S [seed, path].
    drift, own, common: b, sigma and sigma0, [seed, path, axis]. cost: f [seed, path].
    field: that the particles make, [seed, path, channel]. received: that they respond to.
    """

    places: torch.Tensor
    inside: torch.Tensor
    drift: torch.Tensor
    own: torch.Tensor
    common: torch.Tensor
    cost: torch.Tensor
    field: torch.Tensor
    received: torch.Tensor


@dataclass(frozen=True, eq=False)
class Move:
    """One step: the node after it, what leaves by each absorbing side, and the running cost paid in it, [seed, path]."""

    node: Node
    exits: tuple[Exit, ...]
    paid: torch.Tensor


@dataclass(frozen=True, eq=False)
class Journey:
    """Particles from time 0 to the horizon.

    Attributes
    ----------
    cost: of each, [seed, path]. passages, signals: of each seed, the latter [seed, signal].
    field: that the particles make at every node of time, [seed, node, channel], as the first of them feels it.
    """

    cost: torch.Tensor
    passages: list[Passage]
    signals: torch.Tensor
    field: torch.Tensor


@dataclass(frozen=True, eq=False)
class Walk:
    """Particles that play a policy.

    `uses_field`: whether the policy looks at the field. Each seed has `scenarios` populations, each with a common noise of its
    own. `members` [path] are 1 for particles that are part of it, and 0 for those that are not; None where all are. With a
    `hedge`, costs and gradients have less noise, and the same mean.
    """

    particles: Particles
    choose: Choose
    uses_field: bool
    scenarios: int = 1
    members: torch.Tensor | None = None
    hedge: Hedge | None = None

    @cached_property
    def sides(self) -> tuple[Side, ...]:
        """The absorbing sides."""
        return sides_of(self.particles.game)

    def node(
        self, t: float, places: torch.Tensor, inside: torch.Tensor | None = None, given: torch.Tensor | None = None
    ) -> Node:
        """Particles at a time, all of them inside unless said otherwise; a field `given` [seed, channel] is held fixed."""
        weights = torch.ones_like(places[..., 0]) if inside is None else inside
        return self._node(t, places, places, weights, given)

    def step(
        self,
        times: tuple[float, float],
        node: Node,
        noise: tuple[torch.Tensor, torch.Tensor],
        given: torch.Tensor | None = None,
        touch: Callable[[torch.Tensor], torch.Tensor] = lambda chance: chance,
    ) -> Move:
        """One step between two times; `noise` are standard normals of each particle [seed, path, axis], and of its scenario.

        `given` is the field at the end of the step. `touch` turns the chance of leaving by a side into the share that leaves:
        itself, or 0 or 1 by a draw.
        """
        particles, length, before = self.particles, times[1] - times[0], node.places
        shaken = before + length**0.5 * node.own * noise[0]
        paid = torch.zeros_like(node.cost)
        if self.hedge is not None:
            price = self.hedge.price(times[0], self._held(before), node.received)
            gain = self.hedge.gain(price, before, node.drift, node.own, shaken, length, self.sides)
            paid = -node.inside * gain
        variance = node.own**2
        if particles.game.common is not None:
            shaken, variance = shaken + length**0.5 * node.common * noise[1], variance + node.common**2
        after = shaken + length * node.drift
        guess = self._node(times[1], self._held(particles.contain(after)), after, node.inside, given)
        after = shaken + 0.5 * length * (node.drift + guess.drift)
        exits, remaining = [], node.inside
        for side in self.sides:
            chance, delay = side.crossing(before, after, variance, length)
            leaves, share = remaining * touch(chance), delay / length
            exits.append(Exit(leaves, delay, side.at(before, after)))
            paid = paid + leaves * delay * (node.cost + 0.5 * share * (guess.cost - node.cost))
            remaining = remaining - leaves
        paid = paid + 0.5 * length * remaining * (node.cost + guess.cost)
        return Move(replace(guess, places=particles.contain(after), inside=remaining), tuple(exits), paid)

    def travel(
        self,
        places: torch.Tensor,
        noise: tuple[torch.Tensor, torch.Tensor],
        times: FloatArray,
        field: torch.Tensor | None = None,
        signals: torch.Tensor | None = None,
    ) -> Journey:
        """From places [seed, path, axis] at times[0] through all `times` [node], with noise [node - 1, seed, path, axis].

        A field [seed, node, channel] and signals [seed, signal] are held fixed; without them, they are those of the particles.
        It ends when all have left, up to a weight of `GONE`.
        """
        game, nodes, moves = self.particles.game, times.tolist(), []
        node = self.node(nodes[0], places, given=None if field is None else field[:, 0])
        path, paid = [node.field[:, 0]], torch.zeros_like(node.cost)
        for k in range(len(nodes) - 1):
            given = None if field is None else field[:, k + 1]
            move = self.step((nodes[k], nodes[k + 1]), node, (noise[0][k], noise[1][k]), given)
            paid, node = paid + move.paid, move.node
            path.append(node.field[:, 0])
            moves.append(move)
            if self.sides and float(node.inside.detach().max()) < GONE:
                break
        path += [path[-1]] * (len(nodes) - len(path))
        passages = self._passages(times, moves)
        found = self.signals_of(passages)
        shown = (found if signals is None else signals)[:, None]
        cost = paid + node.inside * game.terminal_cost(nodes[-1], node.places, node.received, shown)
        cost = cost + self._exit_costs(times, moves, shown)
        return Journey(cost, passages, found, torch.stack(path, dim=1).detach())

    def signals_of(self, passages: list[Passage]) -> torch.Tensor:
        """Signals of flows, [seed, signal]; one that is infinite, because a share never leaves, is taken as the horizon."""
        game = self.particles.game
        found = np.array([np.asarray(game.find_signals(each), np.float64) for each in passages])
        ends = np.array([each.times[-1] for each in passages])[:, None]
        finite = np.where(np.isinf(found), ends, found).reshape(len(passages), -1)
        return torch.from_numpy(finite).to(device=self.particles.device, dtype=self.particles.dtype)

    def _node(
        self, t: float, places: torch.Tensor, at: torch.Tensor, inside: torch.Tensor, given: torch.Tensor | None
    ) -> Node:
        """Everything evaluated at `places`; the particles themselves are `at`, to be corrected."""
        game = self.particles.game
        if given is None:
            control, received = self._respond(t, places, inside)
            made = received
        else:
            received = given[:, None].expand(-1, places.shape[1], -1)
            control = self._chosen(t, places, received, inside)
            made = self._made(t, places, inside, control)
        own, common = game.noise(t, places, received), game.common_noise(t, places, received)
        drift = game.drift(t, places, received, control)
        cost = game.running_cost(t, places, received, control)
        return Node(at, inside, drift, own, common, cost, made, received)

    def _respond(self, t: float, places: torch.Tensor, inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Controls, and the field of the particles themselves.

        A policy that looks at the field chooses by what it would be if all others were neutral.
        """
        game = self.particles.game
        seen = self._made(t, places, inside, game.neutral_control(places))
        control = self._chosen(t, places, seen, inside)
        return control, self._made(t, places, inside, control) if game.interaction == "emission" else seen

    def _chosen(self, t: float, places: torch.Tensor, seen: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        if self.hedge is None:
            return self.choose(t, places, seen)
        return self.hedge.steered(t, places, seen, inside, self.choose)

    def _made(self, t: float, places: torch.Tensor, inside: torch.Tensor, control: torch.Tensor) -> torch.Tensor:
        """The field that the population makes, at every particle: [seed, path, channel]."""
        return felt(self.particles, t, places, control, inside * self._weights, self.scenarios)

    @cached_property
    def _weights(self) -> torch.Tensor | float:
        """Of members, so that their mean is 1."""
        return 1.0 if self.members is None else self.members / self.members.mean()

    def _passages(self, times: FloatArray, moves: list[Move]) -> list[Passage]:
        seeds = len(moves[0].node.inside)
        if not self.sides:
            return [Passage(times, np.zeros(len(times)))] * seeds
        inside = torch.stack([(self._weights * move.node.inside.detach()).mean(dim=1) for move in moves], dim=1)
        rows = np.pad(1.0 - inside.double().cpu().numpy(), ((0, 0), (1, 0)))
        return [Passage(times, row) for row in np.pad(rows, ((0, 0), (0, len(times) - rows.shape[1])), mode="edge")]

    def _exit_costs(self, times: FloatArray, moves: list[Move], signals: torch.Tensor) -> torch.Tensor:
        """What is paid on leaving, [seed, path]; 0 where nobody can."""
        total = torch.zeros_like(moves[0].paid)
        starts = torch.from_numpy(times[: len(moves)]).to(total)[:, None, None]
        for number in range(len(self.sides)):
            exits = [move.exits[number] for move in moves]
            at = starts + torch.stack([each.delay for each in exits])
            costs = self.particles.game.exit_cost(at, torch.stack([each.place for each in exits]), signals)
            total = total + (torch.stack([each.share for each in exits]) * costs).sum(dim=0)
        return total

    def _held(self, places: torch.Tensor) -> torch.Tensor:
        for side in self.sides:
            places = side.held(places)
        return places
