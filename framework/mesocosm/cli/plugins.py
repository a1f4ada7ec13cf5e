"""`mesocosm plugins`: what is installed."""

from __future__ import annotations

import click

from mesocosm.cli.session import Session


@click.command()
@click.pass_obj
def plugins(session: Session) -> None:
    """List the components that scenarios can name, and the plugins that they come from."""
    registry = session.registry
    rows = [
        (
            entry.component.kind,
            entry.component.name,
            f"{entry.plugin.distribution} {entry.plugin.version}".strip(),
            entry.plugin.status,
            entry.component.summary,
        )
        for entry in registry.entries()
    ]
    heads = ("kind", "name", "distribution", "status", "summary")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(4)]
    for row in [heads, *rows]:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]))
    for plugin in registry.plugins:
        if plugin.status != "loaded":
            click.echo(f"{plugin}: {plugin.status}{': ' + plugin.reason if plugin.reason else ''}")
