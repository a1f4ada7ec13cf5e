"""Games: the epidemics SIR, SIS and SEIR, each with optional contact effort."""

from mesocosm import Component, hookimpl

_SUMMARIES = {
    "sir": "susceptible, infected, recovered; optional contact effort",
    "sis": "susceptible, infected, susceptible again; optional contact effort",
    "seir": "susceptible, exposed, infected, recovered; optional contact effort",
}


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    for name, summary in _SUMMARIES.items():
        yield Component(
            kind="game",
            name=name,
            factory=f"mesocosm_games.epidemics:{name.upper()}",
            options=f"mesocosm_games.options:{name.upper()}Options",
            summary=summary,
        )
