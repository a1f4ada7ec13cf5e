"""Checking values against models of options: what does not fit, in words, with the path in the document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mesocosm.errors import suggestion
from mesocosm.source import Path_

Model = TypeVar("Model", bound=BaseModel)

Faults = list[tuple[Path_, str]]
"""What is wrong in a document: where it stands, and what."""


def validate(
    model: type[Model],
    value: Mapping[str, Any],
    path: Path_,
    faults: Faults,
    context: Mapping[str, Any],
) -> Model | None:
    """The model of a value at `path`, read as strict JSON: no number from text or from a boolean, but a list may be a tuple.

    Where the value does not fit, None, and what is wrong is added to `faults`. `context` is for the model's validators.
    """
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
    if error["type"] == "component":
        # Found by the model of a component inside these options: in words already, and perhaps about what is missing.
        return path if path[-1:] == location[-1:] else (*path, location[-1]), str(error["msg"])
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
