"""A run of mesocosm in SolaraViz: `solara run app.py`.

It needs `pip install "ipyvue<2" "ipyvuetify<2" "solara[assets]" altair`.
"""

from pathlib import Path

from mesa.visualization import SolaraViz, make_plot_component, make_space_component
from mesa.visualization.components import AgentPortrayalStyle

import mesocosm

COLOURS = {"S": "tab:blue", "I": "tab:red", "R": "tab:gray"}
SCENARIO = str(Path(__file__).with_name("scenario.yaml"))


def portrayal(agent):
    """How one agent is drawn."""
    return AgentPortrayalStyle(color=COLOURS[agent.state], size=30)


page = SolaraViz(
    mesocosm.mesa_model(SCENARIO),
    components=[make_space_component(portrayal), make_plot_component(COLOURS)],
    model_params={
        "scenario": SCENARIO,
        "rng": {"type": "SliderInt", "value": 3, "label": "seed", "min": 0, "max": 100, "step": 1},
        "game.beta": {"type": "SliderFloat", "value": 0.06, "label": "beta", "min": 0.0, "max": 0.3, "step": 0.01},
    },
    name="SIR on a small world",
)
page  # noqa: B018 - solara shows what the last line is
