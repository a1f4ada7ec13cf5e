"""Options of the strategies that choose who is vaccinated."""

from __future__ import annotations

from pydantic import Field

from mesocosm import Options

EXACT_BETWEENNESS = 5000
"""Nodes up to which betweenness is exact by default."""

PIVOTS = 250
"""Pivots from which it is estimated in larger graphs by default."""


class RandomNodes(Options):
    """Everybody with the same probability."""


class HighestDegree(Options):
    """Those with the most contacts; of a weighted graph, those with the largest sum of weights."""


class HighestCore(Options):
    """Those in the innermost core (k-core decomposition); weights do not count."""


class HighestBetweenness(Options):
    """Those on the most shortest paths between others; weights do not count."""

    samples: int | None = Field(
        default=None,
        ge=1,
        description="nodes, drawn at random, whose shortest paths are counted; more are more exact. Default: every node of a "
        f"graph of up to {EXACT_BETWEENNESS}, else {PIVOTS}",
    )
    seed: int = Field(default=0, ge=0, description="seed of this draw, which is the same in every replicate")


class RandomAcquaintances(Options):
    """Random contacts of random nodes: the well connected are found without knowing who they are."""
