"""What the page about plugins says that one sees when a plugin fails: every message is what the program prints."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

ANNOUNCEMENT = """
from mesocosm import Component, hookimpl

@hookimpl
def mesocosm_components():
    yield Component(kind="dynamics", name="ours", factory="{factory}", options="ours_parts:OursOptions", summary="ours"{more})
"""

PARTS = """
import numpy as np
from mesocosm import Dynamics, Options

class OursOptions(Options):
    how: str = "well"

class Ours(Dynamics):
    follows = "own"
    def init(self):
        return self.problem.population.shares[None]
    def advance(self, state, interval):
        if interval.index == 2:
            return {"raises": lambda: {}["key"], "nan": lambda: state * np.nan, "mass": lambda: 1.1 * state,
                    "shape": lambda: np.concatenate([state, state]), "well": lambda: state}[self.options.how]()
        return state
    def observe(self, state):
        return {"occupancy": state}
"""

SCENARIO = """
mesocosm: 1
name: trial
seed: 1
time: {end: 4, save_every: 1}
population: {size: 50, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.3, gamma: 0.1}
dynamics:
  mine: {kind: ours}
"""

HOOK = """
@hookimpl
def {name}(run):
    raise OSError("no room for a log")
"""


def announced(factory: str = "ours_parts:Ours", more: str = "") -> str:
    """The module that announces the dynamics."""
    return ANNOUNCEMENT.format(factory=factory, more=more)


@dataclass(frozen=True)
class Fault:
    """What is installed, and the command that shows it. `others` are distributions beside it: entry point -> module."""

    module: str = field(default_factory=announced)
    command: str = "run trial.yaml --no-report --quiet"
    others: tuple[str, ...] = ()

    def how(self, word: str) -> Fault:
        """The dynamics fails in this way."""
        return replace(self, command=f"{self.command} --set dynamics.mine.how={word}")


LISTED = "run trial.yaml --no-report --quiet --set dynamics.mine.kind=classical_mfg"
FAULTS = {
    "its module cannot be imported": Fault("import no_such_library\n", LISTED),
    "the same, and a scenario needs it": Fault("import no_such_library\n"),
    "it has a hook that does not exist": Fault(announced() + HOOK.format(name="mesocosm_run_finnished"), LISTED),
    "it was written for another interface": Fault(announced(more=", api=0"), LISTED),
    "two plugins have one name": Fault(command=LISTED, others=("ours",)),
    "two components have one name, and a scenario needs it": Fault(others=("theirs",)),
    "a distribution that it requires is missing": Fault(announced(more=", requires=('no-such-package',)")),
    "its factory cannot be imported": Fault(announced("no_module:Ours")),
    "an option is misspelt": Fault(command="run trial.yaml --set dynamics.mine.hwo=well"),
    "a file given with `-p` is not there": Fault(command="-p nothing.py plugins"),
    "a hook raises": Fault(announced() + HOOK.format(name="mesocosm_run_started")),
    "the dynamics raises": Fault().how("raises"),
    "it gives NaN": Fault().how("nan"),
    "it loses mass": Fault().how("mass"),
    "it gives another shape": Fault().how("shape"),
}


def rows() -> list[tuple[str, ...]]:
    """The table of the page: what goes wrong, exit code, what one sees."""
    page = Path(__file__).parents[2] / "docs" / "howto" / "plugins.md"
    table = page.read_text(encoding="utf-8").partition("| what goes wrong |")[2].partition("\n\n")[0]
    return [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in table.splitlines()[2:]]


def install(folder: Path, distribution: str, version: str, point: str, module: str) -> None:
    """A distribution as pip leaves it, as far as plugins are concerned."""
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(f"[mesocosm.plugins]\n{point} = {module}\n")


def test_every_row_is_tried() -> None:
    """Catches a row of the page that nobody tries, and a fault that the page leaves out."""
    assert [row[0] for row in rows()] == list(FAULTS)


@pytest.mark.parametrize(("what", "code", "seen"), rows(), ids=[row[0] for row in rows()])
def test_what_one_sees(
    what: str, code: str, seen: str, tmp_path: Path, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a message, or an exit code, that the program does not give."""
    fault = FAULTS[what]
    (tmp_path / "trial.yaml").write_text(SCENARIO, encoding="utf-8")
    site = tmp_path / "site"
    install(site, "our-dynamics", "1.2", "ours", "ours_announced")
    (site / "ours_announced.py").write_text(fault.module, encoding="utf-8")
    (site / "ours_parts.py").write_text(PARTS, encoding="utf-8")
    for point in fault.others:
        install(site, "their-dynamics", "2.0", point, "theirs_announced")
        (site / "theirs_announced.py").write_text(announced(), encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    ended, (out, err) = shell.run(f"mesocosm {fault.command}")
    told = err.replace(f"{site}/", "")
    assert str(ended) == code, f"{out}\n{err}"
    assert re.fullmatch("`.+`", seen)
    assert seen.strip("`") in told, told
