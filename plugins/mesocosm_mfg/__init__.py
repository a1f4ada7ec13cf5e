"""Classical mean-field games: equilibria of finite-state games on any closure, and the edge-based equations for SIR."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    yield Component(
        kind="dynamics",
        name="classical_mfg",
        factory="mesocosm_mfg.classical:ClassicalMFG",
        options="mesocosm_mfg.options:ClassicalMFGOptions",
        summary="mean-field equations and equilibria: finite states on a closure, diffusions on a grid, games in rounds",
    )
    yield Component(
        kind="dynamics",
        name="edge_based",
        factory="mesocosm_mfg.edge_based:EdgeBased",
        options="mesocosm_mfg.options:EdgeBasedOptions",
        summary="edge-based equations of uncontrolled SIR, exact on large configuration graphs",
    )
