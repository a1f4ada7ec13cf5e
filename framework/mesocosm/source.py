"""YAML 1.2 with positions: every key and value knows the file, line and column that it came from.

PyYAML reads YAML 1.1, where `no` is false, `1e-3` is a string and `12:30` is 750. Here scalars follow the YAML 1.2 core
schema (chapter 10.3 of the specification): null, true, false, decimal/octal/hexadecimal integers, floats; all else is text.
Duplicate keys are errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mesocosm.errors import Fault, ScenarioError

ALIASED_VALUES = 10_000
"""Values that aliases may add to those written out: aliases of aliases could make a short file endless."""

Path_ = tuple[str | int, ...]
"""Where something stands in a document: keys and list indices from the top."""

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{f"{sign}.{word}": float(f"{sign}inf") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEXADECIMAL = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Position:
    """A place in a source: `line` and `column` count from 1; 0 where there is none (a command-line setting)."""

    source: str
    line: int
    column: int
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass
class Document:
    """A tree of plain values, and the position of every key (or list item) in it by path."""

    value: Any
    positions: dict[Path_, Position] = field(default_factory=dict)

    def position(self, path: Path_) -> Position:
        """The position of the nearest thing at or above `path`."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return Position("scenario", 0, 0)

    def fault(self, path: Path_, what: str) -> Fault:
        """A fault at `path`, with the source line."""
        place = self.position(path)
        return Fault(str(place), ".".join(str(part) for part in path), what, place.excerpt)


