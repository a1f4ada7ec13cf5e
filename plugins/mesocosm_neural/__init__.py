"""Neural mean-field games: stochastic dynamics on the simplex whose rates and noise are learned."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    yield Component(
        kind="dynamics",
        name="neural_sde",
        factory="mesocosm_neural.dynamics:NeuralSDE",
        options="mesocosm_neural.options:NeuralSDEOptions",
        requires=("torch", "torchsde"),
        summary="neural mean-field game: a mass-conserving SDE learned from another dynamics or from a table",
    )
