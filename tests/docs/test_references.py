"""The generated references have everything."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel

import mesocosm
from mesocosm import Dynamics, Options, Registry, hooks, testing
from mesocosm.cli import cli
from mesocosm.testing.check import Rule
from mesocosm.testing.dynamics_kit import DYNAMICS_RULES
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.games import DIFFUSION_GAME_RULES, GAME_RULES
from mesocosm.testing.graphs import GRAPH_RULES
from mesocosm.testing.strategies import STRATEGY_RULES


def nested_models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from nested_models(inner)


def option_names(model: type[BaseModel]) -> Iterator[str]:
    """The last parts of the names of all options of a model and of the models in it."""
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in nested_models(field.annotation):
            yield from option_names(inner)


def section(text: str, name: str, level: int = 3) -> str:
    """What stands below a heading, up to the next one of this level or a higher one."""
    _, _, rest = f"\n{text}".partition(f"\n{'#' * level} {name}\n")
    for above in range(1, level + 1):
        rest = rest.partition(f"\n{'#' * above} ")[0]
    return rest


def row(text: str, first: str) -> str:
    """The one line of a table whose first cell is this code."""
    plain = text.replace("<wbr>", "").replace('<code class="literal">', "`").replace("</code>", "`")
    (found,) = [line for line in plain.splitlines() if line.startswith((f"| `{first}` |", f"| [`{first}`]"))]
    return found


def test_every_component_and_option_is_in_the_scenario_reference(site: Path) -> None:
    """Catches a component or option, nested ones included, that the generated page leaves out or does not describe."""
    from options import scenario_reference

    registry = Registry.discover()
    assert registry.entries()
    text = scenario_reference(registry)
    for entry in registry.entries():
        kind, name = entry.component.kind, entry.component.name
        own = section(text, name)
        assert own, f"{kind} {name}"
        for option in option_names(registry.options_model(kind, name)):
            lines = [line for line in own.splitlines() if line.startswith("| `") and f"{option}` |" in line]
            assert lines, f"{kind} {name}: {option}"


def test_options_are_described_with_type_default_and_range(site: Path) -> None:
    """Catches columns that are swapped, lost or wrong."""
    from options import options_of
    from pydantic import Field

    class Inner(Options):
        speed: float = Field(gt=0, le=2, description="how fast")

    class Outer(Options):
        count: int = Field(default=3, ge=1, description="how many | at least")
        names: tuple[str, ...] | None = Field(default=None, description="who")
        inner: Inner = Field(description="nested")
        by_name: dict[str, Inner] = Field(default={}, description="more")

    rows = {row.name: row for row in options_of(Outer)}
    assert list(rows) == ["count", "names", "inner", "inner.speed", "by_name", "by_name.NAME.speed"]
    count, speed = rows["count"], rows["inner.speed"]
    assert (count.type, count.default, count.range, count.description) == (
        "integer",
        "`3`",
        "≥ 1",
        r"how many \| at least",
    )
    assert (speed.type, speed.default, speed.range) == ("number", "**required**", "> 0, ≤ 2")
    assert (rows["names"].type, rows["names"].default) == ("list of text", "none")


def test_every_option_has_a_description() -> None:
    """Catches an option whose meaning and unit nobody wrote down."""
    registry = Registry.discover()
    for entry in registry.entries():
        model = registry.options_model(entry.component.kind, entry.component.name)
        for name, field in model.model_fields.items():
            described = field.description or any(getattr(item, "description", None) for item in field.metadata)
            assert described, f"{entry.component.name}: {name}"


def commands_below(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command of a program, those of its groups included, with all its words."""
    for name, command in group.commands.items():
        yield f"{above}{name}", command
        if isinstance(command, click.Group):
            yield from commands_below(command, f"{above}{name} ")


