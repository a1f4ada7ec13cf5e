"""Options of graphs that are the sum of layers, and of households."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from mesocosm import GraphChoice, Options


class Layer(Options):
    """One layer: a graph of any kind, and what its contacts weigh."""

    graph: GraphChoice = Field(description="{kind: ..., options}: a contact graph, on the nodes of all layers")
    weight: float = Field(default=1.0, gt=0, description="what the weights of its contacts are multiplied by")


class Layers(Options):
    """A graph that is the sum of layers such as household, school and work."""

    layers: dict[str, Layer] = Field(min_length=1, description="name of each layer: its graph and weight")

    @field_validator("layers")
    @classmethod
    def _names(cls, value: dict[str, Layer]) -> dict[str, Layer]:
        for name in value:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"'{name}' is not the name of a layer; use letters, digits, _ and -")
        return value


class Households(Options):
    """Households of which everybody meets everybody; the number of a node's household is its attribute `household`."""

    sizes: dict[Annotated[int, Field(ge=1)], Annotated[float, Field(ge=0)]] = Field(
        min_length=1, description="size of a household: share of all households that have it; shares add up to 1"
    )
    scattered: bool = Field(
        default=True,
        description="whether members are nodes at random; false: they stand side by side in the order of nodes",
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        total = sum(self.sizes.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the sizes add up to {total:g}; they must add up to 1")
        return self
