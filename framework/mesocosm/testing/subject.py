"""A dynamics under test: how the kit makes it, drives it, and draws from it.

The kit talks to a dynamics as a run does: it makes it for a `Problem` and a `Context`, asks `check`, prepares it, and
advances it interval by interval. A problem that the dynamics refuses in `check` does not apply to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import (
    Context,
    Dynamics,
    InputError,
    Options,
    Policy,
    Problem,
    Registry,
    Trajectories,
    simulate,
)
from mesocosm.testing.check import ConformanceError, NotApplicable
from mesocosm.testing.component import Part, options_of

FloatArray = NDArray[np.float64]
Maker = Callable[[Problem, Context], Dynamics]

LABEL = "subject"
"""What the kit calls the dynamics under test."""


@dataclass(frozen=True)
class DynamicsSubject(Part):
    """A dynamics with its options, and the dynamics that these refer to.

    Attributes
    ----------
    options: those it is tested with; rules change `replicates`, `step` and `policy` where it has them.
    companions: label -> (class, options) of the dynamics that its options refer to, in the order in which they run.
    """

    options: Options
    companions: Mapping[str, tuple[type[Dynamics], Options]] = field(default_factory=dict)

    @property
    def cls(self) -> type[Dynamics]:
        """The class of the dynamics."""
        made: Any = self.factory()
        if not (isinstance(made, type) and issubclass(made, Dynamics)):
            raise ConformanceError(f"the factory is {made!r}", rule="a subclass of mesocosm.Dynamics")
        return made

    def has(self, option: str) -> bool:
        """Whether the dynamics has an option of this name."""
        return option in type(self.options).model_fields

    def with_options(self, **changes: Any) -> DynamicsSubject:
        """The same with other options; those that it does not have are left out."""
        known = {name: value for name, value in changes.items() if self.has(name)}
        options = type(self.options).model_validate({**vars(self.options), **known})
        return replace(self, options=options)

    def make(self, problem: Problem, label: str = LABEL, folder: Path | None = None) -> Dynamics:
        """A prepared dynamics. Raises `NotApplicable` where it refuses the problem."""
        dynamics = self._checked(problem, label, folder)
        dynamics.prepare()
        return dynamics

    def accepts(self, problem: Problem) -> bool:
        """Whether it would run a problem."""
        try:
            self._checked(problem, LABEL, None)
        except NotApplicable:
            return False
        return True

    def run(self, problem: Problem, label: str = LABEL) -> Trajectories:
        """What a run records of it, through the front door. Raises `NotApplicable` where it refuses the problem."""
        self._checked(problem, label, None)
        return simulate(problem, {**self._companion_makers(), label: self._maker(self.cls, self.options)})[label]

    def sample(self, problem: Problem, draws: int) -> FloatArray:
        """Occupancy of at least `draws` independent replicates, shape [draw, time, state]; one of a deterministic dynamics.

        A dynamics without the option `replicates` is run with one seed after another.
        """
        subject = self.with_options(replicates=draws)
        found = subject.run(problem).array("occupancy")
        rows = [found]
        while self.cls.stochastic and sum(map(len, rows)) < draws:
            rows.append(subject.run(replace(problem, seed=problem.seed + len(rows))).array("occupancy"))
        return np.concatenate(rows)

    def unchecked(self, problem: Problem, label: str = LABEL, folder: Path | None = None) -> Dynamics:
        """A dynamics that was not asked yet whether it can run the problem."""
        return self.cls(problem, self.options, self._context(problem, label, folder))

    def _checked(self, problem: Problem, label: str, folder: Path | None) -> Dynamics:
        dynamics = self.unchecked(problem, label, folder)
        try:
            dynamics.check()
        except Exception as error:
            # Another error than `InputError` is found by the rule `refuses_with_an_input_error`.
            raise NotApplicable(f"it refuses the problem: {error}") from error
        return dynamics

    def _context(self, problem: Problem, label: str, folder: Path | None) -> Context:
        def policy_of(other: str) -> Policy:
            cls, options = self.companions[other]
            dynamics = cls(problem, options, self._context(problem, other, None))
            dynamics.prepare()
            policy = dynamics.policy()
            if policy is None:
                raise InputError(f"'{other}' has no policy", where="companions")
            return policy

        def trajectories_of(other: str) -> Trajectories:
            return simulate(problem, self._companion_makers())[other]

        streams = problem.streams(label)
        return Context(label, streams, policy_of, trajectories_of, folder, component=self.registry.factory)

    def _companion_makers(self) -> dict[str, Maker]:
        return {name: self._maker(cls, options) for name, (cls, options) in self.companions.items()}

    def _maker(self, cls: type[Dynamics], options: Options) -> Maker:
        """What makes a dynamics that finds the components of the registry, as in a run."""
        return lambda problem, context: cls(problem, options, replace(context, component=self.registry.factory))


def dynamics_subject(
    name: str,
    options: Mapping[str, Any] | None = None,
    companions: Mapping[str, Mapping[str, Any]] | None = None,
    registry: Registry | None = None,
) -> DynamicsSubject:
    """The dynamics that scenarios call `name`; options and companions as a scenario would give them.

    Raises `InputError` for a name, an option or a companion that is not there.
    """
    plugins = registry or Registry.discover()
    partners: dict[str, tuple[Any, Options]] = {}
    for label, component in (companions or {}).items():
        given = dict(component)
        kind = str(given.pop("kind", ""))
        model = options_of(plugins, "dynamics", kind, given, where=f"companions.{label}")
        partners[label] = (plugins.factory("dynamics", kind), model)
    own = options_of(plugins, "dynamics", name, options or {}, where=f"dynamics '{name}'")
    return DynamicsSubject("dynamics", name, plugins, own, partners)


def observations(dynamics: Dynamics, state: Any = None, first: int = 0) -> Iterator[dict[str, NDArray[Any]]]:
    """What a dynamics shows at every save from number `first` on; `state` is that at save `first`, if not the initial one."""
    state = dynamics.init() if state is None else state
    yield dynamics.observe(state)
    for interval in dynamics.problem.clock.intervals(first):
        state = dynamics.advance(state, interval)
        yield dynamics.observe(state)


def as_bytes(observed: Iterator[dict[str, NDArray[Any]]]) -> list[dict[str, bytes]]:
    """Observations, to be compared to the last bit."""
    return [{name: np.asarray(values).tobytes() for name, values in save.items()} for save in observed]
