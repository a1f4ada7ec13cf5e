"""`mesocosm new KIND NAME`: a package with a component of one's own, which works as it is."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session


@click.command()
@click.argument("kind", type=click.Choice(["dynamics", "game", "graph"]))
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path("."),
    show_default=True,
    help="Folder in which the package is made.",
)
@click.pass_obj
def new(session: Session, kind: str, name: str, into: Path) -> None:
    """Make the package NAME with a dynamics, game or graph that works: its options, tests and a scenario."""
    from mesocosm.scaffold import create

    session.warn()
    folder = create(kind, name, into, session.registry)
    click.echo(
        f"made {folder}: the {kind} '{name}', with options, tests and a scenario; its README.md says what to edit"
    )
    for step in (f"cd {folder}", "pip install -e '.[dev]'", "python -m pytest", "mesocosm run scenario.yaml"):
        click.echo(f"  {step}")
