"""Reads README and documentation as a reader would: blocks in order, in an empty folder."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import mesocosm
from mesocosm import Registry
from mesocosm.cli import main
from mesocosm.registry import installed

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n)?^(?P<fence>`{3,})(?P<language>[\w{}-]*)\n(?P<text>.*?)^(?P=fence)$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the file that it is saved as, if it names one."""

    language: str
    text: str
    file: str


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(each["language"], each["text"], each["file"] or "") for each in found]


def shell_lines(page: Path) -> Iterator[str]:
    """The commands of a page."""
    for block in blocks_of(page):
        if block.language == "sh":
            yield from block.text.splitlines()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documentation's own modules can be imported."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    return ROOT / "docs"


@pytest.fixture
def blocks() -> Callable[[Path], list[Block]]:
    """Fenced blocks of a page."""
    return blocks_of


@pytest.fixture
def commands() -> Callable[[Path], list[str]]:
    """Commands of a page."""
    return lambda page: list(shell_lines(page))


@pytest.fixture
def follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Path], None]:
    """Do what a page says: save its files, check its scenarios, run its Python and its `mesocosm` commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")

    def follow_page(page: Path) -> None:
        names: dict[str, object] = {"__name__": "page"}
        for block in blocks_of(page):
            if block.file:
                Path(block.file).write_text(block.text, encoding="utf-8")
            if block.language == "yaml":
                check_scenario(block, tmp_path)
            elif block.language == "python" and not block.file:
                exec(compile(block.text, str(page), "exec"), names)
            elif block.language == "sh":
                for line in block.text.splitlines():
                    if line.startswith("mesocosm "):
                        run_command(line, monkeypatch, capsys)

    return follow_page


def check_scenario(block: Block, folder: Path) -> None:
    """A scenario of a page is valid, with the plugin files that the page has saved so far."""
    plugins = Registry.discover(sorted(folder.glob("*.py")))
    if "extends:" in block.text:
        path = folder / (block.file or "unnamed.yaml")
        path.write_text(block.text, encoding="utf-8")
        mesocosm.load(path, registry=plugins)
    else:
        mesocosm.parse(block.text, registry=plugins)


def run_command(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A `mesocosm` command ends with exit code 0; a pattern stands for the files that it matches, as in a shell."""
    words: list[str] = []
    for word in shlex.split(line):
        words += sorted(str(path) for path in Path().glob(word)) if "*" in word else [word]
    monkeypatch.setattr(sys, "argv", words)
    installed.cache_clear()  # as in a process of its own
    with pytest.raises(SystemExit) as ended:
        main()
    installed.cache_clear()
    shown = capsys.readouterr()
    assert ended.value.code == 0, f"{line}\n{shown.out}\n{shown.err}"
