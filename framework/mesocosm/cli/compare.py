"""`mesocosm compare RUN...`: how far apart the dynamics of one or more runs are."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--reference", metavar="LABEL", help="Compare with this dynamics: LABEL, or RUN/LABEL among several runs."
)
@click.pass_obj
def compare(session: Session, folders: tuple[Path, ...], reference: str | None) -> None:
    """Compare the dynamics of finished runs with each other; each RUN is a run folder."""
    from mesocosm.cli.output import print_comparison
    from mesocosm.comparing import compare_runs
    from mesocosm.results import open_results

    print_comparison(compare_runs([open_results(folder) for folder in folders], reference))
