"""Options of the mode `learn`: what is learned from, and what is held back."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import LearnFrom, Options, Reference
from mesocosm_neural.forecast.options import ForecastOptions


class TableCovariates(Reference):
    """`{from: label}`: quantities of one table."""

    names: tuple[str, ...] | None = Field(default=None, description="which of its quantities. Default: all")
    between: Literal["hold", "linear"] = Field(
        default="hold",
        description="between two observations, hold the earlier one or interpolate; after the last, it is held",
    )


class CovariatesOptions(TableCovariates):
    """`{from: label}`: observed covariates u(t), which the networks see: quantities of tables in this scenario."""

    also: tuple[TableCovariates, ...] = Field(default=(), description="covariates of other tables beside these")


class ReportingOptions(Options):
    """How counts are reported: negative binomial, with mean share * jumps and variance mean + mean^2 / size."""

    quantity: str = Field(description="the recorded quantity that holds the counts, such as new_cases")
    transition: str = Field(description="the transition whose jumps between two saves are counted, such as 'S -> I'")
    share: float | None = Field(default=None, gt=0, le=1, description="share that is reported. Default: learned")
    size: float | None = Field(default=None, gt=0, description="size of the negative binomial. Default: learned")


class LearnOptions(LearnFrom):
    """`{from: label, until: time}`: learn from the trajectories of another dynamics, or from a table."""

    hold_out: int = Field(default=0, ge=0, description="so many series, the last ones, are held out as a whole")
    validation: float = Field(
        default=0.0, ge=0, description="so much time before `until` decides when to stop, and is not trained on"
    )
    window: int | None = Field(
        default=None,
        ge=1,
        description="multiple shooting: train on windows of so many saves, each from what was observed at its start. "
        "Default: one window from time 0",
    )
    covariates: CovariatesOptions | None = Field(default=None, description="observations that the networks see as well")
    reporting: ReportingOptions | None = Field(
        default=None, description="learn from reported counts of a transition. Default: from occupancies"
    )
    forecasts: ForecastOptions | None = Field(default=None, description="score forecasts from many origins")
    drift: Literal["keep", "replace", "rescale"] = Field(
        default="keep",
        description="diffusion games: the game's drift plus a network, a network alone, or the game's times a learned factor",
    )
    diffusion: Literal["keep", "replace", "rescale", "add"] = Field(
        default="rescale",
        description="diffusion games: the game's noise alone, a network alone, the game's times a learned factor, or both",
    )
    sees: tuple[Literal["state", "time", "field"], ...] = Field(
        default=("state",),
        min_length=1,
        description="diffusion and stage games: what drift and noise may depend on; the field is that of all paths of a seed",
    )
    quantities: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="stage games: the recorded quantities to learn. Default: the game's signals, such as attendance",
    )
    bounds: dict[str, tuple[float, float]] = Field(
        default={}, description="stage games: quantities that lie between two numbers, as {attendance: [0, 1]}"
    )
