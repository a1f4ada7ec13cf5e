"""Interventions: what happens to a population from outside, at a time or on a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Situation:
    """What events have left behind: the layers that are closed, and parameters of the game that are not as they were."""

    closed: frozenset[str] = frozenset()
    parameters: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a problem, in the order of the scenario."""

    items: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.items)
