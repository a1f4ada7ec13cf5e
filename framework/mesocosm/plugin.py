"""What is known of a plugin, and of a component that it announced."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from mesocosm.errors import ComponentError
from mesocosm.hooks import Component


@dataclass(frozen=True)
class Plugin:
    """What became of one plugin.

    Attributes
    ----------
    name, distribution, version: of its entry point; the distribution of a single file is its path, without a version.
    status: loaded, deferred, disabled or failed. reason: why it was deferred, or failed.
    module: the module that announces it, '' where an object was registered. file: the single file that it is, or None.
    """

    name: str
    distribution: str
    version: str
    status: str
    reason: str = ""
    module: str = ""
    file: Path | None = None

    def __str__(self) -> str:
        return f"plugin '{self.name}' ({f'{self.distribution} {self.version}'.strip()})"


@dataclass(frozen=True)
class Entry:
    """A component and the plugin that it comes from."""

    component: Component
    plugin: Plugin

    def factory(self) -> Callable[..., Any]:
        """What makes the component; imports it, and names a missing requirement with how to install it."""
        for requirement in self.component.requires:
            try:
                metadata.version(requirement)
            except metadata.PackageNotFoundError:
                raise ComponentError(
                    f"{self.component.kind} '{self.component.name}' needs the package '{requirement}', which is not "
                    "installed",
                    where=str(self.plugin),
                    hint=f"pip install {requirement}",
                ) from None
        made: Callable[..., Any] = self.load(self.component.factory, "factory")
        return made

    def load(self, target: str, what: str) -> Any:
        """Import `module:attribute`, which is the `what` of the component."""
        module, _, attribute = target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise ComponentError(
                f"the {what} '{target}' of {self.component.kind} '{self.component.name}' cannot be imported: "
                f"{brief(error)}",
                where=str(self.plugin),
            ) from error


def brief(error: BaseException) -> str:
    """An exception on one line: its type, and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
