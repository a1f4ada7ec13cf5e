"""Options models: strictness, references, data paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mesocosm import ConstantControl, DataPath, LearnFrom, Options, PolicyFile, PolicyFrom, PolicyOption
from mesocosm.options import references


class Inner(Options):
    policy: PolicyOption = "none"


class Example(Options):
    number: float = 1.0
    policy: PolicyOption = "none"
    learn: LearnFrom | None = None
    inner: Inner = Inner()


class WithFile(Options):
    file: DataPath


def test_unknown_keys_infinity_and_changes_are_refused() -> None:
    """Catches options that accept a misspelt key, an infinite rate, or being changed after the check."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        Example.model_validate({"numbr": 2})
    with pytest.raises(ValidationError, match="finite"):
        Example(number=float("nan"))
    with pytest.raises(ValidationError, match="frozen"):
        Example().number = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("none", "none"),
        ({"constant": 0.5}, ConstantControl(constant=0.5)),
        ("n_player", "n_player"),
        ({"from": "nash"}, PolicyFrom.model_validate({"from": "nash"})),
        ({"file": __file__}, PolicyFile.model_validate({"file": __file__})),
    ],
)
def test_the_ways_to_give_a_policy(given: object, expected: object) -> None:
    """Catches a policy read as another of its forms."""
    assert Example.model_validate({"policy": given}).policy == expected


@pytest.mark.parametrize("given", ["Nash", 1, None, {"constant": 1, "from": "x"}, {}])
def test_any_other_policy_is_refused(given: object) -> None:
    """Catches a policy that is neither and falls back to none."""
    with pytest.raises(ValidationError):
        Example.model_validate({"policy": given})


def test_references_are_found_at_every_depth() -> None:
    """Catches a reference that the scheduler would not order by: its dotted name is that of the file."""
    options = Example.model_validate(
        {
            "policy": {"from": "a"},
            "learn": {"from": "b", "until": 3},
            "inner": {"policy": {"from": "c"}},
        }
    )
    assert [(name, reference.from_) for name, reference in references(options)] == [
        ("policy", "a"),
        ("learn", "b"),
        ("inner.policy", "c"),
    ]


def test_data_paths(tmp_path: Path) -> None:
    """Catches a path relative to the working folder; the result is absolute, so that a run can be resumed elsewhere."""
    (tmp_path / "data" / "networks").mkdir(parents=True)
    (tmp_path / "data" / "networks" / "x.csv").touch()
    (tmp_path / "own.csv").touch()
    places = {"folder": str(tmp_path), "data": str(tmp_path / "data")}
    assert WithFile.model_validate({"file": "own.csv"}, context=places).file == tmp_path / "own.csv"
    assert (
        WithFile.model_validate({"file": "data:networks/x.csv"}, context=places).file
        == tmp_path / "data/networks/x.csv"
    )


def test_relative_folders_give_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a path that means something else once the program runs in another folder."""
    (tmp_path / "own.csv").touch()
    monkeypatch.chdir(tmp_path)
    assert WithFile.model_validate({"file": "own.csv"}, context={"folder": "."}).file == tmp_path / "own.csv"


@pytest.mark.parametrize(
    ("file", "data", "says"),
    [
        ("absent.csv", None, "no file 'absent.csv'"),
        (".", None, r"no file '\.'"),
        ("data:x.csv", None, "MESOCOSM_DATA, which is not set"),
        ("data:x.csv", "/nowhere", "no file 'data:x.csv'"),
    ],
)
def test_missing_data_is_an_error(tmp_path: Path, file: str, data: str | None, says: str) -> None:
    """Catches a missing file found only in the middle of a run."""
    with pytest.raises(ValidationError, match=says):
        WithFile.model_validate({"file": file}, context={"folder": str(tmp_path), "data": data})
