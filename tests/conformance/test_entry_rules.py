"""Every rule about announcements, imports and options finds the fault that it is for, and blames no other rule for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesocosm import Dynamics, Options, Registry
from mesocosm.testing import game_checks
from mesocosm.testing.check import Check, outcome_of
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.entry_process import closure
from mesocosm.testing.subject import DynamicsSubject

RULES = [rule.name for rule in ENTRY_RULES]
ABOUT_MODULES = {"registers_lightly", "options_stay_light"}
ABOUT_GAMES = {"at_risk_is_a_state"}
NOBODY_CHOOSES = {"control_is_a_range", "best_control_is_a_control", "best_control_minimises"}

ANNOUNCEMENT = """\
from mesocosm import Component, hookimpl

@hookimpl
def mesocosm_components():
    yield Component("game", "PACKAGE", "PACKAGE.game:Rumour", "PACKAGE.options:Rates", summary="for tests")
"""

OPTIONS = """\
from pydantic import Field, field_validator
from mesocosm import Options

class Rates(Options):
    tell: float = Field(default=0.4, ge=0, description="rate of telling, per contact")
"""

GAME = """\
from mesocosm import FiniteStateGame, Transition

class Rumour(FiniteStateGame):
    states = ("ignorant", "spreader")
    channels = ("spreaders",)

    def __init__(self, options):
        tell = Transition.induced("ignorant", "spreader", rate=options.tell, channel="spreaders")
        self.transitions = (tell, Transition.spontaneous("spreader", "ignorant", rate=0.1))

    def emission(self, t, state, control):
        return self.stack([state == 1], like=control)
"""

FORGIVING = "    model_config = {'extra': 'ignore'}\n"
DOUBLING = """\
    @field_validator("tell")
    @classmethod
    def doubled(cls, value):
        return 2 * value
