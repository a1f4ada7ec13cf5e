"""A component with some of its options changed: for groups with parameters of their own, and for events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from mesocosm.explaining import Faults, validate
from mesocosm.options import Options
from mesocosm.scenario import Choice
from mesocosm.source import Path_


def varied(choice: Choice, changes: Mapping[str, Any], model: type[Options], faults: Faults) -> Choice | None:
    """A component with other values for some options: `{gamma: 0.05, effort.cost: 3}`, or `{effort: {cost: 3}}`.

    They are checked as a whole by its options model. Where they do not fit, None, and what is wrong is added to `faults`, at
    its path in `changes`.
    """
    value = {name: item for name, item in deepcopy(choice.resolved()).items() if name != "kind"}
    origins: dict[Path_, Path_] = {}
    for option, path, item in _leaves(changes):
        _put(value, option, item)
        origins[option] = path
    found: Faults = []
    options = validate(model, value, (), found, {})
    faults += [(_origin(place, origins), what) for place, what in found]
    return None if options is None else Choice(choice.name, options)


def _leaves(changes: Mapping[str, Any], option: Path_ = (), path: Path_ = ()) -> Iterator[tuple[Path_, Path_, Any]]:
    """Every single value: the path of its option, its path in `changes`, and the value."""
    for key, item in changes.items():
        inner, place = (*option, *str(key).split(".")), (*path, key)
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, inner, place)
        else:
            yield inner, place, item


def _put(value: dict[str, Any], option: Path_, item: Any) -> None:
    """Set an option, in place; the options above it are made where there are none."""
    for part in option[:-1]:
        if not isinstance(value.get(str(part)), dict):
            value[str(part)] = {}
        value = value[str(part)]
    value[str(option[-1])] = item


def _origin(place: Path_, origins: Mapping[Path_, Path_]) -> Path_:
    """Where what is wrong at an option was given: by the change of it, of one above it, or of one below it."""
    for length in range(len(place), 0, -1):
        if place[:length] in origins:
            return origins[place[:length]]
    below = [path for option, path in origins.items() if place and option[: len(place)] == place]
    return below[0] if below else ()
