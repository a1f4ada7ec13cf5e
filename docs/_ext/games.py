"""The reference of the bundled games: equations, sources and units from their docstrings, and where they can be seen."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from components import bundled
from docstrings import markdown

from mesocosm import Game, Registry


def games_reference(registry: Registry, scenarios: Path) -> str:
    """A section for each game: its docstrings, its options, and the scenarios of the gallery that play it."""
    parts: list[str] = []
    for entry in bundled(registry, "game"):
        name = entry.component.name
        parts += [f"## {name}", *descriptions(registry.factory("game", name))]
        links = [f"[{scenario}](../gallery.md#{scenario})" for scenario in played(scenarios, name)]
        seen = f"Its equilibrium, in pictures: {', '.join(links)}. " if links else ""
        parts.append(f"{seen}[Options](scenario.md#{name}).")
    return "\n\n".join(parts) + "\n"


def descriptions(factory: Any) -> Iterator[str]:
    """The docstring of a game's module where a game is one of several in it, and that of its class.

    A function chooses between forms of one game; each form is then in a module that begins with the name of its own.
    """
    if inspect.isclass(factory):
        module = inspect.getmodule(factory)
        if "module docstring" in (factory.__doc__ or ""):
            yield markdown(getattr(module, "__doc__", None))
        else:
            yield markdown(factory.__doc__)
        return
    yield markdown(factory.__doc__)
    package, _, own = factory.__module__.rpartition(".")
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if found.name.startswith(f"{own}_"):
            module = importlib.import_module(f"{package}.{found.name}")
            for value in vars(module).values():
                if inspect.isclass(value) and issubclass(value, Game) and value.__module__ == module.__name__:
                    yield markdown(value.__doc__)


def played(scenarios: Path, name: str) -> list[str]:
    """The bundled scenarios that play a game."""
    found = []
    for path in sorted(scenarios.glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("game", {}).get("kind") == name:
            found.append(path.stem)
    return found
