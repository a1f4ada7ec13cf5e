"""Importing the module that announces a plugin, and nothing heavy with it.

An announcement names its components as text. A module that imports a library beside it would make every command as slow
as that library, so it is stopped at that import and put off until a component is asked for that nobody else has, or a
run begins. The plugin itself loses nothing: it is then imported as any module is.
"""

from __future__ import annotations

import importlib
import importlib.abc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

LIGHT_LIBRARIES = frozenset(
    {"mesocosm", "pluggy", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
)
"""Libraries that an announcement may import: every command has them, or options need them."""


class Deferred(BaseException):
    """An announcement imports `library`, so that it is put off. No `Exception`, lest the announcement should catch it."""

    def __init__(self, library: str) -> None:
        self.library = library
        super().__init__(library)


class _Guard(importlib.abc.MetaPathFinder):
    """Stops the import of every library that is installed, is not loaded yet, and is not light."""

    def __init__(self, own: str) -> None:
        self.own = own
        self.stopped_at = ""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = name.partition(".")[0]
        if top == self.own or top in LIGHT_LIBRARIES or top in sys.stdlib_module_names or top in sys.modules:
            return None
        if not any(finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self):
            return None  # It is not there: let Python say so.
        self.stopped_at = self.stopped_at or top
        raise Deferred(top)


def announcement(module: str) -> ModuleType:
    """The module that announces a plugin. Raises `Deferred` where it imports something heavy, and what it raises itself."""
    own = module.partition(".")[0]
    before = set(sys.modules)
    with _guarded(own) as guard:
        try:
            found = importlib.import_module(module)
        except BaseException:
            if guard.stopped_at:
                _forget(own, before)
                raise Deferred(guard.stopped_at) from None
            raise
    if guard.stopped_at:
        # It went on without the library, and would do so for good.
        _forget(own, before)
        raise Deferred(guard.stopped_at)
    return found


@contextmanager
def _guarded(own: str) -> Iterator[_Guard]:
    guard = _Guard(own)
    sys.meta_path.insert(0, guard)
    try:
        yield guard
    finally:
        sys.meta_path.remove(guard)


def _forget(own: str, before: set[str]) -> None:
    """Drop what was loaded of a package since, so that it is imported anew as a whole."""
    for name in [name for name in sys.modules if name.partition(".")[0] == own and name not in before]:
        del sys.modules[name]