def test_every_command_and_its_options_are_in_the_reference(site: Path) -> None:
    """Catches a command, inner ones included, or an argument or option that the generated page leaves out or does not
    explain."""
    from program import command_line_reference

    text = command_line_reference(cli)
    found = dict(commands_below(cli))
    assert "plugins check" in found
    for name, command in {"": cli, **found}.items():
        own = section(text, name, 2) if name else text.partition("\n## ")[0]
        assert own, name
        assert command.help
        usage = next(line for line in own.splitlines() if line.startswith("Usage: "))
        assert usage.startswith(f"Usage: mesocosm {name}".rstrip())
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                choices = getattr(parameter.type, "choices", None)
                words = parameter.human_readable_name if choices is None else f"{{{'|'.join(choices)}}}"
                assert words in usage, f"{name}: {parameter.name}"
            else:
                words = ", ".join(sorted(parameter.opts, key=len))
                assert getattr(parameter, "help", None), f"{name}: {words}"
            begins = f"| `{words}".replace("|", "\\|").removeprefix("\\")
            (line,) = [each for each in own.splitlines() if each.startswith(begins)]
            assert line.count(" | ") == 1, f"{name}: {line}"


def test_every_hook_is_in_the_reference(site: Path) -> None:
    """Catches a hook that is not documented, has no docstring, or has an argument that the page leaves out."""
    from program import hooks_reference

    text = hooks_reference()
    names = [name for name, value in vars(hooks).items() if hasattr(value, "mesocosm_spec")]
    assert len(names) >= 7
    for name in names:
        own = section(text, name)
        function = getattr(hooks, name)
        assert function.__doc__
        assert function.__doc__.split(".")[0].split("`")[0] in own
        for argument in inspect.signature(function).parameters:
            assert f"{argument}: " in own, f"{name}: {argument}"


@pytest.mark.parametrize("module", [mesocosm, testing], ids=["mesocosm", "testing"])
def test_every_public_name_is_in_the_reference(site: Path, module: Any) -> None:
    """Catches a public name that is not documented, and a parameter that its page leaves out."""
    import program

    text = {"mesocosm": program.python_reference, "mesocosm.testing": program.testing_reference}[module.__name__]()
    assert len(module.__all__) >= 12
    for name in module.__all__:
        own = section(text, name, 2)
        assert own.strip(), f"{name} has no docstring"
        value = getattr(module, name)
        if inspect.isfunction(value):
            for parameter in inspect.signature(value).parameters:
                assert f"{parameter}: " in own, f"{name}: {parameter}"


def test_what_a_dynamics_says_of_itself_is_in_the_reference(site: Path) -> None:
    """Catches an attribute of the class, or a method, that decides how a dynamics is treated and that no page explains."""
    from program import python_reference

    own = section(python_reference(), "Dynamics", 2)
    for name in [name for name in vars(Dynamics) if not name.startswith("_")]:
        assert f"**`Dynamics.{name}" in own, name


def test_every_bundled_component_is_in_the_reference(site: Path) -> None:
    """Catches a component that the page leaves out, and a dynamics whose declarations it does not show."""
    from components import TITLES, components_reference

    registry = Registry.discover()
    text = components_reference(registry)
    bundled = [entry for entry in registry.entries() if entry.plugin.distribution == "mesocosm"]
    assert {entry.component.kind for entry in bundled} == {"dynamics", "executor", "game", "graph", "strategy"}
    for entry in bundled:
        kind, name = entry.component.kind, entry.component.name
        cells = row(section(text, TITLES[kind], 2), name).strip("| ").split(" | ")
        assert cells[-2:] == [f"{entry.plugin.name} (mesocosm)", entry.component.summary]
        assert cells[0] == f"[`{name}`](scenario.md#{name})"
        if kind == "dynamics":
            cls: Any = registry.factory(kind, name)
            assert cells[1:4] == [cls.follows, ", ".join(cls.devices), {True: "yes", False: "no"}[cls.stochastic]]


