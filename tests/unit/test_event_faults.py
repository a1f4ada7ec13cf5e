"""Faults of events: all at once, each with its place and what to do."""

from __future__ import annotations

import pytest
from event_scenarios import FIRST, faults, text


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ("{set: {game.beta: 1}}", ": events.0: give either at (a save time) or when (a threshold)"),
        ("{at: 5}", ": events.0: nothing happens; give close, open, set or vaccinate"),
        ("{at: 5, sett: {game.beta: 1}}", "events.0.sett: unknown option; did you mean 'set'?"),
        ("{at: -1, set: {game.beta: 1}}", "events.0.at: -1 must be greater than or equal to 0"),
        (
            "{at: 5.2, set: {game.beta: 1}}",
            "events.0.at: time 5.2 is not saved; saves are every 0.5 from 0 to 60; the nearest is 5",
        ),
        (
            "{at: 60, set: {game.beta: 1}}",
            "events.0.at: time 60 is the end, after which nothing happens; the last save before is at 59.5",
        ),
        ("{at: 5, set: {game.betta: 1}}", ":19: events.0.set.game.betta: unknown option; did you mean 'beta'?"),
        ("{at: 5, set: {game.beta: -1}}", "events.0.set.game.beta: -1 must be greater than or equal to 0"),
        ("{at: 5, set: {game.effort.csot: 1}}", "events.0.set.game.effort.csot: unknown option; did you mean 'cost'?"),
        (
            "{at: 5, set: {game.effort: {csot: 1}}}",
            "events.0.set.game.effort.csot: unknown option; did you mean 'cost'?",
        ),
        ("{at: 5, set: {game.effort: {cost: 0}}}", "events.0.set.game.effort.cost: 0 must be greater than 0"),
        (
            "{at: 5, set: {beta: 1}}",
            "events.0.set.beta: events set options of the game only; write game. and the option",
        ),
        ("{at: 5, set: {graph.kind: edges}}", "events.0.set.graph.kind: events set options of the game only"),
        ("{at: 5, set: {game.kind: sis}}", "events.0.set.game.kind: the game stays the same one; set its options"),
        ("{at: 5, set: {game.x: [[{a: 1}]]}}", "events.0.set.game.x: an event cannot set an empty mapping"),
        ("{at: 5, set: {game.effort: {}}}", "events.0.set.game.effort: an event cannot set an empty mapping"),
        (
            "{at: 5, after: it, set: {game.beta: 1}}",
            "events.0.after: no event above is called 'it'; there is none above",
        ),
        (
            "{name: it, at: 5, after: it, set: {game.beta: 1}}",
            "events.0.after: no event above is called 'it'; it has to stand above this one",
        ),
        ("{at: 5, close: [a], open: [a]}", "events.0: layer 'a' is to close and to open"),
        (
            "{when: {observable: occupancy.I}, set: {game.beta: 1}}",
            "events.0.when: give either above or below",
        ),
        ("{when: {observable: control.I, above: 0.1}, set: {game.beta: 1}}", "events.0.when.observable"),
        (
            "{at: 5, vaccinate: {count: 5, into: R}}",
            "events.0.vaccinate.strategy: missing; this option is required",
        ),
        (
            "{at: 5, vaccinate: {count: 5, share: 0.1, strategy: {kind: random}, into: R}}",
            "events.0.vaccinate: give either count or share",
        ),
        (
            "{at: 5, vaccinate: {count: 5, strategy: {kind: randon}, into: R}}",
            "events.0.vaccinate.strategy.kind: no strategy is called 'randon'; did you mean 'random'?",
        ),
        (
            "{at: 5, vaccinate: {count: 5, strategy: {kind: betweenness, sampels: 5}, into: R}}",
            "events.0.vaccinate.strategy.sampels: unknown option; did you mean 'samples'?",
        ),
        (
            "{at: 5, vaccinate: {count: 5, strategy: {kind: random}, into: R, from: [R]}}",
            "events.0.vaccinate: from ['R'] into 'R'; a dose leads from some states to another one",
        ),
        (
            "{at: 5, vaccinate: {count: 5, strategy: {kind: random}, into: R, from: [S], anyone: true}}",
            "events.0.vaccinate: give either from or anyone: true",
        ),
    ],
)
def test_faults_found_when_a_scenario_is_read(event: str, fault: str) -> None:
    """Catches an event with a fault that is taken, one whose place is wrong, and a message without the next step."""
    (found,) = faults(text(event))
    assert fault in found
    assert found.startswith(f"scenario:{FIRST}:")


def test_all_faults_of_all_events_are_found_at_once() -> None:
    """Catches a check that stops at the first event, and faults in another order than that of the file."""
    events = (
        "{name: a, at: 5.1, set: {game.betta: 1}}",
        "{name: a, at: 5, set: {game.beta: 1}}",
        "{name: b, at: 7, after: c, set: {game.beta: 1}}",
        "{name: c, at: 9, set: {game.beta: 1}}",
        "{at: 7, after: c, set: {game.beta: 1}}",
    )
    found = faults(text(*events))
    assert [int(item.split(":")[1]) - FIRST for item in found] == [0, 0, 1, 2, 4]
    assert "event 1 is called 'a' as well" in found[2]
    assert "it has to stand above this one" in found[3]
    assert "time 7 is before 'c', at 9, which has to happen first" in found[4]


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (
            "{at: 5, close: [school]}",
            "events.0.close.0: the contact graph has no layer 'school'; it is not made of layers",
        ),
        (
            "{when: {observable: occupancy.J, above: 0.1}, set: {game.beta: 1}}",
            "events.0.when.observable: the game 'sir' has no state 'J'; known: I, R, S",
        ),
        (
            "{when: {observable: group_occupancy.old.I, above: 0.1}, set: {game.beta: 1}}",
            "events.0.when.observable: 'group_occupancy.old.I' cannot be looked at by an event; only groups with parameters",
        ),
        (
            "{at: 5, vaccinate: {count: 61, strategy: {kind: random}, into: R}}",
            "events.0.vaccinate.count: 61 doses for 60 agents",
        ),
        (
            "{at: 5, vaccinate: {share: 0.001, strategy: {kind: random}, into: R}}",
            "events.0.vaccinate.share: 0 doses for 60 agents",
        ),
        (
            "{at: 5, vaccinate: {count: 1, strategy: {kind: random}, into: V, from: [W]}}",
            "events.0.vaccinate.into: the game 'sir' has no state 'V'",
        ),
        (
            "{at: 5, vaccinate: {count: 1, strategy: {kind: random}, into: S}}",
            "events.0.vaccinate.into: a dose leads to 'S', the first state, in which agents are by default; give from",
        ),
        (
            "{at: 5, vaccinate: {count: 1, strategy: {kind: betweenness, samples: 61}, into: R}}",
            "events.0.vaccinate.strategy: samples 61; the graph has 60 nodes",
        ),
    ],
)
def test_faults_found_when_a_problem_is_built(event: str, fault: str) -> None:
    """Catches a name that means nothing on this game or graph, and doses for more agents than there are."""
    found = faults(text(event, "{at: 6, close: [x]}"))
    assert fault in found[0]
    assert found[0].startswith(f"scenario:{FIRST}:")
    assert "events.1.close.0" in found[-1]