def read_document(text: str, source: str) -> Document:
    """Parse one YAML document; raises `ScenarioError` for bad syntax and duplicate keys."""
    lines = text.splitlines()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        tags = [token.start_mark for token in yaml.scan(text) if isinstance(token, yaml.TagToken)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        excerpt = lines[line] if line < len(lines) else ""
        what = f"not valid YAML: {error.problem or error.context}"
        raise ScenarioError([Fault(f"{source}:{line + 1}:{column + 1}", "", what, excerpt)]) from None
    except RecursionError:
        raise ScenarioError([Fault(source, "", "not valid YAML: nested too deeply")]) from None
    except yaml.YAMLError as error:
        raise ScenarioError([Fault(source, "", f"not valid YAML: {' '.join(str(error).split())}")]) from None
    if tags:
        what = "a tag (!) means nothing here; write a plain value, or text in quotes"
        raise ScenarioError(
            [Fault(f"{source}:{mark.line + 1}:{mark.column + 1}", "", what, lines[mark.line]) for mark in tags]
        )
    document = Document(None, {(): Position(source, 1, 1, lines[0] if lines else "")})
    if root is None:
        return document
    reader = _Reader(source, lines, document.positions)
    document.value = reader.value(root, ())
    if reader.faults:
        raise ScenarioError(reader.faults)
    return document


class _Reader:
    """Turns YAML nodes into plain values, noting positions and duplicate keys."""

    def __init__(self, source: str, lines: list[str], positions: dict[Path_, Position]) -> None:
        self.source, self.lines, self.positions = source, lines, positions
        self.faults: list[Fault] = []
        self.open: list[yaml.Node] = []
        self.values, self.most = 0, ALIASED_VALUES + sum(map(len, lines))

    def place(self, node: yaml.Node) -> Position:
        mark = node.start_mark
        excerpt = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Position(self.source, mark.line + 1, mark.column + 1, excerpt)

    def value(self, node: yaml.Node, path: Path_) -> Any:
        self.values += 1
        if self.values > self.most:
            what = f"aliases of aliases make more than {self.most} values of this file; write them out"
            raise ScenarioError([Fault(str(self.place(node)), "", what)])
        if isinstance(node, yaml.ScalarNode):
            return scalar(node.value) if node.style is None else node.value
        if any(node is outer for outer in self.open):
            place = self.place(node)
            self.faults.append(Fault(str(place), "", "an alias that contains itself", place.excerpt))
            return None
        self.open.append(node)
        result = self.mapping(node, path) if isinstance(node, yaml.MappingNode) else self.sequence(node, path)
        self.open.pop()
        return result

    def sequence(self, node: yaml.Node, path: Path_) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self.positions[(*path, index)] = self.place(item)
            items.append(self.value(item, (*path, index)))
        return items

    def mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(Fault(str(place), "", "a key must be plain text", place.excerpt))
                continue
            key = key_node.value
            if key in result:
                dotted = ".".join(str(part) for part in (*path, key))
                first = self.positions[(*path, key)]
                self.faults.append(
                    Fault(str(place), dotted, f"given twice; first at line {first.line}; keep one", place.excerpt)
                )
                continue
            self.positions[(*path, key)] = place
            result[key] = self.value(value_node, (*path, key))
        return result


def scalar(text: str) -> Any:
    """A plain scalar by the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    return float(text) if _FLOAT.fullmatch(text) else text


def load_document(path: Path) -> Document:
    """Read a file and what it extends: `extends: base.yaml` is merged below it, relative to the file."""
    return _load(path, ())


def _load(path: Path, above: tuple[Path, ...]) -> Document:
    resolved = path.resolve()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError([Fault(str(path), "", "no such file; give the path of a scenario (.yaml)")]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError([Fault(str(path), "", f"cannot be read: {error}")]) from None
    document = read_document(text, str(path))
    if not isinstance(document.value, Mapping) or "extends" not in document.value:
        return document
    base = document.value["extends"]
    if not isinstance(base, str):
        raise ScenarioError([document.fault(("extends",), f"{base!r}; must be the path of another scenario")])
    target = path.parent / base
    if target.resolve() in (*above, resolved):
        chain = " -> ".join(item.name for item in (*above, resolved, target.resolve()))
        raise ScenarioError([document.fault(("extends",), f"scenarios extend each other in a circle: {chain}")])
    if not target.is_file():
        raise ScenarioError([document.fault(("extends",), f"no file '{base}'; the path is relative to this scenario")])
    own = Document({k: v for k, v in document.value.items() if k != "extends"}, document.positions)
    return merge(_load(target, (*above, resolved)), own)


def merge(base: Document, over: Document) -> Document:
    """`over` on top of `base`: mappings merge key by key, everything else is replaced, and null removes a key.

    A mapping with another `kind` replaces the whole component, so that no option of the old kind is left behind.
    """
    positions = dict(base.positions)
    positions[()] = over.position(())
    value = _merge(base.value, over.value, (), positions, over.positions)
    return Document(value, positions)


def _merge(
    base: Any, over: Any, path: Path_, positions: dict[Path_, Position], overlay: Mapping[Path_, Position]
) -> Any:
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)) or over.get("kind", base.get("kind")) != base.get(
        "kind"
    ):
        _forget(positions, path)
        positions.update({item: place for item, place in overlay.items() if item[: len(path)] == path})
        return over
    result = dict(base)
    for key, value in over.items():
        inner = (*path, key)
        positions[inner] = overlay[inner]
        if value is None:
            _forget(positions, inner)
            result.pop(key, None)
            continue
        result[key] = _merge(base.get(key), value, inner, positions, overlay)
    return result


def _forget(positions: dict[Path_, Position], path: Path_) -> None:
    """Drop the positions of what stood below `path`."""
    for old in [item for item in positions if item[: len(path)] == path and len(item) > len(path)]:
        del positions[old]


def apply_settings(document: Document, settings: Mapping[str, str]) -> Document:
    """Command-line settings `key.subkey=value` on top; the value is read as YAML."""
    for key, text in settings.items():
        source = f"--set {key}={text}"
        parts = key.split(".")
        if not all(parts):
            raise ScenarioError([Fault(source, "", "a key is words joined by dots, such as game.beta")])
        value = read_document(text, source).value if text.strip() else None
        tree: Any = value
        for part in reversed(parts):
            tree = {part: tree}
        places = {path: Position(source, 0, 0) for path in _paths(tree)}
        document = merge(document, Document(tree, {(): document.position(()), **places}))
    return document


def _paths(tree: Any, above: Path_ = ()) -> Iterator[Path_]:
    items: Any = ()
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield (*above, key)
        yield from _paths(value, (*above, key))
