"""Records of a game of groups: folded back to plain states, and kept by group."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

import mesocosm
from mesocosm import Dynamics, InputError, Options

SCENARIO = """\
mesocosm: 1
name: g
seed: 1
time: {end: 2, save_every: 1}
population:
  initial: {I: 0.1}
  groups:
    old: {game: {gamma: 0.05, effort.cost: 3}}
graph: {kind: contact_matrix, groups: {young: 60, old: 20}, contacts: {young: {young: 4, old: 2}, old: {young: 6, old: 1}}}
game: {kind: sir, beta: 0.03, gamma: 0.1, effort: {cost: 1}}
"""


class Shown(Dynamics):
    """Shows fixed shares and controls; `extra` and the coordinates are set by tests."""

    expresses: ClassVar[frozenset[str]] = frozenset({"groups"})
    extra: ClassVar[dict[str, tuple[str, ...]]] = {}
    names: ClassVar[dict[str, Any]] = {}
    shares: ClassVar[np.ndarray] = np.array([[0.10, 0.15, 0.0, 0.45, 0.0, 0.30]])
    choice: ClassVar[np.ndarray] = np.array([[0.2, 1.0, 1.0, 0.6, 1.0, 1.0]])

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "control": ("replicate", "state"), **self.extra}

    def coordinates(self) -> dict[str, Any]:
        return self.names

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: Any) -> int:
        return state + 1

    def observe(self, state: int) -> dict[str, np.ndarray]:
        found = {"occupancy": self.shares, "control": self.choice}
        if "group_occupancy" in self.extra:
            found["group_occupancy"] = np.repeat(self.shares[:, None], 3, axis=1)
        if "dread" in self.extra:
            found["dread"] = self.choice + 1
        return found


def record(**changes: Any) -> mesocosm.Trajectories:
    problem = mesocosm.build(mesocosm.parse(SCENARIO))
    kind = type("Shown", (Shown,), changes)
    return mesocosm.simulate(problem, {"shown": kind.bind(Options())})["shown"]


def test_records_are_folded_back_to_plain_states() -> None:
    """Catches results by expanded states, shares of groups that do not sum to one, and a control that is not weighed.

    A quarter of the agents are old. Of all susceptible 0.10 are old and choose 0.2, and 0.45 young and choose 0.6.
    """
    found = record()
    assert found.coordinates["state"] == ("S", "I", "R")
    assert found.coordinates["group"] == ("old", "young")
    assert found.array("occupancy")[0, 1] == pytest.approx([0.55, 0.15, 0.30])
    assert found.array("group_occupancy")[0, 1] == pytest.approx(np.array([[0.4, 0.6, 0], [0.6, 0, 0.4]]))
    assert found.array("control")[0, 1] == pytest.approx([(0.10 * 0.2 + 0.45 * 0.6) / 0.55, 1, 1])
    assert found.array("group_control")[0, 1] == pytest.approx(Shown.choice.reshape(2, 3))


def test_a_control_where_nobody_is_weighs_all_agents() -> None:
    """Catches NaN for an empty state: the mean is then over all agents, as without groups."""
    found = record(shares=np.array([[0.0, 0.25, 0.0, 0.0, 0.75, 0.0]]))
    assert found.array("control")[0, 0, 0] == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)


def test_groups_of_another_kind_keep_their_name() -> None:
    """Catches the groups of a closure by another attribute taken for those of the game."""
    dims = {"group_occupancy": ("replicate", "group", "state")}
    found = record(extra=dims, names={"group": ("x", "y", "z")})
    assert found.coordinates["group"] == ("x", "y", "z")
    assert found.coordinates["game_group"] == ("old", "young")
    assert found.array("group_occupancy").shape == (1, 3, 3, 3)
    assert found.variables["group_control"].dims == ("replicate", "time", "game_group", "state")


def test_what_else_is_recorded_over_states_keeps_the_group() -> None:
    """Catches a variable of a plugin that is added up although it is no share."""
    found = record(extra={"dread": ("replicate", "state")})
    assert found.variables["dread"].dims == ("replicate", "time", "group", "state")
    assert found.array("dread")[0, 0] == pytest.approx(Shown.choice.reshape(2, 3) + 1)
    with pytest.raises(InputError, match="the last one is the state"):
        record(extra={"dread": ("state", "replicate")})


def test_a_dynamics_that_names_its_states_is_not_folded() -> None:
    """Catches data by plain states that are cut into groups."""
    found = record(
        names={"state": ("S", "I", "R")}, shares=np.array([[0.5, 0.3, 0.2]]), choice=np.array([[0.5, 1.0, 1.0]])
    )
    assert found.array("occupancy")[0, 0] == pytest.approx([0.5, 0.3, 0.2])
    assert "group_control" not in found.variables


def test_the_share_at_risk_counts_every_group() -> None:
    """Catches an attack rate of the first group alone."""
    game = mesocosm.build(mesocosm.parse(SCENARIO)).finite_game
    assert float(game.share_at_risk(Shown.shares[0])) == pytest.approx(0.55)
    assert float(game.plain.share_at_risk(np.array([0.3, 0.2, 0.5]))) == pytest.approx(0.3)


def test_a_dynamics_refuses_groups_unless_it_says_otherwise() -> None:
    """Catches a plugin that would run the states of all groups as if they were one."""
    with pytest.raises(InputError, match="cannot express groups with parameters of their own"):
        record(expresses=frozenset())
