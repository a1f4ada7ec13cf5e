"""Events: when they happen, what they leave behind, and whom doses reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mesocosm import ContactGraph, Event, Events, InputError, Situation, Strategy, Threshold, Vaccination
from mesocosm.events import History

ABOVE, BELOW = Threshold((1,), above=0.05), Threshold((1,), below=0.01)


def shares(infected: float) -> np.ndarray:
    return np.array([1.0 - infected, infected, 0.0])


def course(events: Events, path: list[float]) -> tuple[dict[str, int], History]:
    """When each event happens while the share of infected follows a path, save by save."""
    history: History = ()
    when: dict[str, int] = {}
    for time, infected in enumerate(path):
        for number in events.due(float(time), shares(infected), history):
            when[events.items[number].name] = time
            history = (*history, number)
    return when, history


def test_an_event_happens_once_at_its_time_or_at_the_first_save_at_which_its_threshold_holds() -> None:
    """Catches an event that comes a save late, comes again, or whose bound is reached and not passed."""
    events = Events((Event("closing", at=2.0), Event("lockdown", threshold=ABOVE)))
    assert course(events, [0.01, 0.05, 0.04, 0.06, 0.07, 0.02, 0.09]) == ({"closing": 2, "lockdown": 3}, (0, 1))


def test_times_are_those_of_saves_up_to_rounding() -> None:
    """Catches an event that is missed because its time and that of the save were computed in different ways."""
    events = Events((Event("closing", at=0.3),))
    assert events.due(3 * 0.1, shares(0.0), ()) == (0,)
    assert events.due(0.30001, shares(0.0), ()) == ()


def test_an_event_waits_for_the_one_that_it_is_after() -> None:
    """Catches an end of a lockdown that comes before the lockdown, since few are infected at the start too."""
    events = Events((Event("lockdown", threshold=ABOVE), Event("end", threshold=BELOW, after=0)))
    assert course(events, [0.001, 0.002, 0.06, 0.03, 0.005]) == ({"lockdown": 2, "end": 4}, (0, 1))
    assert course(events, [0.001, 0.002, 0.005]) == ({}, ())


def test_events_at_one_save_happen_in_their_order_and_may_wait_for_each_other() -> None:
    """Catches an event that waits a save longer than it has to, and an order by time of the others."""
    events = Events((Event("first", threshold=ABOVE), Event("second", at=1.0, after=0), Event("third", at=1.0)))
    assert course(events, [0.0, 0.06, 0.06]) == ({"first": 1, "second": 1, "third": 1}, (0, 1, 2))
    assert course(events, [0.0, 0.0, 0.06]) == ({"third": 1, "first": 2}, (2, 0))


def test_a_history_is_known_from_when_each_event_happened() -> None:
    """Catches a restart with the events in another order, after which another one would have the last word."""
    events = Events(tuple(Event(name, at=1.0) for name in "abcd"))
    assert events.history(np.array([7.0, 3.0, np.nan, 3.0])) == (1, 3, 0)


def test_thresholds_within_a_group_are_shares_of_the_group() -> None:
    """Catches a share of everyone where that of a group is meant, and a group that is added up wrongly."""
    found = np.array([0.3, 0.1, 0.0, 0.5, 0.1, 0.0])
    assert Threshold((1,), within=(0, 1, 2), above=0.24).holds(found)
    assert not Threshold((1,), within=(0, 1, 2), above=0.26).holds(found)
    assert Threshold((1, 4), above=0.19).holds(found)
    assert not Threshold((1, 4), below=0.19).holds(found)


def test_a_situation_is_what_the_last_events_say() -> None:
    """Catches a layer that stays closed, a parameter with an old value, and a group of options that keeps a part of one
    that it replaces."""
    events = Events(
        (
            Event("a", close=("school", "work"), parameters={"game.beta": 0.02, "game.effort.cost": 3}),
            Event("b", open=("work",), parameters={"game.beta": 0.03, "game.law": [1, [2]]}),
            Event("c", parameters={"game.effort": None}),
        )
    )
    assert events.situation(()) == Situation()
    assert events.situation((0,)).closed == {"school", "work"}
    after = events.situation((0, 1))
    assert after.closed == {"school"}
    assert dict(after.parameters) == {"game.beta": 0.03, "game.effort.cost": 3, "game.law": (1, (2,))}
    assert dict(events.situation((0, 1, 2)).parameters)["game.effort"] is None
    assert "game.effort.cost" not in dict(events.situation((0, 2)).parameters)
    assert dict(events.situation((2, 0)).parameters)["game.effort.cost"] == 3


def test_situations_that_are_alike_are_equal_whatever_led_there() -> None:
    """Catches replicates that are run apart, or games that are made twice, though nothing tells them apart."""
    events = Events((Event("a", parameters={"game.x": 1}), Event("b", parameters={"game.y": 2})))
    assert events.situation((0, 1)) == events.situation((1, 0))
    assert len({events.situation((0, 1)), events.situation((1, 0))}) == 1


def test_the_game_of_a_situation_is_made_once_and_from_its_parameters() -> None:
    """Catches a game for every replicate and save, and one with the parameters of another situation."""
    made: list[Mapping[str, Any]] = []

    def make(parameters: Mapping[str, Any]) -> Any:
        made.append(dict(parameters))
        return object()

    events = Events((Event("a", parameters={"game.x": 1}), Event("b", close=("school",))), make)
    plain, changed = events.game(Situation()), events.game(events.situation((0,)))
    assert events.game(events.situation((1,))) is plain
    assert events.game(events.situation((0, 1))) is changed
    assert changed is not plain
    assert made == [{}, {"game.x": 1}]


@pytest.mark.parametrize(
    ("sources", "plain_states", "before", "after"),
    [
        (frozenset((0,)), None, [0, 1, 2, 3, 0], [2, 1, 2, 3, 2]),
        (frozenset((0, 3)), None, [0, 1, 2, 3, 0], [2, 1, 2, 2, 2]),
        (None, None, [0, 1, 2, 3, 0], [2, 2, 2, 2, 2]),
        (frozenset((0,)), 3, [0, 1, 2, 3, 4, 5], [2, 1, 2, 5, 4, 5]),
        (None, 3, [0, 1, 2, 3, 4, 5], [2, 2, 2, 5, 5, 5]),
    ],
)
def test_doses_move_those_on_whom_they_have_an_effect(
    sources: frozenset[int] | None, plain_states: int | None, before: list[int], after: list[int]
) -> None:
    """Catches infected people who are cured by a dose, and, where groups have states of their own, people who change group."""
    vaccination = Vaccination(1, 2, sources, "mine", Chosen([0]), plain_states)
    given = np.array(before, np.int8)
    found = vaccination.dosed(given)
    assert found.tolist() == after
    assert found.dtype == np.int8
    assert given.tolist() == before


class Chosen(Strategy):
    """Whatever it is told, right or wrong."""

    def __init__(self, nodes: Any) -> None:
        self.nodes = nodes

    def choose(self, graph: ContactGraph, count: int, generator: np.random.Generator) -> Any:
        return np.array(self.nodes)


@pytest.mark.parametrize("nodes", [[0], [0, 1, 2], [1, 1], [0, 4], [-1, 0], [0.0, 1.0], [[0, 1]], [True, False]])
def test_a_strategy_that_chooses_wrongly_is_stopped(nodes: list[Any]) -> None:
    """Catches doses that are too many, too few, given twice, or given to nobody that exists."""
    vaccination = Vaccination(2, 2, None, "mine", Chosen(nodes))
    with pytest.raises(InputError, match=r"strategy 'mine' chose .* 2 different integers from 0 to 3"):
        vaccination.nodes(ContactGraph.complete(4), np.random.default_rng(0))
    right = Vaccination(2, 2, None, "mine", Chosen([3, 1]))
    assert right.nodes(ContactGraph.complete(4), np.random.default_rng(0)).tolist() == [3, 1]
