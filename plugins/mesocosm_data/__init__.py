"""Observed data that take part in a comparison like a dynamics."""

from mesocosm import Component, hookimpl


@hookimpl
def mesocosm_components():  # type: ignore[no-untyped-def]
    yield Component(
        kind="dynamics",
        name="table",
        factory="mesocosm_data.dynamics:Table",
        options="mesocosm_data.options:TableOptions",
        summary="observed counts from a CSV file, to compare with and to learn from",
    )


@hookimpl
def mesocosm_cli_commands():  # type: ignore[no-untyped-def]
    from mesocosm_data.command import data

    yield data
