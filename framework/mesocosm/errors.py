"""Errors: each says where, what was given, the rule that it breaks, and what to do next.

MesocosmError          anything raised on purpose by mesocosm
  InputError           what was given is wrong (exit code 2)
    ScenarioError      a scenario file: every fault of it at once, with file:line:column
    DataError          a data file (graph, table): the file and the line
    DeviceError        a device that this machine does not have
    ComponentError     a component that is unknown, ambiguous, or whose plugin failed
  RunError             the input was right and the run failed (exit code 1)
    DynamicsError      one dynamics failed: its label, the time and the quantity
    StoreError         a run folder that cannot be written or read
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


class MesocosmError(Exception):
    """An error with four parts; `where`, `rule` and `hint` may be empty.

    Parameters
    ----------
    what: what was found, including the value that was given.
    where: the file and line, option, plugin or dynamics that it was found in.
    rule: what is allowed.
    hint: the next step.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", rule: str = "", hint: str = "") -> None:
        self.what, self.where, self.rule, self.hint = what, where, rule, hint
        super().__init__(self.message())

    def followed_by(self, text: str) -> Self:
        """The same error with a last part more; of the errors that are made of these four parts."""
        if not text or text in self.message():
            return self
        hint = "; ".join(part for part in (self.hint, text) if part)
        return type(self)(self.what, where=self.where, rule=self.rule, hint=hint)

    def message(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return "; ".join(part for part in (text, self.rule, self.hint) if part)


class InputError(MesocosmError):
    """What the user gave is wrong. Exit code 2."""

    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a scenario.

    `where` reads `file:line:column`; `path` is the dotted key, `excerpt` the source line ('' where there is none).
    """

    where: str
    path: str
    what: str
    excerpt: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.where, self.path, self.what) if part)
        return f"{head}\n    {self.excerpt.strip()}" if self.excerpt.strip() else head


class ScenarioError(InputError):
    """All faults of a scenario at once, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class DataError(InputError):
    """A data file is missing or malformed; `where` is `file` or `file:line`."""


class DeviceError(InputError):
    """The device asked for is not on this machine."""


class ComponentError(InputError):
    """A component is unknown, registered twice, or its plugin could not be loaded."""


class RunError(MesocosmError):
    """The input was right, and the run failed. Exit code 1."""


class DynamicsError(RunError):
    """A dynamics failed or returned what it must not; `where` names its label and the time."""


class StoreError(RunError):
    """A run folder cannot be written or read."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'beta'?` or the list of known words; '' where nothing is known."""
    names = sorted(set(known))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(names)}" if names else ""
