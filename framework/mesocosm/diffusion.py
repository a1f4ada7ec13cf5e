"""Diffusion games: what an author writes whose agents move in a continuum.

    dX = b(t, X, z, a) dt + sigma(t, X, z) dW + sigma0(t, X, z) dW0          in a box of one or two axes, sigma diagonal
    J  = E[ int f(t, X, z, a) dt + g(T, X_T, z_T, s), or on leaving at time t through an absorbing side: h(t, X, s) ]

with the field z, the control a (one number for each axis) and the signals s. As everywhere, agents **emit**, the dynamics
**aggregates** over contacts to the **field**, and agents **respond**. What aggregates, `interaction` says:

    emission   z_i = sum_j w_ij phi(t, x_j, a_j)            what a contact exposes does not depend on who looks
    pairwise   z_i = sum_j w_ij k(t, x_i, x_j)              it does: opinions that are close enough, for instance
    density    z_i = sum_j w_ij k_h(x_i - x_j)              the density of contacts at one's own place; k_h is a Gaussian of
                                                            width h = `bandwidth`; h = 0 is the density itself, in mean field

**Signals** are numbers that the whole flow decides, such as the time at which a meeting starts: `find_signals` reads them off
the `Passage` of the population through the absorbing sides. Exit and terminal cost may depend on them; an equilibrium is a
fixed point in them too. **Common noise** moves all agents by the same dW0. It is off unless `common` names it.

Shapes: t is a number, or an array that broadcasts to [...]; state, control, drift, noise and gradient are [..., axis];
field, emission and influence [..., channel]; signals [signal]; costs [...]. Functions are called with one entry per agent, or
one per grid node; they use arithmetic that NumPy and torch share.

A complete game: keep to the mean of the others, at a price for steering.

>>> from mesocosm import Axis, Control, DiffusionGame, Normal
>>> class Flock(DiffusionGame):
...     channels = ("mean",)
...     normalise = "mean"
...     axes = (Axis("x", -5.0, 5.0, "open", "open"),)
...     control = Control("steering", (), -10.0, 10.0, neutral=0.0)
...     start = Normal((1.0,), (0.5,))
...     def drift(self, t, state, field, control):
...         return control
...     def noise(self, t, state, field):
...         return 0.3 + 0.0 * state
...     def emission(self, t, state, control):
...         return state
...     def running_cost(self, t, state, field, control):
...         return (0.5 * control**2 + 0.5 * (state - field) ** 2)[..., 0]
...     def best_control(self, t, state, field, gradient):
...         return (-gradient).clip(-10.0, 10.0)
>>> Flock().check()
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mesocosm.box import Axis, Door, Law
from mesocosm.errors import InputError
from mesocosm.game import Array, Control, Game

FloatArray = NDArray[np.float64]

INTERACTIONS = ("emission", "pairwise", "density")


@dataclass(frozen=True, eq=False)
class Passage:
    """How a population leaves: `absorbed` [M] is the share that has left by `times` [M]; both never decrease.

    Between two times the share is linear. A population of N agents is a step function: each of its times stands twice.
    """

    times: FloatArray
    absorbed: FloatArray

    def time_of(self, share: float) -> float:
        """The first time at which at least `share` has left; infinite where that never happens."""
        right = int(np.searchsorted(self.absorbed, share - 1e-12))
        if right == len(self.absorbed):
            return np.inf
        if right == 0:
            return float(self.times[0])
        low, high = self.absorbed[right - 1 : right + 1]
        weight = 1.0 if high <= low else min(1.0, (share - low) / (high - low))
        return float(self.times[right - 1] + weight * (self.times[right] - self.times[right - 1]))

    def share_at(self, time: float) -> float:
        """The share that has left by a time."""
        right = int(np.searchsorted(self.times, time, side="right"))
        if right == len(self.times):
            return float(self.absorbed[-1])
        if right == 0:
            return 0.0
        step = self.times[right] - self.times[right - 1]
        weight = (time - self.times[right - 1]) / step
        return float((1 - weight) * self.absorbed[right - 1] + weight * self.absorbed[right])


class DiffusionGame(Game):
    """A game whose agents move in a box. See the module docstring for equations, shapes and a complete example.

    You must write: `channels`, `axes`, `start`, `drift`, `noise`, and `emission` or `influence`. Where agents choose, also
    `control`, `running_cost`, and `best_control` if it has a closed form.
    """

    axes: tuple[Axis, ...]
    doors: tuple[Door, ...] = ()
    start: Law
    control: Control | None = None

    interaction: ClassVar[str] = "emission"
    """One of `INTERACTIONS`."""

    bandwidth: float = 0.0
    """Width h of the Gaussian for `density`, in units of the state."""

    signals: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that `find_signals` reads off the whole flow."""

    common: str | None = None
    """Name of the common noise; None where there is none."""

    moves_with: ClassVar[str | None] = None
    """The channel that holds the mean position of contacts, for a game that is the same wherever the population is: only
    differences from it matter. The mean-field equilibrium is then a function of the difference, common noise drops out of it,
    and a solver may keep the mean at its start."""

    @abstractmethod
    def drift(self, t: Array, state: Array, field: Array, control: Array) -> Array:
        """b, in state per unit time: [..., axis]. It is affine in the control."""

    @abstractmethod
    def noise(self, t: Array, state: Array, field: Array) -> Array:
        """sigma of an agent's own noise, in state per square root of time: [..., axis]."""

    def common_noise(self, t: Array, state: Array, field: Array) -> Array:
        """sigma0, by how much the common noise moves an agent: [..., axis]; zero unless overridden."""
        return 0.0 * state

    def emission(self, t: Array, state: Array, control: Array) -> Array:
        """What an agent exposes to its contacts: [..., channel]. For the interaction `emission`."""
        raise NotImplementedError(f"{type(self).__name__} must write emission")

    def influence(self, t: Array, receiver: Array, sender: Array) -> Array:
        """What an agent at `receiver` feels of a contact at `sender`, both [..., axis]: [..., channel].

        For the interactions `pairwise`, where you write it, and `density`, where it is the Gaussian of width `bandwidth`:
        wrapped around a periodic axis, and mirrored at a reflecting side, so that no mass is lost there.
        """
        if self.interaction != "density":
            raise NotImplementedError(f"{type(self).__name__} must write influence")
        result: Any = 1.0
        for number, axis in enumerate(self.axes):
            result = result * smoothing(axis, self.bandwidth, receiver[..., number], sender[..., number])
        return result[..., None]

    def running_cost(self, t: Array, state: Array, field: Array, control: Array) -> Array:
        """f, per unit time: [...]; zero unless overridden."""
        return 0.0 * state[..., 0]

    def terminal_cost(self, t: Array, state: Array, field: Array, signals: Array) -> Array:
        """g, of an agent that is still inside at the horizon t: [...]; zero unless overridden."""
        return 0.0 * state[..., 0]

    def exit_cost(self, t: Array, state: Array, signals: Array) -> Array:
        """h, of an agent that leaves at time t and place `state`: [...]; zero unless overridden."""
        return 0.0 * state[..., 0]

    def best_control(self, t: Array, state: Array, field: Array, gradient: Array) -> Array:
        """The control that minimises the Hamiltonian f + b . gradient: [..., axis].

        This general version searches one axis after the other (65 points, then golden section), which is exact where the
        Hamiltonian is a sum over axes; override it with the closed form where there is one.
        """
        from mesocosm.hamiltonian import minimise_diffusion_hamiltonian

        return minimise_diffusion_hamiltonian(self, t, state, field, gradient)

    def for_population(self, size: int) -> DiffusionGame:
        """This game as `size` agents play it who all know each other; itself unless overridden.

        For a game that is stated with a mean over all, oneself included: the field is that over the others. Dynamics of
        agents ask for it on a complete graph; on any other graph, and in mean field, the game is played as it is.
        """
        return self

    def find_signals(self, passage: Passage) -> FloatArray:
        """The signals of a flow, shape [signal]."""
        return np.zeros(0)

    def scalars(self, passage: Passage, signals: FloatArray) -> Mapping[str, float]:
        """Numbers of this game that a run reports for each population, such as `start_time`."""
        return {name: float(value) for name, value in zip(self.signals, signals, strict=True)}

    def myopic_cost(self, t: Array, state: Array, field: Array) -> Array:
        """What the policy `gradient_flow` goes down: the running cost of an agent that does not act, unless overridden."""
        return self.running_cost(t, state, field, self.neutral_control(state))

    @property
    def has_costs(self) -> bool:
        """Whether this game has costs: true where there is a control, or a cost is overridden."""
        own, names = type(self), ("running_cost", "terminal_cost", "exit_cost")
        return self.control is not None or any(getattr(own, name) is not getattr(DiffusionGame, name) for name in names)

    @property
    def has_exits(self) -> bool:
        """Whether agents can leave."""
        return bool(self.doors) or any("absorbing" in (axis.lower, axis.upper) for axis in self.axes)

    def neutral_control(self, like: Array) -> Array:
        """The control of an agent that does not choose, in the shape and library of `like` [..., axis]."""
        return 0.0 * like + (self.control.neutral if self.control else 0.0)

    def check(self) -> None:
        """Raise `InputError` for a game that contradicts itself; called once when a run is built."""
        where = f"game {type(self).__name__}"
        if not 1 <= len(self.axes) <= 2:
            raise InputError(f"{len(self.axes)} axes", where=where, rule="one or two")
        if self.interaction not in INTERACTIONS:
            raise InputError(f"interaction '{self.interaction}'", where=where, rule=f"one of {', '.join(INTERACTIONS)}")
        if self.interaction == "density" and len(self.channels) != 1:
            raise InputError(f"{len(self.channels)} channels", where=where, rule="interaction 'density' has one")
        if self.moves_with is not None and self.moves_with not in self.channels:
            raise InputError(f"moves_with '{self.moves_with}'", where=where, rule="one of its channels")
        for door in self.doors:
            if len(self.axes) != 2 or not door.start < door.stop:
                raise InputError(f"{door}", where=where, rule="a door needs two axes, and starts before it stops")


def smoothing(axis: Axis, width: float, receiver: Array, sender: Array) -> Array:
    """The Gaussian of one axis, with its images at the sides."""
    images = [sender]
    if axis.is_periodic:
        images += [sender - axis.length, sender + axis.length]
    else:
        images += [2 * axis.low - sender] if axis.lower == "reflecting" else []
        images += [2 * axis.high - sender] if axis.upper == "reflecting" else []
    total: Any = 0.0
    for image in images:
        scaled = ((receiver - image) / width) ** 2
        total = total + 2.718281828459045 ** (-0.5 * scaled)
    return total / (width * (2 * np.pi) ** 0.5)
