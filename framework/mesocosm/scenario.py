"""A scenario: YAML in, one frozen `Scenario` out, or every fault at once with file:line:column.

    mesocosm: 1                        scenario format
    name: effort-in-an-epidemic
    seed: 7
    device: auto                       cpu | cuda | cuda:1 | mps | auto
    precision: float64                 or float32
    time: {end: 120, save_every: 1, unit: day}
    population: {size: 10000, initial: {I: 0.01}}        the rest is in the game's first state
    graph: {kind: configuration, degrees: {poisson: 10}}
    game: {kind: sir, beta: 0.03, gamma: 0.1, effort: {cost: 1, infection_cost: 1}}
    dynamics:
      nash:   {kind: classical_mfg}
      agents: {kind: agent_based, replicates: 64, policy: {from: nash}}
    compare: {reference: agents}

A component is `{kind: name, ...its options}`. Its options are checked by its own model, which the catalogue of installed
plugins finds by name; what the options mean, and anything heavy, is not imported here.
"""

from __future__ import annotations

import graphlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mesocosm.clock import Clock
from mesocosm.errors import InputError, ScenarioError, suggestion
from mesocosm.options import Options, references
from mesocosm.source import Document, Path_

Model = TypeVar("Model", bound=BaseModel)

FORMAT = 1
RESERVED_LABELS = ("comparison",)


class TimeOptions(Options):
    """Horizon and save grid."""

    end: float = Field(gt=0, description="horizon, in the scenario's unit of time")
    save_every: float = Field(gt=0, description="time between saves; end must be a whole number of them")
    unit: str = Field(default="", description="name of the unit of time, such as day; for axes")


class GroupOptions(Options):
    """Initial shares of one group of nodes."""

    initial: dict[str, float] = Field(
        description="share of each state within the group; the rest is in the first state"
    )

    @field_validator("initial")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        return check_shares(value)


class PopulationOptions(Options):
    """How many agents, and in which states they start."""

    size: int | None = Field(
        default=None, ge=2, description="number of agents; may be left out where the graph knows it"
    )
    initial: dict[str, float] = Field(
        default_factory=dict,
        description="share of agents in each state at time 0; the rest is in the game's first state",
    )
    initial_counts: dict[str, int] = Field(
        default_factory=dict, description="instead of initial: number of agents in each state at time 0"
    )
    groups: dict[str, GroupOptions] = Field(
        default_factory=dict, description="other initial shares for some groups of nodes (node attribute group)"
    )

    @field_validator("initial")
    @classmethod
    def _shares(cls, value: dict[str, float]) -> dict[str, float]:
        return check_shares(value)

    @model_validator(mode="after")
    def _one_way(self) -> PopulationOptions:
        if self.initial and self.initial_counts:
            raise ValueError("give either initial or initial_counts, not both")
        if any(count < 0 for count in self.initial_counts.values()):
            raise ValueError("initial_counts must not be negative")
        if self.size is not None and sum(self.initial_counts.values()) > self.size:
            raise ValueError(f"initial_counts add up to more than the size {self.size}")
        return self


class CompareOptions(Options):
    """What is compared, and with what."""

    reference: str | None = Field(default=None, description="label of the dynamics that the others are compared with")
    observables: list[str] | None = Field(default=None, description="such as occupancy.I; default: all in common")
    window: tuple[float, float] | None = Field(default=None, description="first and last time that count; default: all")


class ScenarioModel(BaseModel):
    """The top level of a scenario; components are checked apart."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mesocosm: Literal[1] = Field(description="scenario format")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="letters, digits, dots, dashes, underscores")
    seed: int = Field(ge=0, lt=2**63, description="the one seed of the run")
    device: str = Field(
        default="cpu", pattern=r"^(cpu|cuda(:\d+)?|mps|auto)$", description="cpu, cuda, cuda:N, mps, auto"
    )
    precision: Literal["float32", "float64"] = Field(default="float64", description="of dynamics that run on a device")
    time: TimeOptions
    population: PopulationOptions
    graph: dict[str, Any] = Field(description="the contact graph: {kind: ..., options}")
    game: dict[str, Any] = Field(description="the game: {kind: ..., options}")
    dynamics: dict[str, dict[str, Any]] = Field(default_factory=dict, description="label: {kind: ..., options}")
    compare: CompareOptions = Field(default_factory=CompareOptions)


class Catalogue(Protocol):
    """Where options models are found by name; the registry of plugins is one."""

    def options_model(self, kind: str, name: str) -> type[Options]:
        """The options model of a component; raises `ComponentError` for an unknown or broken one."""


@dataclass(frozen=True)
class Choice:
    """A component that a scenario chose: its name and its checked options."""

    name: str
    options: Options

    def resolved(self) -> dict[str, Any]:
        """`{kind: name, ...}` with every default filled in."""
        return {"kind": self.name, **self.options.model_dump(mode="json", by_alias=True)}


@dataclass(frozen=True)
class Scenario:
    """A checked scenario. `text` is the file as it was written, `document` knows where everything stands in it."""

    name: str
    seed: int
    device: str
    precision: str
    time: TimeOptions
    population: PopulationOptions
    graph: Choice
    game: Choice
    dynamics: Mapping[str, Choice]
    compare: CompareOptions
    text: str
    document: Document

    def resolved(self) -> dict[str, Any]:
        """Everything with its defaults, as JSON-like data: what was run."""
        return {
            "mesocosm": FORMAT,
            "name": self.name,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "time": self.time.model_dump(mode="json"),
            "population": self.population.model_dump(mode="json"),
            "graph": self.graph.resolved(),
            "game": self.game.resolved(),
            "dynamics": {label: choice.resolved() for label, choice in self.dynamics.items()},
            "compare": self.compare.model_dump(mode="json"),
        }

    def digest(self) -> str:
        """SHA-256 of the resolved scenario, as hexadecimal text."""
        return hashlib.sha256(json.dumps(self.resolved(), sort_keys=True).encode()).hexdigest()

    def located(self, error: InputError, *path: str) -> ScenarioError:
        """An input error that was found later, with the place in the scenario that it is about."""
        return ScenarioError([self.document.fault(path, error.message())])

    def order(self) -> list[str]:
        """Labels in the order in which they run: file order, but what is referred to comes first."""
        return run_order(self.dynamics)


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
        text=text,
        document=document,
    )


def run_order(dynamics: Mapping[str, Choice]) -> list[str]:
    """Labels so that every dynamics comes after those it refers to; `InputError` names a cycle."""
    sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter()
    for label, choice in dynamics.items():
        sorter.add(label, *(reference.from_ for _, reference in references(choice.options)))
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        chain = " -> ".join(reversed(error.args[1]))
        raise InputError(f"dynamics refer to each other in a circle: {chain}", hint="break it") from None
    place = {label: index for index, label in enumerate(dynamics)}
    result: list[str] = []
    ready = list(sorter.get_ready())
    while ready:
        ready.sort(key=lambda label: place.get(label, -1))
        label = ready.pop(0)
        result.append(label)
        sorter.done(label)
        ready.extend(sorter.get_ready())
    return result


def check_shares(shares: dict[str, float]) -> dict[str, float]:
    """Initial shares: none negative, and not above one in all."""
    for state, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"the share of {state} is {share:g}; shares lie between 0 and 1")
    if sum(shares.values()) > 1 + 1e-12:
        raise ValueError(f"the shares add up to {sum(shares.values()):g}; they must not exceed 1")
    return shares


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
    options = _validate(model, own, path, faults, places)
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
