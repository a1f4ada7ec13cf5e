"""A contact graph from a list of contacts in time: who met whom in which interval.

Intervals are cut into windows; the graph stays as it is within a window, in which the weight of a contact is the share of the
window in which the two met. Source of the form: SocioPatterns, www.sociopatterns.org/datasets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError
from mesocosm_graphs.changing_options import Contacts
from mesocosm_graphs.contact_rows import ContactRows, read_contact_rows
from mesocosm_graphs.edge_list import node_table
from mesocosm_graphs.sequence import Sequence

IntArray = NDArray[np.int64]


def contacts(options: Contacts, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The time average of the contacts over the record, with its changes. Nodes as in kind `edges`.

    Errors: `DataError` with file and line for rows that are malformed, times that do not stand on the grid of resolutions, ids
    that the node table does not have, and, without `simplify`, rows that say the same again and contacts of a node with
    itself; `InputError` where the record has no contacts.
    """
    rows = read_contact_rows(options.file, options.header)
    attributes = node_table(options)
    numbers = {name: index for index, name in enumerate(attributes["id"])}
    ends = rows.nodes(numbers, options.nodes is not None)
    if options.nodes is None:
        attributes["id"] = list(numbers)
    slots, kept, count = _slots(options, rows)
    if not options.simplify:
        rows.refuse_loops(ends)
    kept &= ends[:, 0] != ends[:, 1]
    slots, ends = slots[kept], ends[kept]
    if not len(slots):
        raise InputError("no contact lies in the record", where="graph.start", rule="at least one")
    columns = {name: np.array(values) for name, values in attributes.items()}
    if not options.isolated:
        present, flat = np.unique(ends, return_inverse=True)
        ends = flat.reshape(-1, 2)
        columns = {name: values[present] for name, values in columns.items()}
    nodes = len(columns["id"])
    pairs, pair = np.unique(ends.min(axis=1) * nodes + ends.max(axis=1), return_inverse=True)
    met = np.unique(slots * len(pairs) + pair)
    if len(met) < len(slots) and not options.simplify:
        rows.refuse_repeated(slots * len(pairs) + pair, np.flatnonzero(kept))
    if options.gaps == "skip":
        skipping = _without_gaps(met // len(pairs), count, (options.longest_gap or 0.0) / options.resolution)
        met, count = skipping[met // len(pairs)] * len(pairs) + met % len(pairs), int(skipping[-1])
    return _windows(options, met, count, pairs, nodes, columns).graph(loop=options.loop, holds_on=False)


def _slots(options: Contacts, rows: ContactRows) -> tuple[IntArray, NDArray[np.bool_], int]:
    """In which interval of the record each row lies, [rows]; whether it is in the record; how many intervals that has."""
    first = float(rows.times.min()) - options.resolution
    origin = first if options.start is None else options.start
    exact = (rows.times - origin) / options.resolution
    ending = np.round(exact).astype(np.int64)
    # Times such as 1385982020 with a resolution of 0.1 cannot be closer to the grid than this.
    off = np.flatnonzero(np.abs(exact - ending) > 1e-6 + 4 * np.spacing(np.abs(rows.times)) / options.resolution)
    if off.size:
        row = int(off[0])
        raise rows.error(
            row,
            f"time {rows.times[row]:.12g}",
            rule=f"times are a whole number of resolutions of {options.resolution:g} after {origin:.12g}",
            hint="set resolution, or start",
        )
    count = int(ending.max()) if options.end is None else round((options.end - origin) / options.resolution)
    if count < 1:
        raise InputError(
            f"a record from {origin:.12g} to {options.end or rows.times.max():.12g}",
            where="graph.end",
            rule=f"the file has contacts from {first:.12g} to {rows.times.max():.12g}",
        )
    return ending - 1, (ending >= 1) & (ending <= count), count


def _without_gaps(slots: IntArray, count: int, longest: float) -> IntArray:
    """How many intervals are left before each, shape [count + 1], without the gaps longer than `longest` intervals."""
    busy = np.unique(slots)
    edges = np.concatenate([[-1], busy, [count]])
    gaps = np.diff(edges) - 1
    kept = np.ones(count, np.int64)
    for gap in np.flatnonzero(gaps > longest * (1 + 1e-9)):
        kept[edges[gap] + 1 : edges[gap + 1]] = 0
    return np.concatenate([[0], np.cumsum(kept)])


def _windows(
    options: Contacts, met: IntArray, count: int, pairs: IntArray, nodes: int, columns: dict[str, NDArray[np.str_]]
) -> Sequence:
    """The contacts `met` (interval times number of pairs, plus pair; sorted) in windows of the record of `count` intervals."""
    width = 1 if options.window is None else min(round(options.window / options.resolution), count)
    starts = np.append(np.arange(0, count, width), count)
    keys, times_met = np.unique(met // len(pairs) // width * len(pairs) + met % len(pairs), return_counts=True)
    window = keys // len(pairs)
    return Sequence(
        times=starts * options.resolution / options.seconds_per_unit,
        source=pairs // nodes,
        target=pairs % nodes,
        first=np.searchsorted(window, np.arange(len(starts))),
        pair=keys % len(pairs),
        weight=times_met / np.diff(starts)[window],
        attributes=columns,
    )
