"""What compiled kernels take and return: named tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
StateArray = NDArray[np.int8]
BoolArray = NDArray[np.bool_]


class Wiring(NamedTuple):
    """A contact graph for kernels.

    `indptr` [N + 1] and `indices` are its CSR adjacency; `weights` is empty where every contact weighs 1; `divisor` [N]
    is what each field is divided by, empty where fields are sums. A complete graph has no entries.
    """

    is_complete: bool
    indptr: IntArray
    indices: NDArray[np.int32]
    weights: FloatArray
    divisor: FloatArray


class Table(NamedTuple):
    """Transitions sorted by source: those out of state s are numbers `first[s]` to `first[s + 1]`.

    `channel` is -1 where the intensity does not depend on the field.
    """

    first: IntArray
    target: StateArray
    rate: FloatArray
    channel: IntArray
    controlled: BoolArray


class Schedule(NamedTuple):
    """What rows of agents choose, emit and pay in K steps.

    Shapes: `control` [K, row, state], `emission` [K, row, state, channel], `cost` [K, row, state] or empty. `chosen` and
    `renewed` [K] say whether control and emission differ from the step before; `exact` whether sums of emissions are
    free of rounding.
    """

    control: FloatArray
    emission: FloatArray
    cost: FloatArray
    chosen: BoolArray
    renewed: BoolArray
    exact: bool


class Buffers(NamedTuple):
    """What the kernels keep between steps.

    `emitted` and `field` [N, channel]: what every agent emits, and what `receive_all` makes of it. `total` [N]: summed
    intensity of the transitions out of every agent's state. `moved` and `new` [N]: who jumps in this step, and where.
    `touched` [N]: whose total may have changed. `is_touched` [N]: the same as flags, all false between steps. `parts`
    [transition]: the intensities of one agent.
    """

    emitted: FloatArray
    field: FloatArray
    total: FloatArray
    moved: NDArray[np.int32]
    new: StateArray
    touched: NDArray[np.int32]
    is_touched: BoolArray
    parts: FloatArray


class Outcome(NamedTuple):
    """Summed cost rate of all agents over the steps.

    Where an intensity is not valid: its step (else -1), transition and value.
    """

    cost: float
    step: int
    transition: int
    intensity: float
