"""The reference of what is bundled: every component, its plugin, and what a dynamics declares."""

from __future__ import annotations

from docstrings import escape
from options import TITLES

from mesocosm import Dynamics, Registry
from mesocosm.hooks import KINDS
from mesocosm.plugin import Entry

DISTRIBUTION = "mesocosm"


def components_reference(registry: Registry) -> str:
    """A table for each kind, with a link from each component to its options; then the kinds of which nothing is bundled."""
    parts: list[str] = []
    for kind in KINDS:
        entries = bundled(registry, kind)
        if entries:
            parts += [f"## {TITLES[kind]}", table(registry, kind, entries)]
    none = [f"`{kind}`" for kind in KINDS if not bundled(registry, kind)]
    if none:
        parts.append(f"A component may also be of kind {', '.join(none)}; none is bundled.")
    return "\n\n".join(parts) + "\n"


def bundled(registry: Registry, kind: str) -> list[Entry]:
    """The components of a kind that come with the project itself."""
    return [entry for entry in registry.entries(kind) if entry.plugin.distribution == DISTRIBUTION]


def table(registry: Registry, kind: str, entries: list[Entry]) -> str:
    """One line for each component; what it is stands last, where there is most room."""
    declarations = ["follows", "devices", "random"] if kind == "dynamics" else []
    head = ["name", *declarations, "plugin", "what it is"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for entry in entries:
        name = entry.component.name
        cells = [f"[`{name}`](scenario.md#{name})", *(declared(registry, name) if declarations else ())]
        cells += [f"{entry.plugin.name} ({entry.plugin.distribution})", escape(entry.component.summary)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def declared(registry: Registry, name: str) -> list[str]:
    """What a dynamics says of itself: whose rules it follows, its devices, and whether its replicates are random draws."""
    cls = registry.factory("dynamics", name)
    assert isinstance(cls, type)
    assert issubclass(cls, Dynamics)
    return [cls.follows, ", ".join(cls.devices), "yes" if cls.stochastic else "no"]
