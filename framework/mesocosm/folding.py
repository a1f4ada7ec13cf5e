"""What is recorded of a game whose groups have states of their own: folded back to the plain states.

    occupancy(replicate, state)                 added up over groups
    group_occupancy(replicate, group, state)    the same within each group
    control(replicate, state)                   the mean over the agents in a plain state; over all where nobody is in it
    group_control(replicate, group, state)      the mean over the agents of each group in it

Anything else over states is kept by group: (..., state) becomes (..., group, state). Where a dynamics records groups of
another kind, the groups of the game go by the name `game_group` instead of `group`, and `group_occupancy` is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.dynamics import Dynamics
from mesocosm.errors import InputError
from mesocosm.grouped import GroupedGame

Dimensions = dict[str, tuple[str, ...]]

STATE, GROUP, OTHER_GROUP = "state", "group", "game_group"


class Folding:
    """Folds what a dynamics observes of a grouped game.

    `dims` and `coordinates` are those of what is recorded. Nothing is folded for a dynamics that names its states itself.
    """

    def __init__(self, dynamics: Dynamics, dims: Dimensions, coordinates: Mapping[str, Sequence[Any]]) -> None:
        game = dynamics.problem.game
        is_folded = isinstance(game, GroupedGame) and STATE not in dynamics.coordinates()
        self.game = game if isinstance(game, GroupedGame) and is_folded else None
        self.observed, self.dims, self.coordinates = dims, dict(dims), dict(coordinates)
        if self.game is None:
            return
        same = tuple(coordinates.get(GROUP, self.game.groups)) == self.game.groups
        group = GROUP if same else OTHER_GROUP
        self.coordinates |= {STATE: self.game.plain.states, group: self.game.groups}
        for name, axes in dims.items():
            if STATE in axes and name not in ("occupancy", "group_occupancy", "control"):
                self.dims[name] = self._by_group(name, axes, group)
        self.adds_occupancy = same and "occupancy" in dims and "group_occupancy" not in dims
        if self.adds_occupancy:
            self.dims["group_occupancy"] = ("replicate", group, STATE)
        if "control" in dims:
            self.dims["group_control"] = ("replicate", group, STATE)

    @staticmethod
    def _by_group(name: str, axes: tuple[str, ...], group: str) -> tuple[str, ...]:
        if axes[-1] != STATE or group in axes:
            raise InputError(
                f"'{name}' has dimensions {axes}",
                where="dimensions",
                rule="the last one is the state, and none is its group",
            )
        return (*axes[:-1], group, STATE)

    def folded(self, observation: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What is recorded, from what was observed at one save."""
        if self.game is None:
            return dict(observation)
        result = dict(observation)
        for name, values in observation.items():
            if STATE in self.observed[name]:
                by_group = self.game.by_group(values)
                result[name] = by_group.sum(axis=-2) if name in ("occupancy", "group_occupancy") else by_group
        if "occupancy" not in observation:
            return result
        shares = self.game.by_group(observation["occupancy"])
        everyone = shares.sum(axis=-1, keepdims=True)
        if self.adds_occupancy:
            result["group_occupancy"] = shares / everyone
        if "control" in observation:
            weights = np.where(shares.sum(axis=-2, keepdims=True) > 0, shares, everyone)
            result["group_control"] = result["control"]
            result["control"] = (weights * result["control"]).sum(axis=-2) / weights.sum(axis=-2)
        return result
