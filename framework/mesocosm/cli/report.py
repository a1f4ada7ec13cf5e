"""`mesocosm report RUN`: rebuild the report of a run."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.pass_obj
def report(session: Session, folder: Path) -> None:
    """Rebuild report.html of the finished run RUN from its results."""
    from mesocosm.report import write_run_report
    from mesocosm.results import open_results
    from mesocosm.store import RunFolder

    click.echo(write_run_report(open_results(folder), RunFolder.open(folder), session.registry))
