"""From a docstring of this project to Markdown.

Docstrings are short sentences with single backticks, `Attributes` or `Parameters` underlined, indented text that is to be
kept as it stands, and doctests. Everything else is prose, in which Markdown must find nothing of its own.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

CODE = re.compile(r"(`+[^`]*`+)")
SPECIAL = re.compile(r"([*_<>\[\]|#$])")
OPTION = re.compile(r"(?<![\w`-])--[a-z][a-z-]*")
"""An option of the program, whose two dashes would become one long one."""
ITEM = re.compile(r"(?P<names>[\w`]+(, [\w`]+)*): (?P<text>.*)")


def escape(text: str) -> str:
    """Prose in which no character means anything to Markdown; what stands in backticks is left alone, options become code."""
    parts = CODE.split(" ".join(text.split()))
    parts = CODE.split("".join(part if CODE.fullmatch(part) else OPTION.sub(r"`\g<0>`", part) for part in parts))
    return "".join(part if CODE.fullmatch(part) else SPECIAL.sub(r"\\\1", part) for part in parts)


def fenced(text: str, language: str = "text") -> str:
    """A block that is shown as it stands."""
    return f"````{language}\n{text}\n````"


def markdown(docstring: str | None) -> str:
    """A docstring as Markdown; '' for none."""
    return "\n\n".join(_blocks(inspect.cleandoc(docstring or "").splitlines()))


def _blocks(lines: list[str]) -> Iterator[str]:
    for number, block in enumerate(_split(lines)):
        title = len(block) > 1 and set(block[1]) == {"-"}
        if title:
            yield f"**{block[0]}**"
        body = block[2:] if title else block
        if not body:
            continue
        text = "\n".join(body)
        if body[0].startswith(">>>"):
            yield fenced(text, "pycon")
        elif all(line.startswith("  ") or not line for line in body):
            yield fenced(inspect.cleandoc(text))
        elif (number or body[0].startswith("- ")) and all(
            ITEM.match(line) or line.startswith((" ", "- ")) for line in body
        ):
            yield "\n".join(_items(body))
        else:
            yield from _prose(body)


def _split(lines: list[str]) -> Iterator[list[str]]:
    """Blocks between blank lines; blank lines inside text that is to be kept as it stands divide nothing."""
    blocks: list[list[str]] = []
    ended = True
    for line in lines:
        if not line.strip():
            ended = True
        elif ended and not (blocks and _kept(blocks[-1]) and line.startswith("    ")):
            blocks.append([line])
            ended = False
        else:
            blocks[-1] += ["", line] if ended else [line]
            ended = False
    yield from blocks


def _kept(block: list[str]) -> bool:
    return all(line.startswith("    ") or not line for line in block)


def _items(lines: list[str]) -> Iterator[str]:
    """A list from `name: text` lines, whose continuations are indented, or from lines that begin with a dash."""
    items: list[str] = []
    for line in lines:
        if line.startswith(" ") and items:
            items[-1] += f" {line.strip()}"
        else:
            items.append(line.strip().removeprefix("- "))
    for item in items:
        found = ITEM.fullmatch(item)
        yield f"- `{found['names'].replace('`', '')}`: {escape(found['text'])}" if found else f"- {escape(item)}"


def _prose(lines: list[str]) -> Iterator[str]:
    """A paragraph; what is indented below it is shown as it stands."""
    text = [line for line in lines if not line.startswith("  ")]
    shown = [line for line in lines if line.startswith("  ")]
    continued = any(line.startswith("  ") for line in lines[: lines.index(text[-1])])
    if continued or not shown:
        yield escape(" ".join(lines))
        return
    yield escape(" ".join(text))
    yield fenced(inspect.cleandoc("\n".join(shown)))
