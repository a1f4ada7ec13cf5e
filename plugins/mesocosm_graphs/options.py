"""Options of the graph builders. Degrees and mean degrees are contacts per node."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from mesocosm import DataPath, Options
from mesocosm_graphs.degree_options import DegreesOption

Header = Annotated[
    bool | Literal["auto"],
    Field(
        description="whether the first row names the columns. auto: it does when none of its fields is a number and "
        "either its first field is one of id, node, source, from, i, or the second row has a number"
    ),
]


class Complete(Options):
    """Everybody meets everybody, each pair with weight 1/(N-1)."""


class ErdosRenyi(Options):
    """Each pair is joined independently with probability mean_degree / (N-1)."""

    mean_degree: float = Field(ge=0, description="expected degree (contacts), at most N-1")


class Configuration(Options):
    """A random simple graph with these degrees."""

    degrees: DegreesOption = Field(description="law of the degrees, or one degree per node (contacts)")

    @field_validator("degrees")
    @classmethod
    def _even(cls, degrees: Any) -> Any:
        if isinstance(degrees, tuple) and sum(degrees) % 2:
            raise ValueError(f"the degrees sum to {sum(degrees)}; every edge has two ends, so the sum must be even")
        return degrees


class BarabasiAlbert(Options):
    """Growth with preferential attachment."""

    m: int = Field(ge=1, description="edges that each new node brings; N must exceed it")


class WattsStrogatz(Options):
    """A ring in which each edge is rewired with probability p."""

    k: int = Field(ge=2, multiple_of=2, description="contacts of each node on the ring, even, below N")
    p: float = Field(ge=0, le=1, description="probability that an edge is rewired")


class Regular(Options):
    """A random graph in which all nodes have the same degree."""

    degree: int = Field(ge=0, description="degree of every node (contacts), below N; N times degree is even")


class Blocks(Options):
    """Stochastic block model; the name of a node's block is its attribute `group`."""

    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1, description="nodes in each block")
    mean_degrees: tuple[tuple[Annotated[float, Field(ge=0)], ...], ...] = Field(
        description="mean_degrees[g][h]: mean contacts that a node of block g has in block h"
    )
    names: tuple[str, ...] | None = Field(default=None, description="name of each block; '0', '1', .. if left out")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        count, degrees = len(self.sizes), self.mean_degrees
        if len(degrees) != count or any(len(row) != count for row in degrees):
            raise ValueError(f"mean_degrees must have {count} rows of {count} numbers, one per block")
        if self.names is not None and (len(self.names) != count or len(set(self.names)) != count):
            raise ValueError(f"names must be {count} different names, one per block")
        for g in range(count):
            for h in range(count):
                given, back = self.sizes[g] * degrees[g][h], self.sizes[h] * degrees[h][g]
                if abs(given - back) > 1e-9 * max(given, back):
                    raise ValueError(
                        f"sizes[{g}] * mean_degrees[{g}][{h}] is {given:g} but sizes[{h}] * mean_degrees[{h}][{g}] is "
                        f"{back:g}; contacts between two blocks are counted once from each side, so they must be equal"
                    )
                room = self.sizes[h] - (g == h)
                if degrees[g][h] > room:
                    raise ValueError(
                        f"mean_degrees[{g}][{h}] is {degrees[g][h]:g}; there are only {room} nodes to meet"
                    )
        return self


RECIPROCITY = 0.01
"""By what part the contacts between two groups, counted from either side, may differ: published matrices are rounded."""


