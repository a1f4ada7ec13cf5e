"""Options for where agents are at time 0: `{point: x}`, `{normal: [mean, deviation]}` or `{uniform: [low, high]}`.

In two dimensions each number is a list, one for each axis: `{point: [0.2, 0.5]}`, `{uniform: [[0, 0], [0.5, 1]]}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from mesocosm import Options

if TYPE_CHECKING:
    from mesocosm import Axis, Law

Place = float | tuple[float, float]
"""One number, or one for each of two axes."""

Reach = tuple[tuple[float, ...], tuple[float, ...]]
"""Lowest and highest place, one number for each axis."""


class PointStart(Options):
    """`{point: x}`: everyone at one place."""

    point: Place = Field(description="the place, in units of the state")

    def law(self, dimension: int = 1) -> Law:
        """The distribution at time 0, over `dimension` axes. Errors: `InputError` for another number of them."""
        from mesocosm import Point

        return Point(_spread(self.point, dimension))

    def reach(self, dimension: int = 1) -> Reach:
        """The lowest and highest place in each axis."""
        places = _spread(self.point, dimension)
        return places, places


class NormalStart(Options):
    """`{normal: [mean, deviation]}`: independent normal in each axis."""

    normal: tuple[Place, Place] = Field(description="mean and standard deviation (positive), in units of the state")

    @model_validator(mode="after")
    def _positive(self) -> NormalStart:
        if min(_as_tuple(self.normal[1])) <= 0:
            raise ValueError(f"deviation {self.normal[1]}; it is positive: for no spread, write {{point: mean}}")
        return self

    def law(self, dimension: int = 1) -> Law:
        """The distribution at time 0, over `dimension` axes. Errors: `InputError` for another number of them."""
        from mesocosm import Normal

        return Normal(_spread(self.normal[0], dimension), _spread(self.normal[1], dimension))

    def reach(self, dimension: int = 1) -> Reach:
        """Five deviations below and above the mean in each axis."""
        pairs = list(zip(*(_spread(part, dimension) for part in self.normal), strict=True))
        return tuple(mean - 5 * wide for mean, wide in pairs), tuple(mean + 5 * wide for mean, wide in pairs)


class UniformStart(Options):
    """`{uniform: [low, high]}`: uniform on a box."""

    uniform: tuple[Place, Place] = Field(description="lowest and highest place, in units of the state")

    @model_validator(mode="after")
    def _ordered(self) -> UniformStart:
        low, high = (_as_tuple(end) for end in self.uniform)
        if len(low) != len(high) or any(below >= above for below, above in zip(low, high, strict=True)):
            raise ValueError(f"from {self.uniform[0]} to {self.uniform[1]}; in each axis low is below high")
        return self

    def law(self, dimension: int = 1) -> Law:
        """The distribution at time 0, over `dimension` axes. Errors: `InputError` for another number of them."""
        from mesocosm import Uniform

        return Uniform(_spread(self.uniform[0], dimension), _spread(self.uniform[1], dimension))

    def reach(self, dimension: int = 1) -> Reach:
        """The lowest and highest place in each axis."""
        low, high = self.uniform
        return _spread(low, dimension), _spread(high, dimension)


Start = PointStart | NormalStart | UniformStart

_LAWS: dict[str, type[Start]] = {"point": PointStart, "normal": NormalStart, "uniform": UniformStart}


def _tag(value: Any) -> str | None:
    for name, law in _LAWS.items():
        if isinstance(value, law) or (isinstance(value, dict) and name in value):
            return name
    return None


StartOption = Annotated[
    Annotated[PointStart, Tag("point")]
    | Annotated[NormalStart, Tag("normal")]
    | Annotated[UniformStart, Tag("uniform")],
    Discriminator(
        _tag,
        custom_error_type="start",
        custom_error_message="one of {point: x}, {normal: [mean, deviation]}, {uniform: [low, high]}",
    ),
]
"""Where agents are at time 0."""


def start_inside(start: Start, axes: tuple[Axis, ...]) -> Law:
    """The law of a start in a box. Errors: `InputError` where it reaches beyond a side that is not open."""
    from mesocosm import InputError

    for axis, low, high in zip(axes, *start.reach(len(axes)), strict=True):
        below = axis.lower != "open" and low < axis.low - 1e-9 * axis.length
        above = axis.upper != "open" and high > axis.high + 1e-9 * axis.length
        if below or above:
            raise InputError(
                f"a start from {low:g} to {high:g}",
                where="game, option start",
                rule=f"{axis.name} lies between {axis.low:g} and {axis.high:g}; a normal law counts to five deviations",
            )
    return start.law(len(axes))


def _as_tuple(place: Place) -> tuple[float, ...]:
    return place if isinstance(place, tuple) else (place,)


def _spread(place: Place, dimension: int) -> tuple[float, ...]:
    """One number for each axis."""
    from mesocosm import InputError

    found = _as_tuple(place)
    if len(found) != dimension:
        raise InputError(
            f"{len(found)} coordinates",
            where="game, option start",
            rule=f"this game has {dimension} {'axis' if dimension == 1 else 'axes'}",
        )
    return found
