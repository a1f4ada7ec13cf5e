"""Options of the mode `play`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mesocosm import InputError, Options


class PlayOptions(Options):
    """A policy network trained against the flow that it makes, held fixed and averaged, until exploitability stops falling."""

    sees: tuple[Literal["time", "state", "field"], ...] = Field(
        default=("time", "state"),
        min_length=1,
        description="what the policy looks at; with the field it answers common noise",
    )
    closure: Literal["homogeneous", "degree", "group"] = Field(
        default="homogeneous",
        description="finite states: types of agents and how they mix; each type has a policy of its own",
    )
    averaging: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="weight of the newest flow in the average that agents respond to. Default: 1 / how many there were; "
        "at least 0.1 where flows are exact, as in finite states",
    )
    flow_every: int = Field(
        default=5, ge=1, description="training steps against one averaged flow, before a new one is made"
    )
    frequencies: int = Field(
        default=16, ge=0, description="cosines of time, of so many frequencies, that the network sees beside the time"
    )
    scenarios: int = Field(
        default=8,
        ge=1,
        description="with the field: how many populations, each with a shock of its own, it is trained on",
    )
    shock: float = Field(
        default=0.5,
        ge=0,
        description="with the field, finite states: standard deviation of the log factors on the shares at time 0",
    )
    tolerance: float = Field(
        default=1e-3,
        gt=0,
        description="converged: where a best response saves at most this share of what the policy costs",
    )


PLAYED_WITHOUT = frozenset({"paths", "batch", "inputs", "noise", "loss", "regularisation", "solver", "parameters"})
"""Options of `neural_sde` that mean nothing to play where nothing is sampled."""


def check_meaning(label: str, options: Options, meaningless: frozenset[str], prefix: str = "") -> None:
    """Raise `InputError` for an option that was given, and means nothing to play in this kind of game."""
    for name in sorted(options.changed & meaningless):
        raise InputError(
            f"{name} {getattr(options, name)}",
            where=f"dynamics '{label}', option {prefix}{name}",
            rule="it means nothing to play in this kind of game: leave it out",
        )
