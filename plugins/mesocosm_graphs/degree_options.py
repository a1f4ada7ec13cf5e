"""The option `degrees`: one of six forms, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_validator

from mesocosm import Options

Degree = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]

FORMS = (
    "degrees are one of {poisson: MEAN}, {fixed: DEGREE}, {negative_binomial: {mean, dispersion}}, "
    "{power_law: {exponent, minimum, maximum}}, {values: [..], shares: [..]} or a list with one degree per node"
)


class Poisson(Options):
    """`{poisson: mean}`."""

    poisson: float = Field(gt=0, le=1e6, description="mean degree (contacts)")


class Fixed(Options):
    """`{fixed: degree}`: all nodes alike."""

    fixed: int = Field(ge=0, description="degree of every node (contacts)")


class NegativeBinomialLaw(Options):
    """Mean and dispersion; the variance is mean + mean^2 / dispersion."""

    mean: float = Field(gt=0, le=1e6, description="mean degree (contacts)")
    dispersion: float = Field(gt=0, description="dispersion k; the variance is mean + mean^2 / k, Poisson as k grows")


class NegativeBinomial(Options):
    """`{negative_binomial: {mean, dispersion}}`."""

    negative_binomial: NegativeBinomialLaw


class PowerLawLaw(Options):
    """Share of degree k proportional to k^-exponent between two bounds."""

    exponent: float = Field(gt=0, le=100, description="exponent of the law, without its minus sign")
    minimum: int = Field(ge=1, description="smallest degree (contacts)")
    maximum: int = Field(ge=1, le=10_000_000, description="largest degree (contacts)")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.maximum < self.minimum:
            raise ValueError(f"maximum {self.maximum} is below minimum {self.minimum}")
        return self


class PowerLaw(Options):
    """`{power_law: {exponent, minimum, maximum}}`."""

    power_law: PowerLawLaw


class Table(Options):
    """`{values: [..], shares: [..]}`: each node draws a value with these probabilities."""

    values: tuple[Degree, ...] = Field(min_length=1, description="possible degrees (contacts)")
    shares: tuple[Share, ...] = Field(min_length=1, description="probability of each value; they sum to 1")

    @model_validator(mode="after")
    def _match(self) -> Self:
        if len(self.values) != len(self.shares):
            raise ValueError(f"{len(self.values)} values but {len(self.shares)} shares; give one share per value")
        if len(set(self.values)) != len(self.values):
            raise ValueError("a value is named twice; add its shares up")
        if abs(sum(self.shares) - 1.0) > 1e-9:
            raise ValueError(f"shares sum to {sum(self.shares):.12g}; they must sum to 1")
        return self


DegreeList = Annotated[tuple[Degree, ...], Field(min_length=1)]
"""One degree per node."""

_KEYS = ("poisson", "fixed", "negative_binomial", "power_law", "values")
_MODELS: dict[type[Any], str] = {
    Poisson: "poisson",
    Fixed: "fixed",
    NegativeBinomial: "negative_binomial",
    PowerLaw: "power_law",
}


def _form(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, Mapping):
        return next((key for key in _KEYS if key in value), "values" if "shares" in value else None)
    return "values" if isinstance(value, Table) else _MODELS.get(type(value))


DegreesOption = Annotated[
    Annotated[Poisson, Tag("poisson")]
    | Annotated[Fixed, Tag("fixed")]
    | Annotated[NegativeBinomial, Tag("negative_binomial")]
    | Annotated[PowerLaw, Tag("power_law")]
    | Annotated[Table, Tag("values")]
    | Annotated[DegreeList, Tag("list")],
    Discriminator(_form, custom_error_type="degrees", custom_error_message=FORMS),
]
"""A law of degrees, or one degree per node."""