"""

CHANGES: dict[str, dict[str, str]] = {
    "sound": {},
    "registers_lightly": {"announcement": "import numpy\n" + ANNOUNCEMENT},
    "options_stay_light": {"options": "import numpy\n" + OPTIONS},
    "loads_with_only_what_it_declares": {"game": "import forgotten_library\n" + GAME},
    "refuses_unknown_options": {"options": OPTIONS + FORGIVING},
    "options_survive_json": {"options": OPTIONS + DOUBLING},
    "describes_its_options": {"options": OPTIONS + "    lose: float = 0.1\n"},
    "factory_is_what_its_kind_needs": {"game": GAME + "\nRumour = dict\n"},
}


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`distribution(name, metadata, **files)`: install a distribution where this process and its children find it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, metadata: str = "", points: str = "", **files: str) -> None:
        info = tmp_path / f"{name}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n{metadata}")
        (info / "top_level.txt").write_text("\n".join({name, *(file.partition("__")[0] for file in files)}))
        (info / "entry_points.txt").write_text(points)
        for file, content in files.items():
            path = tmp_path / f"{file.replace('__', '/', 1)}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)

    return install


@pytest.fixture
def package(distribution: Any) -> Callable[..., list[Check]]:
    """`package(name, metadata, **parts)`: the checks of an installed plugin, some parts of which are replaced."""

    def make(name: str, metadata: str = "", **changes: str) -> list[Check]:
        parts = {"announcement": ANNOUNCEMENT.replace("PACKAGE", name), "options": OPTIONS, "game": GAME}
        parts |= {key: value.replace("PACKAGE", name) for key, value in changes.items()}
        parts["__init__"] = parts.pop("announcement")
        files = {f"{name}__{part}": content for part, content in parts.items()}
        distribution(name, metadata, f"[mesocosm.plugins]\n{name} = {name}\n", **files)
        return game_checks(name, registry=Registry.discover())

    return make


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_broken_plugin_breaks_its_rule(distribution: Any, package: Any, ended: Any, name: str) -> None:
    """Catches a rule that overlooks its fault, one that fails for the fault of another, and a false alarm."""
    distribution("forgotten_library", forgotten_library="")
    found = ended(package(f"kit_{name}", **CHANGES[name]))
    assert found["failed"] == {name} - {"sound"}
    if name != "factory_is_what_its_kind_needs":
        assert found["not applicable"] == ABOUT_GAMES | NOBODY_CHOOSES | {"absorbing_states_absorb"}


def test_every_rule_has_a_broken_plugin() -> None:
    """Catches a rule that nothing was ever held against."""
    assert set(CHANGES) == {*RULES, "sound"}


def outcome(checks: list[Check], name: str) -> tuple[str, str]:
    (found,) = (outcome_of(check) for check in checks if check.name == name)
    return found.status, found.message


def test_what_is_loaded_is_named(package: Any) -> None:
    """Catches a message that does not say which library is heavy, or where to move it."""
    status, message = outcome(package("kit_heavy", announcement="import numpy\n" + ANNOUNCEMENT), "registers_lightly")
    assert status == "failed"
    assert "its announcement loads numpy" in message
    assert "behind the `factory` text" in message


def test_an_announcement_is_light_when_it_is_asked(package: Any) -> None:
    """Catches a rule that looks at the import only, and not at what the hook imports when it is called."""
    late = ANNOUNCEMENT.replace("    yield", "    import numpy\n    yield")
    assert outcome(package("kit_late", announcement=late), "registers_lightly")[0] == "failed"


def test_a_missing_requirement_is_named(distribution: Any, package: Any) -> None:
    """Catches a message that does not say what to declare."""
    distribution("forgotten_library", forgotten_library="")
    checks = package("kit_forgets", game="import forgotten_library\n" + GAME)
    status, message = outcome(checks, "loads_with_only_what_it_declares")
    assert status == "failed"
    assert "it imports 'forgotten_library', which nothing that it declares installs" in message


@pytest.mark.parametrize(
    ("name", "beginning", "metadata"),
    [
        ("required", "import forgotten_library\n", "Requires-Dist: go-between\n"),
        ("optional", "try:\n    import forgotten_library\nexcept ImportError:\n    pass\n", ""),
        ("looked_for", "from importlib.util import find_spec\nassert not find_spec('forgotten_library')\n", ""),
    ],
)
def test_what_is_declared_or_optional_may_be_used(
    distribution: Any, package: Any, name: str, beginning: str, metadata: str
) -> None:
    """Catches a library hidden that is declared, and one that breaks a plugin that can do without it."""
    distribution("forgotten_library", forgotten_library="")
    distribution("go_between", "Requires-Dist: forgotten-library[more]>=0.1\n")
    checks = package(f"kit_{name}", metadata, game=beginning + GAME)
    (check,) = (check for check in checks if check.name == "loads_with_only_what_it_declares")
    check.rule.function(check.subject)


def test_what_the_component_requires_may_be_used(distribution: Any, package: Any) -> None:
    """Catches a kit that does not read `requires`."""
    distribution("forgotten_library", forgotten_library="")
    declared = ANNOUNCEMENT.replace('summary="for tests"', 'summary="for tests", requires=("forgotten-library",)')
    checks = package("kit_requires", announcement=declared, game="import forgotten_library\n" + GAME)
    assert outcome(checks, "loads_with_only_what_it_declares")[0] == "passed"


def test_requirements_of_requirements(distribution: Any) -> None:
    """Catches an extra that nobody asked for, one that somebody did, a marker that is not read, and an endless circle."""
    distribution("kit_a", "Requires-Dist: kit-b[more]\nRequires-Dist: kit-e; extra == 'less'\n")
    distribution("kit_b", "Requires-Dist: kit-c; extra == 'more'\nRequires-Dist: kit-d; extra == 'other'\n")
    distribution("kit_c", "Requires-Dist: Kit_A\nRequires-Dist: kit-f; python_version < '3'\n")
    assert closure(["kit_a"]) == {"kit-a", "kit-b", "kit-c"}


def test_a_file_is_loaded_whole(tmp_path: Path, ended: Any) -> None:
    """Catches the rules about modules held against a single file, whose game stands beside its announcement."""
    path = tmp_path / "rumour_file.py"
    path.write_text(
        GAME
        + OPTIONS
        + ANNOUNCEMENT.replace("PACKAGE.game", "{__name__}")
        .replace("PACKAGE.options", "{__name__}")
        .replace('"{', 'f"{')
        .replace("PACKAGE", "rumour")
        + "import numpy, scipy\n"
    )
    registry = Registry()
    registry.add_file(path)
    found = ended(game_checks("rumour", registry=registry))
    assert found["failed"] == set()
    assert found["not applicable"] >= ABOUT_MODULES


class Wild(Dynamics):
    """Follows nobody that there is."""

    follows = "nobody"

    def init(self) -> Any: ...

    def advance(self, state: Any, interval: Any) -> Any: ...

    def observe(self, state: Any) -> Any: ...


class Tame(Wild):
    """Follows its own rules."""

    follows = "own"


@pytest.mark.parametrize(
    ("factory", "says"),
    [(Tame, ""), (Wild, "follows is 'nobody'; it is one of contacts, closure, own"), (dict, "is no subclass of")],
)
def test_what_makes_a_dynamics(monkeypatch: pytest.MonkeyPatch, factory: Any, says: str) -> None:
    """Catches a class that no run accepts, and rules that nobody knows."""
    monkeypatch.setattr(Registry, "factory", lambda self, kind, name: factory)
    monkeypatch.setattr(DynamicsSubject, "__str__", lambda self: "dynamics 'wild'")
    subject = DynamicsSubject("dynamics", "wild", Registry(), Options())
    (rule,) = (rule for rule in ENTRY_RULES if rule.name == "factory_is_what_its_kind_needs")
    found = outcome_of(Check(rule, subject))
    assert found.status == ("failed" if says else "passed")
    assert says in found.message
