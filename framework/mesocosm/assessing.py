"""How far a policy is from an equilibrium, whoever found it: its cost in mean field, and what a best response would save.

    exploitability   J(a; flow of a) - min over b of J(b; flow of a)          per agent, in costs
    consistency      largest distance over time between the recorded flow and the mean-field flow of the policy: of shares
                     for finite states, Wasserstein's of order 1 between places for diffusions

The mean field is that of the closure which a policy was solved for, else the homogeneous one. Sources: Carmona and Delarue,
Probabilistic Theory of Mean Field Games I (2018); Perolat et al., arXiv 2103.00623 for exploitability.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame
from mesocosm.diffusion_field import DiffusionField
from mesocosm.equilibrium import tabulate_policy
from mesocosm.errors import InputError
from mesocosm.game import FiniteStateGame
from mesocosm.marginals import Marginals
from mesocosm.mixing import Mixing
from mesocosm.policy import ConstantPolicy, Policy, TabulatedPolicy
from mesocosm.problem import Problem
from mesocosm.stage import StageGame
from mesocosm.state_grid import cells_of
from mesocosm.time_grid import saved_shares, steps_needed
from mesocosm.timeline import Timeline

FloatArray = NDArray[np.float64]
Recorded = Mapping[str, NDArray[Any]]
"""What a dynamics recorded, by name: arrays [replicate, time, ...]."""

LARGEST_FLOW = 2**24
"""Most numbers in a flow over time, type and state: beyond it a closure by individuals is not assessed."""

CELLS, STEPS = {1: 300, 2: 48}, {1: 1000, 2: 240}
"""Of the grid for diffusions, by the number of axes: cells along the longest axis, and the least number of steps."""


@dataclass(frozen=True)
class Assessment:
    """What a policy costs in mean field per agent, what a best response would save, and how far the recorded flow is."""

    value: float
    exploitability: float
    consistency: float = np.nan


def assess(problem: Problem, policy: Policy, recorded: Recorded | None = None) -> Assessment:
    """Value and exploitability of a policy in the mean field of a problem, and its consistency with what was recorded.

    Errors: `InputError` for a game without costs, one that no mean field here can describe, or a policy that does not fit.
    """
    if not problem.game.has_costs:
        raise InputError(f"game {type(problem.game).__name__}", where="assess", rule="it has no costs")
    if isinstance(problem.game, FiniteStateGame):
        return _of_finite_states(problem, problem.game, policy, recorded or {})
    if isinstance(problem.game, DiffusionGame):
        return _of_diffusion(problem, problem.game, policy, recorded or {})
    if isinstance(problem.game, StageGame):
        return _of_stage_game(problem.game, policy)
    raise InputError(f"game {type(problem.game).__name__}", where="assess", rule="no mean field for it is known here")


def can_assess(problem: Problem, policy: Policy) -> bool:
    """Whether `assess` has an answer, and one that is found in bearable time."""
    game = problem.game
    if isinstance(game, FiniteStateGame):
        if not isinstance(policy, TabulatedPolicy):
            return game.has_costs and policy.row_count == 1
        size = 2 * len(problem.clock.times) * policy.row_count * len(game.states)
        return game.has_costs and size <= LARGEST_FLOW and _closure(problem, policy) is not None
    if isinstance(game, DiffusionGame):
        return game.has_costs and (game.common is None or game.moves_with is not None)
    return isinstance(game, StageGame) and isinstance(policy, ConstantPolicy) and game.tables == 0


def _closure(problem: Problem, policy: TabulatedPolicy) -> Mixing | None:
    """The closure that a policy was solved for, where this graph has the same types."""
    normalise = problem.game.normalise
    if policy.closure == "homogeneous":
        return problem.graph.mixing("homogeneous", normalise=normalise)
    try:
        mixing = problem.graph.mixing(policy.closure, normalise=normalise, group=policy.group)
    except InputError:
        return None
    return mixing if mixing.types == policy.types else None


def _of_finite_states(problem: Problem, game: FiniteStateGame, policy: Policy, recorded: Recorded) -> Assessment:
    mixing = _closure(problem, policy) if isinstance(policy, TabulatedPolicy) else None
    if mixing is None:
        if policy.row_count > 1:
            raise InputError(
                f"a policy for {policy.row_count} types",
                where="assess",
                rule="the contact graph must have the same types",
            )
        mixing = problem.graph.mixing("homogeneous", normalise=game.normalise)
    timeline, times = Timeline(problem, mixing), problem.clock.times
    timeline.check("assess")
    if not timeline.foreseen:
        raise InputError(
            "events on a threshold, or vaccinations",
            where="assess",
            rule="exploitability is measured where everyone knows beforehand when game and contacts change",
        )
    steps = steps_needed(lambda number: saved_shares(timeline.model(number), times), times, None)
    model = timeline.model(steps)
    rows = np.arange(len(mixing.types)) if policy.row_count > 1 else np.zeros(len(mixing.types), np.int64)
    control = tabulate_policy(model, policy, rows)
    flow = model.flow(control)
    value, exploitability = model.mean_cost(model.value(flow, control)), model.exploitability(flow, control)
    consistency = np.nan
    if "occupancy" in recorded:
        seen = np.asarray(recorded["occupancy"], np.float64).mean(axis=0)
        expected = game.folded(mixing.shares @ flow.occupancy[model.saves(times)])
        consistency = float(np.abs(expected - seen).max())
    return Assessment(value, exploitability, consistency)


def _of_diffusion(problem: Problem, game: DiffusionGame, policy: Policy, recorded: Recorded) -> Assessment:
    if game.common is not None and game.moves_with is None:
        raise InputError(
            f"common noise '{game.common}'", where="assess", rule="only a game that moves with its mean can be assessed"
        )
    dimension, saves = len(game.axes), len(problem.clock.times) - 1
    steps = -(-STEPS[dimension] // saves)
    times = np.linspace(0.0, problem.clock.end, saves * steps + 1)
    strength = 1.0 if game.normalise == "mean" else float(problem.graph.strengths.mean())
    model = DiffusionField(game, cells_of(game.axes, CELLS[dimension]), times, strength)
    flow = model.flow(policy)
    value = model.mean_cost(model.value(flow, flow.control))
    exploitability = model.exploitability(flow, flow.control)
    consistency = np.nan
    if "quantile" in recorded:
        marginals, centres = Marginals(game), [axis.nodes for axis in model.grid.axes]
        seen = np.asarray(recorded["quantile"], np.float64).mean(axis=0)
        found = np.stack(
            [
                marginals.of_masses(centres, flow.masses[k], model.grid.exits, flow.left[k])["quantile"][0]
                for k in range(0, len(times), steps)
            ]
        )
        consistency = float(np.abs(found - seen).mean(axis=-1).max())
    return Assessment(value, exploitability, consistency)


def _of_stage_game(game: StageGame, policy: Policy) -> Assessment:
    action = float(policy.control(0.0, np.zeros(1, np.int64), np.zeros(1, np.int64), None)[0])
    signals = game.limit(action)
    value = float(game.expected_cost(np.array(action), signals))
    return Assessment(value, value - game.best_response(action, signals)[1])
