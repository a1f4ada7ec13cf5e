"""Contacts that differ: all are tossed with the largest chance, and hits are thinned to the chance of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray, Wiring
from mesocosm_agents.kernels import compiled
from mesocosm_agents.random_bits import uniform


class Thinning(NamedTuple):
    """How contacts differ. `is_needed`: whether they do. `rate` [row]: intensity times step for a contact of weight 1, by the
    row of the receiver; `rows` [N]. `ceiling`: the chance before thinning."""

    is_needed: bool
    rate: FloatArray
    rows: IntArray
    ceiling: float


@compiled
def is_felt(receiver: int, entry: int, wiring: Wiring, thinning: Thinning, state: NDArray[np.uint64]) -> bool:
    """Whether a hit on a receiver through an entry of the adjacency survives thinning."""
    rate = thinning.rate[thinning.rows[receiver]]
    if len(wiring.weights):
        rate *= wiring.weights[entry]
    if len(wiring.divisor):
        rate /= wiring.divisor[receiver]
    return bool(uniform(state) * thinning.ceiling <= -np.expm1(-rate))
