"""What all components under test share: where they come from, and how their options are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mesocosm import InputError, Options, Registry


@dataclass(frozen=True)
class Part:
    """A component under test: its kind, its name, and the registry that it is in."""

    kind: str
    name: str
    registry: Registry

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.registry.entry(self.kind, self.name).plugin}"

    def factory(self) -> Callable[..., Any]:
        """What makes it, imported."""
        return self.registry.factory(self.kind, self.name)

    def options_model(self) -> type[Options]:
        """The model of its options."""
        return self.registry.options_model(self.kind, self.name)


def options_of(registry: Registry, kind: str, name: str, given: Mapping[str, Any], *, where: str) -> Options:
    """Options of a component, checked as those of a scenario are. Raises `InputError` with every fault."""
    try:
        return registry.options_model(kind, name).model_validate(dict(given), context=registry.options_context())
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']}"
            for item in error.errors(include_url=False, include_context=False)
        ]
        raise InputError(
            "; ".join(faults), where=where, hint="give the options that the kit is to test it with, as a scenario would"
        ) from error
