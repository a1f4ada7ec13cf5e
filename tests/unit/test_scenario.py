"""Scenarios: what is read, and every fault at once with its place."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

import mesocosm
from mesocosm import Scenario, ScenarioError

GOOD = """\
mesocosm: 1
name: example
seed: 7
time: {end: 20, save_every: 0.5, unit: day}
population: {size: 100, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.5, gamma: 0.1, effort: {cost: 2}}
dynamics:
  agents: {kind: agent_based, replicates: 4, policy: {from: nash}}
  nash:
    kind: classical_mfg
compare: {reference: agents}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        mesocosm.parse(text)
    return [str(fault) for fault in caught.value.faults]


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def only_fault(*pairs: tuple[str, str]) -> str:
    (fault,) = faults(changed(*pairs))
    return fault


def test_a_scenario_is_read() -> None:
    """Catches a key that is read and lost, and a default that is not the documented one."""
    scenario = mesocosm.parse(GOOD)
    assert (scenario.name, scenario.seed, scenario.device, scenario.precision) == ("example", 7, "cpu", "float64")
    assert (scenario.time.end, scenario.time.save_every, scenario.time.unit) == (20, 0.5, "day")
    assert (scenario.population.size, scenario.population.initial) == (100, {"I": 0.1})
    assert (scenario.graph.name, scenario.game.name) == ("complete", "sir")
    resolved = scenario.resolved()
    assert resolved["game"]["effort"] == {"cost": 2, "infection_cost": 1, "minimum": 0}
    assert list(resolved["dynamics"]) == ["agents", "nash"]
    assert resolved["dynamics"]["agents"]["policy"] == {"from": "nash"}
    assert resolved["compare"] == {"reference": "agents", "observables": None, "window": None}


def test_the_order_follows_references_then_the_file() -> None:
    """Catches a dynamics that runs before the one it refers to, and an order that depends on chance."""
    assert mesocosm.parse(GOOD).order() == ["nash", "agents"]
    more = GOOD.replace("compare:", "  third: {kind: classical_mfg}\n  first: {kind: agent_based}\ncompare:")
    assert mesocosm.parse(more).order() == ["nash", "agents", "third", "first"]


def test_the_resolved_scenario_reads_as_itself() -> None:
    """Catches a resolved scenario that is not a scenario: resuming a run reads it."""
    scenario = mesocosm.parse(GOOD)
    again = mesocosm.parse(json.dumps(scenario.resolved()))
    assert again.resolved() == scenario.resolved()
    assert again.digest() == scenario.digest()


def test_the_digest_tells_scenarios_apart_and_ignores_layout() -> None:
    """Catches a digest of the text instead of the content, and one that misses an option."""
    digest = mesocosm.parse(GOOD).digest()
    assert mesocosm.parse("# a comment\n" + changed(("0.1, effort", "1e-1, effort"))).digest() == digest
    assert mesocosm.parse(changed(("beta: 0.5", "beta: 0.51"))).digest() != digest


