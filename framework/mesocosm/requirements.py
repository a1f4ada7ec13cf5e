"""Versions that a scenario requires: which of them the installed distributions do not meet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata


def unmet(requires: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(distribution, what is wrong) for every requirement that is not met, or that is no requirement.

    Versions are those of PEP 440: `>=1.2,<2`, `==1.4.*`; an empty text is any version. A pre-release that is installed counts.
    """
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    for name, text in requires.items():
        try:
            wanted = SpecifierSet(text)
        except InvalidSpecifier:
            yield name, f"'{text}' is not a range of versions; write one such as '>=1.2,<2'"
            continue
        try:
            found = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            yield (
                name,
                f"'{name}' is not installed, and {wanted or 'any version'} is required; pip install '{name}{text}'",
            )
            continue
        if not wanted.contains(found, prereleases=True):
            yield name, f"'{name}' {found} is installed, and {wanted} is required; pip install '{name}{text}'"
