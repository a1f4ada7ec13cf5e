"""From contacts in windows of time to a contact graph that changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, GraphRecord

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sequence:
    """Contacts in windows.

    Attributes
    ----------
    times: shape [windows + 1], from 0, in the scenario's unit: where windows begin, and where the last one ends.
    source, target: shape [pairs]: the pairs that ever meet, each once.
    first: shape [windows + 1]: the contacts of window k are numbers first[k] to first[k + 1].
    pair, weight: shape [contacts]: the number of the pair, rising within a window, and the weight.
    attributes: node attributes, each of shape [N].
    """

    times: FloatArray
    source: IntArray
    target: IntArray
    first: IntArray
    pair: IntArray
    weight: FloatArray
    attributes: Mapping[str, NDArray[np.str_]]

    def graph(self, *, loop: bool | None, holds_on: bool) -> ContactGraph:
        """The average over time, with its changes; without them where the record is one window, looped.

        After a record that is not looped the last window `holds_on`, or nobody meets.
        """
        average = self._average()
        begins = self._begins()
        starts = np.flatnonzero(begins)
        if len(starts) == 1 and loop:
            return average
        counts = np.diff(self.first)
        nobody = len(counts)
        numbers = np.where(counts[starts] == 0, nobody, starts)
        attributes = average.attributes

        def build(window: int) -> ContactGraph:
            entries = slice(0, 0) if window == nobody else slice(self.first[window], self.first[window + 1])
            return self._graph(self.pair[entries], self.weight[entries], attributes)

        times = np.append(self.times[starts], self.times[-1])
        afterwards = int(numbers[-1]) if holds_on else nobody
        return replace(average, changes=GraphRecord(times, numbers, build, loop=loop, afterwards=afterwards))

    def _average(self) -> ContactGraph:
        shares = np.diff(self.times) / self.times[-1]
        weights = sums(self.pair, self.weight * np.repeat(shares, np.diff(self.first)), len(self.source))
        met = np.flatnonzero(weights)
        return self._graph(met, weights[met], self.attributes)

    def _graph(self, pair: IntArray, weight: FloatArray, attributes: Mapping[str, NDArray[np.str_]]) -> ContactGraph:
        nodes = len(next(iter(attributes.values())))
        weights = None if (weight == 1.0).all() else weight
        return ContactGraph.from_edges(nodes, self.source[pair], self.target[pair], weights, attributes)

    def _begins(self) -> BoolArray:
        """Whether each window differs from the one before, shape [windows]."""
        counts = np.diff(self.first)
        before = np.append(-1, counts[:-1])
        begins: BoolArray = counts != before
        window = np.repeat(np.arange(len(counts)), counts)
        # In windows of the same size, entry e of the one before stands as many places earlier as the window is long.
        asked = np.flatnonzero(~begins[window])
        earlier = asked - counts[window[asked]]
        unlike = (self.pair[asked] != self.pair[earlier]) | (self.weight[asked] != self.weight[earlier])
        begins[window[asked[unlike]]] = True
        return begins


def sums(place: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Sum of the values at each place, shape [count]."""
    return np.asarray(np.bincount(place, values, minlength=count), np.float64)
