"""The generated references have everything, and what is built loads nothing from the network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import mesocosm
from mesocosm import Options, Registry, hooks
from mesocosm.cli import cli


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


def section(text: str, name: str) -> str:
    """What stands below the third-level heading of a component."""
    _, _, rest = text.partition(f"\n### {name}\n")
    return rest.partition("\n### ")[0].partition("\n## ")[0]


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


def test_every_command_and_its_options_are_in_the_reference(site: Path) -> None:
    """Catches a command, argument or option that the generated page leaves out."""
    from program import command_line_reference

    text = command_line_reference(cli)
    for name, command in cli.commands.items():
        _, found, rest = text.partition(f"\n## {name}\n")
        assert found, name
        own = rest.partition("\n## ")[0]
        assert command.help
        for parameter in command.params:
            assert any(option in own for option in (*parameter.opts, parameter.human_readable_name)), parameter.name


def test_every_hook_is_in_the_reference(site: Path) -> None:
    """Catches a hook that is not documented, or has no docstring."""
    from program import hooks_reference

    text = hooks_reference()
    names = [name for name, value in vars(hooks).items() if hasattr(value, "mesocosm_spec")]
    assert len(names) >= 6
    for name in names:
        assert f"\n### {name}\n" in text
        assert getattr(hooks, name).__doc__


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """Catches a public name that is not documented."""
    from program import python_reference

    text = f"\n{python_reference()}"
    for name in mesocosm.__all__:
        _, found, rest = text.partition(f"\n## {name}\n")
        assert found, name
        assert rest.partition("\n## ")[0].strip(), f"{name} has no docstring"


def test_docstrings_become_markdown(site: Path) -> None:
    """Catches prose that Markdown would read as markup, and code that loses its lines."""
    from docstrings import markdown

    text = markdown(
        """A product a * b, see `x * y`.

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
    assert r"A product a \* b, see `x * y`." in text
    assert "**Attributes**" in text
    assert r"- `name, size`: what \[it\] is, and more." in text
    assert "def f():\n    pass\n\nf()" in text
    assert "````pycon\n>>> 1 + 1\n2\n````" in text


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="//example.org/x.css">',
        '<img src="http://example.org/x.png">',
        "<style>@import url(https://example.org/x.css);</style>",
        '<p style="background: url(https://example.org/x.png)">x</p>',
    ],
)
def test_a_page_that_loads_from_the_network_is_found(site: Path, tmp_path: Path, planted: str) -> None:
    """Catches a check that would let a script, style, font or picture from elsewhere through."""
    from offline import remote_loads

    page = tmp_path / "page.html"
    page.write_text('<a href="https://example.org">link</a><link rel="canonical" href="https://example.org">')
    assert not list(remote_loads(tmp_path))
    page.write_text(f"<html>{planted}</html>")
    assert len(list(remote_loads(tmp_path))) == 1


def test_a_style_sheet_that_loads_a_font_is_found(site: Path, tmp_path: Path) -> None:
    """Catches a style sheet that fetches a font."""
    from offline import remote_loads

    (tmp_path / "style.css").write_text("@font-face { src: url('https://example.org/font.woff2') }")
    assert len(list(remote_loads(tmp_path))) == 1


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_the_network(site: Path, tmp_path: Path) -> None:
    """Catches a broken page or link, and anything that a built page would fetch. `make check` builds the site as well."""
    from offline import remote_loads

    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "-b", "html", str(site), str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "scenario.html").is_file()
    assert not list(remote_loads(tmp_path))
