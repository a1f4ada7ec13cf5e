"""Events as a scenario writes them.

events:
  - {at: 20, close: [school]}
  - {name: lockdown, when: {observable: occupancy.I, above: 0.05}, set: {game.beta: 0.02}}
  - {name: reopen, after: lockdown, when: {observable: occupancy.I, below: 0.01}, open: [school], set: {game.beta: 0.03}}
  - {at: 40, vaccinate: {share: 0.1, strategy: {kind: degree}, into: R}}
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from mesocosm.options import Options

OBSERVABLE = r"^(occupancy\.[^.]+|group_occupancy\.[^.]+\.[^.]+)$"
"""What a threshold may look at: the share of a state, of everyone or within a group."""

LayerName = Annotated[str, Field(min_length=1)]
StateName = Annotated[str, Field(min_length=1)]


class ThresholdOptions(Options):
    """`{observable: occupancy.I, above: 0.05}`: holds once the share is above, or below, a bound."""

    observable: str = Field(
        pattern=OBSERVABLE, description="share that is looked at: occupancy.STATE, or group_occupancy.GROUP.STATE"
    )
    above: float | None = Field(default=None, ge=0, lt=1, description="holds where the share is above this")
    below: float | None = Field(default=None, gt=0, le=1, description="holds where the share is below this")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError("give either above or below")
        return self


class VaccinateOptions(Options):
    """`{share: 0.1, strategy: {kind: degree}, into: R}`: doses for some nodes, whatever their state."""

    count: int | None = Field(default=None, ge=1, description="number of doses")
    share: float | None = Field(default=None, gt=0, le=1, description="instead of count: doses per agent")
    strategy: dict[str, Any] = Field(description="who gets a dose: {kind: ..., options}")
    into: StateName = Field(description="state that a dose leads to")
    from_: tuple[StateName, ...] | None = Field(
        default=None,
        alias="from",
        description="states that a dose has an effect on; in others it has none. Default: the game's first state",
    )
    anyone: bool = Field(default=False, description="instead of from: a dose has an effect in every state")

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.count is None) == (self.share is None):
            raise ValueError("give either count or share")
        if self.from_ is not None and self.anyone:
            raise ValueError("give either from or anyone: true")
        if self.from_ is not None and (not self.from_ or self.into in self.from_):
            raise ValueError(
                f"from {list(self.from_)} into '{self.into}'; a dose leads from some states to another one"
            )
        return self


class EventOptions(Options):
    """Something that happens once, at a save: after it was recorded, and before time goes on."""

    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]*$",
        description="for after, and for what is reported; default: event and its number, such as event 2",
    )
    at: float | None = Field(default=None, ge=0, description="when: a save time before the end")
    when: ThresholdOptions | None = Field(
        default=None, description="instead of at: at the first save at which this holds"
    )
    after: str | None = Field(default=None, description="name of an event above this one that has to happen before")
    close: tuple[LayerName, ...] = Field(default=(), description="layers of the contact graph that close")
    open: tuple[LayerName, ...] = Field(default=(), description="layers of the contact graph that open again")
    set_: dict[str, Any] = Field(
        default_factory=dict, alias="set", description="options of the game from now on, such as game.beta: 0.02"
    )
    vaccinate: VaccinateOptions | None = Field(default=None, description="doses for some agents")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.at is None) == (self.when is None):
            raise ValueError("give either at (a save time) or when (a threshold)")
        if not (self.close or self.open or self.set_ or self.vaccinate):
            raise ValueError("nothing happens; give close, open, set or vaccinate")
        both = set(self.close) & set(self.open)
        if both:
            raise ValueError(f"layer '{min(both)}' is to close and to open")
        return self


def name_of(number: int, name: str | None) -> str:
    """What event `number`, from 0, is called."""
    return name or f"event {number + 1}"


def leaves(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Settings `{game.effort: {cost: 2}}` with a dotted key for every single value: `{game.effort.cost: 2}`."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= leaves(value, f"{above}{key}.") if isinstance(value, dict) and value else {f"{above}{key}": value}
    return found
