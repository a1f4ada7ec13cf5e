"""Options of `diffrax_mean_field`."""

from typing import Literal

from pydantic import Field

from mesocosm import Options


class DiffraxOptions(Options):
    """Mean-field equations in JAX."""

    closure: Literal["homogeneous", "degree"] = Field(
        default="homogeneous", description="types of agents and how they mix"
    )
    tolerance: float = Field(
        default=1e-9, gt=0, lt=1, description="relative error of a time step; absolute: 1e-3 of it"
    )
