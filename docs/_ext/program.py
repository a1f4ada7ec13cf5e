"""The references of the command line, the hooks and the public names, from the code itself."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import click
from docstrings import escape, fenced, markdown

import mesocosm
from mesocosm import hooks


def command_line_reference(program: click.Group) -> str:
    """The options of the program, and every command with its usage and options."""
    context = click.Context(program, info_name="mesocosm", **program.context_settings)
    parts = [fenced(program.get_usage(context)), _parameters(program, context)]
    for name, command in program.commands.items():
        inner = click.Context(command, info_name=name, parent=context)
        parts += [
            f"## {name}",
            escape(command.help or ""),
            fenced(command.get_usage(inner)),
            _parameters(command, inner),
        ]
    return "\n\n".join(parts) + "\n"


def _parameters(command: click.Command, context: click.Context) -> str:
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    lines = [f"| `{record[0]}` | {escape(record[1])} |" for record in records if record]
    return "\n".join(["| option | meaning |", "|---|---|", *lines])


def hooks_reference() -> str:
    """Every hook with its arguments, and the record by which a plugin announces a component."""
    parts = [markdown(hooks.__doc__), "## Hooks"]
    for name in hook_names():
        function = getattr(hooks, name)
        parts += [f"### {name}", fenced(f"{name}{signature(function)}", "python"), markdown(function.__doc__)]
    parts += [
        "## Component",
        fenced(f"Component{signature(hooks.Component)}", "python"),
        markdown(hooks.Component.__doc__),
    ]
    parts += ["## Versions", f"This is version {hooks.API_VERSION} of the plugin interface."]
    return "\n\n".join(parts) + "\n"


def hook_names() -> list[str]:
    """The names of all hooks, in the order of the file."""
    return [name for name in vars(hooks) if name.startswith("mesocosm_")]


def python_reference() -> str:
    """Every public name, with its signature, its docstring and its public methods."""
    parts: list[str] = []
    for name in mesocosm.__all__:
        parts += [f"## {name}", *_name(name, getattr(mesocosm, name))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _name(name: str, value: Any) -> Iterator[str]:
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        yield _constant(name)
        return
    error = inspect.isclass(value) and issubclass(value, Exception)
    pydantic = inspect.isclass(value) and issubclass(value, mesocosm.Options)
    if not error and not pydantic:
        yield fenced(f"{name}{signature(value)}", "python")
    yield markdown(value.__doc__)
    for method, function in vars(value).items() if inspect.isclass(value) and not (error or pydantic) else ():
        target = inspect.unwrap(getattr(function, "__func__", None) or getattr(function, "fget", None) or function)
        target = getattr(target, "func", target)
        if method.startswith("_") or not inspect.isfunction(target) or not target.__doc__:
            continue
        if not target.__qualname__.startswith(f"{value.__name__}."):
            continue
        is_property = isinstance(function, property) or hasattr(function, "func")
        yield f"**`{name}.{method}{'' if is_property else signature(target)}`**"
        yield markdown(target.__doc__)


def _constant(name: str) -> str:
    """The text below a constant in the module that defines it; '' where there is none."""
    for module in [
        found for full, found in sys.modules.items() if full.startswith("mesocosm.") and name in vars(found)
    ]:
        body = ast.parse(inspect.getsource(module)).body
        for statement, following in itertools.pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else ()
            named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            if named and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                return markdown(str(following.value.value))
    return ""


def signature(function: Any) -> str:
    """Parameters and result, with annotations as they are written."""
    described = inspect.signature(function)
    parameters = [each for each in described.parameters.values() if each.name not in ("self", "cls")]
    shown: list[str] = []
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in shown):
            shown.append("*")
        shown.append(_parameter(each))
    result = described.return_annotation
    arrow = "" if result is described.empty or inspect.isclass(function) else f" -> {_annotation(result)}"
    return f"({', '.join(shown)}){arrow}"


def _parameter(each: inspect.Parameter) -> str:
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    text = f"{stars}{each.name}"
    if each.annotation is not each.empty:
        text += f": {_annotation(each.annotation)}"
    if each.default is each.empty:
        return text
    default = "..." if type(each.default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS" else repr(each.default)
    if callable(each.default):
        default = "..."
    return f"{text} = {default}"


def _annotation(value: Any) -> str:
    return value if isinstance(value, str) else inspect.formatannotation(value)
