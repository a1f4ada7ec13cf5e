"""Games: epidemics with and without choice, and the games of the mean-field literature, on finite states and continua."""

from mesocosm import Component, hookimpl

_GAMES = {
    "sir": ("epidemics:SIR", "options:SIROptions", "susceptible, infected, recovered; optional contact effort"),
    "sis": ("epidemics:SIS", "options:SISOptions", "susceptible, infected, susceptible again; optional contact effort"),
    "seir": (
        "epidemics:SEIR",
        "options:SEIROptions",
        "susceptible, exposed, infected, recovered; optional contact effort",
    ),
    "effort": (
        "effort:Effort",
        "finite_options:EffortGameOptions",
        "SIR whose agents choose their contact rate (Elie, Hubert, Turinici)",
    ),
    "vaccination": (
        "vaccination:Vaccination",
        "finite_options:VaccinationOptions",
        "SIR whose agents choose their vaccination rate (Doncel, Gast, Gaujal)",
    ),
    "meeting": (
        "meeting:meeting",
        "meeting_options:MeetingOptions",
        "when does the meeting start (Gueant, Lasry, Lions); static or on the way",
    ),
    "el_farol": (
        "el_farol:ElFarol",
        "stage_options:ElFarolOptions",
        "go to the bar, or stay at home (Arthur); one shot or repeated",
    ),
    "interbank": (
        "interbank:Interbank",
        "diffusion_options:InterbankOptions",
        "banks that borrow and lend (Carmona, Fouque, Sun); common noise",
    ),
    "torus": ("torus:Torus", "diffusion_options:TorusOptions", "ergodic crowd on a circle (Almulla, Ferreira, Gomes)"),
    "congestion": (
        "congestion:Congestion",
        "diffusion_options:CongestionOptions",
        "a crowd leaves a square through a door",
    ),
    "opinion": ("opinion:Opinion", "diffusion_options:OpinionOptions", "opinions with bounded confidence"),
    "synchronisation": (
        "synchronisation:Synchronisation",
        "diffusion_options:SynchronisationOptions",
        "Kuramoto oscillators, coupled or choosing to be in phase",
    ),
    "rock_paper_scissors": (
        "discrete:RockPaperScissors",
        "discrete_options:RockPaperScissorsOptions",
        "discrete time: rock, paper, scissors against everyone (Shapley; Cui, Koeppl)",
    ),
    "left_right": (
        "discrete:LeftRight",
        "discrete_options:LeftRightOptions",
        "discrete time: two sides, the right one twice as bad when crowded (Cui, Koeppl)",
    ),
    "susceptible_infected": (
        "discrete:SusceptibleInfected",
        "discrete_options:SusceptibleInfectedOptions",
        "discrete time: go out, or keep one's distance (Cui, Koeppl)",
    ),
    "beach_bar": (
        "discrete:BeachBar",
        "discrete_options:BeachBarOptions",
        "discrete time: near the bar, away from the crowd (Perrin et al.)",
    ),
}


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    for name, (factory, options, summary) in _GAMES.items():
        yield Component(
            kind="game",
            name=name,
            factory=f"mesocosm_games.{factory}",
            options=f"mesocosm_games.{options}",
            summary=summary,
        )
