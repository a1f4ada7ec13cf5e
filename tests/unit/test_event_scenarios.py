"""Events in scenarios: what they become in a problem, and strategies of plugins."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from event_scenarios import HEAD, faults, text
from jsonschema import Draft7Validator

import mesocosm
from mesocosm import FiniteStateGame, Problem, Registry, ScenarioError
from mesocosm.schema import json_schema
from mesocosm.source import read_document

GOOD = """\
events:
  - {at: 20, set: {game.beta: 0.02}}
  - {name: lockdown, when: {observable: occupancy.I, above: 0.3}, set: {game.effort: {cost: 3}}}
  - {name: end, after: lockdown, when: {observable: occupancy.I, below: 0.1}, set: {game.beta: 0.05, game.effort: null}}
  - {at: 0, vaccinate: {share: 0.1, strategy: {kind: degree}, into: R}}
  - {at: 59.5, vaccinate: {count: 4, strategy: {kind: betweenness, samples: 9}, into: R, from: [S, I]}}
  - {at: 1, vaccinate: {count: 60, strategy: {kind: random}, into: S, anyone: true}}
"""


PLUGIN = """
import numpy as np
from pydantic import model_validator
from mesocosm import Component, FiniteStateGame, Options, Strategy, Transition, hookimpl

class Last(Strategy):
    def __init__(self, options):
        self.step = options.step
    def choose(self, graph, count, generator):
        return np.arange(graph.node_count)[:: -self.step][:count]

class LastOptions(Options):
    step: int = 1

class Mine(FiniteStateGame):
    channels = ("infected",)
    def __init__(self, options):
        self.states = ("S", "I", "R", "D") if options.more else ("S", "I", "R")
        self.transitions = (Transition.induced("S", "I", rate=options.beta, channel="infected"),)
    def emission(self, t, state, control):
        return self.stack([state == 1], like=control)

class MineOptions(Options):
    beta: float = 1
    gamma: float = 1
    effort: dict[str, float] = {}
    more: bool = False
    low: float = 0
    high: float = 1

    @model_validator(mode="after")
    def ordered(self):
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        return self

def not_a_strategy(options):
    return lambda graph, count, generator: np.arange(count)

