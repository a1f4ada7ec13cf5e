"""What a component needs, seen from a process of its own. A script: it reads a request and prints an answer, both in JSON.

The request has the search path, the top-level modules to hide, and the steps to take in order. The answer has, for each
step that was taken, the top-level modules that it loaded, its result, and what went wrong; the first fault ends it.
Nothing is imported before it is asked for, so that what a step loads is seen.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Collection
from typing import Any


class Hiding:
    """A finder of modules in front of another: it knows nothing of what is hidden."""

    def __init__(self, finder: Any, hidden: Collection[str]) -> None:
        self._finder, self._hidden = finder, hidden

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the other finder finds, and None for what is hidden."""
        return None if name.partition(".")[0] in self._hidden else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def announce(module: str) -> None:
    """Import the module of a plugin and ask it for its components."""
    hook = getattr(importlib.import_module(module), "mesocosm_components", None)
    if hook is not None:
        list(hook())


def load_file(name: str, file: str) -> None:
    """Load the single file of a plugin under the name that the registry gives it."""
    spec: Any = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def load(module: str) -> None:
    """Import a module."""
    importlib.import_module(module)


def take(target: str) -> Any:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def draw(target: str, options: str, size: int | None, seed: int) -> str:
    """The fingerprint of a contact graph: its factory, its options (pickled, in hexadecimal), size and seed are given."""
    import pickle

    import numpy

    from mesocosm.testing.graph_subject import fingerprint

    return fingerprint(take(target)(pickle.loads(bytes.fromhex(options)), size, numpy.random.default_rng(seed)))


STEPS: dict[str, Callable[..., Any]] = {"announce": announce, "load_file": load_file, "load": load, "draw": draw}


def answer(request: Any) -> list[dict[str, Any]]:
    """Take the steps of a request."""
    sys.path[:] = request["path"]
    sys.meta_path[:] = [Hiding(finder, request["hidden"]) for finder in sys.meta_path]
    done: list[dict[str, Any]] = []
    for name, *arguments in request["steps"]:
        before = set(sys.modules)
        result, error, missing = None, "", ""
        try:
            result = STEPS[name](*arguments)
        except (Exception, SystemExit) as fault:
            error = " ".join(f"{type(fault).__name__}: {fault}".split())
            missing = str(fault.name or "") if isinstance(fault, ImportError) else ""
        loaded = sorted({module.partition(".")[0] for module in set(sys.modules) - before})
        done.append(
            {"loaded": loaded, "error": error, "missing": missing, "result": result if type(result) is str else None}
        )
        if error:
            break
    return done


def main() -> None:
    """Answer the request on the standard input; what else is printed goes to the error stream."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.read())
    with output:
        json.dump(answer(request), output)


if __name__ == "__main__":
    main()
