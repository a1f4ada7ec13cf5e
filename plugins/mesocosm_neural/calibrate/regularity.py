"""Whether the equilibria of a game can be differentiated by its parameters."""

from __future__ import annotations

import numpy as np
import torch

from mesocosm import FiniteStateGame, InputError, MesocosmError, Mixing, Problem, half_step_grid
from mesocosm_neural.calibrate.collocation import Collocation
from mesocosm_neural.calibrate.parameters import Parameters

FLAT = 1e-9
"""A second difference of the cost below it, relative to the largest cost, is none."""


def check_control(game: FiniteStateGame, where: str) -> None:
    """`InputError` for a game whose best response jumps from one end of its range to the other.

    That is where the Hamiltonian is linear in the control. On a time grid such an equilibrium moves by whole steps, and has
    no derivative.
    """
    control = game.control
    if control is None:
        return
    levels = np.linspace(control.minimum, control.maximum, 3)
    field, value = np.full((3, len(game.channels)), 0.3), 1.0 + np.arange(len(game.states)) ** 2 / 7.0
    for name in control.states:
        state = game.state_index(name)
        cost = np.array(game.running_cost(0.0, np.full(3, state), field, levels), np.float64)
        for transition in game.transitions:
            if transition.source == name:
                change = value[game.state_index(transition.target)] - value[state]
                cost = cost + game.intensity(transition, 0.0, field, levels) * change
        if abs(cost[0] - 2 * cost[1] + cost[2]) > FLAT * np.abs(cost).max():
            return
    raise InputError(
        f"in game {type(game).__name__} the cost is linear in '{control.name}'",
        where=where,
        rule="best responses that jump between the ends of their range have no derivative",
        hint="calibrate a game whose cost is curved in its control",
    )


def check_tensors(problem: Problem, parameters: Parameters, mixing: Mixing) -> None:
    """`InputError` for a game that cannot be made of tensors, or computed with them: the first save interval is tried."""
    game, nodes = parameters.game, half_step_grid(problem.clock.times[:2], 1)
    equations = Collocation(game, parameters.rebuild, mixing, problem.type_shares(mixing), nodes)
    theta = torch.tensor(parameters.starts, dtype=torch.float64)[None, :, None].expand(1, -1, len(nodes))
    unknowns = torch.ones(1, equations.steps + 1, equations.unknowns, dtype=theta.dtype) / len(game.states)
    try:
        equations.linearise(unknowns, theta)
    except MesocosmError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"game {type(game).__name__} cannot be differentiated: {type(error).__name__}: {text[:200]}",
            where=parameters.where,
            rule="its functions, and best_control in closed form, must work on torch tensors, parameters included",
            hint="write them with operators, or with array_namespace; calibrate other parameters",
        ) from error
