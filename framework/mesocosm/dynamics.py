"""Dynamics: THE interface. A dynamics decides how emissions reach the agents, and advances the population in time.

What you must write (everything else has a default):

    init()                        -> state            at time 0; a state is whatever you like, the core never looks inside
    advance(state, interval)      -> state            over one whole save interval: the inner loop is yours
    observe(state)                -> {name: array}    what is recorded at a save; the only window into a state

What you get free: options checked with file, line and column; the graph, game and clock built and frozen; named random
streams; recording, checks of shape, mass and NaN, interruption, resume between dynamics, comparison with every other
dynamics, report, command line.

The run calls `prepare()` once, then `init()`, then `advance` and `observe` for every interval. Replicates are a leading
axis of your arrays, not a loop of the core. Keep randomness in `self.context.streams`: name each stream by its purpose
and its interval, and the same seed gives the same bytes whatever else runs beside you.

Three options mean the same in every dynamics that has them: `replicates`, the number of independent runs; `step`, the
longest time step; `policy`, what the agents choose (`mesocosm.PolicyOption`). `mesocosm.testing` says whether it is right.

A complete dynamics: each replicate is a well-mixed population of N agents, advanced in steps of one tenth.

>>> import numpy as np
>>> from mesocosm import Dynamics, Options, substeps
>>> class WellMixedOptions(Options):
...     replicates: int = 4
>>> class WellMixed(Dynamics):
...     follows = "closure"
...     @property
...     def replicates(self):
...         return self.options.replicates
...     def init(self):
...         return np.tile(self.problem.population.shares * self.problem.population.size, (self.replicates, 1))
...     def advance(self, counts, interval):
...         game, size = self.problem.finite_game, self.problem.population.size
...         random = self.context.streams.generator("transitions", interval=interval.index)
...         states, choice = np.arange(len(game.states)), np.ones(len(game.states))
...         emission = game.emission(interval.start, states, choice)          # [state, channel]
...         steps, dt = substeps(interval.start, interval.stop, 0.1)
...         for _ in range(steps):
...             field = counts @ emission / size                              # [replicate, channel]
...             moves = np.zeros_like(counts)
...             for transition in game.transitions:
...                 source, target = game.state_index(transition.source), game.state_index(transition.target)
...                 rate = game.intensity(transition, interval.start, field, np.ones(self.replicates))
...                 jump = random.binomial((counts + np.minimum(moves, 0))[:, source].astype(int), 1 - np.exp(-rate * dt))
...                 moves[:, source] -= jump
...                 moves[:, target] += jump
...             counts = counts + moves
...         return counts
...     def observe(self, counts):
...         return {"occupancy": counts / self.problem.population.size}
>>> import mesocosm
>>> scenario = mesocosm.parse('''
... mesocosm: 1
... name: doctest
... seed: 1
... time: {end: 20, save_every: 1}
... population: {size: 1000, initial: {I: 0.01}}
... graph: {kind: complete}
... game: {kind: sir, beta: 0.5, gamma: 0.1}
... ''')
>>> problem = mesocosm.build(scenario)
>>> outcome = mesocosm.simulate(problem, {"mixed": WellMixed.bind(WellMixedOptions())})
>>> outcome["mixed"].array("occupancy").shape
(4, 21, 3)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm.choosing import NEUTRAL, choose_policy
from mesocosm.clock import Interval
from mesocosm.errors import InputError
from mesocosm.options import Options, PolicyFrom, PolicyOption
from mesocosm.policy import Policy
from mesocosm.problem import Problem
from mesocosm.seeding import Streams

State = Any
"""Whatever a dynamics carries from one save to the next."""

FOLLOWS = ("contacts", "closure", "own")
"""Whose rules a dynamics may follow; see `Dynamics.follows`."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """An array with named dimensions: `values` has one axis for each name in `dims`."""

    dims: tuple[str, ...]
    values: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What one dynamics recorded, for other dynamics to learn from and for comparisons.

    Attributes
    ----------
    label, kind: its name in the scenario, and its component.
    times: the save times, shape [time].
    variables: arrays with named dimensions; those over time have the dimensions (replicate, time, ...). NaN is missing.
    coordinates: labels along the other dimensions, such as the state names.
    stochastic: whether replicates are random draws.
    """

    label: str
    kind: str
    times: NDArray[np.float64]
    variables: Mapping[str, Labelled]
    coordinates: Mapping[str, Sequence[Any]]
    stochastic: bool

    def array(self, name: str) -> NDArray[Any]:
        """One variable; an error lists those that there are."""
        if name not in self.variables:
            raise InputError(
                f"'{self.label}' has no '{name}'", where="results", rule=f"it has: {', '.join(self.variables)}"
            )
        return self.variables[name].values


