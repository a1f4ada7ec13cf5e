"""`mesocosm runs`: the run folders there are, and how each ended."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Where run folders are."
)
def runs(out: Path) -> None:
    """List run folders with their status: running, done, failed, interrupted or killed."""
    from mesocosm.store import RunFolder

    found = sorted(path.parent for path in out.glob("[!.]*/manifest.json"))
    for path in found:
        manifest = RunFolder(path).manifest()
        click.echo(f"{manifest['status']:<12} {manifest['created']}  {path}  {manifest.get('message', '')}".rstrip())
    if not found:
        click.echo(f"no runs under {out}")
