"""Neural mean-field games: drift and noise learned from data, policies found by play, parameters calibrated."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    yield Component(
        kind="dynamics",
        name="neural_sde",
        factory="mesocosm_neural.dynamics:NeuralSDE",
        options="mesocosm_neural.options:NeuralSDEOptions",
        requires=("torch", "torchsde"),
        summary="neural mean-field game: learned from trajectories, found by play, or calibrated through its equilibrium",
    )
