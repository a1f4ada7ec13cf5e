"""What a program and the workers that run a foreign model say to each other. Nothing here imports Mesa."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from mesocosm_agents.arrays import FloatArray


@dataclass(frozen=True)
class Place:
    """Where a class or function is defined: module, name in it, and the file for a module that cannot be imported."""

    module: str
    name: str
    file: str | None

    @classmethod
    def of(cls, found: Any) -> Place:
        """The place of a class or function that another process can find; `pickle.PicklingError` says why it cannot."""
        if found.__module__ == "__main__":
            raise pickle.PicklingError(f"{found.__qualname__} is defined in the program itself, and not in a module")
        pickle.dumps(found)
        return cls(found.__module__, found.__qualname__, getattr(sys.modules[found.__module__], "__file__", None))

    def find(self) -> Any:
        """What is there."""
        return attrgetter(self.name)(self._module())

    def _module(self) -> Any:
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            if self.file is None or not f"{self.module}.".startswith(f"{error.name}."):
                raise
        spec = importlib.util.spec_from_file_location(self.module, self.file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[self.module] = module
        spec.loader.exec_module(module)
        return module


@dataclass(frozen=True)
class Recipe:
    """What all replicates have in common.

    Attributes
    ----------
    factory: the model.
    reader: a function of the model to the state of every agent; or None, and `attribute` says where each agent has it.
    parameters: keyword arguments.
    graph_argument: keyword of the graph, or None.
    numbers: text of a value -> number of the state.
    state_count: number of states.
    saves, steps: number of save intervals, and of steps in each.
    """

    factory: Place
    reader: Place | None
    attribute: str
    parameters: Mapping[str, Any]
    graph_argument: str | None
    numbers: Mapping[str, int]
    state_count: int
    saves: int
    steps: int


@dataclass(frozen=True)
class Job:
    """One replicate: its number, its seed (32 bits), and its networkx graph as a pickle, where it is given one."""

    replicate: int
    seed: int
    graph: bytes | None


@dataclass(frozen=True)
class Progress:
    """A replicate has reached save number `save`."""

    replicate: int
    save: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was seen of one replicate.

    Attributes
    ----------
    shares: share of agents in each state, [save, state].
    columns: the model columns of its DataCollector, each [save]; NaN where there is no finite number.
    shared: the generators of the whole process that it drew from: `random`, `numpy.random`.
    """

    replicate: int
    shares: FloatArray
    columns: dict[str, FloatArray]
    shared: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """A replicate could not be run: what happened, at which save, and what to do."""

    replicate: int
    save: int
    what: str
    rule: str = ""
    hint: str = ""


Answer = Progress | Outcome | Failure
"""What a worker says."""
