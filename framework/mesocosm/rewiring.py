"""A rule by which agents change the contact graph: they cut links, and form new ones."""

from __future__ import annotations

from dataclasses import dataclass

from mesocosm.errors import InputError


@dataclass(frozen=True)
class Rewiring:
    """Agents in state `cutter` cut each of their links to agents in state `cut` at `rate` per link and unit time.

    In place of the link they form one to an agent chosen uniformly among those in the states `partners`, neither
    themselves nor one that they meet already; where there is none, the link stays. The number of links does not change.
    Source: Gross, D'Lima, Blasius, Phys. Rev. Lett. 96, 208701 (2006).
    """

    cutter: str
    cut: str
    rate: float
    partners: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.rate < float("inf"):
            raise InputError(f"rate {self.rate:g}", where="rewiring", rule="finite and not negative")
        if not self.partners:
            raise InputError("no partners", where="rewiring", rule="at least one state to form new links to")
