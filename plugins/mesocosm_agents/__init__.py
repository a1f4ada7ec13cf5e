"""Agents on a contact graph: any finite-state game, played agent by agent."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    yield Component(
        kind="dynamics",
        name="agent_based",
        factory="mesocosm_agents.dynamics:AgentBased",
        options="mesocosm_agents.options:AgentBasedOptions",
        requires=("mesa", "numba"),
        summary="every agent on the contact graph: jumps, diffusions or rounds; the reference for the other dynamics",
    )
    yield Component(
        kind="dynamics",
        name="mesa_model",
        factory="mesocosm_agents.mesa_model:MesaModel",
        options="mesocosm_agents.mesa_options:MesaModelOptions",
        requires=("mesa",),
        summary="a mesa.Model of your own, unedited, as a plugin registered it; replicates in parallel processes",
    )
    yield Component(
        kind="executor",
        name="mesa",
        factory="mesocosm_agents.mesa_run:RunModel",
        options="mesocosm:Options",
        requires=("mesa",),
        summary="a run as a mesa.Model, for people at home in Mesa",
    )
