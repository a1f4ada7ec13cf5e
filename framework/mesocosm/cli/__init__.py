"""The `mesocosm` program: one click command per file; whatever is heavy is imported inside a command."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mesocosm.cli.compare import compare
from mesocosm.cli.new import new
from mesocosm.cli.plugins import plugins
from mesocosm.cli.report import report
from mesocosm.cli.resume import resume
from mesocosm.cli.run import run
from mesocosm.cli.runs import runs
from mesocosm.cli.schema import schema
from mesocosm.cli.session import Session
from mesocosm.cli.validate import validate
from mesocosm.errors import MesocosmError


class Program(click.Group):
    """The commands of the program, and, for names that it does not have, those of plugins."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        found = super().get_command(context, name)
        if found is not None:
            return found
        session = context.obj = _session(context.params)
        for answer in session.registry.notify("mesocosm_cli_commands"):
            for extra in answer or ():
                if extra.name == name:
                    return extra  # type: ignore[no-any-return]
        session.warn()
        return None


def _session(parameters: Mapping[str, Any]) -> Session:
    off = tuple(name for name in os.environ.get("MESOCOSM_DISABLE_PLUGINS", "").split(",") if name)
    return Session(parameters["files"], parameters["disabled"], off, parameters["trace_hooks"])


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mesocosm")
@click.option(
    "-p",
    "--plugin",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Load a plugin from one Python file.",
)
@click.option("--no-plugin", "disabled", multiple=True, metavar="NAME", help="Leave an installed plugin out.")
@click.option("--traceback", is_flag=True, help="Show where in the code an error arose.")
@click.option("--trace-hooks", is_flag=True, help="Print every call of a plugin's hook on the error stream.")
@click.pass_context
def cli(
    context: click.Context, files: tuple[Path, ...], disabled: tuple[str, ...], traceback: bool, trace_hooks: bool
) -> None:
    """One population game, three ways: agents on a contact graph, mean-field game, neural mean-field game."""
    context.obj = context.obj or _session(context.params)


for command in (run, resume, validate, compare, report, runs, plugins, schema, new):
    cli.add_command(command)


def main() -> None:
    """Run the program and exit: 0 done, 1 the run failed, 2 the input is wrong, 130 interrupted."""
    arguments = sys.argv[1:]
    try:
        code = cli.main(arguments, prog_name="mesocosm", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except MesocosmError as error:
        if "--traceback" in arguments:
            traceback.print_exc()
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