def test_a_scenario_is_frozen() -> None:
    """Catches a scenario that can change after it was checked."""
    scenario = mesocosm.parse(GOOD)
    with pytest.raises(AttributeError):
        scenario.seed = 8  # type: ignore[misc]
    with pytest.raises(Exception, match="frozen"):
        scenario.game.options.beta = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("seed: 7", "sed: 7\nseed: 7", "scenario:3:1: sed: unknown option; did you mean 'seed'?\n    sed: 7"),
        ("beta: 0.5", "betta: 1, beta: 0.5", "scenario:7:19: game.betta: unknown option; did you mean 'beta'?"),
        ("{cost: 2}", "{csot: 2}", "scenario:7:51: game.effort.csot: unknown option; did you mean 'cost'?"),
        ("unit: day", "units: day", "scenario:4:34: time.units: unknown option; did you mean 'unit'?"),
        (
            "replicates: 4",
            "replicas: 4",
            "scenario:9:31: dynamics.agents.replicas: unknown option; did you mean 'replicates'?",
        ),
        (
            "{from: nash}",
            "{constnat: 1, from: nash}",
            "dynamics.agents.policy.constnat: unknown option; did you mean 'constant'?",
        ),
        ("{reference: agents}", "{zzz: 1}", "compare.zzz: unknown option; known: observables, reference, window"),
        (
            "{kind: complete}",
            "{kind: complete, size: 3}",
            "scenario:6:25: graph.size: unknown option; there are no options here",
        ),
    ],
)
def test_unknown_keys(old: str, new: str, fault: str) -> None:
    """Catches a misspelt key that is silently ignored, at any depth, or one without its place and a suggestion."""
    assert fault in only_fault((old, new))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("beta: 0.5", 'beta: "0.5"', 'scenario:7:19: game.beta: "0.5" must be a valid number'),
        ("beta: 0.5", "beta: true", "scenario:7:19: game.beta: true must be a valid number"),
        ("beta: 0.5", "beta: [0.5]", "scenario:7:19: game.beta: [0.5] must be a valid number"),
        ("beta: 0.5", "beta: {a: 1}", 'game.beta: {"a": 1} must be a valid number'),
        ("beta: 0.5", "beta: null", "game.beta: null must be a valid number"),
        ("beta: 0.5", "beta: .nan", "game.beta: NaN must be a finite number"),
        ("beta: 0.5", "beta: .inf", "game.beta: Infinity must be a finite number"),
        ("beta: 0.5", "beta: -0.5", "scenario:7:19: game.beta: -0.5 must be greater than or equal to 0"),
        ("gamma: 0.1", "gamma: -1e-9", "game.gamma: -1e-09 must be greater than or equal to 0"),
        ("{cost: 2}", "{cost: 0}", "game.effort.cost: 0 must be greater than 0"),
        ("seed: 7", "seed: 7.5", "scenario:3:1: seed: 7.5 must be a valid integer"),
        ("seed: 7", "seed: -7", "seed: -7 must be greater than or equal to 0"),
        ("seed: 7", "seed: true", "seed: true must be a valid integer"),
        ("seed: 7", "seed: 9223372036854775808", "seed: 9223372036854775808 must be less than"),
        ("mesocosm: 1", "mesocosm: 2", "scenario:1:1: mesocosm: 2 must be 1"),
        ("mesocosm: 1", "mesocosm: '1'", 'mesocosm: "1" must be 1'),
        ("name: example", "name: a/b", 'name: "a/b" '),
        ("name: example", "name: 12", "name: 12 must be a valid string"),
        ("size: 100", "size: 1", "population.size: 1 must be greater than or equal to 2"),
        ("size: 100", "size: 100.0", "population.size: 100.0 must be a valid integer"),
        ("replicates: 4", "replicates: 0", "dynamics.agents.replicates: 0 must be greater than or equal to 1"),
        ("{kind: complete}", "complete", 'scenario:6:1: graph: "complete" must be'),
        ("{kind: complete}", "[complete]", 'graph: ["complete"] must be'),
        ("kind: classical_mfg", "classical_mfg", 'dynamics.nash: "classical_mfg" must be'),
        ("{reference: agents}", "agents", 'compare: "agents" must be'),
        ("seed: 7", "seed: 7\ndevice: gpu", 'scenario:4:1: device: "gpu" '),
        ("seed: 7", "seed: 7\nprecision: float16", "precision: \"float16\" must be 'float32' or 'float64'"),
        ("{from: nash}", "Nash", 'scenario:9:46: dynamics.agents.policy: "Nash" '),
        ("{reference: agents}", "{window: [1]}", "compare.window.1: missing"),
    ],
)
def test_wrong_types_and_ranges(old: str, new: str, fault: str) -> None:
    """Catches a number read from text or from a truth value, a fraction cut off, a range that is not checked."""
    assert fault in only_fault((old, new))


@pytest.mark.parametrize(
    ("initial", "what"),
    [
        ("{I: 1.1}", "the share of I is 1.1; shares lie between 0 and 1"),
        ("{I: -0.1}", "the share of I is -0.1; shares lie between 0 and 1"),
        ("{I: 0.6, R: 0.5}", "the shares add up to 1.1; they must not exceed 1"),
    ],
)
def test_initial_shares(initial: str, what: str) -> None:
    """Catches shares above one or below zero that are silently scaled or clipped."""
    assert (
        only_fault(("{I: 0.1}", initial))
        == f"scenario:5:25: population.initial: {what}\n    {changed(('{I: 0.1}', initial)).splitlines()[4]}"
    )