@hookimpl
def mesocosm_components():
    name = __name__
    yield Component(kind="strategy", name="last", factory=f"{name}:Last", options=f"{name}:LastOptions", summary="")
    yield Component(kind="strategy", name="bad", factory=f"{name}:not_a_strategy", options=f"{name}:LastOptions", summary="")
    yield Component(kind="game", name="mine", factory=f"{name}:Mine", options=f"{name}:MineOptions", summary="")
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The plugins, with one of somebody else."""
    path = tmp_path_factory.mktemp("plugin") / "strangers.py"
    path.write_text(PLUGIN)
    return Registry.discover([path])


def built(*events: str, head: str = HEAD) -> Problem:
    return mesocosm.build(mesocosm.parse(text(*events).replace(HEAD, head)))


def test_an_event_may_not_make_another_game(stranger: Registry) -> None:
    """Catches an event after which the states of agents would mean something else."""
    head = HEAD.replace("{kind: sir,", "{kind: mine,")
    (found,) = faults(text("{at: 5, set: {game.more: true}}").replace(HEAD, head), stranger)
    assert "events.0.set: the game with these options has other states, ('S', 'I', 'R', 'D') and not" in found


def test_parameters_are_checked_together_with_those_that_are_certain_to_have_been_set_before(
    stranger: Registry,
) -> None:
    """Catches an event that is refused though it fits after earlier ones, and one that never fits but is taken."""
    head = HEAD.replace("{kind: sir,", "{kind: mine, low: 0, high: 1,")
    raised = "{name: raised, when: {observable: occupancy.I, above: 0.5}, set: {game.high: 3}}"
    right = (
        text("{at: 9, set: {game.low: 2}}", "{at: 5, set: {game.high: 3}}"),
        text(raised, "{at: 9, after: raised, set: {game.beta: 2}}", "{at: 9, set: {game.low: 1}}"),
        text(
            raised,
            "{name: more, at: 9, after: raised, set: {game.beta: 2}}",
            "{at: 9, after: more, set: {game.low: 2}}",
        ),
    )
    for scenario in right:
        assert mesocosm.build(mesocosm.parse(scenario.replace(HEAD, head), registry=stranger), stranger).events
    wrong = (
        text("{at: 5, set: {game.low: 2}}", "{at: 9, set: {game.high: 3}}"),
        text("{at: 5, set: {game.low: 2, game.beta: 3}}"),
        text(raised, "{at: 9, set: {game.low: 2}}"),
        text(
            "{name: a, when: {observable: occupancy.I, above: 0.5}, set: {game.beta: 2}}",
            "{at: 5, after: a, set: {game.high: 3}}",
            "{at: 9, set: {game.low: 2}}",
        ),
    )
    for scenario in wrong:
        (found,) = faults(scenario.replace(HEAD, head), stranger)
        assert ".set: the game with these options: low 2 is above high" in found


def test_what_a_scenario_says_is_what_a_problem_has() -> None:
    """Catches an option of an event that is read and lost, and a state, time or number of doses that is another one."""
    events = mesocosm.build(mesocosm.parse(HEAD + GOOD)).events
    assert events.names == ("event 1", "lockdown", "end", "event 4", "event 5", "event 6")
    first, lockdown, end, doses, late, all_of_them = events.items
    assert (first.at, first.parameters, lockdown.at) == (20.0, {"game.beta": 0.02}, None)
    assert lockdown.threshold is not None
    assert (lockdown.threshold.states, lockdown.threshold.above, lockdown.threshold.below) == ((1,), 0.3, None)
    assert lockdown.parameters == {"game.effort.cost": 3}
    assert end.after == 1
    assert end.threshold is not None
    assert end.threshold.below == 0.1
    assert doses.vaccination is not None
    assert late.vaccination is not None
    assert all_of_them.vaccination is not None
    assert [item.vaccination.count for item in (doses, late, all_of_them) if item.vaccination] == [6, 4, 60]
    assert (doses.vaccination.into, doses.vaccination.sources) == (2, {0})
    assert (late.vaccination.sources, all_of_them.vaccination.sources) == ({0, 1}, None)
    assert late.vaccination.strategy == "betweenness"
    changed = events.game(events.situation((0, 1)))
    assert isinstance(changed, FiniteStateGame)
    assert [transition.rate for transition in changed.transitions] == [0.02, 0.1]
    assert events.game(events.situation((2,))).has_costs is False


def test_groups_with_parameters_of_their_own_are_looked_at_and_vaccinated_apart() -> None:
    """Catches a threshold on everyone where a group is meant, a group parameter that an event overrides, and doses that make
    people change group or reach the ill."""
    head = HEAD.replace("{I: 0.1}}", "{I: 0.1}, groups: {old: {game: {gamma: 0.4}}}}")
    problem = built(
        "{when: {observable: group_occupancy.old.I, above: 0.5}, set: {game.gamma: 0.2}}",
        "{when: {observable: occupancy.I, below: 0.1}, vaccinate: {count: 60, strategy: {kind: random}, into: R}}",
        head=head,
    )
    game, (first, second) = problem.finite_game, problem.events.items
    assert game.states == ("S@old", "I@old", "R@old", "S@young", "I@young", "R@young")
    assert first.threshold is not None
    assert second.threshold is not None
    assert (first.threshold.states, first.threshold.within, second.threshold.states) == ((1,), (0, 1, 2), (1, 4))
    assert second.vaccination is not None
    assert second.vaccination.dosed(np.arange(6)).tolist() == [2, 1, 2, 5, 4, 5]
    changed = problem.events.game(problem.events.situation((0,)))
    assert isinstance(changed, FiniteStateGame)
    rates = {item.source: item.rate for item in changed.transitions if item.channel is None}
    assert rates == {"I@old": 0.4, "I@young": 0.2}
    (found,) = faults(
        text("{when: {observable: group_occupancy.olds.I, below: 1}, set: {game.beta: 1}}").replace(HEAD, head)
    )
    assert "events.0.when.observable: no node is in group 'olds'; did you mean 'old'?" in found


def test_layers_are_closed_by_name() -> None:
    """Catches a layer that is not there and is closed in silence."""
    layers = (
        "{home: {graph: {kind: erdos_renyi, mean_degree: 3}}, school: {graph: {kind: erdos_renyi, mean_degree: 2}}}"
    )
    head = HEAD.replace(
        "{kind: blocks, sizes: [20, 40], names: [young, old], mean_degrees: [[4, 2], [1, 3]]}",
        f"{{kind: layers, layers: {layers}}}",
    )
    (event,) = built("{at: 5, close: [school], open: [home]}", head=head).events.items
    assert (event.close, event.open) == (("school",), ("home",))
    (found,) = faults(text("{at: 5, open: [home, scool]}").replace(HEAD, head))
    assert "events.0.open.1: the contact graph has no layer 'scool'; did you mean 'school'?" in found


def test_the_resolved_scenario_reads_as_itself_and_events_tell_scenarios_apart() -> None:
    """Catches events that a resumed run would not have, and a digest that does not see them."""
    scenario = mesocosm.parse(HEAD + GOOD)
    again = mesocosm.parse(json.dumps(scenario.resolved()))
    assert again.resolved() == scenario.resolved()
    assert scenario.resolved()["events"][4]["vaccinate"]["strategy"] == {"kind": "betweenness", "samples": 9, "seed": 0}
    digests = {
        mesocosm.parse(source).digest() for source in (HEAD, HEAD + GOOD, HEAD + GOOD.replace("samples: 9", "seed: 1"))
    }
    assert len(digests) == 3
    assert mesocosm.build(again).events.items[1].threshold == mesocosm.build(scenario).events.items[1].threshold


def test_events_can_be_set_and_extended(tmp_path: Path) -> None:
    """Catches events that a setting or an extending scenario adds to, where it replaces them."""
    (tmp_path / "base.yaml").write_text(HEAD + GOOD)
    (tmp_path / "over.yaml").write_text("extends: base.yaml\nevents: [{at: 3, set: {game.beta: 1}}]\n")
    assert [event.options.at for event in mesocosm.load(tmp_path / "over.yaml").events] == [3]
    settings = {"events": "[{at: 3.1, set: {game.beta: 1}}]"}
    with pytest.raises(ScenarioError, match=r"--set events=.*events\.0\.at: time 3\.1 is not saved"):
        mesocosm.load(tmp_path / "base.yaml", settings)
    assert mesocosm.load(tmp_path / "base.yaml", {"events": "[]"}).events == ()


def test_the_schema_knows_events_and_strategies() -> None:
    """Catches an editor that underlines a right event, or that does not see a wrong one."""
    validator = Draft7Validator(json_schema(Registry.discover()))
    assert not list(validator.iter_errors(read_document(HEAD + GOOD, "s").value))
    for right, wrong in (("degree", "degrees"), ("samples: 9", "samples: 0"), ("into: R", "to: R"), ("above", "over")):
        assert list(validator.iter_errors(read_document((HEAD + GOOD).replace(right, wrong), "s").value)), wrong


def test_a_plugin_brings_its_own_strategy(stranger: Registry) -> None:
    """Catches strategies that only those who wrote the program can add."""
    event = "{at: 5, vaccinate: {count: 3, strategy: {kind: last, step: 2}, into: R}}"
    problem = mesocosm.build(mesocosm.parse(text(event), registry=stranger), stranger)
    vaccination = problem.events.items[0].vaccination
    assert vaccination is not None
    assert vaccination.nodes(problem.graph, np.random.default_rng(0)).tolist() == [59, 57, 55]
    (found,) = faults(text(event.replace("last, step: 2", "bad")), stranger)
    assert "events.0.vaccinate.strategy: plugin 'strangers'" in found
    assert "the factory of strategy 'bad' made a function; it makes a mesocosm.Strategy" in found
