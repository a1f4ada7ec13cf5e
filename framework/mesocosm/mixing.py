"""Mean-field closures as a pair: types of agents, and a mixing matrix between them.

The field that an agent of type tau receives is `sum over types s of K[tau, s] E[emission | s]`. With A the weighted
adjacency matrix, <k> the mean degree and p_k the share of degree k (strength, where contacts have weights):

    homogeneous   one type                 K = <k>
    degree        one type per degree      K[k, k'] = k k' p_k' / <k>          (annealed graph)
    group         one type per group       K[g, h] = mean contacts of a node of g in h
    individual    one type per node        K = A                               (quenched, NIMFA)

`normalise: mean` divides each row by the type's mean degree. On the implicit complete graph <k> = 1.
The types stay where a graph changes, or loses layers: `mixing_among` gives their mixing on the graph of the moment, and
`average_mixing` that of a while.
Sources: Pastor-Satorras et al., Rev. Mod. Phys. 87, 925 (2015), sections IV-V; Van Mieghem et al., IEEE/ACM ToN 17 (2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.errors import InputError, suggestion

if TYPE_CHECKING:
    from mesocosm.graph import ContactGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLOSURES = ("homogeneous", "degree", "group", "individual")


@dataclass(frozen=True, eq=False)
class DegreeLaw:
    """A law of degrees: `degrees` and their `shares` (positive, sum 1), both of shape [classes]."""

    degrees: FloatArray
    shares: FloatArray

    @property
    def mean(self) -> float:
        """The mean degree."""
        return float(self.degrees @ self.shares)


@dataclass(frozen=True, eq=False)
class Mixing:
    """Types with shares, and the operator K = `matrix` + outer(`left`, `right`) that maps emissions to fields.

    Attributes
    ----------
    closure: homogeneous, degree, group or individual.
    types: name of each type, length T.
    shares: share of the population in each type, shape [T], sums to 1.
    degrees: mean degree of each type, shape [T].
    membership: type of each node, shape [N]; None where the types come from a degree law.
    matrix: dense or sparse [T, T], or None. left, right: shape [T], or None.
    """

    closure: str
    types: tuple[str, ...]
    shares: FloatArray
    degrees: FloatArray
    membership: IntArray | None
    matrix: Any = None
    left: FloatArray | None = None
    right: FloatArray | None = None

    def field(self, emission: FloatArray) -> FloatArray:
        """Field of each type from the mean emission of each type: shapes [..., T, channel] to [..., T, channel]."""
        result: FloatArray | float = 0.0
        if self.left is not None and self.right is not None:
            result = self.left[:, None] * (self.right @ emission)[..., None, :]
        if self.matrix is not None:
            rows = np.moveaxis(emission, -2, 0)
            product = self.matrix @ rows.reshape(len(self.types), -1)
            result = result + np.moveaxis(np.asarray(product).reshape(rows.shape), 0, -2)
        return np.asarray(result, np.float64)

    @property
    def entries(self) -> int:
        """About how many numbers it holds, beside its types."""
        size = len(self.types)
        written_out = self.matrix.size if isinstance(self.matrix, np.ndarray) else 0
        return 4 * size + int(getattr(self.matrix, "nnz", written_out))

    def dense(self) -> FloatArray:
        """K written out, shape [T, T]."""
        size = len(self.types)
        return self.field(np.eye(size)[:, :, None])[..., 0].T.copy()


def build_mixing(graph: ContactGraph, closure: str, *, normalise: str, group: str, degrees: str) -> Mixing:
    """See `ContactGraph.mixing`."""
    if closure not in CLOSURES:
        raise InputError(f"'{closure}' is not a closure", where="closure", hint=suggestion(closure, CLOSURES))
    if normalise not in ("sum", "mean"):
        raise InputError(f"'{normalise}'", where="normalise", rule="'sum' or 'mean'")
    if degrees not in ("graph", "law"):
        raise InputError(f"'{degrees}'", where="degrees", rule="'graph' or 'law'")
    if degrees == "law" and closure not in ("homogeneous", "degree"):
        raise InputError(
            f"closure '{closure}' with degrees 'law'",
            where="degrees",
            rule="a degree law has no groups and no individuals",
            hint="use degrees: graph",
        )
    if closure == "group":
        return _group(graph, group, normalise)
    if closure == "individual":
        return _individual(graph, normalise)
    law, membership = _degree_classes(graph, degrees)
    if closure == "homogeneous":
        mean = law.mean if normalise == "sum" else float(law.mean > 0)
        nodes = None if membership is None else np.zeros(graph.node_count, np.int64)
        return Mixing(
            "homogeneous", ("all",), np.ones(1), np.array([law.mean]), nodes, left=np.array([mean]), right=np.ones(1)
        )
    left, right = _annealed(law, normalise)
    names = tuple(f"{value:g}" for value in law.degrees)
    return Mixing("degree", names, law.shares, law.degrees, membership, left=left, right=right)


def mixing_among(types: Mixing, graph: ContactGraph, normalise: str) -> Mixing:
    """The mixing of given types, each of them a set of nodes, on another graph of the same nodes.

    homogeneous: the mean strength on that graph; degree: K[k, k'] = s_k s_k' p_k' / <s> with s_k the mean strength there of
    the nodes of type k; group and individual: contacts there. `normalise` as in `build_mixing`.
    """
    assert types.membership is not None
    if types.closure == "individual":
        matrix, left, right = _quenched(graph, normalise)
        return replace(types, degrees=graph.strengths, matrix=matrix, left=left, right=right)
    if types.closure == "group":
        contacts = _contacts_between(graph, types.membership, len(types.types))
        sums = contacts.sum(axis=1)
        return replace(types, degrees=sums, matrix=contacts if normalise == "sum" else _by_row(contacts, sums))
    counts = np.bincount(types.membership, minlength=len(types.types))
    degrees = np.bincount(types.membership, graph.strengths, minlength=len(types.types)) / counts
    left, right = _annealed(DegreeLaw(degrees, types.shares), normalise)
    if types.closure == "homogeneous":
        left, right = left * right, np.ones(1)
    return replace(types, degrees=degrees, left=left, right=right)


def average_mixing(parts: Sequence[tuple[Mixing, float]]) -> Mixing:
    """The weighted mean of mixings of the same types."""
    first = parts[0][0]
    degrees = np.asarray(sum(share * mixing.degrees for mixing, share in parts))
    matrices = [share * mixing.matrix for mixing, share in parts if mixing.matrix is not None]
    outer = [(share * m.left, m.right) for m, share in parts if m.left is not None and m.right is not None]
    if not outer:
        return replace(first, degrees=degrees, matrix=sum(matrices[1:], start=matrices[0]))
    if len(first.types) == 1:
        total = np.asarray(sum(left * right for left, right in outer))
        return replace(first, degrees=degrees, left=total, right=np.ones(1))
    from scipy.sparse.linalg import aslinearoperator

    left, right = (np.stack(columns) for columns in zip(*outer, strict=True))
    # A sum of products of two columns, which is never written out.
    operator: Any = aslinearoperator(left.T) @ aslinearoperator(right)
    for matrix in matrices:
        operator = operator + aslinearoperator(matrix)
    return replace(first, degrees=degrees, matrix=operator, left=None, right=None)


def _annealed(law: DegreeLaw, normalise: str) -> tuple[FloatArray, FloatArray]:
    """Left and right of K[k, k'] = k k' p_k' / <k>; without the first k where the field is an average."""
    right = law.degrees * law.shares / law.mean if law.mean > 0 else np.zeros_like(law.shares)
    left = law.degrees if normalise == "sum" else (law.degrees > 0).astype(np.float64)
    return left, right


def _degree_classes(graph: ContactGraph, degrees: str) -> tuple[DegreeLaw, IntArray | None]:
    if degrees == "law":
        if graph.degree_law is None:
            raise InputError(
                "this graph does not come from a degree law",
                where="degrees",
                rule="'law' needs a graph of kind configuration, erdos_renyi or regular",
                hint="use degrees: graph",
            )
        return graph.degree_law, None
    if graph.is_complete:
        return DegreeLaw(np.ones(1), np.ones(1)), np.zeros(graph.node_count, np.int64)
    values, membership, counts = np.unique(graph.strengths, return_inverse=True, return_counts=True)
    return DegreeLaw(values, counts / graph.node_count), membership.astype(np.int64)


def _group(graph: ContactGraph, attribute: str, normalise: str) -> Mixing:
    names, membership = graph.group_index(attribute)
    size = len(names)
    counts = np.bincount(membership, minlength=size).astype(np.float64)
    contacts = _contacts_between(graph, membership, size)
    mean_degree = contacts.sum(axis=1)
    return Mixing(
        "group",
        names,
        counts / graph.node_count,
        mean_degree,
        membership,
        matrix=contacts if normalise == "sum" else _by_row(contacts, mean_degree),
    )


def _contacts_between(graph: ContactGraph, membership: IntArray, size: int) -> FloatArray:
    """Mean contacts of a node of one group in another, shape [group, group]."""
    counts = np.bincount(membership, minlength=size).astype(np.float64)
    if graph.is_complete:
        return np.asarray((counts[None, :] - np.eye(size)) / (graph.node_count - 1), np.float64)
    rows = np.repeat(membership, graph.degrees)
    weights = np.ones(len(graph.indices)) if graph.weights is None else graph.weights
    flat = np.bincount(rows * size + membership[graph.indices], weights, minlength=size * size)
    return np.asarray(flat.reshape(size, size) / counts[:, None], np.float64)


def _individual(graph: ContactGraph, normalise: str) -> Mixing:
    size = graph.node_count
    names = tuple(str(node) for node in range(size))
    shares, nodes = np.full(size, 1.0 / size), np.arange(size, dtype=np.int64)
    return Mixing("individual", names, shares, graph.strengths, nodes, *_quenched(graph, normalise))


def _quenched(graph: ContactGraph, normalise: str) -> tuple[Any, FloatArray | None, FloatArray | None]:
    """Matrix, left and right of the mixing of single nodes."""
    size = graph.node_count
    if graph.is_complete:
        from scipy.sparse import eye_array

        each = np.full(size, 1.0 / (size - 1))
        return eye_array(size, format="csr") * (-1.0 / (size - 1)), each, np.ones(size)
    matrix: Any = graph.adjacency
    if normalise == "mean":
        from scipy.sparse import diags_array

        strengths = graph.strengths
        matrix = diags_array(np.divide(1.0, strengths, out=np.zeros(size), where=strengths > 0)) @ matrix
    return matrix, None, None


def _by_row(matrix: FloatArray, sums: FloatArray) -> FloatArray:
    return np.divide(matrix, sums[:, None], out=np.zeros_like(matrix), where=sums[:, None] > 0)
