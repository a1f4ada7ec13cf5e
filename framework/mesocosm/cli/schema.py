"""`mesocosm schema`: the JSON Schema of scenarios."""

from __future__ import annotations

import json

import click

from mesocosm.cli.session import Session


@click.command()
@click.pass_obj
def schema(session: Session) -> None:
    """Print the JSON Schema (draft 7) of scenarios, from the installed plugins; editors complete and check with it."""
    from mesocosm.schema import json_schema

    found = json_schema(session.registry)
    session.warn()
    click.echo(json.dumps(found, indent=2))
