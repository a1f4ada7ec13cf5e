"""The population size that a builder needs."""

from __future__ import annotations

from mesocosm import InputError


def required_size(size: int | None, kind: str) -> int:
    """`size`, at least 1. Errors: `InputError` where the scenario leaves it out, and for less."""
    if size is None:
        raise InputError(
            "no size is given",
            where="population.size",
            rule=f"a graph of kind {kind} has as many nodes as the population",
            hint="give population.size",
        )
    if size < 1:
        raise InputError(f"{size} agents", where="population.size", rule="at least 1")
    return size
