"""A scenario: YAML in, one frozen `Scenario` out, or every fault at once with file:line:column.

    mesocosm: 1                        scenario format
    requires: {mesocosm: ">=0.1"}      versions of distributions that it needs; may be left out
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
    events: [{at: 20, set: {game.beta: 0.02}}]           interventions; see `event_options`
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
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mesocosm.errors import InputError, ScenarioError
from mesocosm.event_options import EventOptions
from mesocosm.nested import Maker
from mesocosm.options import Options, references
from mesocosm.source import Document

Model = TypeVar("Model", bound=BaseModel)

FORMAT = 1
RESERVED_LABELS = ("comparison",)


class TimeOptions(Options):
    """Horizon and save grid."""

    end: float = Field(gt=0, description="horizon, in the scenario's unit of time")
    save_every: float = Field(gt=0, description="time between saves; end must be a whole number of them")
    unit: str = Field(default="", description="name of the unit of time, such as day; for axes")


class GroupOptions(Options):
    """One group of nodes: how its agents start, and which parameters of the game are their own."""

    initial: dict[str, float] | None = Field(
        default=None,
        description="share of each state within the group; the rest is in the first state. Default: as everyone",
    )
    game: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the game that are the group's own, such as gamma: 0.05 or effort.cost: 3",
    )

    @field_validator("initial")
    @classmethod
    def _shares(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        return None if value is None else check_shares(value)

    @model_validator(mode="after")
    def _something(self) -> GroupOptions:
        if self.initial is None and not self.game:
            raise ValueError("nothing is different in this group; give initial or game")
        return self


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
        default_factory=dict,
        description="what is different in some groups of nodes (node attribute group): initial shares, parameters",
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
    requires: dict[str, str] = Field(
        default_factory=dict,
        description="distribution: versions, such as >=1.2,<2 (PEP 440); another one installed, or none, is an error",
    )
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
    events: tuple[EventOptions, ...] = Field(default=(), description="interventions, in the order in which they happen")
    compare: CompareOptions = Field(default_factory=CompareOptions)


class Catalogue(Protocol):
    """Where options models are found by name; the registry of plugins is one."""

    def origin(self, kind: str, name: str) -> str:
        """Where a component comes from, for messages."""

    def options_model(self, kind: str, name: str) -> type[Options]:
        """The options model of a component; raises `ComponentError` for an unknown or broken one."""

    def entry(self, kind: str, name: str) -> Maker:
        """What makes a component; raises `ComponentError` for an unknown one."""


@dataclass(frozen=True)
class Choice:
    """A component that a scenario chose: its name and its checked options."""

    name: str
    options: Options

    def resolved(self) -> dict[str, Any]:
        """`{kind: name, ...}` with every default filled in."""
        return {"kind": self.name, **self.options.model_dump(mode="json", by_alias=True)}


@dataclass(frozen=True)
class EventChoice:
    """An event that a scenario has, with the strategy of its doses where it has any."""

    options: EventOptions
    strategy: Choice | None

    def resolved(self) -> dict[str, Any]:
        """The event with every default filled in."""
        found = self.options.model_dump(mode="json", by_alias=True)
        if self.strategy is not None:
            found["vaccinate"]["strategy"] = self.strategy.resolved()
        return found


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
    requires: Mapping[str, str]
    text: str
    document: Document
    events: tuple[EventChoice, ...] = ()

    def resolved(self) -> dict[str, Any]:
        """Everything with its defaults, as JSON-like data: what was run."""
        return {
            "mesocosm": FORMAT,
            "requires": dict(self.requires),
            "name": self.name,
            "seed": self.seed,
            "device": self.device,
            "precision": self.precision,
            "time": self.time.model_dump(mode="json"),
            "population": self.population.model_dump(mode="json"),
            "graph": self.graph.resolved(),
            "game": self.game.resolved(),
            "dynamics": {label: choice.resolved() for label, choice in self.dynamics.items()},
            "events": [event.resolved() for event in self.events],
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
