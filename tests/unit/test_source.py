"""YAML 1.2 with positions: reading, extending, command-line settings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from mesocosm.errors import ScenarioError
from mesocosm.source import Document, apply_settings, load_document, read_document


def value_of(text: str) -> Any:
    return read_document(text, "f.yaml").value


def faults_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read_document(text, "f.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e+3", -1500.0),
        ("+12", 12),
        ("-7", -7),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    """Catches a scalar read by YAML 1.1 rules, where 1e-3 is text and 017 is octal (YAML 1.2 chapter 10.3.2)."""
    got = value_of(f"key: {text}")["key"]
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "No",
        "YES",
        "y",
        "n",
        "12:30",
        "1_000",
        "2020-01-01",
        "0b11",
        "0o8",
        "0xG",
        "1e",
        "e3",
        ".",
    ],
)
def test_what_yaml_1_1_took_for_something_else_is_text(text: str) -> None:
    """Catches `no` becoming false, 12:30 becoming 750, 2020-01-01 becoming a date."""
    assert value_of(f"key: {text}") == {"key": text}


def test_not_a_number_is_read_as_such() -> None:
    """Catches `.nan` passing as text, which a model would report as the wrong type instead of as not finite."""
    assert math.isnan(value_of("key: .nan")["key"])


@pytest.mark.parametrize("text", ["'1e-3'", '"12"', "'null'", '"true"', "''"])
def test_quoted_scalars_are_text(text: str) -> None:
    """Catches a number, null or truth value read from between quotes."""
    assert value_of(f"key: {text}") == {"key": text[1:-1]}


def test_keys_are_text() -> None:
    """Catches keys such as 1, no and null turning into other types than text."""
    assert value_of("{1: a, no: b, null: c, 1e3: d}") == {"1": "a", "no": "b", "null": "c", "1e3": "d"}


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=6), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@effort(deadline=None)
@given(PLAIN)
def test_plain_values_survive_a_round_trip_through_json(value: Any) -> None:
    """Catches a value that is read back differently: JSON is a subset of YAML 1.2, and resuming a run relies on it."""
    import json

    text = json.dumps({"key": value}, ensure_ascii=False)
    assert read_document(text, "f").value == {"key": value}


@effort(deadline=None)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}", fullmatch=True),
        st.integers() | st.from_regex(r"[a-z ]{0,8}", fullmatch=True),
        max_size=5,
    )
)
def test_plain_values_survive_a_round_trip_through_block_style(value: dict[str, Any]) -> None:
    """Catches a difference from PyYAML's own writer on values that both versions of YAML read alike."""
    assert (read_document(yaml.safe_dump({"key": value}), "f").value or {}) == {"key": value}


TREE = """\
name: first
game:
  kind: sir
  effort: {cost: 1,
           infection_cost: [1, 22]}
list:
- a
-   b: 2
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), "1:1"),
        (("name",), "1:1"),
        (("game",), "2:1"),
        (("game", "kind"), "3:3"),
        (("game", "effort"), "4:3"),
        (("game", "effort", "cost"), "4:12"),
        (("game", "effort", "infection_cost"), "5:12"),
        (("game", "effort", "infection_cost", 1), "5:32"),
        (("list", 0), "7:3"),
        (("list", 1), "8:5"),
        (("list", 1, "b"), "8:5"),
        (("game", "absent"), "2:1"),
        (("absent", "deeper"), "1:1"),
    ],
)
def test_every_key_knows_its_line_and_column(path: tuple[str | int, ...], place: str) -> None:
    """Catches an error message that points at the wrong place; what is not there points at what it would be in."""
    assert str(read_document(TREE, "f.yaml").position(path)) == f"f.yaml:{place}"


def test_positions_cover_every_key_and_item() -> None:
    """Catches a key or item without a position of its own."""

    def paths(value: Any, above: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return {above} | {inner for key, item in items for inner in paths(item, (*above, key))}

    document = read_document(TREE, "f.yaml")
    assert set(document.positions) == paths(document.value)


def test_a_fault_shows_the_line() -> None:
    """Catches a fault without its excerpt or dotted path."""
    fault = read_document(TREE, "f.yaml").fault(("game", "kind"), "is wrong")
    assert str(fault) == "f.yaml:3:3: game.kind: is wrong\n    kind: sir"


def test_duplicate_keys_name_both_lines() -> None:
    """Catches the second value silently winning, as in PyYAML; both faults of a file are reported."""
    first, second = faults_of("a: 1\nb:\n  c: 2\n  d: 3\n  c: 4\na: 5\n")
    assert first.startswith("f.yaml:5:3: b.c: given twice; first at line 3")
    assert second.startswith("f.yaml:6:1: a: given twice; first at line 1")


def test_an_alias_stands_for_its_anchor() -> None:
    """Catches aliases that are refused or empty; their keys point at the anchor."""
    document = read_document("a: &x {b: 1}\nc: *x\n", "f")
    assert document.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert str(document.position(("c",))) == "f:2:1"
    assert str(document.position(("c", "b"))) == "f:1:8"


def test_an_alias_that_contains_itself_is_an_error() -> None:
    """Catches endless recursion."""
    (fault,) = faults_of("a: &x\n  b: 1\n  c: *x\n")
    assert "an alias that contains itself" in fault


def test_aliases_cannot_blow_up_memory() -> None:
    """Catches the billion-laughs file: nine levels of nine aliases would be 387 million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    (fault,) = faults_of("\n".join(lines))
    assert "more than" in fault


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2"),
        ("a: 'open\n", "f.yaml:2:1"),
        ("a: 1\n\tb: 2\n", "f.yaml:2:1"),
        ("a: *unknown\n", "f.yaml:1:4"),
        ("a: b: c\n", "f.yaml:1:5"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1"),
    ],
)
def test_bad_syntax_says_where(text: str, place: str) -> None:
    """Catches a traceback of the YAML library, or a message without the line."""
    (fault,) = faults_of(text)
    assert fault.startswith(f"{place}: not valid YAML: ")


