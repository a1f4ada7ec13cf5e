"""A run of ours as a `mesa.Model`: each step is one save interval, and each agent shows the state of one node.

The agents are views: the states stand in one array, which `agent_based` advances with its own engine. So the numbers are those
of the same scenario, seed and label run with one replicate, and a step costs what it costs there. What Mesa offers for models
works on it: `DataCollector` with the names of attributes, `batch_run`, pickling, SolaraViz.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import mesocosm
from mesocosm import Context, Dynamics, InputError, Policy, Registry, Scenario
from mesocosm_agents.mesa_loading import start_method_kept

with start_method_kept():
    import mesa
    from mesa.discrete_space import FixedAgent, Network

    from mesocosm_agents.mesa_engine import WITHOUT_LAYOUT

KIND = "agent_based"

LARGEST_COMPLETE = 2000
"""Agents on a complete graph whose every pair is written out for `grid`."""

_MADE_AGAIN = (
    "_dynamics",
    "_state",
    "grid",
    "step",
    "_user_step",
    "_agents",
    "_agents_by_type",
    "_all_agents",
    "random",
)
"""What a pickle leaves out: it is made again from the rest."""


class NodeAgent(FixedAgent):  # type: ignore[misc]
    """The agent on one node of the contact graph. It can be read, and does nothing of its own."""

    @property
    def node(self) -> int:
        """Number of its node."""
        return int(self.unique_id) - 1

    @property
    def state(self) -> str:
        """Name of its state."""
        name: str = self.model.state_names[self.model.state_numbers[self.node]]
        return name


class RunModel(mesa.Model):  # type: ignore[misc]
    """One replicate of an `agent_based` dynamics of a scenario, for games with finitely many states.

    Parameters
    ----------
    scenario: a file, or the text of a scenario.
    label: which dynamics; by default the first that is `agent_based`.
    rng: the seed; by default that of the scenario.
    plugins: files of plugins, as `mesocosm -p` takes them.
    kwargs: settings of the scenario, such as `**{"game.beta": 0.05}`.

    Attributes
    ----------
    now: time, in the scenario's unit.
    state_names, state_numbers: names of the states, and the state of every node, shape [N].
    share_NAME: the share of agents in a state, such as `share_I`.
    datacollector: has `time` and the share of every state, at time 0 and after every step.

    A step past the end of the scenario raises `InputError`; `running` is False from the last one on.
    """

    def __init__(
        self,
        *,
        scenario: str,
        label: str | None = None,
        rng: int | None = None,
        plugins: Sequence[str] = (),
        **kwargs: str | float,
    ) -> None:
        self._files = tuple(str(file) for file in plugins)
        chosen = _read(scenario, kwargs, _registry(self._files))
        self.label = _label(chosen, label)
        chosen = _with_one_replicate(chosen, self.label, rng)
        self._text = json.dumps(chosen.resolved(), indent=1)
        super().__init__(rng=mesocosm.Streams(chosen.seed, self.label).integer("model") % 2**32)
        self._dynamics = _dynamics(chosen, self.label, _registry(self._files))
        self._state: Any = self._dynamics.init()
        self.index = 0
        self.state_names = self._dynamics.problem.finite_game.states
        self._add_agents()
        self._show()
        reporters = {"time": "now", **{name: f"share_{name}" for name in self.state_names}}
        self.datacollector = mesa.DataCollector(model_reporters=reporters)
        self.datacollector.collect(self)

    def step(self) -> None:
        """Advance by one save interval, and collect."""
        intervals = list(self._dynamics.problem.clock.intervals(self.index))
        if not intervals:
            raise InputError(
                f"a step at time {self.now:g}",
                where=f"dynamics '{self.label}'",
                rule="the scenario ends there",
                hint="set time.end to a later time, or look at running",
            )
        self._state = self._dynamics.advance(self._state, intervals[0])
        self.index += 1
        self._show()
        self.datacollector.collect(self)

    @cached_property
    def grid(self) -> Network:
        """The contact graph with the agents on it, made when it is first asked for: Mesa keeps an object for each node."""
        graph = self._dynamics.problem.graph
        if graph.is_complete and graph.node_count > LARGEST_COMPLETE:
            raise InputError(
                f"a complete graph of {graph.node_count} nodes",
                where="grid",
                rule=f"at most {LARGEST_COMPLETE}: Mesa keeps every pair",
            )
        network = Network(graph.to_networkx(), random=self.random, **WITHOUT_LAYOUT)
        cells = {cell.coordinate: cell for cell in network.all_cells}
        for agent in self.agents:
            agent.cell = cells[agent.node]
        return network

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in _MADE_AGAIN}
        return {**kept, "packed": dict(self._dynamics.pack(self._state) or {}), "random_state": self.random.getstate()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        super().__init__(rng=0)
        packed, random_state = kept.pop("packed"), kept.pop("random_state")
        self.random.setstate(random_state)
        self.__dict__.update(kept)
        registry = _registry(self._files)
        self._dynamics = _dynamics(mesocosm.parse(self._text, registry=registry), self.label, registry)
        self._state = self._dynamics.unpack(packed)
        self._add_agents()
        self._show()

    def _add_agents(self) -> None:
        """One for each node; numbered from 1 in the order of the nodes, as Mesa numbers them."""
        NodeAgent.create_agents(self, self._dynamics.problem.graph.node_count)
        # Mesa 3.3 keeps every model that ever numbered an agent; this one numbers no more.
        vars(mesa.Agent).get("_ids", {}).pop(self, None)

    def _show(self) -> None:
        """Let the agents and the attributes of the model say what the state is."""
        clock = self._dynamics.problem.clock
        self.now = float(clock.times[self.index])
        self.running = self.index < len(clock.times) - 1
        self.state_numbers = self._state.states[0]
        shares = self._dynamics.observe(self._state)["occupancy"][0]
        for name, share in zip(self.state_names, shares.tolist(), strict=True):
            setattr(self, f"share_{name}", share)


@cache
def _registry(files: tuple[str, ...]) -> Registry:
    return Registry.discover([Path(file) for file in files])


def _read(scenario: str, settings: Mapping[str, str | float], registry: Registry) -> Scenario:
    """A scenario from a file, or from text, which has more than one line."""
    changes = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    read = mesocosm.parse if "\n" in str(scenario) else mesocosm.load
    return read(scenario, changes, registry)


def _label(scenario: Scenario, label: str | None) -> str:
    """The dynamics that is meant: `label`, or the first that is `agent_based`."""
    able = [name for name, choice in scenario.dynamics.items() if choice.name == KIND]
    found = label if label is not None else next(iter(able), "")
    if found not in able:
        raise InputError(
            f"dynamics '{found}'" if found else "no dynamics",
            where="mesa_model, argument label",
            rule=f"it is the label of a dynamics of kind {KIND}; there are: {', '.join(able) or 'none'}",
        )
    return found


def _with_one_replicate(scenario: Scenario, label: str, seed: int | None) -> Scenario:
    choice = scenario.dynamics[label]
    options = choice.options.model_copy(update={"replicates": 1, "deviations": 0})
    dynamics = {**scenario.dynamics, label: replace(choice, options=options)}
    return replace(scenario, seed=scenario.seed if seed is None else int(seed), dynamics=dynamics)


def _dynamics(scenario: Scenario, label: str, registry: Registry) -> Dynamics:
    """The agents of a scenario, ready to begin; a dynamics whose policy they play is solved when they ask for it."""
    from mesocosm_agents.finite import FiniteAgents

    problem, makers = mesocosm.build(scenario, registry), mesocosm.makers_of(scenario, registry)
    solved: dict[str, Policy] = {}

    def policy_of(other: str) -> Policy:
        if other not in solved:
            made = makers[other](problem, Context(other, problem.streams(other), policy_of))
            made.check()
            made.prepare()
            policy = made.policy()
            if policy is None:
                raise InputError(
                    f"'{other}' has no policy", where="policy", rule="it must solve for one, or be given one"
                )
            solved[other] = policy
        return solved[other]

    dynamics = makers[label](problem, Context(label, problem.streams(label), policy_of))
    dynamics.check()
    if not isinstance(dynamics, FiniteAgents):
        raise InputError(
            f"game {type(problem.game).__name__}", where="mesa_model", rule="a game with finitely many states is needed"
        )
    dynamics.prepare()
    return dynamics
