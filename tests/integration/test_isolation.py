"""One plugin that is wrong ends in one message that names it, and harms neither the others nor the run folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import mesocosm


def second(bench: Any, kind: str = "weather", options: str = "") -> Path:
    """The scenario with another kind of second dynamics."""
    return bench.scenario(("second: {kind: toy}", f"second: {{kind: {kind}{options}}}"))


NAMED = "plugin 'weather' (weather-package 0.1)"

WRONG_BEFORE_A_RUN = {
    "failing import": (
        lambda given: {"announcement": "import weather_missing\n"},
        "cannot be imported: ModuleNotFoundError",
    ),
    "failing announcement": (
        lambda given: {"announcement": "raise RuntimeError('{name} is off')\n"},
        "RuntimeError: weather is off",
    ),
    "ended process": (lambda given: {"announcement": "import sys; sys.exit(3)\n"}, "SystemExit: 3"),
    "missing extra": (
        lambda given: {"requires": "('rain-gauge',)"},
        "needs the package 'rain-gauge'.*pip install rain-gauge",
    ),
    "wrong API version": (lambda given: {"api": 99}, "was written for plugin interface 99; this is 1"),
    "misspelt hook": (
        lambda given: {"announcement": given.announcement + "\n@hookimpl\ndef mesocosm_run_begun(run):\n    pass\n"},
        "mesocosm_run_begun.*hooks are: .*mesocosm_run_started",
    ),
    "broken factory": (lambda given: {"parts": given.parts + "\n1 / 0\n"}, "cannot be imported: ZeroDivisionError"),
    "options that are no model": (
        lambda given: {"parts": given.parts + "\nChoices = dict\n"},
        "must be a subclass of mesocosm.Options",
    ),
    "options that raise": (
        lambda given: {
            "parts": given.parts.replace("    pass", "    def model_post_init(self, context):\n        1 / 0", 1)
        },
        "the options of dynamics 'weather' are broken: ZeroDivisionError",
    ),
    "options that are not serialisable": (
        lambda given: {
            "parts": given.parts.replace(
                "    pass",
                "    model_config = dict(arbitrary_types_allowed=True)\n    field: object = object()",
                1,
            )
        },
        "the options of dynamics 'weather' are broken: PydanticSerializationError",
    ),
    "options of a type without a schema": (
        lambda given: {"parts": given.parts.replace("    pass", "    field: np.ndarray | None = None", 1)},
        "the options of dynamics 'weather' are broken: PydanticSchemaGenerationError",
    ),
    "no dynamics": (lambda given: {"parts": given.parts + "\nMade = dict\n"}, "a subclass of mesocosm.Dynamics"),
    "unknown rules": (
        lambda given: {"parts": given.parts + "\nMade.follows = 'nobody'\n"},
        "follows 'nobody'; one of contacts, closure",
    ),
}


SEVERAL = """
import contextlib, io, json, sys
from mesocosm.cli import main
from mesocosm.registry import installed
ended = []
for words in json.loads(sys.argv[1]):
    sys.argv, out, err = ["mesocosm", "-p", "toy.py", *words], io.StringIO(), io.StringIO()
    installed.cache_clear()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    ended.append({"code": code, "stdout": out.getvalue(), "stderr": err.getvalue()})
