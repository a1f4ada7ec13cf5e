"""The JSON Schema (draft 7) of scenarios, built from the installed plugins: editors complete and check with it."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from mesocosm.errors import ComponentError
from mesocosm.event_options import VaccinateOptions
from mesocosm.nested import MARK
from mesocosm.plugin import brief
from mesocosm.registry import Registry
from mesocosm.scenario import ScenarioModel


def json_schema(registry: Registry) -> dict[str, Any]:
    """The schema of a whole scenario. Components whose plugin failed are left out, and with a warning those whose options
    have no schema.

    Of a scenario that extends another only the top-level keys are checked: what it leaves out, the other one has.
    """
    registry.load_deferred()
    doses: tuple[Any, Any] = (VaccinateOptions, "validation")
    models: list[tuple[Any, Any]] = [(ScenarioModel, "validation"), doses]
    variants: dict[str, dict[str, Any]] = {"graph": {}, "game": {}, "dynamics": {}, "strategy": {}}
    for kind, found in variants.items():
        for entry in registry.entries(kind):
            name = entry.component.name
            try:
                model = registry.options_model(kind, name)
                model.model_json_schema()
            except ComponentError:
                continue
            except Exception as error:
                registry.warnings.append(f"{entry.plugin}: options of {kind} '{name}' have no schema: {brief(error)}")
                continue
            found[name] = (model, entry.component.summary)
            models.append((model, "validation"))
    references, definitions = models_json_schema(models, ref_template="#/definitions/{model}")
    shared = _draft_7(definitions["$defs"])
    top = shared.pop(references[(ScenarioModel, "validation")]["$ref"].rsplit("/", 1)[1])
    for kind, found in variants.items():
        schemas = []
        for name, (model, summary) in found.items():
            reference = references[(model, "validation")]["$ref"].rsplit("/", 1)[1]
            schemas.append(_component(name, summary, shared[reference]))
        shared[f"component:{kind}"] = {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"enum": sorted(found)}},
            "oneOf": schemas,
        }
    for kind in ("graph", "game"):
        top["properties"][kind] = {"$ref": f"#/definitions/component:{kind}"}
    top["properties"]["dynamics"]["additionalProperties"] = {"$ref": "#/definitions/component:dynamics"}
    shared[references[doses]["$ref"].rsplit("/", 1)[1]]["properties"]["strategy"] = {
        "$ref": "#/definitions/component:strategy"
    }
    keys = {key: {"description": value.get("description", "")} for key, value in top["properties"].items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "mesocosm scenario",
        "type": "object",
        "properties": {**keys, "extends": {"type": "string", "description": "scenario that this one is laid over"}},
        "additionalProperties": False,
        "if": {"required": ["extends"]},
        "else": {"type": "object", "properties": top["properties"], "required": top["required"]},
        "definitions": shared,
    }


def _component(name: str, summary: str, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "title": name,
        "description": summary,
        "properties": {"kind": {"const": name}, **options.get("properties", {})},
        "required": ["kind", *options.get("required", [])],
        "additionalProperties": options.get("additionalProperties", False),
    }


def _draft_7(value: Any) -> Any:
    """Rewrite what draft 2020-12 says otherwise: a tuple is `prefixItems` there, a list of `items` here."""
    if isinstance(value, list):
        return [_draft_7(item) for item in value]
    if not isinstance(value, dict):
        return value
    if MARK in value:
        return {"$ref": f"#/definitions/component:{value[MARK]}"}
    result = {key: _draft_7(item) for key, item in value.items() if key not in ("prefixItems", "discriminator")}
    if "prefixItems" in value:
        result["items"] = _draft_7(value["prefixItems"])
        result["additionalItems"] = False
    return result
