"""Groups that mix by a contact matrix: the complete graph, with contacts weighted by the groups of both ends.

An agent of group g has C[g, h] contacts with group h, spread evenly over its N_h agents. With N agents in all, the contact of
i in g with j in h weighs C[g, h] N / (N_h (N - 1)), so that the field is sum_h C[g, h] E[emission | h] as N grows. No pair is
stored: the graph is the implicit complete one, and the game takes account of the matrix (`mesocosm.GroupedGame`).

Source of such matrices: Mossong et al., PLoS Med. 5, e74 (2008).
"""

from __future__ import annotations

import numpy as np

from mesocosm import ContactGraph
from mesocosm_graphs.options import ContactMatrix


def contact_matrix(options: ContactMatrix, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The complete graph of all groups; nodes are in the order of the groups, with their names as attribute `group`."""
    names, sizes = list(options.groups), list(options.groups.values())
    order = np.argsort(names)
    matrix = np.array(options.matrix, np.float64)[np.ix_(order, order)]
    return ContactGraph.complete(sum(sizes), {"group": np.repeat(names, sizes)}, matrix)
