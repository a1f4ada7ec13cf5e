"""Reads README and documentation as a reader would: blocks in order, in an empty folder."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The documentation's own modules can be imported; they are forgotten at the end."""
    modules = ROOT / "docs" / "_ext"
    monkeypatch.syspath_prepend(str(modules))
    yield ROOT / "docs"
    forget(modules)


def forget(folder: Path) -> None:
    """Nothing that was imported from a folder stays imported."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def blocks() -> Callable[[Path], list[Block]]:
    """Fenced blocks of a page."""
    return blocks_of


@pytest.fixture
def commands() -> Callable[[Path], list[str]]:
    """Commands of a page."""
    return lambda page: list(shell_lines(page))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A shell in an empty folder. What was imported from that folder is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("MESOCOSM_DISABLE_PLUGINS", raising=False)
    yield Shell(tmp_path, monkeypatch, capsys)
    forget(tmp_path)


@pytest.fixture
def follow(shell: Shell) -> Callable[[Path], None]:
    """Do what a page says: save its files, check its scenarios, run its Python and its commands.

    Commands are `mesocosm ...`, `cd ...`, and `pip install` in a folder that holds a package. What a `console` block shows
    below a command must be what the command prints.
    """
    Path("scenarios").symlink_to(ROOT / "scenarios")

    def follow_page(page: Path) -> None:
        names: dict[str, object] = {"__name__": "page"}
        for block in blocks_of(page):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            if block.language == "yaml":
                check_scenario(block, Path.cwd())
            elif block.language == "python" and not block.file:
                exec(compile(block.text, str(page), "exec"), names)
            elif block.language == "sh":
                for line in block.text.splitlines():
                    shell.follow(line)
            elif block.language == "console":
                shell.compare(block.text)

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


@dataclass
class Shell:
    """As much of a shell as the pages need, in this process."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def follow(self, line: str) -> None:
        """A command that must succeed; one that is not known here is left alone."""
        code, shown = self.run(line)
        assert code == 0, f"{line}\n{shown[0]}\n{shown[1]}"

    def compare(self, text: str) -> None:
        """Commands after `$`, each with lines that it prints, in order; other lines may be between them."""
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            line, *expected = part.splitlines()
            _, (out, err) = self.run(line)
            wanted = [self.plain(each) for each in expected if each.strip() not in ("", "...")]
            found = [self.plain(each) for each in (*out.splitlines(), *err.splitlines())]
            swapped = [self.plain(each) for each in (*err.splitlines(), *out.splitlines())]
            assert in_order(wanted, found) or in_order(wanted, swapped), f"{line}\n{out}\n{err}"

    def plain(self, line: str) -> str:
        """A line without what differs from run to run: the folder of the test, and the name of a run folder."""
        return re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "ID", line.replace(f"{self.folder}/", "")).rstrip()

    def run(self, line: str) -> tuple[int, tuple[str, str]]:
        """Exit code and output; a variable may stand before a command, as in a shell."""
        words = shlex.split(line, comments=True)
        given = dict(word.split("=", 1) for word in words[: next_word(words)])
        words = words[next_word(words) :]
        with self.monkeypatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            if words[:1] == ["mesocosm"]:
                return self.mesocosm(words)
        if words[:1] == ["cd"]:
            self.monkeypatch.chdir(words[1])
        elif words[:1] == ["mkdir"]:
            Path(words[1]).mkdir()
        elif words[:1] == ["cp"]:
            (source,) = Path().glob(words[1])
            shutil.copy(source, words[2])
        elif words[:2] == ["pip", "install"] and Path("pyproject.toml").is_file():
            self.install()
        return 0, ("", "")

    def mesocosm(self, words: Sequence[str]) -> tuple[int, tuple[str, str]]:
        """A pattern stands for the files that it matches, as in a shell."""
        arguments: list[str] = []
        for word in words:
            arguments += sorted(str(path) for path in Path().glob(word)) if "*" in word else [word]
        self.monkeypatch.setattr(sys, "argv", arguments)
        installed.cache_clear()  # as in a process of its own
        with pytest.raises(SystemExit) as ended:
            main()
        installed.cache_clear()
        shown = self.capsys.readouterr()
        return int(ended.value.code or 0), (shown.out, shown.err)

    def install(self) -> None:
        """The package in the present folder, beside what is installed, for as long as the test runs."""
        site = self.folder / "site"
        options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(site), "."]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        self.monkeypatch.syspath_prepend(str(site))


def next_word(words: Sequence[str]) -> int:
    """How many words at the beginning are variables, `NAME=value`."""
    return next((number for number, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))


def in_order(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether all lines are there, one after another."""
    rest = iter(found)
    return all(any(line == each for each in rest) for line in wanted)
