"""Questions that only a process of its own can answer: what is loaded, what is hidden, what is drawn there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mesocosm.testing.check import ConformanceError
from mesocosm.testing.component import Part

PROBE = Path(__file__).with_name("entry_probe.py")

SECONDS = 300
"""How long a process may take."""


def ask(steps: Sequence[Sequence[Any]], hidden: Iterable[str] = (), hash_seed: str = "") -> list[dict[str, Any]]:
    """Take steps in a new process, with the search path of this one; see `entry_probe` for steps and answers.

    `hash_seed` is its PYTHONHASHSEED; that of this process where it is ''. A question that was asked before is not asked
    again. Raises `ConformanceError` for a process that dies.
    """
    request = {"path": [str(folder) for folder in sys.path], "hidden": sorted(hidden), "steps": steps}
    answer: list[dict[str, Any]] = json.loads(_answer(json.dumps(request), hash_seed, os.getcwd()))
    return answer


@lru_cache(maxsize=256)
def _answer(request: str, hash_seed: str, folder: str) -> str:
    environment = dict(os.environ)
    if hash_seed:
        environment["PYTHONHASHSEED"] = hash_seed
    done = subprocess.run(
        [sys.executable, "-P", str(PROBE)], input=request, capture_output=True, text=True, encoding="utf-8",
        errors="replace", env=environment, cwd=folder, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        last = " ".join(done.stderr.split("\n")[-3:]).strip()
        raise ConformanceError(f"a process that loads it ends with code {done.returncode}: {last}")
    return done.stdout


def loading(subject: Part) -> list[list[str]]:
    """The steps that load the announcement of a component, whether it is a module or a single file."""
    plugin = subject.registry.entry(subject.kind, subject.name).plugin
    if plugin.file is not None:
        return [["load_file", plugin.module, str(plugin.file)]]
    return [["announce", plugin.module]] if plugin.module else []


def own_modules(subject: Part) -> set[str]:
    """Top-level modules of the plugin itself: those that it names, and those of its distribution."""
    entry = subject.registry.entry(subject.kind, subject.name)
    own = canonicalize_name(entry.plugin.distribution)
    named = (entry.plugin.module, entry.component.factory, entry.component.options)
    found = {target.partition(":")[0].partition(".")[0] for target in named}
    return found | {
        module for module, distributions in installed_modules().items() if own in map(canonicalize_name, distributions)
    }


def undeclared_modules(subject: Part) -> dict[str, str]:
    """Installed top-level modules that a component may not count on, each with its distribution.

    It may count on mesocosm, on what it requires, on its own distribution, and on whatever these require.
    """
    entry = subject.registry.entry(subject.kind, subject.name)
    declared = closure(["mesocosm", entry.plugin.distribution, *entry.component.requires])
    found = {
        module: distributions[0]
        for module, distributions in installed_modules().items()
        if not declared & {str(canonicalize_name(name)) for name in distributions}
    }
    for module in own_modules(subject) | sys.stdlib_module_names:
        found.pop(module, None)
    return found


def installed_modules() -> Mapping[str, Sequence[str]]:
    """The top-level modules on the search path, each with the distributions that it comes from."""
    folders = [Path(folder) for folder in sys.path]
    # What is installed or removed changes the time of its folder.
    return _modules_at(tuple((str(folder), folder.stat().st_mtime_ns if folder.exists() else 0) for folder in folders))


@lru_cache(maxsize=8)
def _modules_at(folders: tuple[tuple[str, int], ...]) -> Mapping[str, Sequence[str]]:
    return metadata.packages_distributions()


def closure(names: Iterable[str]) -> set[str]:
    """Names of distributions, normalised, and of everything that they require on this machine."""
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in names]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        item = waiting.pop()
        name, extras = str(canonicalize_name(item[0])), item[1]
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for requirement in _requirements(name):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    return {name for name, _ in seen}


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except (metadata.PackageNotFoundError, ValueError):
        return []