def test_control_characters_are_an_error() -> None:
    """Catches an uncaught ReaderError, which has no mark."""
    (fault,) = faults_of("a: \x07\n")
    assert fault.startswith("f.yaml: not valid YAML: ")


def test_very_deep_nesting_is_an_error() -> None:
    """Catches a RecursionError reaching the user."""
    (fault,) = faults_of("[" * 3000)
    assert "not valid YAML" in fault


@pytest.mark.parametrize("text", ["a: !include other.yaml\n", "a: !!str 12\n", "a: !!python/name:os.system\n"])
def test_tags_are_refused(text: str) -> None:
    """Catches a tag that is silently dropped, so that `!include x` would read as the text x."""
    (fault,) = faults_of(text)
    assert fault.startswith("f.yaml:1:4: a tag (!) means nothing here")


def test_a_key_that_is_no_text_is_an_error() -> None:
    """Catches a list as a key, which no path could name."""
    (fault,) = faults_of("? [a, b]\n: 1\n")
    assert fault.startswith("f.yaml:1:3: a key must be plain text")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def place(document: Document, *path: str | int) -> str:
    position = document.position(path)
    return f"{Path(position.source).name}:{position.line}:{position.column}"


def test_extends_merges_and_keeps_every_position(tmp_path: Path) -> None:
    """Catches a merge that loses keys, or that points at the wrong file."""
    write(tmp_path, "base.yaml", "name: base\ntime: {end: 10, save_every: 1}\ngame: {kind: sir, beta: 1}\n")
    child = write(tmp_path, "child.yaml", "extends: base.yaml\ntime: {end: 20}\nseed: 3\n")
    document = load_document(child)
    assert document.value == {
        "name": "base",
        "time": {"end": 20, "save_every": 1},
        "game": {"kind": "sir", "beta": 1},
        "seed": 3,
    }
    assert place(document, "time", "end") == "child.yaml:2:8"
    assert place(document, "time", "save_every") == "base.yaml:2:17"
    assert place(document, "game", "beta") == "base.yaml:3:19"
    assert place(document, "seed") == "child.yaml:3:1"
    assert "extends" not in document.value


def test_extends_is_relative_to_the_file_and_nests(tmp_path: Path) -> None:
    """Catches a path looked up in the working folder, or only one level of extending."""
    write(tmp_path, "lib/root.yaml", "a: 1\nb: 1\nc: 1\n")
    write(tmp_path, "lib/middle.yaml", "extends: root.yaml\nb: 2\nc: 2\n")
    top = write(tmp_path, "top.yaml", "extends: lib/middle.yaml\nc: 3\n")
    document = load_document(top)
    assert document.value == {"a": 1, "b": 2, "c": 3}
    assert [place(document, key) for key in "abc"] == ["root.yaml:1:1", "middle.yaml:2:1", "top.yaml:2:1"]


def test_extending_in_a_circle_is_named(tmp_path: Path) -> None:
    """Catches endless recursion; the message shows the whole circle and the line."""
    write(tmp_path, "a.yaml", "extends: b.yaml\n")
    write(tmp_path, "b.yaml", "x: 1\nextends: a.yaml\n")
    with pytest.raises(ScenarioError, match=r"b\.yaml:2:1: extends: .*circle: a\.yaml -> b\.yaml -> a\.yaml"):
        load_document(tmp_path / "a.yaml")


@pytest.mark.parametrize(("base", "what"), [("absent.yaml", "no file 'absent.yaml'"), ("[a, b]", "must be the path")])
def test_a_bad_base_is_an_error(tmp_path: Path, base: str, what: str) -> None:
    """Catches a missing or wrongly typed `extends` without file and line."""
    path = write(tmp_path, "a.yaml", f"x: 1\nextends: {base}\n")
    with pytest.raises(ScenarioError, match=rf"a\.yaml:2:1: extends: .*{what}"):
        load_document(path)


