"""Options of the mean-field dynamics."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mesocosm import ConstantControl, Options, PolicyFrom


def _tag(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return "word"
    return "constant" if isinstance(value, ConstantControl) or "constant" in value else "from"


class ClassicalMFGOptions(Options):
    """Options of `classical_mfg`."""

    closure: Literal["homogeneous", "degree", "group", "individual"] = Field(
        default="homogeneous", description="types of agents and how they mix"
    )
    degrees: Literal["graph", "law"] = Field(
        default="graph", description="degrees of this graph, or of the law that they were drawn from"
    )
    group: str = Field(default="group", description="node attribute of the group closure")
    policy: Annotated[
        Annotated[Literal["nash", "none"] | None, Tag("word")]
        | Annotated[ConstantControl, Tag("constant")]
        | Annotated[PolicyFrom, Tag("from")],
        Discriminator(_tag),
    ] = Field(
        default=None, description="nash, none, {constant: value} or {from: label}; default: nash where agents choose"
    )
    tolerance: float = Field(
        default=1e-7, gt=0, lt=1, description="largest change of the control at which the equilibrium counts as found"
    )
    iterations: int = Field(default=500, ge=1, description="most iterations of the fixed point")
    damping: float = Field(
        default=0.5, gt=0, le=1, description="share of the best response in the next control; halved when it overshoots"
    )
    step: float | None = Field(
        default=None, gt=0, description="largest time step; default: halved until the flow changes by less than 1e-7"
    )


class EdgeBasedOptions(Options):
    """Options of `edge_based`."""

    degrees: Literal["graph", "law"] = Field(
        default="graph", description="degrees of this graph, or of the law that they were drawn from"
    )
