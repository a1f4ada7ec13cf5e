"""The scenario reference: every option of every component, from the models that check them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from docstrings import escape, markdown
from pydantic import BaseModel

from mesocosm import Registry
from mesocosm.hooks import KINDS
from mesocosm.scenario import ScenarioModel

TITLES = {
    "graph": "Contact graphs",
    "game": "Games",
    "dynamics": "Dynamics",
    "strategy": "Strategies of vaccination",
    "observable": "Observables",
    "data": "Data",
    "executor": "Executors",
    "model": "Models",
}
BOUNDS = {
    "exclusiveMinimum": "> {}",
    "minimum": "≥ {}",
    "exclusiveMaximum": "< {}",
    "maximum": "≤ {}",
    "multipleOf": "multiple of {}",
    "minItems": "entries: at least {}",
    "maxItems": "entries: at most {}",
    "minLength": "characters: at least {}",
    "maxLength": "characters: at most {}",
}
WORDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One line of a table: dotted name, type, default, range and description, all as Markdown."""

    name: str
    type: str
    default: str
    range: str
    description: str


def scenario_reference(registry: Registry) -> str:
    """The top level of a scenario, and all components by kind."""
    parts = ["## The top level", table(options_of(ScenarioModel))]
    for kind in KINDS:
        entries = registry.entries(kind)
        if entries:
            parts.append(f"## {TITLES[kind]}")
        for entry in entries:
            name = entry.component.name
            model = registry.options_model(kind, name)
            summary = f"{entry.component.summary[:1].upper()}{entry.component.summary[1:]}."
            parts += [f"### {name}", escape(summary)]
            if model.__doc__ and model.__doc__ != summary and not model.__doc__.startswith("Options of"):
                parts.append(markdown(model.__doc__))
            options = list(options_of(model))
            parts.append(table(options) if options else "No options.")
    return "\n\n".join(parts) + "\n"


def table(options: Iterable[Option]) -> str:
    """A Markdown table of options."""
    lines = ["| option | value | default | description |", "|---|---|---|---|"]
    for each in options:
        value = ", ".join(part for part in (each.type, each.range) if part)
        lines.append(f"| `{each.name}` | {value} | {each.default} | {each.description} |")
    return "\n".join(lines)


def options_of(model: type[BaseModel]) -> Iterator[Option]:
    """The options of a model and, with dotted names, of the models in it."""
    schema = model.model_json_schema(by_alias=True)
    yield from _options(schema, schema.get("$defs", {}), "", ())


def _options(schema: Schema, shared: Schema, above: str, seen: tuple[str, ...]) -> Iterator[Option]:
    for name, field in schema.get("properties", {}).items():
        full = f"{above}{name}"
        required = name in schema.get("required", ())
        yield Option(
            full, _type(field, shared), _default(field, required), ", ".join(_ranges(field, shared)),
            escape(_description(field, shared)),
        )  # fmt: skip
        for reference, step in _models(field, ""):
            if reference not in seen:
                yield from _options(shared[reference], shared, f"{full}{step}.", (*seen, reference))


def _models(field: Schema, step: str) -> Iterator[tuple[str, str]]:
    """The models that a field may hold, and what is written between its name and theirs."""
    if "$ref" in field:
        yield field["$ref"].rsplit("/", 1)[1], step
    for inner in (*field.get("anyOf", ()), *field.get("oneOf", ()), *field.get("allOf", ())):
        yield from _models(inner, step)
    if isinstance(field.get("items"), Mapping):
        yield from _models(field["items"], f"{step}[]")
    if isinstance(field.get("additionalProperties"), Mapping):
        yield from _models(field["additionalProperties"], f"{step}.NAME")


def _type(field: Schema, shared: Schema) -> str:
    if "$ref" in field:
        return _type(shared[field["$ref"].rsplit("/", 1)[1]], shared)
    branches = [*field.get("anyOf", ()), *field.get("oneOf", ()), *field.get("allOf", ())]
    if branches:
        names = [_type(branch, shared) for branch in branches if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(names))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "properties" in field:
        return f"`{{{', '.join(field['properties'])}}}`"
    kind = field.get("type")
    if kind == "array":
        if "prefixItems" in field:
            return "[" + ", ".join(_type(item, shared) for item in field["prefixItems"]) + "]"
        return f"list of {_type(field.get('items', {}), shared)}"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"name: {_type(inner, shared)}" if isinstance(inner, Mapping) else "mapping"
    if field.get("format") in ("path", "file-path"):
        return "file"
    return WORDS.get(str(kind), "anything")


def _default(field: Schema, required: bool) -> str:
    if required:
        return "**required**"
    value = field.get("default")
    if value is None:
        return "none" if "default" in field else "empty"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`" if value else "empty"


def _ranges(field: Schema, shared: Schema) -> Iterator[str]:
    """Bounds of the value itself, else of the values that it is made of."""
    told = {key: text for key, text in BOUNDS.items() if not (key.endswith("Items") and "prefixItems" in field)}
    own = [text.format(field[key]).replace("|", "\\|") for key, text in told.items() if key in field]
    inner = [*field.get("anyOf", ()), field.get("items"), field.get("additionalProperties")]
    for part in inner:
        if isinstance(part, Mapping) and "$ref" not in part:
            own += [bound for bound in _ranges(part, shared) if bound not in own]
    yield from own


def _description(field: Schema, shared: Schema) -> str:
    if "description" in field:
        return str(field["description"])
    if "$ref" in field:
        return _description(shared[field["$ref"].rsplit("/", 1)[1]], shared)
    return ""