class ContactMatrix(Options):
    """Groups that mix by a contact matrix; the name of a node's group is its attribute `group`."""

    groups: dict[str, Annotated[int, Field(ge=1)]] = Field(min_length=1, description="agents in each group")
    contacts: (
        dict[str, dict[str, Annotated[float, Field(ge=0)]]] | tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]
    ) = Field(
        description="contacts that an agent of a group has with each group, per unit of time or in all: "
        "{group: {other: number}}, or rows of numbers in the order of groups"
    )
    reciprocal: bool = Field(
        default=True,
        description="whether both groups must count the same contacts between them, to 1 %: size of a times contacts of a "
        "in b equal to size of b times contacts of b in a",
    )

    @property
    def matrix(self) -> tuple[tuple[float, ...], ...]:
        """Contacts of each group (row) in each group, in the order of `groups`."""
        if isinstance(self.contacts, tuple):
            return self.contacts
        return tuple(tuple(self.contacts[name][other] for other in self.groups) for name in self.groups)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = tuple(self.groups)
        if sum(self.groups.values()) < 2:
            raise ValueError("one agent in all; at least 2 are needed to meet")
        self._check_shape(names)
        for g, h in combinations(range(len(names)), 2) if self.reciprocal else ():
            given, back = (self.groups[names[a]] * self.matrix[a][b] for a, b in ((g, h), (h, g)))
            if abs(given - back) > RECIPROCITY * max(given, back):
                raise ValueError(
                    f"{names[g]} have {given:g} contacts with {names[h]}, who have {back:g} with {names[g]} (size times "
                    "contacts); a contact has two ends, so these must be equal; correct them, or give reciprocal: false"
                )
        return self

    def _check_shape(self, names: tuple[str, ...]) -> None:
        if isinstance(self.contacts, tuple):
            if len(self.contacts) != len(names) or any(len(row) != len(names) for row in self.contacts):
                raise ValueError(f"contacts must have {len(names)} rows of {len(names)} numbers, one per group")
            return
        given = {
            "contacts": set(self.contacts),
            **{f"contacts.{name}": set(row) for name, row in self.contacts.items()},
        }
        for where, row in given.items():
            missing, unknown = sorted(set(names) - row), sorted(row - set(names))
            if missing or unknown:
                what = f"'{missing[0]}' is missing in" if missing else f"'{unknown[0]}' is no group, in"
                raise ValueError(f"{what} {where}; it names every group: {', '.join(names)}")


class Lattice(Options):
    """A rectangular grid; attributes `row` and `column`."""

    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = Field(
        default=None, description="[rows, columns]; a square of population.size nodes if left out"
    )
    periodic: bool = Field(
        default=False, description="whether opposite borders touch (a torus); needs sides of 3 or more"
    )
    neighbours: Literal[4, 8] = Field(default=4, description="contacts in the interior: 4 (sides) or 8 (and corners)")

    @model_validator(mode="after")
    def _wraps(self) -> Self:
        if self.periodic and self.shape is not None and min(self.shape) < 3:
            raise ValueError(f"a periodic lattice needs at least 3 rows and 3 columns, not {list(self.shape)}")
        return self


class NetworkxGenerator(Options):
    """`generator`, and its arguments as further options."""

    model_config = ConfigDict(extra="allow")

    generator: str = Field(description="name of a generator function of networkx, such as powerlaw_cluster_graph")
    simplify: bool = Field(
        default=False, description="drop directions and self-loops, and merge parallel edges (their weights add up)"
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        from mesocosm_graphs.generators import check_arguments

        check_arguments(self.generator, self.model_extra or {})
        return self


class WithNodes(Options):
    """A file of contacts, with a table of nodes beside it."""

    nodes: DataPath | None = Field(default=None, description="table of nodes: an id and its attributes per row")
    nodes_header: Header = "auto"
    columns: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        default=None,
        description="names of the columns of the node table, one of them `id`; "
        "its header if left out, else id, group, column3, ..",
    )
    isolated: bool = Field(default=True, description="whether nodes without an edge are kept")

    @model_validator(mode="after")
    def _columns(self) -> Self:
        if self.columns is None:
            return self
        if self.nodes is None:
            raise ValueError("columns names the columns of the node table, and there is none; give nodes")
        if self.columns.count("id") != 1 or any(a == b for a, b in pairwise(sorted(self.columns))):
            raise ValueError(f"columns {list(self.columns)}: the names must differ, and one must be 'id'")
        return self


class Edges(WithNodes):
    """An edge list `i,j` or `i,j,w` (CSV, or CSV in .gz); original ids become the attribute `id`."""

    file: DataPath = Field(description="edge list: two ids per row, and a weight where there is a third column")
    header: Header = "auto"
    weights: bool | None = Field(
        default=None,
        description="whether the third column is the weight of a contact; yes where there is one if left out",
    )
    simplify: bool = Field(
        default=False, description="merge repeated and reciprocal rows (their weights add up) and drop self-loops"
    )
