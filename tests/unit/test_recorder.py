"""What is kept of a dynamics: checked at the door, the run stops at the first fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import Dynamics, DynamicsError, InputError, Labelled, Options, Problem

SCENARIO = """\
mesocosm: 1
name: r
seed: 1
time: {end: 2, save_every: 1}
population: {size: 10, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.5, gamma: 0.1}
"""
GOOD = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])


class Told(Dynamics):
    """Says what it was told to, from the second save on."""

    answers: Any = None
    facts: Any = None

    @property
    def replicates(self) -> int:
        return 2

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "extra": ("replicate", "colour"), "free": ("replicate", "any")}

    def coordinates(self) -> dict[str, Any]:
        return {"colour": ("red", "blue")}

    def init(self) -> int:
        return 0

    def advance(self, state: int, interval: mesocosm.Interval) -> int:
        return state + 1

    def observe(self, state: int) -> dict[str, Any]:
        good = {"occupancy": GOOD, "extra": np.full((2, 2), state), "free": np.zeros((2, 4))}
        return good if state == 0 else {**good, **(self.answers or {})}

    def summary(self, state: int) -> Any:
        return self.facts or {}


@pytest.fixture
def problem() -> Problem:
    return mesocosm.build(mesocosm.parse(SCENARIO))


def simulate(problem: Problem, *, answers: Any = None, facts: Any = None, **more: Any) -> mesocosm.Trajectories:
    kind = type("Told", (Told,), {"answers": answers, "facts": facts, **more})
    return mesocosm.simulate(problem, {"told": kind.bind(Options())})["told"]


def test_what_is_observed_is_kept(problem: Problem) -> None:
    """Catches replicates and times swapped, a save in the wrong place, and lost labels."""
    found = simulate(problem, facts={"value": 1.5, "cost": Labelled(("replicate",), np.array([1.0, 2.0]))})
    assert found.times.tolist() == [0, 1, 2]
    assert found.array("occupancy").shape == (2, 3, 3)
    assert found.variables["occupancy"].dims == ("replicate", "time", "state")
    assert found.array("extra")[:, :, 0].tolist() == [[0, 1, 2], [0, 1, 2]]
    assert found.coordinates["state"] == ("S", "I", "R")
    assert found.coordinates["colour"] == ("red", "blue")
    assert float(found.array("value")) == 1.5
    assert found.variables["cost"].dims == ("replicate",)
    with pytest.raises(InputError, match="'told' has no 'nothing'; it has: "):
        found.array("nothing")


def without_mass(loss: float) -> np.ndarray:
    return GOOD - np.array([loss, 0, 0])


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"occupancy": np.where(GOOD == 0.3, np.nan, GOOD)}, "'occupancy' is not finite in replicate 0"),
        ({"occupancy": np.array([[1.0, 0, 0], [np.inf, 0, 0]])}, "'occupancy' is not finite in replicate 1"),
        ({"extra": np.array([[1.0, 2], [3, np.nan]])}, "'extra' is not finite in replicate 1"),
        ({"occupancy": without_mass(1e-5)}, r"'occupancy' adds up to 0\.99999"),
        ({"occupancy": without_mass(-1e-5)}, r"'occupancy' adds up to 1\.00001"),
        ({"occupancy": GOOD + np.array([1e-3, -1e-3, 0])}, "'occupancy' is negative: -0.001"),
        ({"occupancy": GOOD[:1]}, r"'occupancy' has shape \(1, 3\); its dimensions are \(replicate 2, state 3\)"),
        ({"occupancy": GOOD[:, :2]}, r"'occupancy' has shape \(2, 2\)"),
        ({"occupancy": GOOD[0]}, r"'occupancy' has shape \(3,\)"),
        ({"extra": np.zeros((2, 3))}, r"'extra' has shape \(2, 3\); its dimensions are \(replicate 2, colour 2\)"),
        ({"free": np.zeros((2, 1))}, r"'free' has shape \(2, 1\); a shape stays the same in time"),
        ({"extra": np.array([["a", "b"], ["c", "d"]])}, "'extra' has type <U1; numbers are needed"),
        ({"extra": np.array([[None, None], [1, 2]])}, "'extra' has type object"),
        ({"unknown": GOOD}, r"observe returned \['extra', 'free', 'occupancy', 'unknown'\]"),
    ],
)
def test_a_wrong_observation_stops_the_run(problem: Problem, answers: Any, says: str) -> None:
    """Catches NaN, lost mass or a wrong shape that would spread into the results; label, time and quantity are named."""
    with pytest.raises(DynamicsError, match=says) as caught:
        simulate(problem, answers=answers)
    assert str(caught.value).startswith("dynamics 'told' (Told) at time 1: ")


def test_rounding_in_single_precision_is_allowed(problem: Problem) -> None:
    """Catches a tolerance so tight that float32 dynamics fail."""
    assert simulate(problem, answers={"occupancy": without_mass(2e-7).astype(np.float32)})


def test_a_missing_observation_stops_the_run(problem: Problem) -> None:
    """Catches a variable that would be NaN at some times."""

    def observe(self: Told, state: int) -> dict[str, Any]:
        return {"occupancy": GOOD, "free": np.zeros((2, 4))}

    with pytest.raises(DynamicsError, match=r"at time 0: observe returned \['free', 'occupancy'\]"):
        simulate(problem, observe=observe)


def test_data_may_have_gaps_but_no_infinity(problem: Problem) -> None:
    """Catches data refused for their gaps, and infinity that passes as one."""
    gap = np.full((2, 3), np.nan)
    assert np.isnan(simulate(problem, partial=True, answers={"occupancy": gap}).array("occupancy")[:, 1:]).all()
    with pytest.raises(DynamicsError, match="not finite"):
        simulate(problem, partial=True, answers={"extra": np.full((2, 2), np.inf)})


def test_dimensions_begin_with_replicate(problem: Problem) -> None:
    """Catches an array that would be taken apart along the wrong axis."""
    dims = {"occupancy": ("state", "replicate"), "extra": ("replicate", "colour"), "free": ("replicate", "any")}
    with pytest.raises(DynamicsError, match="the first is 'replicate'"):
        simulate(problem, dimensions=lambda self: dims)


@pytest.mark.parametrize(
    "facts", [{"value": None}, {"value": "x"}, {"value": Labelled(("replicate",), np.zeros((2, 2)))}]
)
def test_a_summary_that_is_no_number_stops_the_run(problem: Problem, facts: Any) -> None:
    """Catches a value that could not be saved, found only when the results are written."""
    with pytest.raises(DynamicsError, match="summary 'value' has type"):
        simulate(problem, facts=facts)


def crash(*_: Any) -> Any:
    raise ValueError("broken\nin two lines")


@pytest.mark.parametrize(
    ("method", "when"),
    [
        ("__init__", "checking the problem"),
        ("check", "checking the problem"),
        ("prepare", "preparing"),
        ("dimensions", "at time 0"),
        ("init", "at time 0"),
        ("observe", "at time 0"),
        ("advance", "between times 0 and 1"),
        ("summary", "summing up"),
    ],
)
def test_whatever_a_dynamics_raises_names_it(problem: Problem, method: str, when: str) -> None:
    """Catches a bare traceback from any of the methods that a plugin writes."""
    with pytest.raises(
        DynamicsError, match=rf"dynamics 'told', {when}: ValueError: broken in two lines; raised at .*:\d+"
    ):
        simulate(problem, **{method: crash})


def test_errors_of_mesocosm_pass_unchanged(problem: Problem) -> None:
    """Catches an input error of a dynamics turned into a failed run (exit code 1 instead of 2)."""

    def refuse(self: Told) -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        simulate(problem, check=refuse)


def test_all_dynamics_are_checked_before_any_runs(problem: Problem) -> None:
    """Catches an hour of simulation before the second dynamics says that it cannot run this problem."""
    ran = []

    def prepare(self: Told) -> None:
        ran.append("first")

    first = type("First", (Told,), {"prepare": prepare})
    second = type("Second", (Told,), {"check": crash})
    with pytest.raises(DynamicsError):
        mesocosm.simulate(problem, {"first": first.bind(Options()), "second": second.bind(Options())})
    assert ran == []


def test_a_policy_that_nobody_found_is_an_error(problem: Problem) -> None:
    """Catches a reference to a dynamics without a policy that falls back to none."""

    def prepare(self: Told) -> None:
        self.context.policy_of("first")

    second = type("Second", (Told,), {"prepare": prepare})
    with pytest.raises(InputError, match="'first' has no policy"):
        mesocosm.simulate(problem, {"first": Told.bind(Options()), "second": second.bind(Options())})


def test_a_policy_is_prepared_once(problem: Problem) -> None:
    """Catches an equilibrium that is solved again for each dynamics that plays it."""
    ran = []

    def solve(self: Told) -> None:
        ran.append(self.context.label)

    def play(self: Told) -> None:
        self.context.policy_of("solver")

    solver = type(
        "Solver", (Told,), {"prepare": solve, "policy": lambda self: mesocosm.no_control(problem.finite_game)}
    )
    player = type("Player", (Told,), {"prepare": play})
    makers = {"solver": solver.bind(Options()), "one": player.bind(Options()), "two": player.bind(Options())}
    mesocosm.simulate(problem, makers)
    assert ran == ["solver"]
