"""Plugins: found, isolated, checked, named. One bad plugin costs the others nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import mesocosm.registry
from mesocosm import Component, ComponentError, Options, Registry, hookimpl
from mesocosm.registry import GROUP


class Plain(Options):
    """No options."""


class NotOptions:
    """Not a model."""


def make_plain(options: Options) -> str:
    return "made"


HERE = __name__


def component(name: str = "plain", **changes: Any) -> Component:
    given = {"kind": "game", "factory": f"{HERE}:make_plain", "options": f"{HERE}:Plain", "summary": "for tests"}
    return Component(name=name, **{**given, **changes})


def plugin(*components: Any, **hooks: Any) -> Any:
    """An object with hook implementations, as a module would have them."""
    found = SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})
    found.mesocosm_components = hookimpl(lambda: iter(components))
    return found


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file under its own name, so that components of it can be found."""
    here = ModuleType(HERE)
    here.__dict__.update(globals())
    monkeypatch.setitem(sys.modules, HERE, here)


def add(registry: Registry, module: Any, name: str = "ours", distribution: str = "our-package") -> Any:
    return registry.add(module, name, distribution, "1.2")


def test_a_component_is_found_by_kind_and_name() -> None:
    """Catches components mixed up between kinds, and options or factory loaded wrongly."""
    registry = Registry()
    add(registry, plugin(component(), component(kind="graph", options=f"{HERE}:Options")))
    assert registry.options_model("game", "plain") is Plain
    assert registry.options_model("graph", "plain") is Options
    assert registry.factory("game", "plain") is make_plain
    assert [entry.component.kind for entry in registry.entries()] == ["game", "graph"]
    assert registry.used({"game": ["plain", "plain"]}) == [
        {"kind": "game", "name": "plain", "plugin": "ours", "distribution": "our-package", "version": "1.2"}
    ]


def test_nothing_is_imported_before_it_is_used() -> None:
    """Catches a registry that imports what components name; a broken name costs only its user."""
    registry = Registry()
    add(registry, plugin(component(factory="no_such_module:x", options="no_such_module:y"), component("good")))
    assert registry.factory("game", "good") is make_plain
    with pytest.raises(
        ComponentError, match=r"plugin 'ours' \(our-package 1.2\): the factory 'no_such_module:x' of game 'plain'"
    ):
        registry.factory("game", "plain")
    with pytest.raises(
        ComponentError, match=r"the options 'no_such_module:y' .* cannot be imported: ModuleNotFoundError"
    ):
        registry.options_model("game", "plain")


def test_an_unknown_name_is_suggested_for() -> None:
    """Catches an unknown component without the nearest name, or without what failed to load."""
    registry = Registry()
    add(registry, plugin(component("epidemic")))
    add(registry, plugin("nonsense"), "bad", "bad-package")
    with pytest.raises(
        ComponentError, match=r"no game is called 'epidemik'; did you mean 'epidemic'\?; .*bad-package.*failed"
    ):
        registry.entry("game", "epidemik")


def test_the_same_name_twice_is_an_error_that_names_both() -> None:
    """Catches one plugin silently shadowing another; a third name is not affected."""
    registry = Registry()
    add(registry, plugin(component(), component("own")))
    add(registry, plugin(component()), "theirs", "their-package")
    with pytest.raises(
        ComponentError,
        match=r"game 'plain' is registered by plugin 'ours' \(our-package 1.2\) and by plugin 'theirs' \(their-package 1.2\)",
    ):
        registry.entry("game", "plain")
    assert registry.factory("game", "own") is make_plain


def test_two_plugins_of_one_name_do_not_harm_each_other() -> None:
    """Catches the second one taking the hooks of the first with it when it is refused."""
    registry, heard = Registry(), []

    def hear(run: Any) -> None:
        heard.append(run)

    add(registry, plugin(component(), mesocosm_run_started=hear))
    second = add(registry, plugin(component("other")), "ours", "their-package")
    assert second.status == "failed"
    assert "the name 'ours' is already that of plugin 'ours' (our-package 1.2)" in second.reason
    registry.notify("mesocosm_run_started", run={})
    assert heard == [{}]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (plugin("text"), "gave 'text', which is not a Component"),
        (plugin(component(kind="gmae")), "component 'plain' has kind 'gmae'; kinds: dynamics, game"),
        (plugin(component(api=2)), "was written for plugin interface 2; this is 1"),
        (plugin(mesocosm_run_stated=lambda run: None), "mesocosm_run_stated"),
        (plugin(mesocosm_run_started=lambda runs: None), "Argument.* 'runs'|runs"),
        (SimpleNamespace(mesocosm_components=hookimpl(lambda: 1 / 0)), "ZeroDivisionError: division by zero"),
    ],
)
def test_a_bad_plugin_fails_alone(module: Any, reason: str) -> None:
    """Catches a wrong component, kind, version, hook name or hook argument that is silently accepted, or that stops all."""
    registry = Registry()
    add(registry, plugin(component()))
    bad = add(registry, module, "bad", "bad-package")
    assert bad.status == "failed"
    import re

    assert re.search(reason, bad.reason)
    assert registry.warnings == [f"plugin 'bad' (bad-package 1.2) failed and is left out: {bad.reason}"]
    assert [entry.component.name for entry in registry.entries()] == ["plain"]
    assert add(registry, plugin(component("later")), "later").status == "loaded"


def test_a_misspelt_hook_lists_the_hooks() -> None:
    """Catches a hook that is never called because of a typing error."""
    reason = add(Registry(), plugin(mesocosm_run_stated=lambda run: None)).reason
    assert "hooks are: mesocosm_components, mesocosm_run_started" in reason


