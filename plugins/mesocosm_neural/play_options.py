"""Options of the mode `play`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import Options


class PlayOptions(Options):
    """A policy network trained against the flow that it makes, held fixed and averaged, until exploitability stops falling."""

    sees: tuple[Literal["time", "state", "field"], ...] = Field(
        default=("time", "state"),
        min_length=1,
        description="what the policy looks at; with the field it answers common noise",
    )
    averaging: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="weight of the newest flow in the average that agents respond to. Default: 1 / how many there were",
    )