print(json.dumps(ended))
"""


def several(pure: Any, path: str, commands: list[list[Any]]) -> list[dict[str, Any]]:
    """How commands of the program end, one after another in one process of their own: starting one takes a second."""
    code = SEVERAL.replace("sys.argv[1]", repr(json.dumps([[str(word) for word in words] for words in commands])))
    done = pure(code, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    ended: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return ended


@pytest.mark.parametrize("case", WRONG_BEFORE_A_RUN)
def test_what_is_wrong_before_a_run(bench: Any, pure: Any, install: Any, case: str) -> None:
    """Catches a traceback, a message without the plugin, its distribution or its version, and a plugin that takes others
    with it: the same scenario without it runs, and everything can be listed."""
    changed, says = WRONG_BEFORE_A_RUN[case]
    path = install("weather", **changed(install))
    wrong, sound = second(bench), bench.scenario(name="sound.yaml")
    commands = [["run", wrong], ["plugins"], ["schema"], ["run", sound, "--quiet", "--no-report"]]
    failed, listed, schema, ran = several(pure, path, commands)
    assert failed["code"] == 2
    assert re.search(says, failed["stderr"].replace("\n", " ")), failed["stderr"]
    assert NAMED in failed["stderr"]
    assert failed["stderr"].count("error: ") == 1
    assert "Traceback" not in failed["stderr"]
    assert (listed["code"], schema["code"], ran["code"]) == (0, 0, 0)
    assert "agent_based" in listed["stdout"]
    assert "agent_based" in schema["stdout"]
    (folder,) = bench.runs()
    assert json.loads((folder / "manifest.json").read_text())["status"] == "done"


WRONG_IN_A_RUN = {
    "raises": (", fault: raise", "ValueError: the toy is broken"),
    "NaN": (", fault: nan", "'occupancy' is not finite in replicate 1"),
    "shape": (", fault: shape", r"'occupancy' has shape \(3, 2\)"),
    "mass": (", fault: mass", "'occupancy' adds up to 0.99"),
}


@pytest.mark.parametrize("case", WRONG_IN_A_RUN)
def test_what_is_wrong_in_a_run(bench: Any, install: Any, case: str) -> None:
    """Catches an error of a dynamics without label, time, plugin, distribution or version; what others computed is kept."""
    options, says = WRONG_IN_A_RUN[case]
    told = bench.process("run", second(bench, options=options), "--quiet", code=1, PYTHONPATH=install("weather")).stderr
    assert re.search(says, told), told
    assert "dynamics 'second'" in told
    assert re.search("at time 2|between times 1 and 2", told)
    assert f"it comes from {NAMED}" in told
    (folder,) = bench.runs()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["status"], manifest["dynamics"]["first"]["status"]) == ("failed", "done")
    assert NAMED in manifest["message"]
    assert mesocosm.open_results(folder / "checkpoints" / "first.nc").labels == ("first",)


def test_a_hook_that_raises(bench: Any, install: Any) -> None:
    """Catches a hook that stops a run, or fails in silence; later plugins still hear of the run."""
    raising = install.announcement + "\n@hookimpl\ndef mesocosm_run_started(run):\n    raise KeyError('barometer')\n"
    hearing = install.announcement + "\n@hookimpl\ndef mesocosm_run_started(run):\n    print('heard of', run['name'])\n"
    install("weather", announcement=raising)
    path = install("climate", announcement=hearing)
    done = bench.process("run", bench.scenario(), "--no-report", PYTHONPATH=path)
    assert f"warning: {NAMED}: hook mesocosm_run_started raised KeyError: 'barometer'" in done.stderr
    assert "heard of toys" in done.stdout
    manifest = json.loads((bench.runs()[0] / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert any("barometer" in warning for warning in manifest["warnings"])


def test_a_duplicate_name_is_an_error_although_one_side_is_heavy(bench: Any, install: Any) -> None:
    """Catches a deferred plugin whose component is shadowed by another of the same name."""
    heavy = "import numpy\n" + install.announcement
    light = install("weather", announcement=install.announcement.replace('name="{name}"', 'name="sky"'))
    install("climate", announcement=heavy.replace('name="{name}"', 'name="sky"'))
    told = bench.process("validate", second(bench, "sky"), code=2, PYTHONPATH=light).stderr
    assert f"dynamics 'sky' is registered by plugin 'climate' (climate-package 0.1) and by {NAMED}" in told


PROBE = """
import sys, time
started = time.perf_counter()
sys.argv = ["mesocosm", "plugins"]
from mesocosm.cli import main
try:
    main()
