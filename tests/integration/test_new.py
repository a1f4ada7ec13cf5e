"""`mesocosm new`: each package that it makes is installed in an environment of its own, and works as it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mesocosm
from mesocosm import scaffold

ROOT = Path(__file__).parents[2]
KINDS = ("dynamics", "game", "graph")
NAME = "tau_leap"


@dataclass(frozen=True)
class Made:
    """A generated package, and the environment that it is installed in."""

    kind: str
    folder: Path
    environment: Any

    def __call__(self, *arguments: str | Path) -> str:
        """Run Python in the folder of the package; what it printed."""
        printed: str = self.environment(*arguments, within=self.folder)
        return printed


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, environments: Any) -> Made:
    """The package `tau_leap` of each kind, made by the program and installed as it is."""
    folder = tmp_path_factory.mktemp(request.param)
    environment = environments.make(folder / "environment")
    told = environment("-m", "mesocosm", "new", request.param, NAME, within=folder)
    assert f"made {NAME}: the {request.param} '{NAME}'" in told
    environment.install(folder / NAME)
    return Made(request.param, folder / NAME, environment)


def test_it_is_listed_with_its_version(made: Made) -> None:
    """Catches an entry point that is missing, or an announcement that imports what makes mesocosm put it off."""
    lines = [line.split() for line in made("-m", "mesocosm", "plugins").splitlines()]
    assert [made.kind, NAME, NAME, "0.1.0", "loaded"] in [words[:5] for words in lines]
    assert lines[-1][0] != "plugin"


def test_its_scenario_runs_and_says_what_it_promises(made: Made) -> None:
    """Catches a scenario that is not valid, and an expected answer in its first lines that is not the answer."""
    assert "valid; would run" in made("-m", "mesocosm", "validate", "scenario.yaml")
    made("-m", "mesocosm", "run", "scenario.yaml", "--no-report")
    (folder,) = (made.folder / "runs").iterdir()
    results = mesocosm.open_results(folder)
    promise = (made.folder / "scenario.yaml").read_text(encoding="utf-8").split("mesocosm: 1")[0]
    if made.kind == "dynamics":
        assert "every gap is within the noise" in promise
        assert [row.exceeds_noise for row in results.rows() if row.measure != "l2_gap"].count(True) == 0
        return
    other, state, time = {"game": ("nash", "caught", 20), "graph": ("mean_field", "S", 60)}[made.kind]
    means = [results[label].occupancy.sel(state=state, time=time).mean() for label in ("agents", other)]
    shares = [float(1 - mean if state == "S" else mean) for mean in means]
    assert shares == pytest.approx([float(number) for number in re.findall(r"\d\.\d+", promise)], abs=0.02)


def test_its_own_tests_pass(made: Made) -> None:
    """Catches a template that breaks a rule of the conformance kit, or is wrong about its own law."""
    told = made("-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert int(re.findall(r"(\d+) passed", told)[0]) > 1, told


def test_it_is_clean(made: Made) -> None:
    """Catches a template that is not as clean as the code of mesocosm itself."""
    rules = "E,F,W,I,N,UP,B,C4,SIM,PT,RET,RUF,NPY,PERF"
    for command in (["check", "--select", rules], ["format", "--check"]):
        made("-m", "ruff", *command, "--isolated", "--line-length", "120", "--no-cache", ".")
    for file in made.folder.rglob("*"):
        if file.is_file() and "runs" not in file.parts and file.suffix != ".pyc":
            assert not re.search(r"\[\[|\[%|NAME|\bjinja", file.read_text(encoding="utf-8")), file


def test_its_announcement_imports_only_mesocosm(made: Made) -> None:
    """Catches an announcement that makes every command slow."""
    tree = ast.parse((made.folder / "src" / NAME / "__init__.py").read_text(encoding="utf-8"))
    imports = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imports == ["from mesocosm import Component, hookimpl"]


def test_an_editable_install_follows_its_source(tmp_path: Path, environments: Any) -> None:
    """Catches a package whose source is not where an editable install, which its README asks for, looks for it."""
    environment = environments.make(tmp_path / "environment")
    environment("-m", "mesocosm", "new", "graph", NAME, within=tmp_path)
    environment.install(tmp_path / NAME, "--editable")
    announcement = tmp_path / NAME / "src" / NAME / "__init__.py"
    text = announcement.read_text(encoding="utf-8")
    announcement.write_text(re.sub('summary=".*"', 'summary="mine"', text), encoding="utf-8")
    assert re.search(rf"graph +{NAME} .* mine\n", environment("-m", "mesocosm", "plugins", within=tmp_path))


def test_the_wheel_of_mesocosm_has_every_template(tmp_path: Path) -> None:
    """Catches templates that are found in a checkout only."""
    code = f"from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        shipped = {name for name in wheel.namelist() if name.startswith("mesocosm/templates/")}
    framework = ROOT / "framework"
    there = {str(path.relative_to(framework)) for path in (framework / "mesocosm" / "templates").rglob("*.jinja")}
    assert len(there) > 15
    assert shipped == there


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "Rumour",
            "lower case letters and digits, in words joined by one underscore; the first is a letter; try 'rumour'",
        ),
        ("my-rumour", "try 'my_rumour'"),
        ("my__rumour", "try 'my_rumour'"),
        ("rumour_", "try 'rumour'"),
        ("2rumours", "try 'rumours'"),
        ("rumour\n", "try 'rumour'"),
        ("", "try 'my_game'"),
        ("../rumour", "try 'rumour'"),
        ("class", "would be a keyword of Python; try 'class_game'"),
        ("none", "would be a keyword of Python; try 'none_game'"),
        ("null", "YAML reads it as nothing"),
        ("json", "it is a module of Python's standard library; try 'json_game'"),
        ("numpy", "a module of that name is installed: "),
        ("pyyaml", "a distribution of that name is installed; try 'pyyaml_game'"),
        ("sir", "plugin 'games' (mesocosm "),
        ("agents", "it is the name of plugin 'agents' (mesocosm "),
    ],
)
def test_bad_names(bench: Any, name: str, says: str) -> None:
    """Catches a name that breaks the package, its install, another package or the scenarios that use it."""
    before = set(bench.folder.iterdir())
    told = bench("new", "game", name, code=2).stderr
    assert f"error: new game: the name '{name}'; " in told
    assert says in told
    assert set(bench.folder.iterdir()) == before
    (other,) = re.findall(r"; try '(\w+)'\n", told)
    bench("new", "game", other)


def test_a_component_of_another_kind_has_the_name(bench: Any) -> None:
    """Catches a name that is refused though no scenario could mean both."""
    bench("new", "game", "lattice")
    assert "has a graph of that name; try 'lattice_graph'" in bench("new", "graph", "lattice", code=2).stderr


def test_names_that_the_templates_use_themselves(bench: Any, pure: Callable[..., Any]) -> None:
    """Catches a class that hides what it is made of: a game `game`, a dynamics `policy_from`, a graph `field`."""
    cases = [(kind, name) for kind in KINDS for name in ("dynamics", "options", "policy_from", "field", "a1", "build")]
    lines = ["import importlib, sys"]
    for kind, name in cases:
        bench("new", kind, name, "--into", make(bench.folder / kind))
        lines += [
            f"sys.path.insert(0, {str(bench.folder / kind / name / 'src')!r})",
            f"importlib.import_module('{name}.{kind}')",
            f"(part,) = importlib.import_module('{name}').mesocosm_components()",
            "for where in (part.factory, part.options):",
            "    module, attribute = where.split(':')",
            "    assert callable(getattr(importlib.import_module(module), attribute)), part",
            "sys.path.pop(0)",
            f"for module in ('{name}', '{name}.{kind}', '{name}.options'): del sys.modules[module]",
        ]
    done = pure("\n".join(lines))
    assert done.returncode == 0, done.stderr


def make(folder: Path) -> Path:
    """A folder that may exist."""
    folder.mkdir(exist_ok=True)
    return folder


def test_into(bench: Any) -> None:
    """Catches a folder that is made where it was not asked for, and one that others cannot enter."""
    inside = make(bench.folder / "sub")
    told = bench("new", "graph", NAME, "--into", "sub").stdout
    assert f"cd sub/{NAME}\n" in told
    assert (inside / NAME / "pyproject.toml").is_file()
    assert [path.name for path in inside.iterdir()] == [NAME]
    assert (inside / NAME).stat().st_mode == inside.stat().st_mode
    assert not (bench.folder / NAME).exists()


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_nothing_is_overwritten(bench: Any, what: str) -> None:
    """Catches work that is lost because its folder has the name: also an empty folder, a file, and a link to nowhere."""
    target = bench.folder / NAME
    {"folder": target.mkdir, "file": target.touch, "link": lambda: target.symlink_to("nowhere")}[what]()
    assert f"'{NAME}' exists; nothing is overwritten" in bench("new", "game", NAME, code=2).stderr
    assert sorted(path.name for path in bench.folder.iterdir()) == [NAME, "toy.py"]


def test_no_half_package_is_left(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches half a package where the disk is full, under its name or beside it."""
    write, written = Path.write_text, []

    def failing(path: Path, *arguments: Any, **named: Any) -> int:
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        written.append(path)
        return write(path, *arguments, **named)

    monkeypatch.setattr(Path, "write_text", failing)
    told = bench("new", "dynamics", NAME, code=2).stderr
    assert f"error: new dynamics: '{NAME}' cannot be written: [Errno 28] No space left on device" in told
    assert len(written) == 4
    assert [path.name for path in bench.folder.iterdir()] == ["toy.py"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("gane", NAME), "'gane' is not one of 'dynamics', 'game', 'graph'"),
        (("game",), "Missing argument 'NAME'"),
        (("game", NAME, "--into", "absent"), "--into: no folder 'absent'; make it first"),
        (("game", NAME, "--into", "toy.py"), "--into: no folder 'toy.py'"),
        (("game", "a" * 300), "cannot be written"),
    ],
)
def test_wrong_arguments(bench: Any, arguments: tuple[str, ...], says: str) -> None:
    """Catches a wrong command line that ends in a traceback, or that makes something all the same."""
    assert says in bench("new", *arguments, code=2).stderr
    assert [path.name for path in bench.folder.iterdir()] == ["toy.py"]


def test_every_kind_has_the_same_files() -> None:
    """Catches a template that is forgotten for one kind."""
    files = {
        kind: {place.replace(f"{kind}.py", "part.py") for place, _ in scaffold.render(kind, NAME)} for kind in KINDS
    }
    assert files["dynamics"] == files["game"] == files["graph"]
    assert {"pyproject.toml", "README.md", ".gitignore", "scenario.yaml", f"tests/test_{NAME}.py"} < files["game"]
