"""Contact graphs: the complete graph, random graphs, lattices, any networkx generator, and edge lists from files."""

from mesocosm import Component, hookimpl

_COMPONENTS = {
    "complete": ("classic:complete", "Complete", "everybody meets everybody; no edge is stored"),
    "erdos_renyi": ("random_graphs:erdos_renyi", "ErdosRenyi", "each pair is joined with the same probability"),
    "configuration": ("configuration:configuration", "Configuration", "uniform matching of given or drawn degrees"),
    "barabasi_albert": ("classic:barabasi_albert", "BarabasiAlbert", "growth with preferential attachment"),
    "watts_strogatz": ("classic:watts_strogatz", "WattsStrogatz", "a ring whose edges are rewired at random"),
    "regular": ("configuration:regular", "Regular", "a random graph in which all have the same degree"),
    "blocks": ("random_graphs:blocks", "Blocks", "groups with given mean contacts (stochastic block model)"),
    "lattice": ("classic:lattice", "Lattice", "a rectangular grid with 4 or 8 neighbours"),
    "networkx": ("generators:networkx_generator", "NetworkxGenerator", "any generator of networkx, by name"),
    "edges": ("edge_list:edges", "Edges", "an edge list from a file, with an optional table of nodes"),
}


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    for name, (factory, options, summary) in _COMPONENTS.items():
        yield Component(
            kind="graph",
            name=name,
            factory=f"mesocosm_graphs.{factory}",
            options=f"mesocosm_graphs.options:{options}",
            summary=summary,
        )