def test_options_must_be_options() -> None:
    """Catches an options model that accepts anything."""
    registry = Registry()
    add(registry, plugin(component(options=f"{HERE}:NotOptions")))
    with pytest.raises(ComponentError, match=r"must be a subclass of mesocosm\.Options"):
        registry.options_model("game", "plain")


def test_a_missing_requirement_says_how_to_install_it() -> None:
    """Catches an ImportError from deep inside a library."""
    registry = Registry()
    add(registry, plugin(component(requires=("numpy", "no-such-package"))))
    with pytest.raises(
        ComponentError, match=r"game 'plain' needs the package 'no-such-package'.*pip install no-such-package"
    ):
        registry.factory("game", "plain")


def test_a_hook_that_raises_is_a_warning() -> None:
    """Catches one observer stopping the run or the other observers; all arguments are optional."""
    registry, heard = Registry(), []

    def broken(label: str) -> Iterator[int]:
        raise RuntimeError("sulks")

    def lazy() -> Iterator[int]:
        yield 1
        raise RuntimeError("tires")

    add(registry, plugin(mesocosm_phase_advanced=lambda: heard.append("first")), "first")
    add(registry, plugin(mesocosm_phase_advanced=broken), "second")
    add(registry, plugin(mesocosm_phase_advanced=lazy), "third")
    add(registry, plugin(mesocosm_phase_advanced=lambda fraction, label: heard.append((fraction, label))), "fourth")
    registry.notify("mesocosm_phase_advanced", label="a", phase="prepare", fraction=0.5, note="")
    assert set(heard) == {"first", (0.5, "a")}
    assert sorted(registry.warnings) == [
        "plugin 'second' (our-package 1.2): hook mesocosm_phase_advanced raised RuntimeError: sulks",
        "plugin 'third' (our-package 1.2): hook mesocosm_phase_advanced raised RuntimeError: tires",
    ]


def test_an_observer_of_the_program_follows_too() -> None:
    """Catches an observer that is never called, or that stays after its run."""
    registry, heard = Registry(), []

    def hear(run: Any) -> None:
        heard.append(run)

    with registry.observed_by(plugin(mesocosm_run_started=hear), "progress"):
        registry.notify("mesocosm_run_started", run={"name": "x"})
    registry.notify("mesocosm_run_started", run={"name": "later"})
    assert heard == [{"name": "x"}]


GOOD_FILE = """\
from mesocosm import Component, Options, hookimpl

class Own(Options):
    size: int = 3

def make(options):
    return options.size

@hookimpl
def mesocosm_components():
    yield Component(kind="game", name="own", factory=f"{__name__}:make", options=f"{__name__}:Own", summary="s")
"""


def test_a_single_file_is_a_plugin(tmp_path: Path) -> None:
    """Catches a file whose components cannot be found by the name of their own module."""
    path = tmp_path / "own_game.py"
    path.write_text(GOOD_FILE)
    registry = Registry()
    registry.add_file(path)
    assert registry.factory("game", "own")(registry.options_model("game", "own")()) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no Python file"),
        ("def broken(:\n", "cannot be imported: SyntaxError"),
        ("import no_such_module\n", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)\n", "cannot be imported: SystemExit: 3"),
        (GOOD_FILE.replace('kind="game"', 'kind="toy"'), "has kind 'toy'"),
        (GOOD_FILE.replace("mesocosm_components", "mesocosm_component"), "mesocosm_component"),
    ],
)
def test_a_broken_file_is_an_error_at_once(tmp_path: Path, content: str | None, says: str) -> None:
    """Catches a file asked for by name that is left out with a warning only."""
    path = tmp_path / "broken_game.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ComponentError, match=says):
        Registry().add_file(path)


class Point:
    """An entry point, as installed packages announce them."""

    def __init__(self, name: str, loads: Any) -> None:
        self.name, self.loads = name, loads
        self.value = "sys"  # a module that is there
        self.dist = SimpleNamespace(name=f"{name}-package", version="0.3")

    def load(self) -> Any:
        if isinstance(self.loads, BaseException):
            raise self.loads
        return self.loads


def test_a_plugin_that_cannot_be_imported_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a loader that dies on the first failure, even one that calls sys.exit; disabled plugins are not imported."""
    points = [
        Point("exits", SystemExit(1)),
        Point("good", plugin(component())),
        Point("missing", ModuleNotFoundError("No module named 'torch'")),
        Point("off", AssertionError("imported though disabled")),
    ]

    def installed(group: str) -> list[Point]:
        assert group == GROUP == "mesocosm.plugins"
        return points

    monkeypatch.setattr(mesocosm.registry.metadata, "entry_points", installed)
    registry = Registry.discover(disabled=["off"])
    assert {item.name: item.status for item in registry.plugins} == {
        "exits": "failed",
        "good": "loaded",
        "missing": "failed",
        "off": "disabled",
    }
    assert "plugin 'missing' (missing-package 0.3) failed and is left out: cannot be imported: ModuleNotFoundError" in (
        "\n".join(registry.warnings)
    )
    assert registry.factory("game", "plain") is make_plain


def test_the_bundled_plugins_load() -> None:
    """Catches a bundled plugin that fails, and one whose options or factory cannot be imported."""
    registry = Registry.discover()
    ours = [item for item in registry.plugins if item.distribution == "mesocosm"]
    assert {item.name for item in ours} >= {"graphs", "games", "agents", "mfg", "neural"}
    assert [(item.name, item.reason) for item in ours if item.status != "loaded"] == []
    for entry in registry.entries():
        assert issubclass(registry.options_model(entry.component.kind, entry.component.name), Options)
        assert callable(registry.factory(entry.component.kind, entry.component.name))
        assert entry.component.summary
    assert metadata.version("mesocosm") == ours[0].version
