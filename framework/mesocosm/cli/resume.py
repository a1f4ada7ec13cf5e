"""`mesocosm resume RUN`: go on with a run that failed or was interrupted."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.pass_obj
def resume(session: Session, folder: Path, no_report: bool) -> None:
    """Go on with the run folder RUN; what it had finished is kept."""
    from mesocosm import running
    from mesocosm.cli.interruption import interruptible
    from mesocosm.cli.output import following, print_results

    shown = session.warn()
    with interruptible(session.registry), following(session.registry, quiet=False):
        results = running.resume(folder, report=not no_report, registry=session.registry)
    session.warn(shown)
    print_results(results)
