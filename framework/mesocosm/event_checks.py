"""What has to be right in the events of a scenario beyond the form of each: names, times, and options of the game."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from mesocosm.clock import Clock
from mesocosm.errors import InputError, suggestion
from mesocosm.event_options import EventOptions, leaves, name_of
from mesocosm.explaining import Faults
from mesocosm.scenario import Choice
from mesocosm.source import Path_
from mesocosm.varying import varied

GAME = "game."
"""What the options that an event sets begin with."""


def check_events(raw: Any, clock: Clock | None, game: Choice | None, faults: Faults) -> None:
    """Add what is wrong in the events of a raw scenario; an event whose form is wrong has its faults already.

    `clock` and `game` are None where they have faults themselves; what needs them is not checked then.
    """
    events = {
        number: event for number, item in enumerate(raw if isinstance(raw, list) else []) if (event := _read(item))
    }
    names = {number: name_of(number, event.name) for number, event in events.items()}
    for number, event in events.items():
        above = {name: other for other, name in names.items() if other < number}
        for path, what in (
            *_names(names[number], event, above, names),
            *_time(event, events, above, clock),
            *_settings(number, events, above, game),
        ):
            faults.append((("events", number, *path), what))


def _read(item: Any) -> EventOptions | None:
    try:
        return EventOptions.model_validate_json(json.dumps(item), strict=True)
    except ValidationError:
        return None


def _names(
    name: str, event: EventOptions, above: Mapping[str, int], names: Mapping[int, str]
) -> Iterator[tuple[Path_, str]]:
    if name in above:
        yield ("name",), f"event {above[name] + 1} is called '{name}' as well; give them different names"
    if event.after is not None and event.after not in above:
        there = event.after in names.values()
        hint = "it has to stand above this one" if there else suggestion(event.after, above) or "there is none above"
        yield ("after",), f"no event above is called '{event.after}'; {hint}"


def _time(
    event: EventOptions, events: Mapping[int, EventOptions], above: Mapping[str, int], clock: Clock | None
) -> Iterator[tuple[Path_, str]]:
    if event.at is None or clock is None:
        return
    try:
        last = clock.index_of(event.at) == len(clock.times) - 1
    except InputError as error:
        yield ("at",), "; ".join((error.what, error.rule, error.hint))
        return
    if last:
        rule = f"the last save before is at {clock.times[-2]:g}"
        yield ("at",), f"time {event.at:g} is the end, after which nothing happens; {rule}"
    before = events[above[event.after]] if event.after is not None and event.after in above else None
    if before is not None and before.at is not None and before.at > event.at:
        yield ("at",), f"time {event.at:g} is before '{event.after}', at {before.at:g}, which has to happen first"


def _settings(
    number: int, events: Mapping[int, EventOptions], above: Mapping[str, int], game: Choice | None
) -> Iterator[tuple[Path_, str]]:
    """What is wrong in the options of the game that an event sets, on top of what is certain to have been set before."""
    sound = True
    for key, value in events[number].set_.items():
        what = _key_fault(key) or _value_fault(value)
        if what:
            sound = False
            yield ("set", key), what
    if not sound or game is None or not events[number].set_:
        return
    before = _changes(certain_before(number, events), events)
    if varied(game, before, type(game.options), []) is None:
        return  # The event that makes it so has the fault.
    found: Faults = []
    varied(game, before | _changes([number], events), type(game.options), found)
    for path, what in found:
        yield _place(path, events[number]), what if path else f"the game with these options: {what}"


def _changes(numbers: Iterable[int], events: Mapping[int, EventOptions]) -> dict[str, Any]:
    """What events set, one after the other, by the options of the game."""
    settings = [leaves(events[number].set_) for number in numbers]
    return {key.removeprefix(GAME): value for each in settings for key, value in each.items()}


def _place(path: Path_, event: EventOptions) -> Path_:
    """Where an event sets the option that has a fault; the whole of what it sets where another event did."""
    option = f"{GAME}{path[0]}" if path else ""
    for key in event.set_:
        if option == key or option.startswith(f"{key}."):
            return ("set", key, *(option.removeprefix(key).split(".")[1:]))
    return ("set",)


def _key_fault(key: str) -> str:
    parts = key.split(".")
    if parts[0] != "game" or len(parts) < 2 or not all(parts):
        return "events set options of the game only; write game. and the option, such as game.beta"
    return "the game stays the same one; set its options" if parts[1] == "kind" else ""


def _value_fault(value: Any) -> str:
    """Situations are told apart by these values, which are therefore numbers, words, or lists of them."""
    wrong = any(_has_mapping(leaf) for leaf in leaves({"": value}).values())
    return "an event cannot set an empty mapping, nor a list with a mapping in it" if wrong else ""


def _has_mapping(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_has_mapping, value)))


def certain_before(number: int, events: Mapping[int, EventOptions]) -> list[int]:
    """Numbers of events that have happened whenever this one does: those that it waits for, and earlier ones by time."""
    event, names = events[number], {name_of(other, item.name): other for other, item in events.items()}
    found: set[int] = set()
    waited = names.get(event.after or "", number)
    while waited < number and waited not in found:
        found.add(waited)
        waited = names.get(events[waited].after or "", number)
    if event.at is not None:
        found |= {
            other
            for other, item in events.items()
            if item.at is not None and item.after is None and (item.at, other) < (event.at, number)
        }
    return sorted(found)