def test_another_kind_replaces_the_whole_component(tmp_path: Path) -> None:
    """Catches options of the old kind left behind, with values or positions."""
    write(tmp_path, "base.yaml", "graph: {kind: configuration, degrees: {poisson: 10}}\n")
    child = write(tmp_path, "child.yaml", "extends: base.yaml\ngraph: {kind: complete}\n")
    document = load_document(child)
    assert document.value == {"graph": {"kind": "complete"}}
    assert place(document, "graph", "degrees") == "child.yaml:2:1"


def test_the_same_kind_or_none_merges(tmp_path: Path) -> None:
    """Catches a component that loses its other options though its kind stays."""
    write(tmp_path, "base.yaml", "game: {kind: sir, beta: 1, gamma: 2}\n")
    for extra in ("{kind: sir, beta: 3}", "{beta: 3}"):
        child = write(tmp_path, "child.yaml", f"extends: base.yaml\ngame: {extra}\n")
        assert load_document(child).value == {"game": {"kind": "sir", "beta": 3, "gamma": 2}}


def test_lists_are_replaced(tmp_path: Path) -> None:
    """Catches lists being joined or merged by index, and positions of the old list left behind."""
    write(tmp_path, "base.yaml", "a: [1, 2, 3]\n")
    document = load_document(write(tmp_path, "child.yaml", "extends: base.yaml\na: [9]\n"))
    assert document.value == {"a": [9]}
    assert place(document, "a", 2) == "child.yaml:2:1"


def test_null_removes_a_key(tmp_path: Path) -> None:
    """Catches null that is kept as a value; what is then missing is pointed at where it was removed."""
    write(tmp_path, "base.yaml", "game: {kind: sir, effort: {cost: 1}, beta: 2}\nseed: 1\n")
    document = load_document(write(tmp_path, "child.yaml", "extends: base.yaml\ngame: {effort: null}\nseed: null\n"))
    assert document.value == {"game": {"kind": "sir", "beta": 2}}
    assert place(document, "seed") == "child.yaml:3:1"
    assert place(document, "game", "effort", "cost") == "child.yaml:2:8"


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    """Catches a bare OSError."""
    with pytest.raises(ScenarioError, match="no such file"):
        load_document(tmp_path / "absent.yaml")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_document(tmp_path)


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    """Catches a bare UnicodeDecodeError."""
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_document(tmp_path / "latin.yaml")


def settings(document: Document, **pairs: str) -> Document:
    return apply_settings(document, {key.replace("__", "."): text for key, text in pairs.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.05", 0.05),
        ("1e-3", 1e-3),
        ("no", "no"),
        ("[1, 2]", [1, 2]),
        ("{a: 1}", {"a": 1}),
        ("'5'", "5"),
        ("true", True),
    ],
)
def test_settings_are_yaml(text: str, expected: Any) -> None:
    """Catches --set values that stay text, or that follow other rules than the file."""
    assert settings(read_document("game: {kind: sir}", "f"), game__beta=text).value["game"]["beta"] == expected


def test_settings_change_add_and_remove() -> None:
    """Catches a setting that drops its neighbours, or that cannot make a new key."""
    document = settings(read_document(TREE, "f"), game__effort__cost="5", new__deep="1", name="", list="null")
    assert document.value == {
        "game": {"kind": "sir", "effort": {"cost": 5, "infection_cost": [1, 22]}},
        "new": {"deep": 1},
    }


def test_faults_of_settings_point_at_the_command_line() -> None:
    """Catches a fault of --set that points into the file, and one of the file that points at --set."""
    document = settings(read_document(TREE, "f"), game__effort__cost="-5")
    assert str(document.position(("game", "effort", "cost"))) == "--set game.effort.cost=-5"
    assert str(document.position(("game", "effort", "infection_cost"))) == "f:5:12"
    assert str(document.position(("game", "kind"))) == "f:3:3"


def test_later_settings_win_and_kind_replaces() -> None:
    """Catches settings applied in another order, or a changed kind that keeps old options."""
    document = apply_settings(read_document(TREE, "f"), {"game.kind": "seir", "game.beta": "2"})
    assert document.value["game"] == {"kind": "seir", "beta": 2}


@pytest.mark.parametrize(("key", "text"), [("game..beta", "1"), (".game", "1"), ("game.", "1"), ("game", "[1")])
def test_bad_settings_are_errors(key: str, text: str) -> None:
    """Catches a malformed setting that is silently ignored."""
    with pytest.raises(ScenarioError, match=r"--set game|--set \.game"):
        apply_settings(read_document(TREE, "f"), {key: text})
