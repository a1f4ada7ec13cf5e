"""Replicates of a foreign `mesa.Model`, in a process of their own: one model after the other, seeded, stepped, read, freed.

The process is started by `mesa_crew`. It reads pickles from its standard input (a `Recipe`, then one `Job` after the other)
and writes pickles to its standard output: `Progress`, and for each job an `Outcome` or a `Failure`. What a model prints goes
to the standard error stream. The process ends with its input.
"""

from __future__ import annotations

import gc
import inspect
import itertools
import math
import os
import pickle
import queue
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from operator import attrgetter
from typing import Any, BinaryIO

import mesa
import numpy as np
from mesa.discrete_space import Cell

from mesocosm_agents.arrays import FloatArray
from mesocosm_agents.mesa_messages import Answer, Failure, Job, Outcome, Progress, Recipe


class UnreadableError(Exception):
    """The states of a model's agents cannot be read; the arguments are those of `Failure`: what, rule, hint."""


def serve(source: BinaryIO) -> None:
    """Run what comes from `source` until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    recipe: Recipe = pickle.load(source)

    def listen() -> None:
        while True:
            try:
                jobs.put(pickle.load(source))
            except EOFError:
                # Nobody waits for an answer, and a model may never return from a step.
                os._exit(0)

    threading.Thread(target=listen, daemon=True).start()

    def tell(message: Answer) -> None:
        pickle.dump(message, answers)
        answers.flush()

    for number in itertools.count():
        answer = attempt(recipe, jobs.get(), tell)
        gc.collect()  # A model is a circle of references, and may be as large as memory.
        if number == 0:
            gc.freeze()  # What is left are modules: they need not be looked through again.
        tell(answer)


def attempt(recipe: Recipe, job: Job, tell: Callable[[Progress], object]) -> Outcome | Failure:
    """Run one replicate; whatever is raised comes back as a `Failure`."""
    reached = 0

    def follow(progress: Progress) -> None:
        nonlocal reached
        reached = progress.save
        tell(progress)

    try:
        return play(recipe, job, follow)
    except UnreadableError as error:
        return Failure(job.replicate, reached, *error.args)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return Failure(job.replicate, reached, what, hint=f"raised at {last.filename}:{last.lineno}")


def play(recipe: Recipe, job: Job, tell: Callable[[Progress], object]) -> Outcome:
    """Run one replicate from its first save to its last, and free its model."""
    read, factory = _reader(recipe), recipe.factory.find()
    shares = np.empty((recipe.saves + 1, recipe.state_count))
    rows: list[dict[str, float]] = []
    random.seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002 - models draw from it, and would not be reproducible
    before = _shared_generators()
    with _seeded_by_default(job.seed):
        model = factory(**_arguments(factory, recipe, job))
        if not isinstance(model, mesa.Model):
            raise UnreadableError(f"the model is a {type(model).__name__}", "a subclass of mesa.Model is needed")
        try:
            for save in range(recipe.saves + 1):
                for _ in range(recipe.steps if save else 0):
                    if not model.running:
                        break
                    model.step()
                shares[save] = _shares(read(model), recipe)
                rows.append(_columns(model))
                tell(Progress(job.replicate, save))
        finally:
            free(model)
    after = _shared_generators()
    shared = tuple(name for name, state in before.items() if after[name] != state)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    return Outcome(job.replicate, shares, columns, shared)


def seed_argument(factory: Any) -> str | None:
    """The keyword argument of a model that takes a seed; None where it names none."""
    named = inspect.signature(factory).parameters
    return next((name for name in ("rng", "seed") if name in named), None)


def free(model: mesa.Model) -> None:
    """Take a model out of the tables in which Mesa would keep it and its cells for ever."""
    vars(mesa.Agent).get("_ids", {}).pop(model, None)
    for value in vars(Cell).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def text_of(value: Any) -> str:
    """How a state is written in the option `mapping`."""
    if isinstance(value, Enum):
        return value.name
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _arguments(factory: Any, recipe: Recipe, job: Job) -> dict[str, Any]:
    arguments = dict(recipe.parameters)
    seed = seed_argument(factory)
    if seed is not None:
        arguments[seed] = job.seed
    if recipe.graph_argument is not None and job.graph is not None:
        arguments[recipe.graph_argument] = pickle.loads(job.graph)
    return arguments


@contextmanager
def _seeded_by_default(seed: int) -> Iterator[None]:
    """A model that does not pass a seed on to `mesa.Model` would be seeded by the operating system; here it gets this one."""
    original = mesa.Model.__init__

    def initialise(self: mesa.Model, *args: Any, **kwargs: Any) -> None:
        given = {name: value for name, value in kwargs.items() if name not in ("seed", "rng") or value is not None}
        if not args and not {"seed", "rng"} & set(given):
            given["rng"] = seed
        original(self, *args, **given)

    mesa.Model.__init__ = initialise
    try:
        yield
    finally:
        mesa.Model.__init__ = original


def _shared_generators() -> dict[str, bytes]:
    """The states of the generators that everyone in a process shares."""
    return {"random": pickle.dumps(random.getstate()), "numpy.random": pickle.dumps(np.random.get_state())}  # noqa: NPY002


def _reader(recipe: Recipe) -> Callable[[mesa.Model], Any]:
    if recipe.reader is not None:
        function: Callable[[mesa.Model], Any] = recipe.reader.find()
        return function
    look = attrgetter(recipe.attribute)

    def read(model: mesa.Model) -> list[Any]:
        try:
            return [look(agent) for agent in model.agents]
        except AttributeError as error:
            hint = "name an attribute that every agent has, or use {observable: name}"
            raise UnreadableError(str(error), "states names an attribute of the agents", hint) from error

    return read


def _shares(values: Any, recipe: Recipe) -> FloatArray:
    """Share of agents in each state, [state]."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    result = np.zeros(recipe.state_count)
    for value, count in Counter(values).items():
        text = text_of(value)
        if text not in recipe.numbers:
            known = ", ".join(recipe.numbers)
            rule = f"a state of the game, or a value that mapping names: {known}"
            raise UnreadableError(f"an agent is in the state '{text[:60]}'", rule, "name it in mapping")
        result[recipe.numbers[text]] += count
    if not result.sum():
        raise UnreadableError("the model has no agents", "shares are of one agent or more")
    return np.asarray(result / result.sum(), np.float64)


def _columns(model: mesa.Model) -> dict[str, float]:
    """The last value of every model column of the DataCollector that is a number; NaN for one that is not finite."""
    collector = getattr(model, "datacollector", None)
    found: dict[str, float] = {}
    for name, values in getattr(collector, "model_vars", {}).items():
        value = values[-1] if len(values) else None
        if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
            number = float(value)
            found[str(name)] = number if math.isfinite(number) else math.nan
    return found
