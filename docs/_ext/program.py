"""The references of the command line, the hooks and the public names, from the code itself."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import click
from docstrings import escape, fenced, markdown

import mesocosm
import mesocosm.testing
from mesocosm import hooks

LINE = 88
"""Characters in a line of code that a page shows without a scroll bar."""


def command_line_reference(program: click.Group) -> str:
    """The options of the program, and every command with its usage, arguments and options; those of a group follow it."""
    context = click.Context(program, info_name="mesocosm", **program.context_settings)
    parts = [fenced(program.get_usage(context)), _parameters(program, context)]
    for name, inner in commands(program, context):
        command = inner.command
        parts += [
            f"## {name}",
            markdown(command.help),
            fenced(command.get_usage(inner)),
            _parameters(command, inner),
        ]
    return "\n\n".join(parts) + "\n"


def commands(group: click.Group, context: click.Context, above: str = "") -> Iterator[tuple[str, click.Context]]:
    """Every command below a group with its words, such as `plugins check`, and a context of its own."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield f"{above}{name}", inner
        if isinstance(command, click.Group):
            yield from commands(command, inner, f"{above}{name} ")


def _parameters(command: click.Command, context: click.Context) -> str:
    """Arguments as the usage has them, then options."""
    every = command.get_params(context)
    rows = [(_usage(each, context), _meaning(each)) for each in every if isinstance(each, click.Argument)]
    options = [each for each in every if not isinstance(each, click.Argument)]
    rows += [record for each in options if (record := each.get_help_record(context))]
    lines = [f"| {_code(words)} | {escape(meaning)} |" for words, meaning in rows]
    head = "argument or option" if len(rows) > len(options) else "option"
    return "\n".join([f"| {head} | meaning |", "|---|---|", *lines])


def _usage(argument: click.Argument, context: click.Context) -> str:
    return " ".join(argument.get_usage_pieces(context))


def _meaning(argument: click.Argument) -> str:
    """How many of it there are; what it means is in the text of its command."""
    if isinstance(argument.type, click.Choice):
        return "one of these"
    return "one or more" if argument.nargs == -1 else "required" if argument.required else "may be left out"


def _code(words: str) -> str:
    """Code in a cell of a table."""
    return f"`{words}`".replace("|", "\\|")


def hooks_reference() -> str:
    """Every hook with its arguments, and the record by which a plugin announces a component."""
    parts = [markdown(hooks.__doc__), "## Hooks"]
    for name in hook_names():
        function = getattr(hooks, name)
        parts += [f"### {name}", fenced(call(name, function), "python"), markdown(function.__doc__)]
    parts += [
        "## Component",
        fenced(call("Component", hooks.Component), "python"),
        markdown(hooks.Component.__doc__),
    ]
    parts += ["## Versions", f"This is version {hooks.API_VERSION} of the plugin interface."]
    return "\n\n".join(parts) + "\n"


def hook_names() -> list[str]:
    """The names of all hooks, in the order of the file."""
    return [name for name in vars(hooks) if name.startswith("mesocosm_")]


def python_reference() -> str:
    """Every public name, with its signature, its docstring and its public methods."""
    return _names(mesocosm)


def testing_reference() -> str:
    """The same for the conformance kit, below what its module says."""
    return f"{markdown(mesocosm.testing.__doc__)}\n\n{_names(mesocosm.testing)}"


def _names(module: ModuleType) -> str:
    parts: list[str] = []
    for name in module.__all__:
        parts += [f"## {name}", *_name(name, getattr(module, name))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _name(name: str, value: Any) -> Iterator[str]:
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        yield _constant(name)
        return
    error = inspect.isclass(value) and issubclass(value, Exception)
    pydantic = inspect.isclass(value) and issubclass(value, mesocosm.Options)
    if not error and not pydantic:
        yield fenced(call(name, value), "python")
    yield markdown(value.__doc__)
    if inspect.isclass(value) and not (error or pydantic):
        yield from _attributes(name, value)
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


def _attributes(name: str, value: type) -> Iterator[str]:
    """The attributes of a class that have a text below them."""
    body = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(body, ast.ClassDef)
    for statement, following in itertools.pairwise(body.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            yield f"**`{name}.{ast.unparse(statement)}`**"
            yield markdown(str(ast.literal_eval(following.value)))


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


def call(name: str, function: Any) -> str:
    """A name with its parameters and result; one parameter a line where one line is too long."""
    line = f"{name}{signature(function)}"
    if len(line) <= LINE:
        return line
    parameters, arrow = _signature(function)
    return "\n".join([f"{name}(", *(f"    {each}," for each in parameters), f"){arrow}"])


def signature(function: Any) -> str:
    """Parameters and result, with annotations as they are written."""
    parameters, arrow = _signature(function)
    return f"({', '.join(parameters)}){arrow}"


def _signature(function: Any) -> tuple[list[str], str]:
    described = inspect.signature(function)
    parameters = [each for each in described.parameters.values() if each.name not in ("self", "cls")]
    shown: list[str] = []
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in shown):
            shown.append("*")
        shown.append(_parameter(each))
    result = described.return_annotation
    arrow = "" if result is described.empty or inspect.isclass(function) else f" -> {_annotation(result)}"
    return shown, arrow


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
