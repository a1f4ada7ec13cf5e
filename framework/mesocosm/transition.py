"""What a finite-state game is made of: transitions, and what an agent may choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from mesocosm.errors import InputError

Array = Any
"""A NumPy array or a torch tensor."""


@dataclass(frozen=True)
class Transition:
    """A jump from `source` to `target`, and how its intensity (per unit time) depends on field and control.

    Use the constructors `spontaneous`, `induced` and `general`. The first two are what compiled and exact engines can
    exploit; the third always works.
    """

    source: str
    target: str
    rate: float
    channel: str | None = None
    controlled: bool = False
    intensity: Callable[[float, Array, Array], Array] | None = None

    def __post_init__(self) -> None:
        # A tensor stands here where a parameter is differentiated, in many games at once: it has no truth value.
        if isinstance(self.rate, Real) and not 0 <= self.rate < np.inf:
            raise InputError(
                f"rate {self.rate:g}",
                where=f"transition {self.source} -> {self.target}",
                rule="finite and not negative",
            )
        if self.source == self.target:
            raise InputError(f"{self.source} -> {self.target}", where="transition", rule="source and target differ")

    @classmethod
    def spontaneous(cls, source: str, target: str, *, rate: float, controlled: bool = False) -> Transition:
        """Intensity `rate`, times the agent's control where `controlled`."""
        return cls(source, target, rate, None, controlled)

    @classmethod
    def induced(cls, source: str, target: str, *, rate: float, channel: str, controlled: bool = False) -> Transition:
        """Intensity `rate * field[channel]`, times the agent's control where `controlled`."""
        return cls(source, target, rate, channel, controlled)

    @classmethod
    def general(cls, source: str, target: str, intensity: Callable[[float, Array, Array], Array]) -> Transition:
        """Intensity `intensity(t, field, control)`; field has shape [..., channel], control and the result [...]."""
        return cls(source, target, 1.0, None, False, intensity)

    def describe(self) -> str:
        """The intensity in words: `0.3 * field[infected] * control`."""
        if self.intensity is not None:
            return f"{getattr(self.intensity, '__name__', 'intensity')}(t, field, control)"
        parts = [f"{float(self.rate):g}"]
        if self.channel is not None:
            parts.append(f"field[{self.channel}]")
        if self.controlled:
            parts.append("control")
        return " * ".join(parts)


@dataclass(frozen=True)
class Control:
    """What an agent may choose: a number in [minimum, maximum], in some states only. In a diffusion game, without states,
    one number for each axis.

    `neutral` is the control in every other state, and everywhere under the policy `none`.
    """

    name: str
    states: tuple[str, ...]
    minimum: float
    maximum: float
    neutral: float

    def __post_init__(self) -> None:
        bounds = (self.minimum, self.neutral, self.maximum)
        known = all(isinstance(bound, Real) for bound in bounds)  # no tensors, as in a transition's rate
        if known and not self.minimum <= self.neutral <= self.maximum:
            raise InputError(
                f"control '{self.name}' with minimum {self.minimum:g}, neutral {self.neutral:g}, "
                f"maximum {self.maximum:g}",
                where="game",
                rule="minimum <= neutral <= maximum",
            )

    def check(self, value: float) -> None:
        """Raise `InputError` for a value that cannot be chosen."""
        if not self.minimum <= value <= self.maximum:
            raise InputError(
                f"constant {value:g}",
                where="policy",
                rule=f"'{self.name}' lies between {self.minimum:g} and {self.maximum:g}",
            )
