"""Policies: interpolation in time, rows on another graph, errors."""

from __future__ import annotations

import numpy as np
import pytest

from mesocosm import ContactGraph, InputError, TabulatedPolicy, constant_control, no_control
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import EffortOptions, SIROptions

GAME = SIR(SIROptions(beta=1, gamma=1, effort=EffortOptions(minimum=0.2)))
STAR = ContactGraph.from_edges(5, [0, 0, 0, 0], [1, 2, 3, 4], attributes={"group": ["b", "a", "a", "b", "a"]})


def tabulated(closure: str, types: tuple[str, ...], degrees: list[float]) -> TabulatedPolicy:
    rows = np.arange(len(types), dtype=float)
    values = np.array([0.0, 1.0, 3.0])[:, None, None] + np.stack([10 * rows, 10 * rows + 5], axis=-1)
    return TabulatedPolicy(np.array([0.0, 1.0, 3.0]), values, closure, types, np.array(degrees))


@pytest.mark.parametrize(("time", "value"), [(0, 0), (0.25, 0.25), (1, 1), (2, 2), (2.5, 2.5), (3, 3), (-1, 0), (9, 3)])
def test_linear_in_time_and_held_outside(time: float, value: float) -> None:
    """Catches the wrong neighbours in the table, a step instead of a line, and extrapolation."""
    policy = tabulated("homogeneous", ("all",), [1])
    state = np.array([0, 1, 0])
    assert policy.control(time, np.zeros(3, int), state, None) == pytest.approx([value, value + 5, value])
    assert policy.table(time, 2) == pytest.approx(np.array([[value, value + 5]]))


def test_rows_and_states_broadcast() -> None:
    """Catches rows and states swapped, or paired where they should be crossed."""
    policy = tabulated("degree", ("1", "4"), [1, 4])
    assert policy.table(1, 2) == pytest.approx(np.array([[1, 6], [11, 16]]))
    assert policy.control(1, np.array([1, 0]), np.array([0, 1]), None) == pytest.approx([11, 6])


def test_homogeneous_treats_everyone_alike() -> None:
    """Catches rows beyond the one that there is."""
    assert tabulated("homogeneous", ("all",), [2]).rows(STAR).tolist() == [0] * 5


def test_degrees_go_to_the_nearest_class() -> None:
    """Catches a lookup by position instead of by degree; the classes need not be sorted."""
    policy = tabulated("degree", ("5", "1", "2"), [5, 1, 2])
    assert policy.rows(STAR).tolist() == [0, 1, 1, 1, 1]
    assert policy.rows(ContactGraph.from_edges(3, [0, 0], [1, 2])).tolist() == [2, 1, 1]


def test_groups_go_by_name() -> None:
    """Catches groups matched by their order: this graph names b first."""
    assert tabulated("group", ("b", "c", "a"), [1, 1, 1]).rows(STAR).tolist() == [0, 2, 2, 0, 2]
    with pytest.raises(InputError, match="group 'b'; it was solved for the groups a"):
        tabulated("group", ("a",), [1]).rows(STAR)


def test_individuals_go_one_by_one() -> None:
    """Catches a node-by-node policy played on a graph of another size."""
    names = tuple("01234")
    assert tabulated("individual", names, [1] * 5).rows(STAR).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="solved node by node for 5 nodes"):
        tabulated("individual", names, [1] * 5).rows(ContactGraph.complete(4))


def test_constant_and_none() -> None:
    """Catches a constant that is also played in states without a choice."""
    states = np.arange(3)
    assert constant_control(GAME, 0.5).control(0, np.zeros(3, int), states, None).tolist() == [0.5, 1, 1]
    assert no_control(GAME).control(0, np.zeros(3, int), states, None).tolist() == [1, 1, 1]
    assert no_control(GAME).table(0, 3).shape == (1, 3)


@pytest.mark.parametrize("value", [0.1, 1.1, -1])
def test_a_constant_out_of_range_is_refused(value: float) -> None:
    """Catches a control outside of what the game allows, silently clipped."""
    with pytest.raises(InputError, match=r"'contact level' lies between 0\.2 and 1"):
        constant_control(GAME, value)


def test_a_control_without_a_choice_is_refused() -> None:
    """Catches a constant control for a game that has none, silently ignored."""
    with pytest.raises(InputError, match="the game has no control"):
        constant_control(SIR(SIROptions(beta=1, gamma=1)), 0.5)


@pytest.mark.parametrize(
    ("times", "shape"), [([0.0], (1, 1, 2)), ([0.0, 0.0], (2, 1, 2)), ([1.0, 0.0], (2, 1, 2)), ([0.0, 1.0], (2, 2, 2))]
)
def test_a_table_that_does_not_fit_is_refused(times: list[float], shape: tuple[int, ...]) -> None:
    """Catches a division by a zero time step, and rows that do not match the types."""
    with pytest.raises(InputError, match="policy: "):
        TabulatedPolicy(np.array(times), np.zeros(shape), "homogeneous", ("all",), np.ones(1))
