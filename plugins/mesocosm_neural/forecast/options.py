"""Options of rolling-origin forecasts."""

from __future__ import annotations

from pydantic import Field

from mesocosm import Options


class ForecastOptions(Options):
    """Rolling-origin forecasts: at every origin, networks that saw nothing later forecast the next saves."""

    first: float = Field(gt=0, description="time of the first origin")
    every: float = Field(gt=0, description="time between two origins")
    horizons: tuple[float, ...] = Field(min_length=1, description="how far ahead forecasts are scored")
    average: int = Field(
        default=1,
        ge=1,
        description="what is forecast, scored and recorded is the mean count of so many saves, the last one and those before "
        "it; 7 days even out a weekly cycle",
    )
    record: str | None = Field(default=None, description="name under which it is recorded. Default: that of the counts")
    block: int | None = Field(
        default=None,
        ge=1,
        description="each seed learns from blocks of so many saves, drawn with replacement, so that seeds differ as the "
        "data might have. Default: all of them see all windows",
    )
