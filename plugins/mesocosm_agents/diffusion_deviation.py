"""Deviations in diffusion games: replicates run again, and the best response to what they showed, on a grid.

The noise of what a deviator pays is taken out by a martingale. Let u be its expected cost to come in mean field, against the
field and the signals that the population showed; then, with the noise of each step in its place,

    M = sum over steps of grad u(t, X(t)) . sigma(t, X, z) sqrt(h) xi

has mean 0 whatever u is, and cost minus M hardly any noise where u is nearly right. In a game that moves with the mean of
contacts, u and the best response are functions of how far an agent is from that mean, and xi is the noise of this
distance. Source: Henderson and Glynn, Approximating martingales for variance reduction, Math. Oper. Res. 27, 253 (2002).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiffusionField, GridFlow, GridPolicy, Policy, Problem
from mesocosm_agents.arrays import FloatArray
from mesocosm_agents.deviation import Deviating, Rerun, Trials
from mesocosm_agents.euler import Crowd, Walk, passage_of, total_costs

CELLS = {1: 300, 2: 48}
"""Cells of the grid along the longest axis, by number of axes."""

LEAST_STEPS = 200
"""Time steps of the grid at least; steps of the agents are divided where there are fewer."""

_AGENTS_AT_ONCE = 2**15
"""Agents whose steps are computed together."""


@dataclass(frozen=True, eq=False)
class Following(Policy):
    """A policy on a grid at places that are shifted by how far a channel of the field, a mean, is from what it was expected
    to be: `expected` [M] at `times` [M]."""

    on_grid: GridPolicy
    channel: int
    times: FloatArray
    expected: FloatArray
    uses_field = True

    def control(self, t: float, row: NDArray[np.int64], state: Any, field: FloatArray | None) -> FloatArray:
        assert field is not None
        ahead = field[..., self.channel, None] - np.interp(t, self.times, self.expected)
        return self.on_grid.control(t, row, state - ahead, None)


@dataclass(eq=False)
class Shown:
    """Sums over agents and runs, at each time: of the field [channel], and of agents inside by cell [cells]."""

    felt: dict[float, FloatArray] = field(default_factory=dict)
    cells: dict[float, FloatArray] = field(default_factory=dict)
    left_at: list[FloatArray] = field(default_factory=list)


@dataclass(eq=False)
class Paths:
    """What the deviators of n trials went through: at each step their place and noise [n, axis] and field [n, channel];
    what they paid in all, [n]."""

    times: list[float] = field(default_factory=list)
    places: list[FloatArray] = field(default_factory=list)
    shocks: list[FloatArray] = field(default_factory=list)
    fields: list[FloatArray] = field(default_factory=list)
    paid: FloatArray = field(default_factory=lambda: np.zeros(0))


class DiffusionRerun(Rerun):
    """See the module docstring."""

    def __init__(self, problem: Problem, walk: Walk) -> None:
        self.problem, self.walk, self.shown = problem, walk, Shown()
        lengths = np.array([axis.length for axis in walk.game.axes])
        counts = np.maximum(8, np.rint(CELLS[len(lengths)] * lengths / lengths.max())).astype(int)
        self._cells = tuple(int(count) for count in counts)
        self._grid = DiffusionField(walk.game, self._cells, problem.clock.times).grid

    def costs(self, trials: Trials, best: Policy | None) -> FloatArray:
        if best is None:
            self.shown = Shown()
        count = 1 if self.walk.graphs.redraw else max(1, _AGENTS_AT_ONCE // self.problem.graph.node_count)
        parts = [trials.some(slice(first, first + count)) for first in range(0, len(trials), count)]
        paths = [self._run(part, best) for part in parts]
        model, flow = self._mean_field()
        played = self._on_grid(model, flow, best or self.walk.policy)
        slope = self._slope(model, flow, model.value(flow, played))
        return np.concatenate([part.paid - self._chance(part, slope) for part in paths])

    def best_response(self) -> Policy:
        model, flow = self._mean_field()
        _, control = model.best_response(flow)
        return self._as_policy(model, flow, np.array(model.middles), control)

    def _run(self, trials: Trials, best: Policy | None) -> Paths:
        """Run trials on one graph."""
        base, numbers = self.walk, trials.replicates
        walk = base if best is None else replace(base, policy=Deviating(base.policy, best, trials.agents))
        contacts = base.graphs.contacts(int(numbers[0]))
        crowd = base.begin(numbers, contacts.size)
        deviator, paths = (np.arange(len(trials)), trials.agents), Paths()
        moves = base.game.moves_with is not None

        def witness(t: float, now: Crowd, felt: FloatArray, own: FloatArray, common: FloatArray | float) -> None:
            paths.times.append(t)
            paths.places.append(now.places[deviator])
            # Where only the distance from the mean of contacts matters, its noise counts, and common noise drops out.
            shock = own - contacts.field(own * now.inside[..., None]) if moves else own + common
            paths.shocks.append(np.where(now.inside[deviator][:, None], shock[deviator], 0.0))
            paths.fields.append(felt[deviator])
            if best is None:
                self._show(t, now, felt)

        for interval in self.problem.clock.intervals():
            crowd = walk.advance_some(contacts, numbers, crowd, interval, witness)
        if best is None:
            _, felt = base.respond(contacts, crowd.time, crowd.places, crowd.inside)
            self._show(crowd.time, crowd, felt)
            self.shown.left_at.append(crowd.left_at.ravel())
        alone = replace(walk, policy=base.policy)
        paid = []
        for row, (number, agent) in enumerate(zip(numbers, trials.agents, strict=True)):
            if best is not None:
                alone = replace(walk, policy=Deviating(base.policy, best, trials.agents[row : row + 1]))
            paid.append(total_costs(alone, int(number), crowd.of(np.array([row])))[agent])
        paths.paid = np.array(paid)
        return paths

    def _show(self, t: float, crowd: Crowd, felt: FloatArray) -> None:
        axes, inside = self._grid.axes, crowd.inside
        places, number = crowd.places[inside], np.zeros(int(inside.sum()), np.int64)
        for axis, column in zip(axes, places.T, strict=True):
            here = np.rint((column - axis.nodes[0]) / axis.spacing).clip(0, len(axis.nodes) - 1)
            number = number * len(axis.nodes) + here.astype(np.int64)
        counts = np.bincount(number, minlength=int(np.prod(self._cells))).reshape(self._cells)
        self.shown.cells[t] = np.asarray(self.shown.cells.get(t, 0.0) + counts, np.float64)
        self.shown.felt[t] = np.asarray(self.shown.felt.get(t, 0.0) + felt.sum(axis=(0, 1)), np.float64)

    def _mean_field(self) -> tuple[DiffusionField, GridFlow]:
        """The mean field whose flow is what the runs showed, linear between steps."""
        graph, game = self.problem.graph, self.walk.game
        coarse = np.array(sorted(self.shown.felt))
        parts = -(-LEAST_STEPS // (len(coarse) - 1))
        times = np.interp(np.arange(parts * (len(coarse) - 1) + 1) / parts, np.arange(len(coarse)), coarse)
        everyone = sum(len(part) for part in self.shown.left_at)
        masses = _between(times, coarse, np.stack([self.shown.cells[t] for t in coarse]) / everyone)
        felt = _between(times, coarse, np.stack([self.shown.felt[t] for t in coarse]) / everyone)
        strength = 1.0 if game.normalise == "mean" else float(graph.strengths.mean())
        model = DiffusionField(game, self._cells, times, strength)
        if game.interaction != "emission":
            neutral = model.neutral()[0]
            felt = np.stack([model.field(float(t), now, neutral) for t, now in zip(times, masses, strict=True)])
        passage = passage_of(np.concatenate(self.shown.left_at), float(times[-1]))
        # Costs to come depend on field and signals alone, so that nobody needs to know who left where.
        left = np.zeros((len(times), len(model.grid.exits)))
        control = model.neutral()
        return model, GridFlow(masses, left, control, felt, passage, model.signals_of(passage))

    def _on_grid(self, model: DiffusionField, flow: GridFlow, policy: Policy) -> FloatArray:
        """A policy as a table [step, cells..., axis]."""
        nodes: Any = model.grid.nodes
        rows = np.zeros(self._cells, np.int64)
        tables = [
            np.broadcast_to(policy.control(float(t), rows, nodes, model.received(felt)), nodes.shape)
            for t, felt in zip(model.middles, (flow.field[1:] + flow.field[:-1]) / 2, strict=True)
        ]
        return np.stack(tables)

    def _slope(self, model: DiffusionField, flow: GridFlow, value: FloatArray) -> Policy:
        """grad u at every time and place."""
        axes = range(1, value.ndim)
        parts = [np.gradient(value, axis.nodes, axis=n) for n, axis in zip(axes, model.grid.axes, strict=True)]
        return self._as_policy(model, flow, model.times, np.stack(parts, axis=-1))

    def _as_policy(self, model: DiffusionField, flow: GridFlow, times: FloatArray, table: FloatArray) -> Policy:
        """A table over times and the grid, [time, cells..., axis], at any place."""
        game = self.walk.game
        nodes = tuple(axis.nodes for axis in model.grid.axes)
        periods = tuple(axis.length if axis.is_periodic else 0.0 for axis in game.axes)
        on_grid = GridPolicy(times, nodes, periods, table)
        if game.moves_with is None:
            return on_grid
        channel = game.channels.index(game.moves_with)
        return Following(on_grid, channel, model.times, flow.field[:, channel])

    def _chance(self, paths: Paths, slope: Policy) -> FloatArray:
        """M of every trial, shape [n]."""
        result, rows = np.zeros(len(paths.paid)), np.zeros(len(paths.paid), np.int64)
        for t, places, shock, felt in zip(paths.times, paths.places, paths.shocks, paths.fields, strict=True):
            here: Any = places
            result += (slope.control(t, rows, here, felt) * shock).sum(axis=-1)
        return result


def _between(times: FloatArray, known: FloatArray, values: FloatArray) -> FloatArray:
    """Values [M, ...] known at some times, at others: linear in between."""
    right = np.searchsorted(known, times).clip(1, len(known) - 1)
    weight = (times - known[right - 1]) / (known[right] - known[right - 1])
    weight = weight.reshape(-1, *(1 for _ in values.shape[1:]))
    return np.asarray((1 - weight) * values[right - 1] + weight * values[right], np.float64)
