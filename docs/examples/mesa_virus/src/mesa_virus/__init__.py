"""Mesa's example VirusOnNetwork as a dynamics, and the game that tells the same story."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():
    yield Component(
        kind="dynamics",
        name="mesa_virus",
        factory="mesa_virus.dynamics:MesaVirus",
        options="mesa_virus.options:MesaVirusOptions",
        requires=("mesa",),
        summary="Mesa's example VirusOnNetwork, unedited, on the contact graph; one step is one unit of time",
    )
    yield Component(
        kind="game",
        name="virus",
        factory="mesa_virus.game:Virus",
        options="mesa_virus.options:VirusOptions",
        summary="a virus that is found at checks; some machines recover from it, some become resistant",
    )
