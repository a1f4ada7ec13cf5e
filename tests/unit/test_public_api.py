"""What others rely on: exactly these names, hooks, components, options and commands.

A line that has to go out of a list here is a change that breaks scenarios, plugins or notebooks; one that comes in is a
promise.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

import click
import pytest
from pydantic import BaseModel

import mesocosm
from mesocosm import Registry, hooks, testing
from mesocosm.cli import cli
from mesocosm.scenario import ScenarioModel

NAMES = [
    "API_VERSION", "Assessment", "Axis", "Clock", "Component", "ComponentError", "ConstantControl",
    "ConstantPolicy", "ContactGraph", "Context", "Control", "Course", "DataError", "DataPath", "DegreeLaw",
    "Device", "DeviceError", "DiffusionField", "DiffusionGame", "DiscretePolicy", "DiscreteTimeGame", "Door",
    "Dynamics", "DynamicsError", "Event", "Events", "FEATURES", "FOLLOWS", "Feedback", "FiniteStateGame",
    "Flow", "Game", "GradientFlow", "GraphChanges", "GraphChoice", "GraphRecord", "GridFlow", "GridPolicy",
    "GroupedGame", "InputError", "Interval", "LIGHT_LIBRARIES", "Labelled", "Law", "LearnFrom", "LearningRule",
    "Marginals", "MeanField", "MesocosmError", "Mixing", "Normal", "Options", "Passage", "Piece", "Point",
    "Policy", "PolicyFile", "PolicyFrom", "PolicyOption", "Population", "Problem", "Reference", "Regime",
    "Registry", "Results", "Rewiring", "RunError", "Scenario", "ScenarioError", "Situation", "StageGame",
    "StoreError", "Strategy", "Streams", "TabulatedPolicy", "Threshold", "Timeline", "Trajectories",
    "Transition", "Uniform", "Vaccination", "assess", "build", "check_memory", "choose_policy", "compare",
    "constant_control", "half_step_grid", "hookimpl", "load", "load_policy", "makers_of", "memory_of",
    "mesa_model", "no_control", "open_results", "parse", "resolve_device", "resume", "run", "saved_shares",
    "simulate", "steps_needed", "steps_per_interval", "substeps", "tabulate_policy",
]  # fmt: skip

TESTING_NAMES = [
    "Check", "ConformanceError", "NotApplicable", "Outcome", "check_dynamics", "check_game", "check_graph",
    "check_strategy", "dynamics_checks", "game_checks", "graph_checks", "parametrize_with_checks", "run_checks",
    "strategy_checks",
]  # fmt: skip

HOOKS = {
    "mesocosm_components": "",
    "mesocosm_run_started": "run",
    "mesocosm_phase_advanced": "label phase fraction note",
    "mesocosm_interval_finished": "label interval observation",
    "mesocosm_run_finished": "run results",
    "mesocosm_report_sections": "results",
    "mesocosm_cli_commands": "",
}
"""Hook -> its arguments, which plugins name."""

COMPONENTS = {
    "dynamics": "agent_based classical_mfg edge_based mesa_model neural_sde table",
    "game": """
        beach_bar congestion effort el_farol interbank left_right meeting opinion rock_paper_scissors seir sir
        sis susceptible_infected synchronisation torus vaccination
    """,
    "graph": """
        barabasi_albert blocks complete configuration contact_matrix contacts edges erdos_renyi households
        lattice layers networkx regular snapshots watts_strogatz
    """,
    "strategy": "acquaintance betweenness core degree random",
    "executor": "mesa",
}
"""Kind -> what scenarios write; all that is bundled."""

OPTIONS = {
    "scenario": """
        mesocosm requires name seed device precision time time.end time.save_every time.unit population
        population.size population.initial population.initial_counts population.groups population.groups.initial
        population.groups.game graph game dynamics events events.name events.at events.when
        events.when.observable events.when.above events.when.below events.after events.close events.open
        events.set events.vaccinate events.vaccinate.count events.vaccinate.share events.vaccinate.strategy
        events.vaccinate.into events.vaccinate.from events.vaccinate.anyone compare compare.reference
        compare.observables compare.window
    """,
    "dynamics agent_based": """
        replicates step policy policy.constant policy.from policy.file deviations redraw engine record_places
    """,
    "dynamics classical_mfg": """
        closure degrees group policy policy.constant policy.from policy.file method initial_guess
        initial_guess.constant initial_guess.from initial_guess.file continuation tolerance iterations damping
        cells horizon social_optimum step
    """,
    "dynamics edge_based": "degrees",
    "dynamics mesa_model": """
        model states states.observable mapping parameters graph_argument redraw step replicates workers
    """,
    "dynamics neural_sde": """
        seeds steps learning_rate gradient_norm width depth batch checkpoint_every check_every patience learn
        learn.from learn.until learn.hold_out learn.validation learn.window learn.covariates
        learn.covariates.from learn.covariates.names learn.covariates.between learn.covariates.also
        learn.covariates.also.from learn.covariates.also.names learn.covariates.also.between learn.reporting
        learn.reporting.quantity learn.reporting.transition learn.reporting.share learn.reporting.size
        learn.forecasts learn.forecasts.first learn.forecasts.every learn.forecasts.horizons
        learn.forecasts.average learn.forecasts.record learn.forecasts.block learn.drift learn.diffusion
        learn.sees learn.quantities learn.bounds play play.sees play.closure play.averaging play.flow_every
        play.frequencies play.scenarios play.shock play.tolerance calibrate calibrate.from calibrate.until
        calibrate.parameters calibrate.parameters.start calibrate.parameters.low calibrate.parameters.high
        calibrate.parameters.varies calibrate.closure calibrate.noise parameters paths inputs noise loss
        regularisation solver step
    """,
    "dynamics table": """
        file series where observable column states states.column states.minus states.over states.absolute
        states.equals states.between states.per_save states.difference states.negative states.cumulative
        states.sum_over states.smooth states.so_far states.lag states.before scale quantities quantities.column
        quantities.minus quantities.over quantities.absolute quantities.equals quantities.between
        quantities.per_save quantities.difference quantities.negative quantities.cumulative quantities.sum_over
        quantities.smooth quantities.so_far quantities.lag quantities.before replicate time start outside
    """,
    "game beach_bar": "places bar still crowd_floor",
    "game congestion": """
        door time_cost crowding remaining sigma speed bandwidth start start.point start.normal start.uniform
    """,
    "game effort": "beta gamma minimum infection_cost",
    "game el_farol": """
        form capacity payoffs payoffs.uncrowded payoffs.home payoffs.crowded groups groups.file groups.group
        groups.round groups.size groups.capacity predictors predictors.bag predictors.memory logit
        logit.sensitivity logit.rate
    """,
    "game interbank": """
        mean_reversion borrowing running_cost terminal_cost sigma correlation start start.point start.normal
        start.uniform width
    """,
    "game left_right": "left right",
    "game meeting": """
        form scheduled quorum reputation inconvenience waiting sigma start start.point start.normal
        start.uniform flow_rate
    """,
    "game opinion": """
        rate confidence smoothing sigma controlled conformity attraction target speed start start.point
        start.normal start.uniform
    """,
    "game rock_paper_scissors": "wins losses",
    "game seir": """
        beta gamma effort effort.cost effort.infection_cost effort.minimum rewiring rewiring.rate rewiring.to
        sigma
    """,
    "game sir": "beta gamma effort effort.cost effort.infection_cost effort.minimum rewiring rewiring.rate rewiring.to",
    "game sis": "beta gamma effort effort.cost effort.infection_cost effort.minimum rewiring rewiring.rate rewiring.to",
    "game susceptible_infected": "infection recovery distancing_cost infection_cost",
    "game synchronisation": """
        frequency coupling sigma controlled incoherence speed start start.point start.normal start.uniform
    """,
    "game torus": "sigma bandwidth start start.point start.normal start.uniform",
    "game vaccination": "beta gamma maximum vaccination_cost infection_cost",
    "graph barabasi_albert": "m",
    "graph blocks": "sizes mean_degrees names",
    "graph complete": "",
    "graph configuration": """
        degrees degrees.poisson degrees.fixed degrees.negative_binomial degrees.negative_binomial.mean
        degrees.negative_binomial.dispersion degrees.power_law degrees.power_law.exponent
        degrees.power_law.minimum degrees.power_law.maximum degrees.values degrees.shares
    """,
    "graph contact_matrix": "groups contacts reciprocal",
    "graph contacts": """
        nodes nodes_header columns isolated file header resolution seconds_per_unit window start end loop gaps
        longest_gap simplify
    """,
    "graph edges": "nodes nodes_header columns isolated file header weights simplify",
    "graph erdos_renyi": "mean_degree",
    "graph households": "sizes scattered",
    "graph lattice": "shape periodic neighbours",
    "graph layers": "layers layers.graph layers.weight",
    "graph networkx": "generator simplify",
    "graph regular": "degree",
    "graph snapshots": """
        nodes nodes_header columns isolated files files.from files.file table header weights end loop simplify
    """,
    "graph watts_strogatz": "k p",
    "strategy acquaintance": "",
    "strategy betweenness": "samples seed",
    "strategy core": "",
    "strategy degree": "",
    "strategy random": "",
    "executor mesa": "",
}
"""Component -> its options; those of a model inside another one have a dotted name."""

COMMANDS = {
    "mesocosm": "--version --plugin --no-plugin --traceback --trace-hooks",
    "compare": "RUN... --reference",
    "new": "KIND NAME --into",
    "plugins": "",
    "plugins check": "NAME --kind --set --scenario --only --quick --list",
    "report": "RUN",
    "resume": "RUN --no-report",
    "run": "FILE --out --set --device --no-report --quiet",
    "runs": "--out",
    "schema": "",
    "validate": "FILE --set",
}
"""Command -> its arguments and options."""


def test_the_public_names() -> None:
    """Catches a name that appears or disappears unnoticed: these are what plugins and notebooks rely on."""
    assert mesocosm.__all__ == NAMES
    assert dir(mesocosm) == NAMES
    assert testing.__all__ == TESTING_NAMES
    assert dir(testing) == TESTING_NAMES


@pytest.mark.parametrize(
    ("module", "name"),
    [*(("mesocosm", name) for name in NAMES), *(("mesocosm.testing", name) for name in TESTING_NAMES)],
)
def test_every_name_can_be_imported(module: str, name: str) -> None:
    """Catches a name that is announced and not there, under a wrong module."""
    assert getattr(importlib.import_module(module), name) is not None


def test_import_everything() -> None:
    """Catches a star import that fails, or brings less than the list."""
    space: dict[str, object] = {}
    exec("from mesocosm import *", space)
    assert set(NAMES) <= set(space)


def test_what_is_not_there() -> None:
    """Catches a module attribute that answers to any name."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mesocosm.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        testing.nothing  # noqa: B018