finally:
    print([name for name in ("heavy_ballast", "weather_parts", "climate_parts") if name in sys.modules], file=sys.stderr)
"""


def test_listing_imports_neither_a_broken_nor_a_heavy_plugin(bench: Any, install: Any, pure: Any) -> None:
    """Catches a listing that waits for a library which a plugin imports as it is announced, even inside try, and one that
    imports what components name."""
    ballast = "import time\ntime.sleep(20)\nraise SystemExit('imported')\n"
    path = install("weather", announcement=install.announcement, parts="raise RuntimeError('imported')\n")
    install(
        "climate", announcement="try:\n    import heavy_ballast\nexcept Exception:\n    pass\n" + install.announcement
    )
    install("broken", announcement="raise RuntimeError('broken')\n")
    (bench.folder / "site" / "heavy_ballast.py").write_text(ballast)
    done = pure(PROBE, PYTHONPATH=path)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    rows = [line.split(maxsplit=6) for line in done.stdout.splitlines()]
    assert ["dynamics", "weather", "weather-package", "0.1", "loaded", "weather", "for tests"] in rows
    told = {row[1]: row[2:] for row in rows if row[0] == "plugin"}
    assert told["climate"][:3] == ["climate-package", "0.1", "deferred"]
    assert "imports 'heavy_ballast'" in told["climate"][4]
    assert told["broken"][2:] == ["failed", "broken", "cannot be imported: RuntimeError: broken"]


def test_a_deferred_plugin_runs_like_any_other(bench: Any, install: Any) -> None:
    """Catches a plugin that is lost, or half imported, because its announcement imports NumPy."""
    path = install("weather", announcement="import numpy as np\nhalf = np.pi / 2\n" + install.announcement)
    bench.process("validate", second(bench), PYTHONPATH=path)
    bench.process("run", second(bench), "--quiet", "--no-report", PYTHONPATH=path)
    manifest = json.loads((bench.runs()[0] / "manifest.json").read_text())
    used = [item for item in manifest["plugins"] if item["name"] == "weather"]
    assert used == [
        {
            "kind": "dynamics",
            "name": "weather",
            "plugin": "weather",
            "distribution": "weather-package",
            "version": "0.1",
        }
    ]


def test_hooks_are_traced(bench: Any, install: Any) -> None:
    """Catches a trace that leaves out a call, or the plugin that it goes to."""
    hearing = install.announcement + "\n@hookimpl\ndef mesocosm_run_finished(run):\n    pass\n"
    path = install("weather", announcement=hearing)
    told = bench.process("--trace-hooks", "run", bench.scenario(), "--quiet", "--no-report", PYTHONPATH=path).stderr
    assert f"hook: mesocosm_components() -> {NAMED}" in told
    assert re.search(r"hook: mesocosm_run_finished\(run=\{.*\) -> " + re.escape(NAMED), told)


def test_a_scenario_may_require_versions(bench: Any, install: Any) -> None:
    """Catches a requirement that is not checked, or without its line; all of them are reported at once."""
    path = install("weather")

    def requiring(text: str) -> Path:
        return bench.scenario(("seed: 5", f"seed: 5\nrequires: {{{text}}}"))

    bench.process("validate", requiring("mesocosm: '>=0.1', weather-package: '==0.1', numpy: ''"), PYTHONPATH=path)
    told = bench.process(
        "validate", requiring("weather-package: '>=2', rain-gauge: '>=1', mesocosm: newest"), code=2, PYTHONPATH=path
    ).stderr
    assert "s.yaml:4:12: requires.weather-package: 'weather-package' 0.1 is installed, and >=2 is required" in told
    assert (
        "requires.rain-gauge: 'rain-gauge' is not installed, and >=1 is required; pip install 'rain-gauge>=1'" in told
    )
    assert "requires.mesocosm: 'newest' is not a range of versions" in told
