"""The policy that a diffusion game's training leaves behind, for others to play."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import DiffusionGame, GridPolicy, InputError, Policy
from mesocosm_neural.play.feedback_network import FeedbackNetwork

FloatArray = NDArray[np.float64]

NODES = {1: 400, 2: 64}
"""Nodes of a table along the longest axis, by the number of axes."""

Play = Callable[[float, FloatArray, FloatArray], FloatArray]
"""(t, places [row, axis], field [row, channel]) -> controls [row, axis]."""


@dataclass(frozen=True, eq=False)
class NeuralPolicy(Policy):
    """A policy network of one seed, for a game where it looks at the field."""

    play: Play
    uses_field = True

    def control(
        self, t: float, row: NDArray[np.int64], state: NDArray[np.generic], field: FloatArray | None
    ) -> FloatArray:
        if field is None:
            raise InputError("no field", where="policy", rule="this policy looks at the field")
        places = np.asarray(state, np.float64)
        felt = np.broadcast_to(field, (*places.shape[:-1], field.shape[-1]))
        found = self.play(t, places.reshape(-1, places.shape[-1]), felt.reshape(-1, felt.shape[-1]))
        return found.reshape(places.shape)


def play_of(network: FeedbackNetwork, seed: int) -> Play:
    """What the network of one seed does, in NumPy."""
    like, seeds = network.sight.places, len(network.weights[0])

    def play(t: float, places: FloatArray, field: FloatArray) -> FloatArray:
        def given(values: FloatArray) -> torch.Tensor:
            tensor = torch.from_numpy(np.array(values, np.float64)).to(like)
            return tensor.expand(seeds, *tensor.shape)

        with torch.no_grad():
            chosen = network.over([t])(t, given(places), given(field))[seed]
        return np.asarray(chosen.cpu().numpy(), np.float64)

    return play


def policy_of(network: FeedbackNetwork, seed: int, times: FloatArray, origin: FloatArray) -> Policy:
    """The policy of one seed: a table, or the network itself where it looks at a field that places are not relative to.

    `times` [M] of the table; `origin` [channel] is the field at time 0.
    """
    game, play = network.sight.game, play_of(network, seed)
    if "field" in network.sight.sees and network.sight.moved is None:
        return NeuralPolicy(play)
    nodes = tuple(_nodes(game, number) for number in range(len(game.axes)))
    shape = tuple(len(each) for each in nodes)
    places = np.stack(np.meshgrid(*nodes, indexing="ij"), axis=-1).reshape(-1, len(nodes))
    field = np.broadcast_to(origin, (len(places), len(origin)))
    values = np.stack([play(float(t), places, field).reshape(*shape, len(nodes)) for t in times])
    periods = tuple(axis.length if axis.is_periodic else 0.0 for axis in game.axes)
    channel = network.sight.moved
    if channel is None:
        return GridPolicy(times, nodes, periods, values)
    return GridPolicy(times, nodes, periods, values, channel, float(origin[channel]))


def _nodes(game: DiffusionGame, number: int) -> FloatArray:
    axis, longest = game.axes[number], max(axis.length for axis in game.axes)
    count = max(9, round(NODES[len(game.axes)] * axis.length / longest) + 1)
    return np.linspace(axis.low, axis.high, count, endpoint=not axis.is_periodic)