def test_the_hooks() -> None:
    """Catches a hook that is gone, and an argument that has another name: plugins would no longer be called, or fail."""
    found = {name: hook for name, hook in vars(hooks).items() if name.startswith("mesocosm_")}
    assert {name: list(inspect.signature(hook).parameters) for name, hook in found.items()} == {
        name: arguments.split() for name, arguments in HOOKS.items()
    }


def test_the_components() -> None:
    """Catches a component that is gone or has another name: scenarios that use it would no longer load."""
    bundled = [entry.component for entry in Registry.discover().entries() if entry.plugin.distribution == "mesocosm"]
    assert [(item.kind, item.name) for item in bundled] == [
        (kind, name) for kind, names in COMPONENTS.items() for name in names.split()
    ]


def options_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from options_in(inner)


def dotted(model: type[BaseModel], above: str = "", seen: tuple[type, ...] = ()) -> Iterator[str]:
    """The names of the options of a model, and of the models in it."""
    for name, field in model.model_fields.items():
        full = f"{above}{field.alias or name}"
        yield full
        for inner in options_in(field.annotation):
            if inner not in seen:
                yield from dotted(inner, f"{full}.", (*seen, inner))


@pytest.mark.parametrize("component", OPTIONS)
def test_the_options(component: str) -> None:
    """Catches an option that is gone or has another name: scenarios that set it would no longer load."""
    kind, _, name = component.partition(" ")
    model: type[BaseModel] = ScenarioModel if kind == "scenario" else Registry.discover().options_model(kind, name)
    assert set(dotted(model)) == set(OPTIONS[component].split())


def test_no_component_is_without_options_here() -> None:
    """Catches a new component whose options nobody lists."""
    assert set(OPTIONS) == {"scenario"} | {f"{kind} {name}" for kind in COMPONENTS for name in COMPONENTS[kind].split()}


def commands_below(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """The commands of a group, and of the groups in it."""
    for name, command in group.commands.items():
        yield f"{above}{name}", command
        if isinstance(command, click.Group):
            yield from commands_below(command, f"{above}{name} ")


def test_the_commands() -> None:
    """Catches a command, argument or option that is gone or has another name: scripts that use it would fail."""
    found: dict[str, list[str]] = {}
    for name, command in [("mesocosm", cli), *commands_below(cli)]:
        found[name] = [
            each.human_readable_name if isinstance(each, click.Argument) else max(each.opts, key=len)
            for each in command.params
        ]
    assert found == {name: words.split() for name, words in COMMANDS.items()}
