"""Contacts that differ: all are tossed with the largest chance, and hits are thinned to the chance of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesocosm_agents.arrays import FloatArray, IntArray
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
def is_felt(
    receiver: int,
    entry: int,
    weights: FloatArray,
    divisor: FloatArray,
    rate: FloatArray,
    rows: IntArray,
    ceiling: float,
    state: NDArray[np.uint64],
) -> bool:
    """Whether a hit on a receiver through an entry of the adjacency survives thinning. It takes arrays one by one: passing the
    tuples that hold them would cost more than the answer."""
    own = rate[rows[receiver]]
    if len(weights):
        own *= weights[entry]
    if len(divisor):
        own /= divisor[receiver]
    return bool(uniform(state) * ceiling <= -np.expm1(-own))
