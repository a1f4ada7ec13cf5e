"""Options of the games in a continuum. Rates are per unit of the scenario's time; noise is per square root of it."""

from __future__ import annotations

import math

from pydantic import Field, model_validator

from mesocosm import Options
from mesocosm_games.start_options import PointStart, StartOption, UniformStart


class InterbankOptions(Options):
    """Banks that borrow and lend. Reserves are logarithms of money, so without a unit."""

    mean_reversion: float = Field(
        default=0.1, ge=0, description="a: rate at which reserves go to the mean by themselves"
    )
    borrowing: float = Field(
        default=0.1, ge=0, description="q: incentive to borrow below the mean and lend above it; q^2 <= running_cost"
    )
    running_cost: float = Field(
        default=0.5, ge=0, description="eps: weight of the squared distance from the mean, per unit time"
    )
    terminal_cost: float = Field(default=0.5, ge=0, description="c: weight of the squared distance at the horizon")
    sigma: float = Field(default=1.0, gt=0, description="noise of reserves")
    correlation: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="rho: share of the noise that is common to all; 0 leaves the common noise out",
    )
    start: StartOption = Field(default=PointStart(point=0.0), description="reserves at time 0")
    width: float = Field(
        default=6.0, gt=0, description="how far a grid of reserves goes beyond the start, on both sides"
    )

    @model_validator(mode="after")
    def _convex(self) -> InterbankOptions:
        if self.borrowing**2 > self.running_cost:
            raise ValueError(
                f"borrowing {self.borrowing:g} and running_cost {self.running_cost:g}; borrowing^2 <= running_cost, or the "
                f"running cost is not convex and there is no equilibrium"
            )
        return self


class TorusOptions(Options):
    """A crowd on a circle of length 1 whose stationary equilibrium is known."""

    sigma: float = Field(default=1.0, gt=0, description="noise; the potential follows it, so that the density does not")
    bandwidth: float = Field(
        default=0.0,
        ge=0,
        le=0.25,
        description="width of the Gaussian that smooths the density; 0: the density itself. Agents need it above 0",
    )
    start: StartOption = Field(
        default=UniformStart(uniform=(0.0, 1.0)), description="places at time 0, between 0 and 1"
    )


class CongestionOptions(Options):
    """A crowd in the unit square, with a door in the right side. With lengths of 10 m and times of 10 s, speed 1 is 1 m/s."""

    door: tuple[float, float] = Field(
        default=(0.4, 0.6), description="from where to where the door goes, in the side x = 1"
    )
    time_cost: float = Field(default=1.0, ge=0, description="cost per unit time inside")
    crowding: float = Field(default=0.5, ge=0, description="kappa: cost per unit time and unit of local density")
    remaining: float = Field(
        default=0.0, ge=0, description="cost of being still inside at the horizon; solvers step the finer for it"
    )
    sigma: float = Field(default=0.2, gt=0, description="noise of places")
    speed: float = Field(default=10.0, gt=0, description="highest speed along each axis")
    bandwidth: float = Field(
        default=0.0,
        ge=0,
        le=0.25,
        description="width of the Gaussian that smooths the density; 0: the density itself. Agents need it above 0",
    )
    start: StartOption = Field(
        default=UniformStart(uniform=((0.0, 0.0), (0.5, 1.0))), description="places at time 0, inside the square"
    )

    @model_validator(mode="after")
    def _in_the_side(self) -> CongestionOptions:
        if not 0 <= self.door[0] < self.door[1] <= 1:
            raise ValueError(f"door from {self.door[0]:g} to {self.door[1]:g}; 0 <= start < stop <= 1")
        return self


class OpinionOptions(Options):
    """Opinions between 0 and 1 that listen to those which are close enough."""

    rate: float = Field(default=1.0, ge=0, description="rate at which one moves to the opinions that one listens to")
    confidence: float = Field(default=0.2, gt=0, le=1, description="one listens to opinions that are nearer than this")
    smoothing: float = Field(
        default=0.01, ge=0, le=1, description="width over which listening fades out at that distance; 0: a sharp edge"
    )
    sigma: float = Field(default=0.02, gt=0, description="noise of opinions")
    controlled: bool = Field(default=False, description="whether agents also choose where to move, at a cost")
    conformity: float = Field(default=10.0, ge=0, description="weight of disagreeing with those one listens to")
    attraction: float = Field(default=0.0, ge=0, description="weight of the distance from the target")
    target: float = Field(default=0.5, ge=0, le=1, description="an opinion that all are drawn to")
    speed: float = Field(default=5.0, gt=0, description="highest speed that one can choose")
    start: StartOption = Field(
        default=UniformStart(uniform=(0.0, 1.0)), description="opinions at time 0, between 0 and 1"
    )


class SynchronisationOptions(Options):
    """Oscillators on a circle, angles in radians."""

    frequency: float = Field(default=0.0, description="omega: natural frequency of all; it only turns the frame")
    coupling: float = Field(default=2.0, ge=0, description="K: strength of coupling, where agents do not choose")
    sigma: float = Field(default=1.0, gt=0, description="noise of angles")
    controlled: bool = Field(
        default=False, description="whether agents choose their frequency, at a cost, instead of being coupled"
    )
    incoherence: float = Field(default=2.0, ge=0, description="kappa: cost per unit time of being out of phase")
    speed: float = Field(default=20.0, gt=0, description="how far from the natural frequency one can choose")
    start: StartOption = Field(
        default=UniformStart(uniform=(0.0, math.pi)), description="angles at time 0, between 0 and 2 pi"
    )