def test_every_bundled_game_is_described(site: Path, root: Path) -> None:
    """Catches a game without equations, source or units, and one whose equilibrium no scenario of the gallery shows."""
    from games import games_reference

    registry = Registry.discover()
    text = games_reference(registry, root / "scenarios")
    for entry in registry.entries("game"):
        if entry.plugin.distribution == "mesocosm":
            own = section(text, entry.component.name, 2)
            for words in ("```", "Source", "gallery.md#"):
                assert words in own, f"{entry.component.name}: {words}"


def test_every_rule_is_in_the_reference(site: Path) -> None:
    """Catches a rule that the page leaves out, or shows without what it detects, and a group that it does not explain."""
    from docstrings import escape
    from rules import GROUPS, rules_reference

    text = rules_reference()
    assert {rule.group for rule in DYNAMICS_RULES} == set(GROUPS)
    kinds = {"Dynamics": DYNAMICS_RULES, "Games": GAME_RULES, "Diffusion games": DIFFUSION_GAME_RULES}
    for kind, rules in {**kinds, "Contact graphs": GRAPH_RULES, "Strategies": STRATEGY_RULES}.items():
        for rule in rules:
            own = section(text, "Every component" if rule in ENTRY_RULES else kind, 2)
            line = row(own, rule.name)
            assert rule.text, rule.name
            assert escape(rule.text) in line, rule.name
            assert not rule.detects or escape(f"Detects {rule.detects}.") in line, rule.name


def test_every_rule_belongs_to_a_kit() -> None:
    """Catches a rule that was written and that no kit runs."""
    known = {*DYNAMICS_RULES, *GAME_RULES, *DIFFUSION_GAME_RULES, *GRAPH_RULES, *STRATEGY_RULES}
    for found in pkgutil.iter_modules(testing.__path__):
        module = importlib.import_module(f"mesocosm.testing.{found.name}")
        for value in vars(module).values():
            assert not isinstance(value, Rule) or value in known, value.name


@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        ("same_seed_same_bytes", []),
        ("conserves_mass", ["not partial"]),
        ("two_nodes_have_the_exact_law", ["follows `contacts`", "stochastic"]),
        ("halving_the_step_converges", ["follows `contacts` or `closure`", "has the option `step`"]),
    ],
)
def test_for_whom_a_rule_is_is_said(site: Path, name: str, conditions: list[str]) -> None:
    """Catches a condition that the page does not show, or shows the wrong way round."""
    from rules import conditions as found
    from rules import rules_reference

    (rule,) = [rule for rule in DYNAMICS_RULES if rule.name == name]
    assert found(rule) == conditions
    line = row(rules_reference(), name)
    assert (f"Only for: {'; '.join(conditions)}." in line) == bool(conditions)


def test_every_generated_page_is_in_the_site(site: Path) -> None:
    """Catches a reference that is generated and shown nowhere, and a page that no menu leads to."""
    from pages import MARK, REFERENCES

    index = (site / "index.md").read_text(encoding="utf-8")
    for name in REFERENCES:
        text = (site / "reference" / f"{name}.md").read_text(encoding="utf-8")
        assert [mark[1] for mark in MARK.finditer(text)] == [name]
        assert f"\nreference/{name}\n" in index


def test_docstrings_become_markdown(site: Path) -> None:
    """Catches prose that Markdown would read as markup, and code that loses its lines."""
    from docstrings import markdown

    text = markdown(
        """A product a * b, see `x * y`, also with --no-sums.

        Attributes
        ----------
        name, size: what [it] is,
            and more.

            def f():
                pass

            f()

        >>> 1 + 1
        2
        """
    )
    assert r"A product a \* b, see `x * y`, also with `--no-sums`." in text
    assert "**Attributes**" in text
    assert r"- `name, size`: what \[it\] is, and more." in text
    assert "def f():\n    pass\n\nf()" in text
    assert "````pycon\n>>> 1 + 1\n2\n````" in text
