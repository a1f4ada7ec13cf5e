"""Checking a scenario: every fault at once, each with its place in the file.

Values are checked as strict JSON: a number is not read from text or from a boolean. Each component is checked by its own
options model, which the catalogue of installed plugins finds by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mesocosm.clock import Clock
from mesocosm.errors import InputError, ScenarioError, suggestion
from mesocosm.event_checks import check_events
from mesocosm.explaining import Faults, validate
from mesocosm.nested import GraphChoice
from mesocosm.options import references
from mesocosm.requirements import unmet
from mesocosm.scenario import (
    RESERVED_LABELS,
    Catalogue,
    Choice,
    EventChoice,
    Scenario,
    ScenarioModel,
    TimeOptions,
    run_order,
)
from mesocosm.source import Document, Path_
from mesocosm.varying import varied


def parse_scenario(document: Document, catalogue: Catalogue, *, text: str, folder: Path, data: str | None) -> Scenario:
    """Check a document and freeze it; raises `ScenarioError` with all faults, in the order of the file.

    `folder` is what file names are relative to; `data` is the folder that `data:` names stand for, or None.
    """
    faults: Faults = []
    if not isinstance(document.value, Mapping):
        raise ScenarioError([document.fault((), "a scenario is a mapping; it begins with 'mesocosm: 1'")])
    top = validate(ScenarioModel, document.value, (), faults, {})
    places = options_context(catalogue, folder, data)
    choices: dict[Path_, Choice] = {}
    for kind, path in _components(document.value):
        choice = _choice(document.value, path, kind, catalogue, faults, places)
        if choice is not None:
            choices[path] = choice
    dynamics = {str(path[1]): choice for path, choice in choices.items() if path[0] == "dynamics"}
    labels = document.value.get("dynamics")
    _check_references(dynamics, list(labels) if isinstance(labels, Mapping) else [], faults)
    _check_compare(document.value, faults)
    _check_groups(document.value.get("population"), choices.get(("game",)), catalogue, faults)
    faults += [(("requires", name), what) for name, what in unmet(top.requires if top else {})]
    clock = _check_clock(document.value, faults)
    check_events(document.value.get("events"), clock, choices.get(("game",)), faults)
    if faults or top is None:
        ordered = sorted(faults, key=lambda item: _place_order(document, item[0]))
        raise ScenarioError([document.fault(path, what) for path, what in ordered])
    return Scenario(
        name=top.name,
        seed=top.seed,
        device=top.device,
        precision=top.precision,
        time=top.time,
        population=top.population,
        graph=choices[("graph",)],
        game=choices[("game",)],
        dynamics=dynamics,
        compare=top.compare,
        requires=top.requires,
        text=text,
        document=document,
        events=tuple(
            EventChoice(event, choices.get(("events", number, "vaccinate", "strategy")))
            for number, event in enumerate(top.events)
        ),
    )


def _components(value: Mapping[str, Any]) -> list[tuple[str, Path_]]:
    """(kind, path) of every component in a raw scenario."""
    found: list[tuple[str, Path_]] = [(kind, (kind,)) for kind in ("graph", "game") if kind in value]
    dynamics = value.get("dynamics")
    if isinstance(dynamics, Mapping):
        found.extend(("dynamics", ("dynamics", label)) for label in dynamics)
    events = value.get("events")
    for number, event in enumerate(events if isinstance(events, list) else []):
        doses = event.get("vaccinate") if isinstance(event, Mapping) else None
        if isinstance(doses, Mapping) and "strategy" in doses:
            found.append(("strategy", ("events", number, "vaccinate", "strategy")))
    return found


def _choice(
    raw: Any, path: Path_, kind: str, catalogue: Catalogue, faults: Faults, places: Mapping[str, Any]
) -> Choice | None:
    value = raw
    for part in path:
        value = value[part]
    if not isinstance(value, Mapping):
        return None
    name = value.get("kind")
    if not isinstance(name, str):
        given = "is missing" if name is None else f"is {name!r}"
        faults.append(((*path, "kind"), f"the kind of a {kind} component {given}; it must be the name of one"))
        return None
    try:
        model = catalogue.options_model(kind, name)
    except InputError as error:
        faults.append(((*path, "kind"), error.message()))
        return None
    own = {key: item for key, item in value.items() if key != "kind"}
    try:
        options = validate(model, own, path, faults, places)
        if options is not None:
            options.model_dump_json(by_alias=True)
    except Exception as error:
        what = f"the options of {kind} '{name}' are broken: {type(error).__name__}: {' '.join(str(error).split())}"
        rule = "a model of options reads and writes JSON"
        faults.append(((*path, "kind"), f"{what}; {rule}; it comes from {catalogue.origin(kind, name)}"))
        return None
    return None if options is None else Choice(name, options)


def options_context(catalogue: Catalogue, folder: Path, data: str | None) -> dict[str, Any]:
    """What models of options are validated with: where files are, and how a component inside options is checked."""
    places: dict[str, Any] = {"folder": str(folder), "data": data}
    places["component"] = lambda value: _nested(value, catalogue, places)
    return places


def _nested(value: Mapping[str, Any], catalogue: Catalogue, places: Mapping[str, Any]) -> GraphChoice | Faults:
    """A graph inside the options of another, or what is wrong with it."""
    faults: Faults = []
    choice = _choice(value, (), "graph", catalogue, faults, places)
    if choice is None:
        return faults
    return GraphChoice(choice.name, choice.options, catalogue.entry("graph", choice.name))


def _check_references(dynamics: Mapping[str, Choice], labels: list[str], faults: Faults) -> None:
    sound = True
    for label, choice in dynamics.items():
        for option, reference in references(choice.options):
            if reference.from_ not in labels:
                sound = False
                where = ("dynamics", label, *option.split("."), "from")
                faults.append(
                    (where, f"no dynamics is labelled '{reference.from_}'; {suggestion(reference.from_, labels)}")
                )
    if sound:
        try:
            run_order(dynamics)
        except InputError as error:
            faults.append((("dynamics",), error.message()))
    faults.extend(
        (("dynamics", label), "not a label; use letters, digits, _ and -, and not 'comparison'")
        for label in labels
        if label in RESERVED_LABELS or not label.replace("_", "").replace("-", "").isalnum()
    )


def _check_groups(population: Any, game: Choice | None, catalogue: Catalogue, faults: Faults) -> None:
    """The parameters that groups have of their own, with the options of the game that they lie over."""
    groups = population.get("groups") if isinstance(population, Mapping) else None
    for name, group in groups.items() if isinstance(groups, Mapping) and game is not None else ():
        own = group.get("game") if isinstance(group, Mapping) else None
        if isinstance(own, Mapping) and game is not None:
            found: Faults = []
            varied(game, own, catalogue.options_model("game", game.name), found)
            faults += [(("population", "groups", name, "game", *path), what) for path, what in found]


def _check_compare(raw: Mapping[str, Any], faults: Faults) -> None:
    compare, dynamics = raw.get("compare"), raw.get("dynamics", {})
    reference = compare.get("reference") if isinstance(compare, Mapping) else None
    if isinstance(reference, str) and isinstance(dynamics, Mapping) and reference not in dynamics:
        faults.append(
            (("compare", "reference"), f"no dynamics is labelled '{reference}'; {suggestion(reference, dynamics)}")
        )


def _check_clock(raw: Mapping[str, Any], faults: Faults) -> Clock | None:
    """The clock of a raw scenario; None where there is none."""
    try:
        time = TimeOptions.model_validate_json(json.dumps(raw.get("time")), strict=True)
    except ValidationError:
        return None
    try:
        return Clock(time.end, time.save_every)
    except InputError as error:
        faults.append((("time", "save_every"), error.message()))
        return None


def _place_order(document: Document, path: Path_) -> tuple[str, int, int]:
    place = document.position(path)
    return place.source, place.line, place.column
