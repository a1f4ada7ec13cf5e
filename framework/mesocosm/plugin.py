"""What is known of a plugin, and of a component that it announced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def brief(error: BaseException) -> str:
    """An exception on one line: its type, and what it says."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
