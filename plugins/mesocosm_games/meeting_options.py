"""Options of `meeting`. Times and places are in the scenario's unit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mesocosm import Options
from mesocosm_games.start_options import StartOption


class MeetingOptions(Options):
    """When does the meeting start: at a scheduled time, or when a quorum has come."""

    form: Literal["spatial", "static"] = Field(
        default="spatial",
        description="spatial: agents walk to the place; static: they choose a time, and arrive near it",
    )
    scheduled: float = Field(ge=0, description="t: the time at which the meeting should start")
    quorum: float = Field(default=0.8, gt=0, lt=1, description="theta: the share that must be there for it to start")
    reputation: float = Field(default=1.0, gt=0, description="c1: cost per unit time later than scheduled")
    inconvenience: float = Field(default=1.0, ge=0, description="c2: cost per unit time later than the start")
    waiting: float = Field(default=1.0, ge=0, description="c3: cost per unit time earlier than the start")
    sigma: float = Field(
        default=0.5,
        gt=0,
        description="noise: of the time of arrival (static, unit of time), of the walk (spatial, per square root of time)",
    )
    start: StartOption | None = Field(
        default=None, description="spatial: places at time 0, below 0, where the meeting is"
    )
    flow_rate: float = Field(
        default=0.5,
        gt=0,
        description="static: step of the policy gradient_flow, in time by which a slope of 1 moves the choice in a round",
    )

    @model_validator(mode="after")
    def _fits_its_form(self) -> MeetingOptions:
        if self.form == "static" and self.start is not None:
            raise ValueError("form: static has no places, so leave start out")
        if self.form == "spatial" and self.start is None:
            raise ValueError("form: spatial needs start, such as {point: -1}")
        if self.form == "spatial" and "flow_rate" in self.changed:
            raise ValueError("flow_rate belongs to form: static; leave it out")
        return self
