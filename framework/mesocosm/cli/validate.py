"""`mesocosm validate FILE`: check a scenario without running it."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session, settings_of, without_collection


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Override one key, such as game.beta=0.05.")
@click.pass_obj
def validate(session: Session, file: Path, pairs: tuple[str, ...]) -> None:
    """Check the scenario FILE: every fault at once, with file:line:column."""
    with without_collection():
        from mesocosm.loading import load

        session.registry.load_deferred()
        session.warn()
        scenario = load(file, settings_of(pairs), session.registry)
    click.echo(f"{file}: valid; would run {', '.join(scenario.order()) or 'no dynamics'}")
