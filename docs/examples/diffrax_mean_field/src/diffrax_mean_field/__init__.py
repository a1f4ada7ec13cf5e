"""Mean-field equations in JAX, solved by diffrax."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():
    yield Component(
        kind="dynamics",
        name="diffrax_mean_field",
        factory="diffrax_mean_field.dynamics:DiffraxMeanField",
        options="diffrax_mean_field.options:DiffraxOptions",
        requires=("diffrax", "jax"),
        summary="mean-field equations in JAX with an adaptive step, on the homogeneous or the degree closure",
    )
