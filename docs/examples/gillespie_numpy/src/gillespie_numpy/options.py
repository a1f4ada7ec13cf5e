"""Options of `gillespie_numpy`. Times are in the scenario's unit."""

from pydantic import Field

from mesocosm import Options


class GillespieOptions(Options):
    """Exact stochastic simulation."""

    replicates: int = Field(default=16, ge=1, description="number of independent runs")
    hold: float | None = Field(
        default=None,
        gt=0,
        description="longest time for which rates that change with time itself are held; all else is exact whatever it "
        "is. Default: a tenth of the save interval",
    )
