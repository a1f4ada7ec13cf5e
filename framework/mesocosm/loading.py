"""From a scenario file, or text, to a checked `Scenario`. Nothing heavy is imported: `mesocosm validate` is this."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mesocosm.registry import Registry, installed
from mesocosm.scenario import Scenario
from mesocosm.source import apply_settings, load_document, read_document
from mesocosm.validation import parse_scenario


def load(path: str | Path, settings: Mapping[str, str] | None = None, registry: Registry | None = None) -> Scenario:
    """Read and check a scenario file; `settings` are `{"game.beta": "0.05"}`, as `--set` gives them.

    Raises `ScenarioError` with every fault at once.
    """
    source, plugins = Path(path), _all_plugins(registry)
    document = apply_settings(load_document(source), settings or {})
    text = source.read_text(encoding="utf-8")
    data = os.environ.get("MESOCOSM_DATA")
    return parse_scenario(document, plugins, text=text, folder=source.parent, data=data)


def parse(text: str, settings: Mapping[str, str] | None = None, registry: Registry | None = None) -> Scenario:
    """A scenario from text; file names in it are relative to the working folder."""
    document = apply_settings(read_document(text, "scenario"), settings or {})
    data = os.environ.get("MESOCOSM_DATA")
    return parse_scenario(document, _all_plugins(registry), text=text, folder=Path.cwd(), data=data)


def _all_plugins(registry: Registry | None) -> Registry:
    """The plugins, with those that were put off: whether a name is there, and there once, depends on all of them."""
    plugins = registry or installed()
    plugins.load_deferred()
    return plugins
