"""Options of components: pydantic models that refuse what they do not know.

Every component has an options model, a subclass of `Options`, in a module that imports nothing heavy. Give each field a
range and a description with its unit: errors, the JSON Schema and the reference pages are made from them.

A field of type `Reference` (or a subclass) names another dynamics of the scenario; the scheduler runs that one first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Tag, ValidationInfo, WithJsonSchema


class Options(BaseModel):
    """Base of all options: frozen, no unknown keys, no NaN or infinity; a scenario's numbers are not read from text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        allow_inf_nan=False,
        populate_by_name=True,
        coerce_numbers_to_str=False,
        defer_build=True,  # a module holds the options of many components, and a scenario uses few
    )

    @property
    def changed(self) -> frozenset[str]:
        """Names of the options that are not at their defaults.

        For options that mean nothing together with others. Unlike `model_fields_set` it is the same for options that were
        written out with every default, as a run folder keeps them.
        """
        fields = type(self).model_fields.items()
        return frozenset(
            name for name, field in fields if getattr(self, name) != field.get_default(call_default_factory=True)
        )


class Reference(Options):
    """`{from: label}`: something of another dynamics of the same scenario."""

    from_: str = Field(alias="from", description="label of another dynamics of this scenario")


NAME = r"^[a-z][a-z0-9_]*$"
"""How policies are named: lower case, words joined by underscores."""


class PolicyFrom(Reference):
    """`{from: label}`: play the policy that another dynamics found."""


class ConstantControl(Options):
    """`{constant: value}`: everyone who can choose always chooses this."""

    constant: float = Field(description="the control, within the range of the game's control")


def _locate(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not the name of a file")
    places: Mapping[str, Any] = info.context or {}
    if value.startswith("data:"):
        root = places.get("data")
        if not root:
            raise ValueError(
                f"'{value}' is looked up under the folder named by MESOCOSM_DATA, which is not set; set it to that folder"
            )
        path, rule = Path(str(root)) / value.removeprefix("data:"), "data: is the folder named by MESOCOSM_DATA"
    else:
        path, rule = Path(str(places.get("folder", "."))) / value, "paths are relative to the scenario file"
    if not path.is_file():
        raise ValueError(f"no file '{value}' (looked at {path}); {rule}")
    return path.absolute()


DataPath = Annotated[Path, PlainValidator(_locate), WithJsonSchema({"type": "string"})]
"""A file: relative to the scenario, or `data:NAME` under MESOCOSM_DATA. It must exist when the scenario is read."""


class PolicyFile(Options):
    """`{file: path}`: play a policy that an earlier run left in its folder."""

    file: DataPath = Field(description="a file of the folder policies/ of a run")


class LearnFrom(Reference):
    """`{from: label, until: time}`: learn from the trajectories of another dynamics, or from a table."""

    until: float | None = Field(
        default=None, gt=0, description="end of the training window; what is later is held out. Default: no hold-out"
    )


def _policy_tag(value: Any) -> str:
    if isinstance(value, ConstantControl) or (isinstance(value, Mapping) and "constant" in value):
        return "constant"
    if isinstance(value, PolicyFile) or (isinstance(value, Mapping) and "file" in value):
        return "file"
    if isinstance(value, (PolicyFrom, Mapping)):
        return "from"
    return "name"


PolicyOption = Annotated[
    Annotated[str, Field(pattern=NAME), Tag("name")]
    | Annotated[ConstantControl, Tag("constant")]
    | Annotated[PolicyFrom, Tag("from")]
    | Annotated[PolicyFile, Tag("file")],
    Discriminator(_policy_tag),
]
"""`none`, another name that the game knows, `{constant: value}`, `{from: label}` or `{file: path}`."""


def references(options: Options) -> Iterator[tuple[str, Reference]]:
    """Every reference in an options model, as (dotted option name, reference)."""
    for name, field in type(options).model_fields.items():
        value, shown = getattr(options, name), field.alias or name
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Reference):
                yield shown, each
            if isinstance(each, Options):
                for inner, reference in references(each):
                    yield f"{shown}.{inner}", reference
