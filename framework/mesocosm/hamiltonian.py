"""The Hamiltonian of a finite-state game, and its minimisation where an author gives no closed form.

H(t, x, z, u, a) = f(t, x, z, a) + sum over transitions r out of x of q_r(t, z, a) (u[target r] - u[x])
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm.game import FiniteStateGame

FloatArray = NDArray[np.float64]

_GOLDEN = (5**0.5 - 1) / 2
_POINTS, _ROUNDS = 65, 40


def hamiltonian(
    game: FiniteStateGame, t: float, field: FloatArray, value: FloatArray, control: FloatArray
) -> FloatArray:
    """H in every state: field [..., channel], value and control [..., state] to [..., state]."""
    states = np.broadcast_to(np.arange(len(game.states)), control.shape)
    spread = np.broadcast_to(field[..., None, :], (*control.shape, field.shape[-1]))
    result = np.array(game.running_cost(t, states, spread, control), np.float64)
    for transition in game.transitions:
        source, target = game.state_index(transition.source), game.state_index(transition.target)
        rate = game.intensity(transition, t, field, control[..., source])
        result[..., source] += rate * (value[..., target] - value[..., source])
    return result


def minimise_hamiltonian(game: FiniteStateGame, t: float, field: FloatArray, value: FloatArray) -> FloatArray:
    """The minimising control in every state, shape [..., state]; neutral in states without a choice."""
    shape = np.broadcast_shapes(value.shape, (*field.shape[:-1], len(game.states)))
    value = np.broadcast_to(value, shape)
    result = np.array(game.neutral_control(np.zeros(shape)))
    if game.control is None:
        return result
    low_end, high_end = game.control.minimum, game.control.maximum
    spacing = (high_end - low_end) / (_POINTS - 1)
    grid = np.linspace(low_end, high_end, _POINTS)
    costs = np.stack([hamiltonian(game, t, field, value, np.full(shape, point)) for point in grid])
    best = grid[np.argmin(costs, axis=0)]
    low, high = np.maximum(best - spacing, low_end), np.minimum(best + spacing, high_end)
    for _ in range(_ROUNDS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left_is_better = hamiltonian(game, t, field, value, left) <= hamiltonian(game, t, field, value, right)
        low, high = np.where(left_is_better, low, left), np.where(left_is_better, right, high)
    chosen = (low + high) / 2
    for name in game.control.states:
        result[..., game.state_index(name)] = chosen[..., game.state_index(name)]
    return result
