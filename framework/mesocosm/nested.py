"""A contact graph inside the options of another: how layers say what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, ValidationError, core_schema

from mesocosm.options import Options

if TYPE_CHECKING:
    import numpy as np

    from mesocosm.graph import ContactGraph

MARK = "x-component"
"""Key of the schema of a nested component, with its kind; the schema of scenarios has the schema of that kind there."""


class Maker(Protocol):
    """What knows how a component is made."""

    def factory(self) -> Callable[..., Any]:
        """The builder: (options, size or None, generator) -> ContactGraph."""


@dataclass(frozen=True)
class GraphChoice:
    """`{kind: name, ..options}`: a contact graph of any installed kind, as the type of an option.

    It is checked with the scenario like any other component, and written back as that mapping.
    """

    name: str
    options: Options
    maker: Maker

    def build(self, size: int | None, generator: np.random.Generator) -> ContactGraph:
        """The graph, of `size` nodes where its kind does not know how many. Errors: those of its builder."""
        graph: ContactGraph = self.maker.factory()(self.options, size, generator)
        return graph

    def resolved(self) -> dict[str, Any]:
        """`{kind: name, ...}` with every default filled in."""
        return {"kind": self.name, **self.options.model_dump(mode="json", by_alias=True)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _choose,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda choice: choice.resolved()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "object", "required": ["kind"], MARK: "graph"}


def nested_graphs(options: Options) -> Iterator[GraphChoice]:
    """The graphs inside some options, at any depth."""
    yield from _found([getattr(options, name) for name in type(options).model_fields])


def _found(values: Any) -> Iterator[GraphChoice]:
    for value in values:
        if isinstance(value, GraphChoice):
            yield value
            yield from nested_graphs(value.options)
        elif isinstance(value, Options):
            yield from nested_graphs(value)
        elif isinstance(value, Mapping):
            yield from _found(value.values())
        elif isinstance(value, tuple):
            yield from _found(value)


def _choose(value: Any, info: ValidationInfo) -> GraphChoice:
    """Check a nested graph by what the scenario gives along: `component(value)` returns a choice, or (path, fault) pairs."""
    if isinstance(value, GraphChoice):
        return value
    if not isinstance(value, Mapping):
        raise ValueError("a graph is a mapping {kind: name, ..options}")
    check = (info.context or {}).get("component")
    if check is None:
        raise ValueError("a graph within options is looked up where a scenario is read, and nowhere else")
    found = check(value)
    if isinstance(found, GraphChoice):
        return found
    details = [
        InitErrorDetails(type=PydanticCustomError("component", "{text}", {"text": text}), loc=path, input=value)
        for path, text in found
    ]
    raise ValidationError.from_exception_data("component", details)
