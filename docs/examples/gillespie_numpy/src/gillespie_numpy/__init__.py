"""Exact stochastic simulation of any finite-state game on the contact graph."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():
    yield Component(
        kind="dynamics",
        name="gillespie_numpy",
        factory="gillespie_numpy.dynamics:Gillespie",
        options="gillespie_numpy.options:GillespieOptions",
        summary="exact stochastic simulation: every jump of every agent in continuous time",
    )
