"""Contagion on the contact graph by EoN (Epidemics on Networks)."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():
    yield Component(
        kind="dynamics",
        name="eon_reference",
        factory="eon_reference.dynamics:EonReference",
        options="eon_reference.options:EonOptions",
        requires=("EoN",),
        summary="event-driven contagion by EoN: an independent implementation of agents on a graph",
    )
