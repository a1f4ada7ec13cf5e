"""`mesocosm data`: the public series that scenarios can name."""

from __future__ import annotations

import click

from mesocosm_data.public_series import Series
from mesocosm_data.registry import SERIES, series_named


@click.command()
@click.argument("name", required=False)
def data(name: str | None) -> None:
    """List the public series that a table can name as `series: NAME`, or describe the one of this NAME."""
    if name is None:
        width = max(len(series.name) for series in SERIES)
        for series in SERIES:
            click.echo(f"{series.name:<{width}}  {presence(series):<10}  {series.title} ({series.licence})")
        return
    try:
        series = series_named(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    facts = {
        "title": series.title,
        "credit": series.credit,
        "licence": series.licence,
        "file": f"{series.file} under MESOCOSM_DATA, sha256 {series.sha256}",
        "source": "; ".join(part.url for part in series.parts) or series.elsewhere,
        "now": presence(series),
        **{f"column {column}": meaning for column, meaning in series.columns.items()},
    }
    for key, fact in facts.items():
        click.echo(f"{key}: {fact}".rstrip(": "))


def presence(series: Series) -> str:
    """`here`, or else whether it can be downloaded."""
    if series.local() is not None:
        return "here"
    return "downloads" if series.parts else "not here"
