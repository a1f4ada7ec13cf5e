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
