"""`mesocosm run FILE`: run a scenario, print the comparison, leave a run folder."""

from __future__ import annotations

from pathlib import Path

import click

from mesocosm.cli.session import Session, settings_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders go."
)
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Override one key, such as game.beta=0.05.")
@click.option("--device", help="Compute device: cpu, cuda, cuda:N, mps or auto.")
@click.option("--no-report", is_flag=True, help="Write no report.html.")
@click.option("--quiet", is_flag=True, help="Print no progress.")
@click.pass_obj
def run(
    session: Session, file: Path, out: Path, pairs: tuple[str, ...], device: str | None, no_report: bool, quiet: bool
) -> None:
    """Run the scenario FILE; print the comparison and the run folder."""
    settings = settings_of(pairs)
    from mesocosm import running
    from mesocosm.cli.interruption import interruptible
    from mesocosm.cli.output import following, print_results

    shown = session.warn()
    with interruptible(session.registry), following(session.registry, quiet):
        results = running.run(
            file, out, settings=settings, device=device, report=not no_report, registry=session.registry
        )
    session.warn(shown)
    print_results(results)
