"""`mesa_model`: a `mesa.Model` that somebody else wrote, unedited, as a dynamics.

Every replicate is a model of its own, made, stepped and read in a process beside this one. All of them run before time 0 of
the run: what `advance` does is to go on to the next save.

The seed goes in as `rng`, or else as `seed`, where the model names one; a model that names none is seeded all the same, and so
are the generators `random` and `numpy.random` that a process shares: a model that draws from them is told of, and is
reproducible too. What draws from the operating system is not.
"""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import Dynamics, DynamicsError, InputError, Interval
from mesocosm_agents.arrays import FloatArray
from mesocosm_agents.mesa_crew import LostError, answers, processors
from mesocosm_agents.mesa_loading import start_method_kept
from mesocosm_agents.mesa_messages import Answer, Failure, Job, Outcome, Place, Recipe
from mesocosm_agents.mesa_options import MesaModelOptions, Observed

LARGEST_COMPLETE = 2000
"""Agents on a complete graph that a model is given: networkx writes out every pair."""

_SEEDS = ("rng", "seed")


class MesaModel(Dynamics):
    """A foreign model. Observes `occupancy(replicate, state)`, and of every model column of its DataCollector that holds
    numbers a variable `(replicate)` of the same name, with `_` for what is no letter, digit or underscore.

    A column is NaN where it has no finite number, and keeps its last value until it is collected again. The model begins as
    its parameters say, whatever the population of the scenario is. It ends where it sets `running = False`: its state stays.
    """

    options: MesaModelOptions
    follows = "own"
    partial = True

    @property
    def replicates(self) -> int:
        return self.options.replicates

    def check(self) -> None:
        states = self.problem.finite_game.states
        for value, state in self.options.mapping.items():
            if state not in states:
                raise self._error(
                    f"mapping takes {value} to '{state}'", "mapping", f"states of the game: {', '.join(states)}"
                )
        count = self.problem.clock.save_every / self.options.step
        if abs(count - round(count)) > 1e-9 * max(1.0, count) or round(count) < 1:
            raise self._error(
                f"step {self.options.step:g} with save_every {self.problem.clock.save_every:g}",
                "step",
                "a model makes whole steps: save_every must be a whole number of them",
            )
        self._check_arguments()
        assert self._recipe

    def _check_arguments(self) -> None:
        """The parameters are those of the model, all that it needs are there, and the seed is not among them."""
        options, named = self.options, inspect.signature(self._factory).parameters
        graph = options.graph_argument
        given = set(options.parameters) | ({graph} if graph else set())
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in named.values())
        keywords = [
            name for name, item in named.items() if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)
        ]
        where = f"the model '{options.model}'"
        for name in given if not open_ended else ():
            if name not in keywords:
                option = "graph_argument" if name == graph else "parameters"
                raise self._error(f"{where} has no argument '{name}'", option, f"it has: {', '.join(keywords)}")
        for name in _SEEDS:
            if name in given:
                raise self._error(f"{name} among the parameters", "parameters", "the seed is that of the scenario")
        if graph in options.parameters:
            raise self._error(f"{graph} is given twice", "graph_argument", "it takes the contact graph")
        for name in keywords:
            if named[name].default is inspect.Parameter.empty and name not in given and name not in _SEEDS:
                raise self._error(f"{where} needs the argument '{name}'", "parameters", "it has no default")
        if options.redraw and graph is None:
            raise self._error("redraw without graph_argument", "redraw", "the model makes a world of its own")
        size = self.problem.graph.node_count
        if graph is not None and self.problem.graph.is_complete and size > LARGEST_COMPLETE:
            raise self._error(
                f"a complete graph of {size} nodes", "graph_argument", f"at most {LARGEST_COMPLETE}: it has every pair"
            )

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), **dict.fromkeys(self._columns, ("replicate",))}

    def prepare(self) -> None:
        todo = [replicate for replicate in range(self.replicates) if not self._restore(replicate)]
        if not todo:
            return
        workers = min(self.options.workers or processors(), len(todo))
        reached, shared = dict.fromkeys(todo, 0), set[str]()
        with closing(answers(self._recipe, self._jobs(todo), workers)) as heard:
            for answer in self._unless_lost(heard):
                if isinstance(answer, Failure):
                    raise self._failed(answer.replicate, answer.save, answer.what, answer.rule, answer.hint)
                if isinstance(answer, Outcome):
                    self._keep(answer)
                    shared.update(answer.shared)
                else:
                    reached[answer.replicate] = answer.save
                note = f"replicate {len(self._outcomes)} of {self.replicates}"
                if shared:
                    note += f"; draws from the shared {' and '.join(sorted(shared))}, seeded for each"
                share = sum(reached.values()) / (len(todo) * self._recipe.saves)
                self.context.report("prepare", share, note)

    def init(self) -> NDArray[np.int64]:
        return np.zeros(1, np.int64)

    def advance(self, state: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
        return np.full(1, interval.index + 1)

    def observe(self, state: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        save, runs = int(state[0]), [self._outcomes[number] for number in range(self.replicates)]
        missing = np.full(self._recipe.saves + 1, np.nan)
        columns = {
            variable: np.array([run.columns.get(name, missing)[save] for run in runs])
            for variable, name in self._columns.items()
        }
        return {"occupancy": np.stack([run.shares[save] for run in runs]), **columns}

    @cached_property
    def _factory(self) -> Any:
        """The model that the options name: a class, or a function."""
        with start_method_kept():
            return self._named("model", self.options.model, "model")

    def _named(self, kind: str, name: str, option: str) -> Any:
        found = self.context.component(kind, name)
        if not (inspect.isclass(found) or inspect.isfunction(found)):
            raise self._error(f"{kind} '{name}' is a {type(found).__name__}", option, "a class or a function is needed")
        return found

    def _place(self, found: Any, option: str) -> Place:
        try:
            return Place.of(found)
        except (pickle.PicklingError, AttributeError) as error:
            raise self._error(
                f"another process cannot find {found.__qualname__}: {error}",
                option,
                "replicates run in processes of their own",
                "define it at the top level of a module",
            ) from error

    @cached_property
    def _recipe(self) -> Recipe:
        options, states = self.options, self.problem.finite_game.states
        numbers = {name: number for number, name in enumerate(states)}
        reader = None
        if isinstance(options.states, Observed):
            with start_method_kept():
                reader = self._place(self._named("observable", options.states.observable, "states"), "states")
        return Recipe(
            factory=self._place(self._factory, "model"),
            reader=reader,
            attribute=options.states if isinstance(options.states, str) else "",
            parameters=dict(options.parameters),
            graph_argument=options.graph_argument,
            numbers=numbers | {value: numbers[state] for value, state in options.mapping.items()},
            state_count=len(states),
            saves=len(self.problem.clock.times) - 1,
            steps=round(self.problem.clock.save_every / options.step),
        )

    def _jobs(self, todo: list[int]) -> Iterator[Job]:
        shared = None if self.options.graph_argument is None else pickle.dumps(self.problem.graph.to_networkx())
        for replicate in todo:
            graph = shared
            if self.options.redraw and replicate > 0:
                graph = pickle.dumps(self.problem.draw(replicate).to_networkx())
            # Of 32 bits: the old generators of NumPy take no more.
            seed = self.context.streams.integer("model", replicate=replicate) % 2**32
            yield Job(replicate, seed, graph)

    def _unless_lost(self, heard: Iterator[Answer]) -> Iterator[Answer]:
        try:
            yield from heard
        except LostError as error:
            hint = "the system ends what uses too much memory; try fewer workers" if error.code == -9 else ""
            raise self._failed(error.replicate, None, f"its process ended with code {error.code}", hint=hint) from error

    @cached_property
    def _outcomes(self) -> dict[int, Outcome]:
        """What was seen of each replicate so far."""
        return {}

    @cached_property
    def _columns(self) -> dict[str, str]:
        """The columns of the DataCollector that hold a number somewhere, by the name of their variable."""
        found: dict[str, str] = {}
        for replicate, run in sorted(self._outcomes.items()):
            for name in (name for name, values in run.columns.items() if not np.isnan(values).all()):
                variable = re.sub(r"\W+", "_", name.strip())
                if found.setdefault(variable, name) != name or variable == "occupancy":
                    what = f"the column '{name}' of its DataCollector would be the variable '{variable}'"
                    raise self._failed(replicate, None, what, "another one has this name", "rename the column")
        return found

    def _keep(self, outcome: Outcome) -> None:
        """Remember a replicate, in the folder of the run too, so that it is not run again when the run is resumed."""
        self._outcomes[outcome.replicate] = outcome
        file = self._file(outcome.replicate)
        if file is not None:
            names = list(outcome.columns)
            columns = np.array([outcome.columns[name] for name in names], np.float64)
            unfinished = file.with_suffix(".part.npz")
            np.savez(unfinished, shares=outcome.shares, names=np.array(names, np.str_), columns=columns)
            unfinished.replace(file)

    def _restore(self, replicate: int) -> bool:
        file = self._file(replicate)
        if file is None or not file.is_file():
            return False
        with np.load(file) as kept:
            columns: dict[str, FloatArray] = dict(zip(kept["names"].tolist(), kept["columns"], strict=True))
            self._outcomes[replicate] = Outcome(replicate, kept["shares"], columns, ())
        return True

    def _file(self, replicate: int) -> Path | None:
        return None if self.context.folder is None else self.context.folder / f"replicate-{replicate}.npz"

    def _failed(self, replicate: int, save: int | None, what: str, rule: str = "", hint: str = "") -> DynamicsError:
        time = "" if save is None else f", after time {self.problem.clock.times[save]:g}"
        where = f"dynamics '{self.context.label}', replicate {replicate} of the model '{self.options.model}'{time}"
        return DynamicsError(what, where=where, rule=rule, hint=hint)

    def _error(self, what: str, option: str, rule: str, hint: str = "") -> InputError:
        return InputError(what, where=f"dynamics.{self.context.label}.{option}", rule=rule, hint=hint)
