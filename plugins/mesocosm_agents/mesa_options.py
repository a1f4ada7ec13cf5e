"""Options of the dynamics `mesa_model`. Times are in the scenario's unit."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, JsonValue, Tag

from mesocosm import Options

_NAME = r"^[a-z][a-z0-9_]*$"


class Observed(Options):
    """`{observable: name}`: a function that a plugin registered, of the model to a sequence with the state of every agent."""

    observable: str = Field(pattern=_NAME, description="name of a component of kind observable")


def _tag(value: object) -> str:
    return "attribute" if isinstance(value, str) else "observable"


class MesaModelOptions(Options):
    """A `mesa.Model` that a plugin registered as a component of kind `model`, unedited."""

    model: str = Field(pattern=_NAME, description="name of a component of kind model, registered by a plugin")
    states: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"), Tag("attribute")]
        | Annotated[Observed, Tag("observable")],
        Discriminator(_tag),
    ] = Field(
        description="where the state of an agent is: an attribute of the agents, with dots for one of an attribute, or "
        "{observable: name}"
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        description="which state of the game each value is; a member of an Enum is written by its name, other values as "
        "Python prints them, true and false in small letters. A value that is not named must be a state of the game",
    )
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, description="keyword arguments of the model; the rest has the model's own defaults"
    )
    graph_argument: str | None = Field(
        default=None,
        description="keyword argument of the model that takes the contact graph, as a networkx graph. Default: the model "
        "makes a world of its own",
    )
    redraw: bool = Field(
        default=False,
        description="with graph_argument: whether every replicate runs on a fresh draw of the graph; replicate 0 keeps "
        "the graph",
    )
    step: float = Field(
        default=1.0,
        gt=0,
        description="time that one step of the model stands for; a save interval is a whole number of steps",
    )
    replicates: int = Field(default=32, ge=1, description="number of independent runs, each with a model of its own")
    workers: int | None = Field(
        default=None,
        ge=1,
        description="processes that run replicates side by side. Default: one for each processor that may be used",
    )