@pytest.mark.parametrize(
    ("population", "what"),
    [
        ("{size: 9, initial: {I: 0.1}, initial_counts: {I: 1}}", "give either initial or initial_counts, not both"),
        ("{size: 9, initial_counts: {I: -1}}", "initial_counts must not be negative"),
        ("{size: 9, initial_counts: {I: 5, R: 5}}", "initial_counts add up to more than the size 9"),
        ("{size: 9, initial_counts: {I: 0.5}}", "0.5 must be a valid integer"),
        ("{size: 9, groups: {x: {initial: {I: 2}}}}", "population.groups.x.initial: the share of I is 2"),
        (
            "{size: 9, groups: {x: {inital: {I: 1}, initial: {I: 1}}}}",
            "population.groups.x.inital: unknown option; did you mean 'initial'?",
        ),
    ],
)
def test_other_ways_to_give_the_population(population: str, what: str) -> None:
    """Catches a contradiction that one of two keys silently wins."""
    assert what in only_fault(("{size: 100, initial: {I: 0.1}}", population))


@pytest.mark.parametrize("key", ["mesocosm", "name", "seed", "time", "population", "graph", "game"])
def test_required_keys(key: str) -> None:
    """Catches a missing key that gets a silent default (a seed above all)."""
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key}:")]
    (fault,) = faults("\n".join(lines))
    assert fault.startswith(f"scenario:1:1: {key}: missing; this option is required")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("beta: 0.5, ", "", "scenario:7:1: game.beta: missing; this option is required"),
        ("end: 20, ", "", "scenario:4:1: time.end: missing; this option is required"),
        ("{from: nash}", "{}", "scenario:9:46: dynamics.agents.policy.from: missing"),
        ("kind: complete", "", "scenario:6:1: graph.kind: the kind of a graph component is missing"),
        ("kind: sir", "kind: 3", "scenario:7:8: game.kind: the kind of a game component is 3"),
        ("kind: sir", "kind: sirr", "scenario:7:8: game.kind: no game is called 'sirr'; did you mean 'sir'?"),
        (
            "kind: complete",
            "kind: zzz",
            "scenario:6:9: graph.kind: no graph is called 'zzz'; known: barabasi_albert, blocks",
        ),
        (
            "kind: classical_mfg",
            "kind: clasical_mfg",
            "dynamics.nash.kind: no dynamics is called 'clasical_mfg'; did you mean 'classical_mfg'?",
        ),
    ],
)
def test_missing_options_and_kinds(old: str, new: str, fault: str) -> None:
    """Catches a missing option or unknown component without its place, or without what there is to choose from."""
    assert fault in only_fault((old, new))


@pytest.mark.parametrize(
    ("pairs", "fault"),
    [
        (
            [("{from: nash}", "{from: nahs}")],
            "scenario:9:55: dynamics.agents.policy.from: no dynamics is labelled 'nahs'; did you mean 'nash'?",
        ),
        ([("{from: nash}", "{from: agents}")], "dynamics: dynamics refer to each other in a circle: agents -> agents"),
        (
            [("kind: classical_mfg", "kind: agent_based\n    policy: {from: agents}")],
            "scenario:8:1: dynamics: dynamics refer to each other in a circle: ",
        ),
        (
            [("  nash:", "  comparison: {kind: classical_mfg}\n  nash:")],
            "scenario:10:3: dynamics.comparison: not a label",
        ),
        ([("  nash:", "  a/b: {kind: classical_mfg}\n  nash:")], "scenario:10:3: dynamics.a/b: not a label"),
        (
            [("{reference: agents}", "{reference: agent}")],
            "scenario:12:11: compare.reference: no dynamics is labelled 'agent'; did you mean 'agents'?",
        ),
        (
            [("end: 20", "end: 20.3")],
            "scenario:4:19: time.save_every: time: end 20.3 with save_every 0.5; end must be a whole number",
        ),
    ],
)
def test_what_does_not_fit_together(pairs: list[tuple[str, str]], fault: str) -> None:
    """Catches a reference to nothing, a cycle, a label that cannot be a group of the results, a horizon between saves."""
    assert fault in only_fault(*pairs)


def test_a_cycle_is_shown_in_the_direction_of_the_references() -> None:
    """Catches a cycle that reads backwards: a refers to b, b to c, c to a."""
    lines = [f"  {label}: {{kind: agent_based, policy: {{from: {other}}}}}" for label, other in ("ab", "bc", "ca")]
    (fault,) = faults(GOOD[: GOOD.index("dynamics:")] + "dynamics:\n" + "\n".join(lines))
    circle = fault.split("circle: ")[1].split(";")[0].split(" -> ")
    assert len(circle) == 4
    assert circle[0] == circle[-1]
    assert set(pairwise(circle)) == {("a", "b"), ("b", "c"), ("c", "a")}


