"""The JSON Schema of scenarios: valid itself, accepts what is right, refuses what is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from mesocosm import Registry
from mesocosm.schema import json_schema
from mesocosm.source import read_document

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").rglob("*.yaml"))

EVERYTHING = """\
mesocosm: 1
name: example
seed: 7
device: cuda:1
precision: float32
time: {end: 20, save_every: 0.5, unit: day}
population: {size: 100, initial: {I: 0.1}, groups: {a: {initial: {I: 0.2}}}}
graph: {kind: configuration, degrees: {poisson: 10}}
game: {kind: sir, beta: 0.5, gamma: 1, effort: {cost: 2}}
dynamics:
  nash: {kind: classical_mfg, closure: degree}
  agents: {kind: agent_based, replicates: 4, policy: {from: nash}}
  fixed: {kind: agent_based, policy: {constant: 0.5}}
  free: {kind: agent_based, policy: none, step: null}
compare: {reference: agents, observables: [occupancy.I], window: [0, 10]}
"""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema(Registry.discover())


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator(schema)


def errors(validator: Draft7Validator, value: Any) -> list[str]:
    return [error.message for error in validator.iter_errors(value)]


def test_the_schema_is_valid_draft_7(schema: dict[str, Any]) -> None:
    """Catches keywords of a later draft, which editors would ignore, and references to nothing."""
    Draft7Validator.check_schema(schema)
    text = json.dumps(schema)
    for later in ("$defs", "prefixItems", "discriminator", "unevaluatedProperties", "dependentRequired"):
        assert later not in text
    used = {item.split('"')[0] for item in text.split('"#/definitions/')[1:]}
    assert used <= set(schema["definitions"])


def test_a_right_scenario_is_accepted(validator: Draft7Validator) -> None:
    """Catches a schema that is stricter than the program."""
    assert errors(validator, read_document(EVERYTHING, "s").value) == []


def test_bundled_scenarios_are_there() -> None:
    """Catches an empty list of scenarios, with which the next test would check nothing."""
    assert SCENARIOS


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_bundled_scenarios_are_accepted(validator: Draft7Validator, path: Path) -> None:
    """Catches a bundled scenario that an editor would underline."""
    assert errors(validator, read_document(path.read_text(encoding="utf-8"), path.name).value) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sed",), 1),
        (("time", "stop"), 1),
        (("game", "betta"), 1),
        (("game", "effort", "csot"), 1),
        (("dynamics", "nash", "closur"), "degree"),
        (("graph", "size"), 1),
        (("game", "kind"), "sri"),
        (("graph", "kind"), "unknown"),
        (("dynamics", "nash", "kind"), "agents"),
        (("dynamics", "nash", "kind"), None),
        (("game", "beta"), -1),
        (("game", "beta"), "0.5"),
        (("game", "beta"), True),
        (("seed",), -1),
        (("mesocosm",), 2),
        (("device",), "gpu"),
        (("compare", "window"), [1]),
        (("compare", "window"), [1, 2, 3]),
        (("dynamics", "agents", "policy"), "Nash"),
        (("dynamics", "agents", "policy"), {"constnat": 1}),
        (("dynamics", "agents", "replicates"), 0),
    ],
)
def test_a_wrong_scenario_is_refused(validator: Draft7Validator, path: tuple[str, ...], value: Any) -> None:
    """Catches a schema that accepts an unknown key or kind, a wrong type, or a number out of range."""
    scenario = copy.deepcopy(read_document(EVERYTHING, "s").value)
    inner = scenario
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert errors(validator, scenario)


@pytest.mark.parametrize("key", ["seed", "graph", "game", "name", "time", "population", "mesocosm"])
def test_what_is_missing_is_refused_unless_something_is_extended(validator: Draft7Validator, key: str) -> None:
    """Catches an optional seed; a scenario that extends another may leave out what that one has."""
    scenario = read_document(EVERYTHING, "s").value
    del scenario[key]
    assert errors(validator, scenario)
    assert errors(validator, {**scenario, "extends": "base.yaml"}) == []
    assert errors(validator, {"extends": "base.yaml", "game": {"beta": 2}, "compare": None}) == []
    assert errors(validator, {"extends": "base.yaml", "gmae": {"beta": 2}})
    assert errors(validator, {"extends": 3})


def test_every_component_can_be_chosen(schema: dict[str, Any]) -> None:
    """Catches a component that the schema forgets, or one without a description."""
    for kind in ("graph", "game", "dynamics"):
        names = {entry.component.name for entry in Registry.discover().entries(kind)}
        part = schema["definitions"][f"component:{kind}"]
        assert set(part["properties"]["kind"]["enum"]) == names
        assert all(item["description"] for item in part["oneOf"])
