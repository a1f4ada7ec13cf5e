"""Policy networks of a finite-state game: one control for each state in which agents choose."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import FiniteStateGame, InputError, Mixing, Policy
from mesocosm_neural.play.policy_network import PolicyNetwork, field_features, time_features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sight:
    """What a network sees, and on which scale.

    Attributes
    ----------
    names: some of `time`, `state` and `field`. Without `state` the control is the same in every state with a choice.
    horizon, frequencies: see `time_features`. low, high: of the field, [channel]; see `field_features`.
    types: what tells types of agents apart, [type, number]; see `type_features`.
    """

    names: tuple[str, ...]
    horizon: float
    frequencies: int
    low: torch.Tensor
    high: torch.Tensor
    types: torch.Tensor

    @property
    def sees_field(self) -> bool:
        """Whether the field is among them."""
        return "field" in self.names

    @property
    def width(self) -> int:
        """Number of features; one that is always zero where neither time nor field is seen."""
        time = 1 + self.frequencies if "time" in self.names else 0
        return max(1, time + (2 * len(self.low) if self.sees_field else 0) + int(self.types.shape[1]))

    def features(self, times: torch.Tensor, field: torch.Tensor | None) -> torch.Tensor:
        """Times [node], and the field [row, node, channel] where it is seen, to [row or type, node, feature].

        One time with many fields stands for all of them.
        """
        columns, shape = [], (len(self.types), len(times))
        if field is not None and self.sees_field:
            columns, shape = [field_features(field, self.low, self.high)], field.shape[:2]
        if "time" in self.names:
            columns.append(time_features(times, self.horizon, self.frequencies).expand(*shape, -1))
        if self.types.shape[1]:
            columns.append(self.types[:, None].expand(-1, len(times), -1))
        return torch.cat(columns, dim=-1) if columns else torch.zeros_like(times)[None, :, None]


def type_features(mixing: Mixing) -> FloatArray:
    """What tells the types of a closure apart, [type, number]: degree and its logarithm on [-1, 1], or one-hot names."""
    count = len(mixing.types)
    if mixing.closure != "degree" or count == 1:
        return np.eye(count) if count > 1 else np.zeros((1, 0))
    columns = [mixing.degrees, np.log1p(mixing.degrees)]
    return np.stack([2.0 * (each - each.min()) / np.ptp(each) - 1.0 for each in columns], axis=-1)


class FinitePolicies:
    """The policies of all seeds. Rows of what they are asked about are sorted by seed, as many for each.

    Parameters
    ----------
    hidden: units of each hidden layer.
    """

    def __init__(
        self,
        game: FiniteStateGame,
        sight: Sight,
        hidden: tuple[int, ...],
        generators: list[torch.Generator],
    ) -> None:
        assert game.control is not None
        self.game, self.sight = game, sight
        self.choosing = [game.state_index(name) for name in game.control.states]
        self.neutral = game.neutral_control(torch.zeros_like(sight.low[:1]))
        outputs = len(self.choosing) if "state" in sight.names else 1
        like = sight.low
        self.network = PolicyNetwork(game.control, (sight.width, *hidden, outputs), generators, like.device, like.dtype)

    def controls(self, times: torch.Tensor, field: torch.Tensor | None, rows: int) -> torch.Tensor:
        """The control of every row in every state: times [node], field [row, node, channel] to [row, node, state].

        Without a field, the rows of a seed are its types.
        """
        seeds, seen = self.network.seeds, self.sight.features(times, field)
        if field is None or not self.sight.sees_field:
            seen = seen.expand(seeds, *seen.shape).flatten(0, 1)
        each, nodes = len(seen) // seeds, seen.shape[1]
        stacked = seen.reshape(seeds, each * nodes, -1)
        chosen = self.network.controls(stacked).view(seeds, each, nodes, -1)
        chosen = chosen.expand(-1, rows // seeds, -1, -1).reshape(rows, nodes, -1)
        columns = [self.neutral.expand(rows, nodes)] * len(self.game.states)
        for number, state in enumerate(self.choosing):
            columns[state] = chosen[..., min(number, chosen.shape[-1] - 1)]
        return torch.stack(columns, dim=-1)

    def of_seed(self, seed: int) -> FinitePolicies:
        """The policy of one seed."""
        alone = copy.copy(self)
        alone.network = copy.copy(self.network)
        alone.network.layers = [layer[seed : seed + 1].detach() for layer in self.network.layers]
        alone.network.seeds = 1
        return alone


@dataclass(frozen=True, eq=False)
class NeuralPolicy(Policy):
    """Networks that look at the field; their field is that of contacts who do not choose (see `mesocosm.tabulate_policy`).

    `count` rows, sorted by seed, as many for each. With more than one, all of them are asked at once, along the first axis.
    """

    policies: FinitePolicies
    count: int = 1
    uses_field = True

    @property
    def row_count(self) -> int:
        return self.count

    def control(self, t: float, row: IntArray, state: IntArray, field: FloatArray | None) -> FloatArray:
        if field is None:
            raise InputError("no field", where="policy", rule="this policy looks at the field")
        shape = np.broadcast_shapes(np.shape(row), np.shape(state), field.shape[:-1])
        low = self.policies.sight.low
        felt = np.array(np.broadcast_to(field, (*shape, field.shape[-1]))).reshape(self.count, -1, field.shape[-1])
        with torch.no_grad():
            chosen = (
                self.policies.controls(low.new_tensor([t]), torch.from_numpy(felt).to(low), self.count).cpu().numpy()
            )
        states = np.broadcast_to(state, shape).reshape(self.count, -1, 1)
        return np.asarray(np.take_along_axis(chosen, states, axis=-1).reshape(shape), np.float64)
