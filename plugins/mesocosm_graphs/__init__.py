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
    "contact_matrix": (
        "contact_matrix:contact_matrix",
        "ContactMatrix",
        "everybody meets everybody, as often as a contact matrix of groups says; no edge is stored",
    ),
    "lattice": ("classic:lattice", "Lattice", "a rectangular grid with 4 or 8 neighbours"),
    "networkx": ("generators:networkx_generator", "NetworkxGenerator", "any generator of networkx, by name"),
    "edges": ("edge_list:edges", "Edges", "an edge list from a file, with an optional table of nodes"),
}

_CHANGING = {
    "contacts": ("contacts:contacts", "Contacts", "a list of contacts in time, as SocioPatterns publishes them"),
    "snapshots": ("snapshots:snapshots", "Snapshots", "edge lists, each of which holds from a time on"),
}

_LAYERS = {
    "layers": ("layers:layers", "Layers", "the sum of graphs on the same nodes, each with a weight and a name"),
    "households": ("layers:households", "Households", "households of which everybody meets everybody"),
}

_STRATEGIES = {
    "random": ("Randomly", "RandomNodes", "everybody with the same probability"),
    "degree": ("ByDegree", "HighestDegree", "those with the most contacts"),
    "core": ("ByCore", "HighestCore", "those in the innermost k-core"),
    "betweenness": ("ByBetweenness", "HighestBetweenness", "those on the most shortest paths"),
    "acquaintance": ("ByAcquaintance", "RandomAcquaintances", "random contacts of random nodes"),
}


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    graphs = (("options", _COMPONENTS), ("changing_options", _CHANGING), ("layer_options", _LAYERS))
    for module, found in graphs:
        for name, (factory, options, summary) in found.items():
            yield Component(
                kind="graph",
                name=name,
                factory=f"mesocosm_graphs.{factory}",
                options=f"mesocosm_graphs.{module}:{options}",
                summary=summary,
            )
    for name, (factory, options, summary) in _STRATEGIES.items():
        yield Component(
            kind="strategy",
            name=name,
            factory=f"mesocosm_graphs.strategies:{factory}",
            options=f"mesocosm_graphs.strategy_options:{options}",
            summary=summary,
        )
