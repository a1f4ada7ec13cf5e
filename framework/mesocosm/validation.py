"""Checking a scenario: every fault at once, each with its place in the file.

Values are checked as strict JSON: a number is not read from text or from a boolean. Each component is checked by its own
options model, which the catalogue of installed plugins finds by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mesocosm.clock import Clock
from mesocosm.errors import InputError, ScenarioError, suggestion
from mesocosm.options import references
from mesocosm.requirements import unmet
from mesocosm.scenario import RESERVED_LABELS, Catalogue, Choice, Scenario, ScenarioModel, TimeOptions, run_order
from mesocosm.source import Document, Path_

Model = TypeVar("Model", bound=BaseModel)


def parse_scenario(document: Document, catalogue: Catalogue, *, text: str, folder: Path, data: str | None) -> Scenario:
    """Check a document and freeze it; raises `ScenarioError` with all faults, in the order of the file.

    `folder` is what file names are relative to; `data` is the folder that `data:` names stand for, or None.
    """
    faults: list[tuple[Path_, str]] = []
    if not isinstance(document.value, Mapping):
        raise ScenarioError([document.fault((), "a scenario is a mapping; it begins with 'mesocosm: 1'")])
    top = _validate(ScenarioModel, document.value, (), faults, {})
    places = {"folder": str(folder), "data": data}
    choices: dict[Path_, Choice] = {}
    for kind, path in _components(document.value):
        choice = _choice(document.value, path, kind, catalogue, faults, places)
        if choice is not None:
            choices[path] = choice
    dynamics = {str(path[1]): choice for path, choice in choices.items() if path[0] == "dynamics"}
    labels = document.value.get("dynamics")
    _check_references(dynamics, list(labels) if isinstance(labels, Mapping) else [], faults)
    _check_compare(document.value, faults)
    faults += [(("requires", name), what) for name, what in unmet(top.requires if top else {})]
    _check_clock(document.value, faults)
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
    )


def _components(value: Mapping[str, Any]) -> list[tuple[str, Path_]]:
    """(kind, path) of every component in a raw scenario."""
    found: list[tuple[str, Path_]] = [(kind, (kind,)) for kind in ("graph", "game") if kind in value]
    dynamics = value.get("dynamics")
    if isinstance(dynamics, Mapping):
        found.extend(("dynamics", ("dynamics", label)) for label in dynamics)
    return found


def _choice(
    raw: Any, path: Path_, kind: str, catalogue: Catalogue, faults: list[tuple[Path_, str]], places: Mapping[str, Any]
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
        options = _validate(model, own, path, faults, places)
        if options is not None:
            options.model_dump_json(by_alias=True)
    except Exception as error:
        what = f"the options of {kind} '{name}' are broken: {type(error).__name__}: {' '.join(str(error).split())}"
        rule = "a model of options reads and writes JSON"
        faults.append(((*path, "kind"), f"{what}; {rule}; it comes from {catalogue.origin(kind, name)}"))
        return None
    return None if options is None else Choice(name, options)


def _validate(
    model: type[Model],
    value: Mapping[str, Any],
    path: Path_,
    faults: list[tuple[Path_, str]],
    context: Mapping[str, Any],
) -> Model | None:
    """Validate as strict JSON: no numbers from strings or booleans, but lists may become tuples."""
    try:
        return model.model_validate_json(json.dumps(value), strict=True, context=dict(context))
    except ValidationError as error:
        for item in error.errors(include_url=False):
            inner, what = _explain(model, value, item)
            faults.append(((*path, *inner), what))
        return None


def _explain(model: type[BaseModel], value: Any, error: Any) -> tuple[Path_, str]:
    """A pydantic error as (path in the document, what is wrong): tags of unions are dropped from its location."""
    location = error["loc"]
    if error["type"] == "missing":
        return (*_follow(value, location[:-1]), location[-1]), "missing; this option is required"
    path = _follow(value, location)
    if error["type"] == "extra_forbidden":
        known = [model]
        for part in path:
            known = _inner_models(known, part) or known
        names = [field.alias or name for inner in known for name, field in inner.model_fields.items()]
        return path, f"unknown option; {suggestion(str(path[-1]), names) or 'there are no options here'}"
    given = error["input"]
    message = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    if error["type"] == "value_error":
        return tuple(path), message
    return tuple(path), f"{json.dumps(given, default=str)} {message[0].lower()}{message[1:]}"


def _follow(value: Any, location: Path_) -> Path_:
    """The parts of an error's location that are keys of the document; the others are tags of unions.

    A tag may be called like a key: what reaches the last part is the right reading, or else the longest.
    """
    if not location:
        return ()
    part, rest = location[0], location[1:]
    skipped = _follow(value, rest)
    if isinstance(value, Mapping):
        inside = part in value
    else:
        inside = isinstance(value, list) and isinstance(part, int) and part < len(value)
    if not inside:
        return skipped
    taken = (part, *_follow(value[part], rest))
    return max(taken, skipped, key=lambda path: (path[-1:] == location[-1:], len(path)))


def _inner_models(models: list[type[Any]], part: str | int) -> list[type[Any]]:
    """The models that may stand in field `part` of some models."""
    return [
        inner
        for model in models
        for name, field in model.model_fields.items()
        if part in (name, field.alias)
        for inner in _annotation_models(field.annotation)
    ]


def _annotation_models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for item in getattr(annotation, "__args__", ()) for model in _annotation_models(item)]


def _check_references(dynamics: Mapping[str, Choice], labels: list[str], faults: list[tuple[Path_, str]]) -> None:
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


def _check_compare(raw: Mapping[str, Any], faults: list[tuple[Path_, str]]) -> None:
    compare, dynamics = raw.get("compare"), raw.get("dynamics", {})
    reference = compare.get("reference") if isinstance(compare, Mapping) else None
    if isinstance(reference, str) and isinstance(dynamics, Mapping) and reference not in dynamics:
        faults.append(
            (("compare", "reference"), f"no dynamics is labelled '{reference}'; {suggestion(reference, dynamics)}")
        )


def _check_clock(raw: Mapping[str, Any], faults: list[tuple[Path_, str]]) -> None:
    try:
        time = TimeOptions.model_validate_json(json.dumps(raw.get("time")), strict=True)
    except ValidationError:
        return
    try:
        Clock(time.end, time.save_every)
    except InputError as error:
        faults.append((("time", "save_every"), error.message()))


def _place_order(document: Document, path: Path_) -> tuple[str, int, int]:
    place = document.position(path)
    return place.source, place.line, place.column