def _no_policy(label: str) -> Policy:
    raise InputError(f"policy of '{label}'", where="context", rule="no other dynamics runs beside this one")


def _no_trajectories(label: str) -> Trajectories:
    raise InputError(f"trajectories of '{label}'", where="context", rule="no other dynamics runs beside this one")


def _no_component(kind: str, name: str) -> Callable[..., Any]:
    raise InputError(f"{kind} '{name}'", where="context", rule="no plugins are known here: use mesocosm.makers_of")


def _no_progress(phase: str, fraction: float, note: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class Context:
    """What a dynamics may ask of the run.

    Attributes
    ----------
    label: its name in the scenario.
    streams: its random streams.
    policy_of: label -> the policy that another dynamics found; it has run before, because the options refer to it.
    trajectories_of: label -> what another dynamics recorded.
    folder: where it may keep files of its own (weights); None where nothing is kept.
    report: (phase, fraction, note) -> None, progress for people; phase is `prepare` or `advance`.
    component: (kind, name) -> what makes another component that the options name; plugins have registered it.
    """

    label: str
    streams: Streams
    policy_of: Callable[[str], Policy] = _no_policy
    trajectories_of: Callable[[str], Trajectories] = _no_trajectories
    folder: Path | None = None
    report: Callable[[str, float, str], None] = field(default=_no_progress)
    component: Callable[[str, str], Callable[..., Any]] = field(default=_no_component)


class Dynamics(ABC):
    """One way to run a game on a contact graph. See the module docstring for a complete example."""

    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    """Kinds of device that it can use. On another one it runs on the CPU, and the run says so."""

    stochastic: ClassVar[bool] = True
    """Whether replicates are random draws; False for deterministic solvers, whose gaps have no noise of their own."""

    partial: ClassVar[bool] = False
    """Whether it may return NaN for what it does not know; everyone else is stopped at the first NaN."""

    follows: ClassVar[str] = "contacts"
    """Whose rules it follows, which decides what `mesocosm.testing` holds it to. One of `FOLLOWS`:
    `contacts`, the game, agent by agent on the contact graph as it stands; `closure`, the game on averages over contacts,
    as mean-field equations do; `own`, rules of its own: what it learned or recorded, or a model from elsewhere."""

    expresses: ClassVar[frozenset[str]] = frozenset()
    """What it can express beyond one game on one graph that stays as it is. Some of `FEATURES`; a problem that has another
    one is refused by name before anything runs."""

    def __init__(self, problem: Problem, options: Any, context: Context) -> None:
        self.problem = problem
        self.options = options
        self.context = context

    @classmethod
    def bind(cls, options: Options) -> Callable[[Problem, Context], Dynamics]:
        """This class with its options, as `simulate` takes it."""
        return lambda problem, context: cls(problem, options, context)

    def check(self) -> None:
        """Raise `InputError` for a problem that this dynamics cannot run; called before anything runs."""

    def initial_agents(self) -> NDArray[np.int64]:
        """State number of every agent at time 0, shape [replicate, N], from the streams named `initial`."""
        graph, streams = self.problem.graph, self.context.streams
        randoms = (streams.generator("initial", replicate=number) for number in range(self.replicates))
        return np.stack([self.problem.initial_states(graph, random) for random in randoms]).astype(np.int64)

    def check_policy(self, option: PolicyOption) -> None:
        """Raise `InputError` for an option of this type that the game cannot play; call it in `check`."""
        where = f"dynamics '{self.context.label}', option policy"
        if option != NEUTRAL and getattr(self.problem.game, "control", None) is None:
            given = option if isinstance(option, str) else option.model_dump(by_alias=True)
            raise InputError(
                f"policy {given}, but the game has no control",
                where=where,
                rule="a policy other than 'none' needs one",
                hint="give the game one (for sir, sis, seir: the option effort), or use policy: none",
            )
        if not isinstance(option, PolicyFrom):
            problem = self.problem
            choose_policy(option, problem.game, problem.population.size, problem.clock.end, where=where)

    def played(self, option: PolicyOption) -> Policy:
        """The policy that an option of this type names; one of another dynamics is solved for now, if it was not yet."""
        if isinstance(option, PolicyFrom):
            return self.context.policy_of(option.from_)
        problem = self.problem
        return choose_policy(option, problem.game, problem.population.size, problem.clock.end)

    @property
    def replicates(self) -> int:
        """Length of the replicate axis."""
        return 1

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        """Names of the dimensions of what `observe` returns, without time. The first is always `replicate`.

        Names are shared, or nothing could be compared: `occupancy(replicate, state)`, `control(replicate, state)`.
        """
        return {"occupancy": ("replicate", "state")}

    def coordinates(self) -> dict[str, Sequence[Any]]:
        """Labels along dimensions other than replicate and state."""
        return {}

    def prepare(self) -> None:
        """Solve the equilibrium, train the network, or nothing. Timed apart from `advance`."""

    @abstractmethod
    def init(self) -> State:
        """The state at time 0."""

    @abstractmethod
    def advance(self, state: State, interval: Interval) -> State:
        """The state at `interval.stop`, from that at `interval.start`. Must not change the state that it was given."""

    @abstractmethod
    def observe(self, state: State) -> dict[str, NDArray[Any]]:
        """What is recorded: arrays with the dimensions that `dimensions` names. The only crossing from device to host."""

    def summary(self, state: State) -> dict[str, float | Labelled]:
        """What is known at the end, from the last state: costs `cost(replicate)`, `value`, `exploitability`, `residual`,
        `iterations`, `converged` where it solves for an equilibrium, and whatever is its own."""
        return {}

    def pack(self, state: State) -> Mapping[str, NDArray[Any]] | None:
        """A state as arrays, so that a run that was stopped goes on from it; None where that is not offered.

        A state that is one NumPy array needs no more; for any other, override this and `unpack`. Without it a run that is
        resumed starts this dynamics again from time 0. Whatever `prepare` found is not in the state: it is found again,
        or kept in `context.folder`.
        """
        return {"state": state} if isinstance(state, np.ndarray) else None

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> State:
        """The state that `pack` made these arrays of."""
        return arrays["state"]

    def fired(self, times: NDArray[np.float64]) -> dict[str, Labelled]:
        """For `summary`: when each event of the problem happened, of shape [replicate, event], NaN where it did not.

        The name is `fired(replicate, event)`; nothing where the problem has no events.
        """
        return {"fired": Labelled(("replicate", "event"), times)} if self.problem.events else {}

    def plays(self) -> Policy | None:
        """The policy that its agents play, of which a run says how far from an equilibrium it is; that of `policy` unless
        overridden. None where agents follow no policy."""
        return self.policy()

    def policy(self) -> Policy | None:
        """The policy that it found and others may play (`policy: {from: label}`); None where it finds none."""
        return None
