"""What an author of a game writes.

A game describes one representative agent. At each instant the agent **emits** something that its contacts feel, the
dynamics **aggregates** the emissions of its contacts into the **field** that it receives, and the agent **responds**.
Only the aggregation differs between dynamics, so a game is written once and every dynamics can run it.

A finite-state game is a table of `Transition`s plus four functions, all of the same four arguments:

    t        time, a float (or whatever a compiling library puts in its place: no branches on it, use `where`)
    state    state numbers, integers of any shape
    field    what the agents receive, that shape plus a last axis of channels
    control  what the agents choose, that shape

They are called with one entry per agent by agent-based dynamics, and with one entry per (type, state) by mean-field ones;
with NumPy arrays or torch tensors. Arithmetic and comparisons work on both, so most games need nothing else; where they do
not suffice, take `xp = array_namespace(field)` from `array_api_compat`.

A complete game: rumour spreading (Daley and Kendall 1964), where spreaders who meet the informed lose interest.

>>> from mesocosm import FiniteStateGame, Options, Transition
>>> class Rumour(FiniteStateGame):
...     states = ("ignorant", "spreader", "stifler")
...     channels = ("spreaders", "informed")
...     def __init__(self, options):
...         tell, lose = options.tell, options.lose
...         self.transitions = (
...             Transition.induced("ignorant", "spreader", rate=tell, channel="spreaders"),
...             Transition.induced("spreader", "stifler", rate=lose, channel="informed"),
...         )
...     def emission(self, t, state, control):
...         return self.stack([state == 1, state >= 1], like=control)
>>> class RumourOptions(Options):
...     tell: float = 0.4
...     lose: float = 0.1
>>> print(Rumour(RumourOptions()).table())
ignorant -> spreader  at 0.4 * field[spreaders]
spreader -> stifler   at 0.1 * field[informed]

What you get free: checks, every closure, agents on any contact graph, learned dynamics, and, where `control` and costs
are given, best responses, equilibria and exploitability.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from array_api_compat import array_namespace

from mesocosm.errors import DynamicsError, InputError, suggestion
from mesocosm.transition import Array as Array
from mesocosm.transition import Control as Control
from mesocosm.transition import Transition as Transition

if TYPE_CHECKING:
    from mesocosm.policy import Policy
    from mesocosm.rewiring import Rewiring


class Game(ABC):
    """A population game. Subclass `FiniteStateGame`, `DiffusionGame` or `StageGame`."""

    channels: ClassVar[tuple[str, ...]]
    """Names of what agents emit, in the order of the last axis of emissions and fields."""

    normalise: ClassVar[str] = "sum"
    """`sum`: the field adds up over contacts (contagion); `mean`: it averages over them (opinions, reserves)."""

    rewiring: Rewiring | None = None
    """The rule by which agents cut and form links, where there is one."""

    has_group_parameters: ClassVar[bool] = False
    """Whether groups of agents have parameters of their own."""

    def check(self) -> None:
        """Raise `InputError` for a game that contradicts itself; called once when a run is built."""

    def policies(self, size: int, horizon: float) -> Mapping[str, Policy]:
        """Policies known in closed form, by the name that scenarios write (`policy: NAME`).

        They are for a population of `size` that plays until time `horizon`.
        """
        return {}

    @property
    def has_costs(self) -> bool:
        """Whether this game has costs."""
        return False

    @staticmethod
    def stack(columns: Sequence[Array], like: Array) -> Array:
        """Channels side by side: arrays of shape [...] to one of shape [..., channel], in the precision of `like`."""
        wide = [1.0 * column + 0.0 * like for column in columns]
        if isinstance(like, np.ndarray):
            return np.stack(wide, axis=-1)
        return array_namespace(like).stack(wide, axis=-1)


class FiniteStateGame(Game):
    """A game whose agents are in one of finitely many states and jump between them.

    You must write: `states`, `channels`, `transitions` and `emission`. Where agents choose, also `control`,
    `running_cost`, and `best_control` if it has a closed form. Costs are per agent and per unit time.
    """

    states: ClassVar[tuple[str, ...]]
    """State names; agents start in the first one unless the scenario says otherwise."""

    at_risk: ClassVar[str | None] = None
    """State that an epidemic empties: the attack rate is one minus its share at the end. None where there is none."""

    varies_in_time: ClassVar[bool] = False
    """Whether emission, intensities or costs depend on t by themselves; the exact engine holds them constant over pieces."""

    transitions: tuple[Transition, ...]
    control: Control | None = None

    @property
    def plain(self) -> FiniteStateGame:
        """The game without regard to groups, whose states are recorded: itself, but for a `GroupedGame`."""
        return self

    @abstractmethod
    def emission(self, t: float, state: Array, control: Array) -> Array:
        """What an agent exposes to its contacts: shapes [...] to [..., channel]."""

    def running_cost(self, t: float, state: Array, field: Array, control: Array) -> Array:
        """Cost per unit time, shape [...]; zero unless overridden."""
        return 0.0 * control

    def terminal_cost(self, state: Array, field: Array) -> Array:
        """Cost at the horizon, shape [...]; zero unless overridden."""
        return 0.0 * field[..., 0]

    @property
    def has_costs(self) -> bool:
        """Whether this game has costs: true where there is a control, or a cost is overridden."""
        own, base = type(self), FiniteStateGame
        costs = own.running_cost is not base.running_cost or own.terminal_cost is not base.terminal_cost
        return self.control is not None or costs

    def best_control(self, t: float, field: Array, value: Array) -> Array:
        """The control in each state that minimises the Hamiltonian `running_cost + sum_r q_r (value' - value)`.

        Shapes: field [..., channel], value [..., state] to [..., state]. This general version searches 65 points and
        refines the best by golden section (relative accuracy 1e-9 of the range for a convex Hamiltonian); override it
        with the closed form where there is one.
        """
        from mesocosm.hamiltonian import minimise_hamiltonian

        return minimise_hamiltonian(self, t, field, value)

    def check(self) -> None:
        """Raise `InputError` for a table that names unknown states or channels; called once when a run is built."""
        for transition in self.transitions:
            for state in (transition.source, transition.target):
                self.state_index(state)
            if transition.channel is not None and transition.channel not in self.channels:
                raise InputError(
                    f"channel '{transition.channel}'",
                    where=f"game {type(self).__name__}",
                    hint=suggestion(transition.channel, self.channels),
                )
        rule = self.rewiring
        linking = (rule.cutter, rule.cut, *rule.partners) if rule else ()
        for state in (*(self.control.states if self.control else ()), *linking):
            self.state_index(state)

    def state_index(self, name: str) -> int:
        """Number of a state; an error suggests the nearest name."""
        if name not in self.states:
            raise InputError(f"state '{name}'", where=f"game {type(self).__name__}", hint=suggestion(name, self.states))
        return self.states.index(name)

    def intensity(self, transition: Transition, t: float, field: Array, control: Array) -> Array:
        """Intensity of a transition for agents in its source state: field [..., channel], control [...] to [...]."""
        if transition.intensity is not None:
            return transition.intensity(t, field, control)
        result = transition.rate + 0.0 * control
        if transition.channel is not None:
            result = result * field[..., self.channels.index(transition.channel)]
        return result * control if transition.controlled else result

    def occupancy(self, states: Array) -> Array:
        """Share of agents in every state, from their state numbers: shapes [..., N] to [..., state], float64."""
        return np.stack([(states == number).mean(axis=-1) for number in range(len(self.states))], axis=-1)

    def folded(self, occupancy: Array) -> Array:
        """Shares of the plain states, from those of all states: shapes [..., state] to [..., plain state]."""
        return occupancy

    def share_at_risk(self, occupancy: Array) -> Array:
        """Share of agents in the state `at_risk`: shapes [..., state] to [...]."""
        return self.folded(occupancy)[..., self.plain.states.index(str(self.at_risk))]

    def checked_intensity(self, transition: Transition, t: float, field: Array, control: Array) -> Array:
        """`intensity`; raises `DynamicsError` with the transition, the time and the value where one cannot be."""
        found = self.intensity(transition, t, field, control)
        wrong = ~((found >= 0.0) & (found < np.inf))
        if wrong.any():
            raise DynamicsError(
                f"the intensity of {transition.source} -> {transition.target} is {float(found[wrong][0]):g} at time {t:g}",
                where=f"game {type(self).__name__}",
                rule="an intensity is finite and not negative",
                hint=f"it is {transition.describe()}: look at the game's emission and at the policy",
            )
        return found

    def neutral_control(self, like: Array) -> Array:
        """The control of an agent that does not choose, in the shape and library of `like`."""
        return 0.0 * like + (self.control.neutral if self.control else 1.0)

    def table(self) -> str:
        """The transitions, one a line, as one reads them."""
        left, right = (max(len(getattr(item, end)) for item in self.transitions) for end in ("source", "target"))
        lines = (
            f"{transition.source:<{left}} -> {transition.target:<{right}}  at {transition.describe()}"
            for transition in self.transitions
        )
        return "\n".join(lines)
