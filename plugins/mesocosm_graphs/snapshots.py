"""A contact graph from snapshots: the contacts that hold from a time on, until the next snapshot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, DataError
from mesocosm_graphs.changing_options import Snapshots
from mesocosm_graphs.contact_rows import read_contact_rows
from mesocosm_graphs.edge_list import edges, node_table
from mesocosm_graphs.options import Edges
from mesocosm_graphs.sequence import Sequence, sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def snapshots(options: Snapshots, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The time average of the snapshots until the end of the record, with its changes. Nodes as in kind `edges`.

    Errors: `DataError` with file and line for what is malformed, as in kinds `edges` and `contacts`, and for a table whose
    times do not begin at 0 or do not lie before the end.
    """
    attributes = node_table(options)
    numbers = {name: index for index, name in enumerate(attributes["id"])}
    if options.table is None:
        times, window, ends, weights = _from_files(options, numbers, generator)
    else:
        times, window, ends, weights = _from_table(options, options.table, numbers)
    if options.nodes is None:
        attributes["id"] = list(numbers)
    columns = {name: np.array(values) for name, values in attributes.items()}
    if not options.isolated:
        present, flat = np.unique(ends, return_inverse=True)
        ends = flat.reshape(-1, 2)
        columns = {name: values[present] for name, values in columns.items()}
    nodes = len(columns["id"])
    pairs, pair = np.unique(ends.min(axis=1) * nodes + ends.max(axis=1), return_inverse=True)
    keys, place = np.unique(window * len(pairs) + pair, return_inverse=True)
    sequence = Sequence(
        times=np.append(times, options.end),
        source=pairs // nodes,
        target=pairs % nodes,
        first=np.searchsorted(keys // len(pairs), np.arange(len(times) + 1)),
        pair=keys % len(pairs),
        weight=np.ones(len(keys)) if weights is None else sums(place, weights, len(keys)),
        attributes=columns,
    )
    return sequence.graph(loop=options.loop, holds_on=True)


def _from_files(
    options: Snapshots, numbers: dict[str, int], generator: np.random.Generator
) -> tuple[FloatArray, IntArray, IntArray, FloatArray | None]:
    """Times [windows]; window, ends [.., 2] and weights of every contact. Ids that are new are added to `numbers`."""
    windows, ends, weights = [], [], []
    files = options.files or ()
    for window, snapshot in enumerate(files):
        if snapshot.file is None:
            continue
        graph = edges(_edge_options(options, snapshot.file), None, generator)
        for name in graph.attributes["id"].tolist():
            numbers.setdefault(name, len(numbers))
        places = np.array([numbers[name] for name in graph.attributes["id"].tolist()], np.int64)
        source, target, values = graph.edges()
        windows.append(np.full(len(source), window))
        ends.append(np.stack([places[source], places[target]], axis=1))
        weights.append(np.ones(len(source)) if values is None else values)
    if not ends:
        raise DataError("no snapshot has a file", where="graph.files", rule="at least one snapshot with contacts")
    times = np.array([snapshot.from_ for snapshot in files])
    return times, np.concatenate(windows), np.concatenate(ends), np.concatenate(weights)


def _edge_options(options: Snapshots, file: Path) -> Edges:
    return Edges(
        file=file,
        nodes=options.nodes,
        nodes_header=options.nodes_header,
        columns=options.columns,
        header=options.header,
        weights=options.weights,
        simplify=options.simplify,
    )


def _from_table(
    options: Snapshots, path: Path, numbers: dict[str, int]
) -> tuple[FloatArray, IntArray, IntArray, FloatArray | None]:
    """As `_from_files`, from one table of rows `t,i,j` or `t,i,j,w`."""
    rows = read_contact_rows(path, options.header, options.weights)
    times, window = np.unique(rows.times, return_inverse=True)
    if times[0] != 0:
        row = int(np.argmin(rows.times))
        what = f"the first snapshot holds from time {times[0]:g}"
        raise rows.error(row, what, rule="it holds from time 0, in the scenario's unit")
    if times[-1] >= options.end:
        row = int(np.argmax(rows.times))
        what = f"a snapshot holds from time {times[-1]:g}, and the record ends at {options.end:g}"
        raise rows.error(row, what, rule="the end is after the last snapshot", hint="set end")
    ends = rows.nodes(numbers, options.nodes is not None)
    kept = np.arange(len(ends))
    if options.simplify:
        kept = np.flatnonzero(ends[:, 0] != ends[:, 1])
    else:
        rows.refuse_loops(ends)
        low, high = ends.min(axis=1), ends.max(axis=1)
        rows.refuse_repeated((window * len(numbers) + low) * len(numbers) + high, kept)
    return times, window[kept], ends[kept], None if rows.weights is None else rows.weights[kept]
