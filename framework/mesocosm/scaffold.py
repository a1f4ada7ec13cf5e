"""A new package with a component of one's own, from the templates that ship with mesocosm: nothing is fetched.

`templates/shared` and `templates/<kind>` hold one `.jinja` file for each file of a package; NAME in a path stands for the
name of the component. Values stand in `[[ ]]`, which reads well in Python and YAML.
"""

from __future__ import annotations

import keyword
import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from mesocosm.errors import InputError
from mesocosm.registry import Registry

SUFFIX = ".jinja"

FACTORIES = {"dynamics": "{title}", "game": "{title}", "graph": "build"}
"""Kind -> what the module of a component calls its factory."""

SUMMARIES = {
    "dynamics": "every agent on the contact graph, in time steps",
    "game": "a state of mind that spreads, and that the caught may pay to leave",
    "graph": "random points on a square, joined where they are near",
}
"""Kind -> what the generated component is, for `mesocosm plugins`."""

EDITS = {
    "dynamics": "how agents meet (`respond`, `field`) and how they move (`jump`)",
    "game": "states, transitions, what an agent emits, pays and chooses",
    "graph": "which nodes are joined, and what is known of each",
}
"""Kind -> what its author edits first."""


def create(kind: str, name: str, into: Path, registry: Registry) -> Path:
    """Make the package `into/name` with a working component, its options, tests and a scenario; returns its folder.

    It is written beside its place and renamed, so that it is whole or not there.
    Errors: `InputError` for a name that cannot be used, a folder that exists, and one that cannot be written.
    """
    check_name(kind, name, registry)
    target = into / name
    if not into.is_dir():
        raise InputError(f"no folder '{into}'", where="--into", hint="make it first")
    if os.path.lexists(target):
        raise InputError(
            f"'{target}' exists",
            where=f"new {kind}",
            rule="nothing is overwritten",
            hint="choose another NAME or --into",
        )
    files = list(render(kind, name))
    try:
        with TemporaryDirectory(prefix=f".{name}-", dir=into) as beside:
            # One folder deeper: the temporary one itself is closed to everybody else.
            made = Path(beside) / name
            for place, text in files:
                (made / place).parent.mkdir(parents=True, exist_ok=True)
                (made / place).write_text(text, encoding="utf-8", newline="\n")
            made.rename(target)
    except OSError as error:
        raise InputError(
            f"'{target}' cannot be written: {error}", where=f"new {kind}", hint="choose another --into"
        ) from error
    return target


def render(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """The files of a package, as (path inside it, text)."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=False,  # nothing of it is HTML
        undefined=jinja2.StrictUndefined,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
        keep_trailing_newline=True,
    )
    values = {
        "kind": kind,
        "name": name,
        "title": title(name),
        "factory": FACTORIES[kind].format(title=title(name)),
        "summary": SUMMARIES[kind],
        "edit": EDITS[kind],
    }
    templates = resources.files("mesocosm").joinpath("templates")
    for part in ("shared", kind):
        for place, text in _walk(templates.joinpath(part), ""):
            yield place.replace("NAME", name), environment.from_string(text).render(values)


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, str]]:
    """Every template below a folder, as (path without suffix, text), in order."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, f"{above}{item.name}/")
        elif item.name.endswith(SUFFIX):
            yield above + item.name.removesuffix(SUFFIX), item.read_text(encoding="utf-8")


def title(name: str) -> str:
    """The name of its class: `tau_leap` becomes `TauLeap`."""
    return "".join(word.capitalize() for word in name.split("_"))


def check_name(kind: str, name: str, registry: Registry) -> None:
    """Raise `InputError` for a name that cannot be that of a new component and its package; it suggests one that can."""
    fault = _fault(kind, name, registry)
    if not fault:
        return
    words = re.sub("[^a-z0-9]+", "_", name.lower()).lstrip("_0123456789").rstrip("_")
    others = [words, f"{words}_{kind}", f"my_{words}", f"my_{kind}", f"my_own_{kind}"]
    hint = next((f"try '{other}'" for other in others if not _fault(kind, other, registry)), "choose another name")
    raise InputError(f"the name '{name}'", where=f"new {kind}", rule=fault, hint=hint)


def _fault(kind: str, name: str, registry: Registry) -> str:
    """Why a name cannot be used; '' where it can."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        return "lower case letters and digits, in words joined by one underscore; the first is a letter"
    if keyword.iskeyword(name) or keyword.iskeyword(title(name)):
        return "it, or its class, would be a keyword of Python"
    if name == "null":
        return "YAML reads it as nothing, so that no scenario could name it"
    registry.load_deferred()
    for entry in registry.entries(kind):
        if entry.component.name == name:
            return f"{entry.plugin} has a {kind} of that name"
    for plugin in registry.plugins:
        if plugin.name == name:
            return f"it is the name of {plugin}"
    return _taken(name)


def _taken(name: str) -> str:
    """Why no package may have this name; '' where it may."""
    if name in sys.stdlib_module_names:
        return "it is a module of Python's standard library"
    spec = find_spec(name)
    # A mere folder can be imported too, and hides nothing.
    if spec is not None and spec.has_location:
        return f"a module of that name is installed: {spec.origin}"
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
    return "a distribution of that name is installed"