def test_all_faults_at_once_in_the_order_of_the_file() -> None:
    """Catches a check that stops at the first fault, or that hides those of another part."""
    text = """\
mesocosm: 1
nam: x
seed: "1"
time: {end: 10, save_every: 3}
population: {size: 10, initial: {I: 2}}
graph: {kind: complte}
game:
  kind: sir
  beta: -1
  gamma: true
  efort: 1
dynamics:
  a: {kind: agent_based, policy: {from: zzz}}
  b: {kind: agent_based, replicates: 0, step: -1}
  comparison: {kind: agent_based}
compare: {reference: c}
"""
    found = faults(text)
    places = [
        "1:1: name: missing", "2:1: nam:", "3:1: seed:", "4:17: time.save_every", "5:24: population.initial",
        "6:9: graph.kind", "9:3: game.beta", "10:3: game.gamma", "11:3: game.efort", "13:35: dynamics.a.policy.from",
        "14:26: dynamics.b.replicates", "14:41: dynamics.b.step", "15:3: dynamics.comparison", "16:11: compare.reference",
    ]  # fmt: skip
    assert len(found) == len(places)
    for fault, place in zip(found, places, strict=True):
        assert fault.startswith(f"scenario:{place}")
        assert fault.splitlines()[1].strip() == text.splitlines()[int(place.split(":")[0]) - 1].strip()


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "text\n", "null\n"])
def test_what_is_no_mapping(text: str) -> None:
    """Catches a crash on an empty file or a list."""
    (fault,) = faults(text)
    assert "a scenario is a mapping; it begins with 'mesocosm: 1'" in fault


@pytest.mark.parametrize("key", ["time", "population", "graph", "game", "dynamics", "compare"])
@pytest.mark.parametrize("value", ["null", "3", "text", "[]", "[1]", "true"])
def test_a_section_of_the_wrong_shape_never_crashes(key: str, value: str) -> None:
    """Catches a traceback where a mapping was expected: each ends as a fault at its line."""
    lines = GOOD.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{key}:"))
    stop = next((number for number in range(start + 1, len(lines)) if not lines[number].startswith(" ")), len(lines))
    text = "\n".join([*lines[:start], f"{key}: {value}", *lines[stop:]])
    assert any(fault.startswith(f"scenario:{start + 1}:1: {key}: ") for fault in faults(text))


def test_faults_through_extends_and_settings(tmp_path: Path) -> None:
    """Catches a fault that points at the wrong one of two files, or not at the command line."""
    (tmp_path / "base.yaml").write_text(changed(("beta: 0.5", "beta: -1")))
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nseed: -1\ntime: {end: 1}\n")
    with pytest.raises(ScenarioError) as caught:
        mesocosm.load(tmp_path / "child.yaml", {"time.save_every": "x", "game.effort.cst": "1"})
    found = "\n".join(str(fault) for fault in caught.value.faults)
    assert f"{tmp_path}/child.yaml:2:1: seed: -1" in found
    assert f"{tmp_path}/base.yaml:7:19: game.beta: -1" in found
    assert '--set time.save_every=x: time.save_every: "x" must be a valid number' in found
    assert "--set game.effort.cst=1: game.effort.cst: unknown option; did you mean 'cost'?" in found
    assert len(caught.value.faults) == 4


def test_missing_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a missing file that only the run would find, and `data:` without the variable."""
    path = tmp_path / "s.yaml"
    path.write_text(changed(("{kind: complete}", "{kind: edges, file: no.csv, nodes: 'data:x.csv'}")))
    monkeypatch.delenv("MESOCOSM_DATA", raising=False)
    with pytest.raises(ScenarioError) as caught:
        mesocosm.load(path)
    first, second = (str(fault) for fault in caught.value.faults)
    assert first.startswith(f"{path}:6:22: graph.file: no file 'no.csv' (looked at {tmp_path}/no.csv)")
    assert second.startswith(f"{path}:6:36: graph.nodes: 'data:x.csv' is looked up under")
    monkeypatch.setenv("MESOCOSM_DATA", str(tmp_path))
    (tmp_path / "x.csv").touch()
    (tmp_path / "no.csv").touch()
    assert isinstance(mesocosm.load(path), Scenario)
