"""Options of `eon_reference`."""

from pydantic import Field

from mesocosm import Options


class EonOptions(Options):
    """Event-driven contagion by EoN."""

    replicates: int = Field(default=16, ge=1, description="number of independent runs")
