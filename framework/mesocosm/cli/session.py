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

from mesocosm.errors import ComponentError, suggestion

if TYPE_CHECKING:
    from mesocosm.registry import Registry


@dataclass
class Session:
    """Global options of the program; the registry is made when a command needs it."""

    files: tuple[Path, ...]
    disabled: tuple[str, ...]
    switched_off: tuple[str, ...] = ()
    trace_hooks: bool = False

    @cached_property
    def registry(self) -> Registry:
        """The installed plugins and the files given with -p, less those disabled, here or for all programs.

        Raises `ComponentError` for a plugin that is to be left out here and is not there.
        """
        from mesocosm.registry import Registry, installed

        off = (*self.disabled, *self.switched_off)
        if not (self.files or off or self.trace_hooks):
            return installed()
        trace = (lambda line: click.echo(f"hook: {line}", err=True)) if self.trace_hooks else None
        found = Registry.discover(self.files, off, trace=trace)
        names = [plugin.name for plugin in found.plugins]
        for name in self.disabled:
            if name not in names:
                raise ComponentError(f"no plugin is called '{name}'", where="--no-plugin", hint=suggestion(name, names))
        return found

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
