"""What every command shares: the plugins that the program was started with, and how they are warned about."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mesocosm.registry import Registry


@dataclass
class Session:
    """Global options of the program; the registry is made when a command needs it."""

    files: tuple[Path, ...]
    disabled: tuple[str, ...]
    traceback: bool
    trace_hooks: bool = False

    @cached_property
    def registry(self) -> Registry:
        """The installed plugins and the files given with -p, less those disabled."""
        from mesocosm.registry import Registry, installed

        if self.trace_hooks:
            return Registry.discover(
                self.files, self.disabled, trace=lambda line: click.echo(f"hook: {line}", err=True)
            )
        if self.files or self.disabled:
            return Registry.discover(self.files, self.disabled)
        return installed()

    def warn(self, shown: int = 0) -> int:
        """Print warnings of plugins from number `shown` on; returns how many there are."""
        for warning in self.registry.warnings[shown:]:
            click.echo(f"warning: {warning}", err=True)
        return len(self.registry.warnings)


@contextmanager
def without_collection() -> Iterator[None]:
    """Put garbage collection off: commands that only read make many objects and no garbage, and save a tenth of their time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def settings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """`--set key=value` options as a mapping; a usage error where there is no `=`."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--set {pair}: write --set key=value, such as --set game.beta=0.05")
        settings[key] = value
    return settings
