"""`mesocosm plugins`: what is installed; `mesocosm plugins check NAME`: whether a component is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesocosm.cli.session import Session, settings_of

if TYPE_CHECKING:
    from mesocosm.testing import Outcome

HEADS = ("kind", "name", "distribution", "version", "status", "plugin", "summary")
MARKS = {"passed": "ok", "failed": "FAILED", "not applicable": "--", "expected failure": "known"}


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """List the components that scenarios can name, and the plugins that they come from.

    A plugin without a component that is known is listed as a plugin: one that failed or is disabled, with the reason, and
    one that is deferred, because its announcement imports a library.
    """
    if context.invoked_subcommand is not None:
        return
    registry = context.obj.registry
    rows = [
        (
            entry.component.kind,
            entry.component.name,
            entry.plugin.distribution,
            entry.plugin.version or "-",
            entry.plugin.status,
            entry.plugin.name,
            entry.component.summary,
        )
        for entry in registry.entries()
    ]
    rows += [
        ("plugin", plugin.name, plugin.distribution, plugin.version or "-", plugin.status, plugin.name, plugin.reason)
        for plugin in registry.plugins
        if plugin.status != "loaded"
    ]
    _table([HEADS, *rows])


def _table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the last one is free."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for *cells, last in rows:
        click.echo("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last]).rstrip())


@plugins.command()
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(["dynamics", "game", "graph", "strategy"]), help="Needed where two kinds have the name."
)
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Option to test it with, such as replicates=8."
)
@click.option(
    "--scenario",
    "file",
    type=click.Path(path_type=Path),
    help="Test it with the options, and the other dynamics, that this scenario gives it.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Run this check alone; may be given again.")
@click.option("--quick", is_flag=True, help="Leave out the statistical checks, which draw large samples.")
@click.option("--list", "listing", is_flag=True, help="List the checks, and run none.")
@click.pass_obj
def check(
    session: Session,
    name: str,
    kind: str | None,
    pairs: tuple[str, ...],
    file: Path | None,
    only: tuple[str, ...],
    quick: bool,
    listing: bool,
) -> None:
    """Run the conformance kit on the component NAME; exit code 0 where every check passes, else 1."""
    from mesocosm.testing import run_checks
    from mesocosm.testing.command import checks_for

    session.warn()
    chosen = checks_for(session.registry, name, kind, settings_of(pairs), file, only)
    chosen = [item for item in chosen if not (quick and item.detects)]
    if listing:
        for item in chosen:
            click.echo(
                f"{item.group:<10}  {item.name}: {item.rule.text}{f' Detects {item.detects}.' if item.detects else ''}"
            )
        return
    outcomes = run_checks(chosen, _print)
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in MARKS}
    click.echo(", ".join(f"{count} {status}" for status, count in counts.items() if count))


def _print(outcome: Outcome) -> None:
    reason = f": {outcome.message}" if outcome.status in ("not applicable", "expected failure") else ""
    click.echo(f"{MARKS[outcome.status]:<6}  {outcome.check.group:<10}  {outcome.check.name}{reason}")
