"""The Hamiltonian of a game, and its minimisation where an author gives no closed form.

H(t, x, z, u, a) = f(t, x, z, a) + sum over transitions r out of x of q_r(t, z, a) (u[target r] - u[x])          finite states
H(t, x, z, p, a) = f(t, x, z, a) + b(t, x, z, a) . p          diffusions, p the gradient of the value
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mesocosm.diffusion import DiffusionGame
from mesocosm.game import Control, FiniteStateGame

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

    def cost(control: FloatArray) -> FloatArray:
        return hamiltonian(game, t, field, value, control)

    chosen = _minimise(cost, shape, game.control)
    for name in game.control.states:
        result[..., game.state_index(name)] = chosen[..., game.state_index(name)]
    return result


def minimise_diffusion_hamiltonian(
    game: DiffusionGame, t: float, state: FloatArray, field: FloatArray, gradient: FloatArray
) -> FloatArray:
    """The minimising control of a diffusion game, [..., axis], one axis after the other."""
    chosen = np.array(game.neutral_control(np.zeros(np.broadcast_shapes(state.shape, gradient.shape))))
    if game.control is None:
        return chosen
    for axis in range(chosen.shape[-1]):

        def cost(part: FloatArray, axis: int = axis) -> FloatArray:
            control = chosen.copy()
            control[..., axis] = part
            moved = game.drift(t, state, field, control) * gradient
            return np.asarray(game.running_cost(t, state, field, control) + moved.sum(axis=-1), np.float64)

        chosen[..., axis] = _minimise(cost, chosen.shape[:-1], game.control)
    return chosen


def _minimise(cost: Callable[[FloatArray], FloatArray], shape: tuple[int, ...], control: Control) -> FloatArray:
    """The control of every entry that costs least: 65 points, then golden section around the best of them."""
    low_end, high_end = control.minimum, control.maximum
    spacing = (high_end - low_end) / (_POINTS - 1)
    grid = np.linspace(low_end, high_end, _POINTS)
    best = grid[np.argmin(np.stack([cost(np.full(shape, point)) for point in grid]), axis=0)]
    low, high = np.maximum(best - spacing, low_end), np.minimum(best + spacing, high_end)
    for _ in range(_ROUNDS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left_is_better = cost(left) <= cost(right)
        low, high = np.where(left_is_better, low, left), np.where(left_is_better, right, high)
    return np.asarray((low + high) / 2, np.float64)
