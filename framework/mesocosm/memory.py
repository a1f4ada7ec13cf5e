"""How much memory a contact graph takes while it is built, said or refused before it is."""

from __future__ import annotations

import os
import warnings

from mesocosm.errors import InputError

GIBIBYTE = 2**30

STATED_ABOVE = 2 * GIBIBYTE
"""Graphs that need more than these bytes are announced."""


def memory_of(node_count: int, entries: int, weighted: bool = False) -> int:
    """Bytes that a graph needs at most while it is drawn and brought into CSR; `entries` counts every edge twice.

    An entry stands for a while as half a pair of 64-bit nodes, then as a 32-bit row and column, and twice as a 32-bit
    neighbour; a node has its degree and the borders of its row. What stays is 4 bytes an entry, 12 with weights, and 8 a
    node.
    """
    return 24 * node_count + (42 if weighted else 26) * entries


def check_memory(node_count: int, entries: int, weighted: bool = False, where: str = "graph") -> None:
    """State what a large graph needs, as a Python warning, before it is built; builders call it before they allocate.

    Errors: `InputError` where that is more than the memory of this machine; `where` names the option to change.
    """
    needed, there = memory_of(node_count, entries, weighted), _memory_here()
    what = f"a contact graph of {node_count} nodes and {entries // 2} edges needs about {needed / GIBIBYTE:.1f} GiB"
    if there is not None and needed > there:
        raise InputError(
            f"{what} while it is built",
            where=where,
            rule=f"this machine has {there / GIBIBYTE:.1f} GiB of memory",
            hint="use fewer agents or fewer contacts, or a machine with more memory",
        )
    if needed > STATED_ABOVE:
        stated = f"{what} of memory while it is built"
        warnings.warn(stated if there is None else f"{stated}; there are {there / GIBIBYTE:.1f} GiB", stacklevel=3)


def _memory_here() -> int | None:
    """Bytes of memory of this machine; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
