"""The problems that the kit poses: small games on small graphs, made by hand from public names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mesocosm import (
    Clock,
    ContactGraph,
    Control,
    FiniteStateGame,
    Game,
    Options,
    Population,
    Problem,
    Transition,
    resolve_device,
)

STATES = ("S", "I", "R")


class EpidemicOptions(Options):
    """Rates of the kit's SIR game, per unit of time."""

    beta: float = 0.3
    gamma: float = 0.2
    effort: bool = False


class Epidemic(FiniteStateGame):
    """SIR: S to I at beta times the contact level times the infected contacts, I to R at gamma.

    With `effort`, a susceptible chooses its contact level in [0, 1] at running cost (1 - a)^2 / 2, and an infected agent
    pays 1 per unit of time.
    """

    states: ClassVar[tuple[str, ...]] = STATES
    channels: ClassVar[tuple[str, ...]] = ("infected",)
    at_risk: ClassVar[str | None] = "S"

    def __init__(self, options: EpidemicOptions) -> None:
        self.options = options
        if options.effort:
            self.control = Control("contact level", ("S",), 0.0, 1.0, neutral=1.0)
        self.transitions = (
            Transition.induced("S", "I", rate=options.beta, channel="infected", controlled=options.effort),
            Transition.spontaneous("I", "R", rate=options.gamma),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1], like=control)

    @property
    def has_costs(self) -> bool:
        return self.options.effort

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        if not self.options.effort:
            return 0.0 * control
        return 0.5 * (1.0 - control) ** 2 * (state == 0) + 1.0 * (state == 1)

    def best_control(self, t: float, field: Any, value: Any) -> Any:
        chosen = 1.0 + 0.0 * value
        if self.options.effort:
            risk = value[..., 1] - value[..., 0]
            chosen[..., 0] = (1.0 - self.options.beta * field[..., 0] * risk).clip(0.0, 1.0)
        return chosen


class Faulty(FiniteStateGame):
    """SIR whose recovery has an intensity that is not one: `value` from time `since` on."""

    states: ClassVar[tuple[str, ...]] = STATES
    channels: ClassVar[tuple[str, ...]] = ("infected",)

    def __init__(self, value: float, since: float) -> None:
        def recovery(t: float, field: Any, control: Any) -> Any:
            return 0.0 * control + (value if t >= since else 0.2)

        self.transitions = (
            Transition.induced("S", "I", rate=0.3, channel="infected"),
            Transition.general("I", "R", recovery),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return self.stack([state == 1], like=control)


def epidemic(beta: float = 0.3, gamma: float = 0.2, *, effort: bool = False) -> Epidemic:
    """The kit's SIR game."""
    return Epidemic(EpidemicOptions(beta=beta, gamma=gamma, effort=effort))


def problem(
    graph: ContactGraph,
    game: Game,
    shares: Sequence[float] = (0.6, 0.3, 0.1),
    *,
    name: str,
    end: float = 6.0,
    save_every: float = 1.0,
    seed: int = 1,
    groups: Mapping[str, ArrayLike] | None = None,
    device: str = "cpu",
    precision: str = "float64",
    draw: Callable[[int], ContactGraph] | None = None,
) -> Problem:
    """A game on a graph; `shares` of S, I and R at time 0, for all or by the node attribute `group`."""
    own = {group: np.asarray(values, np.float64) for group, values in (groups or {}).items()}
    return Problem(
        name=name,
        seed=seed,
        game=game,
        graph=graph,
        population=Population(graph.node_count, np.asarray(shares, np.float64), own),
        clock=Clock(end, save_every),
        device=resolve_device(device),
        precision=precision,
        draw=draw or (lambda replicate: graph),
    )


def basic(name: str, *, seed: int = 1, **changes: Any) -> Problem:
    """SIR with 60 agents on a ring in which each meets the six nearest: the problem for whatever needs no special one."""
    return problem(ring(60, 3), epidemic(**changes), name=name, seed=seed)


def ring(size: int, reach: int, attributes: Mapping[str, ArrayLike] | None = None) -> ContactGraph:
    """Every node meets the `reach` nearest on either side."""
    nodes = np.arange(size)
    source = np.tile(nodes, reach)
    target = (source + np.repeat(np.arange(1, reach + 1), size)) % size
    return ContactGraph.from_edges(size, source, target, attributes=attributes)


def empty(size: int) -> ContactGraph:
    """Nobody meets anybody."""
    nothing = np.zeros(0, np.int64)
    return ContactGraph.from_edges(size, nothing, nothing)


def pairs(count: int, weight: float | None = None) -> ContactGraph:
    """`count` separate pairs; the first of each is in group `first`, the other in group `second`."""
    nodes = np.arange(2 * count)
    weights = None if weight is None else np.full(count, weight)
    group = np.where(nodes % 2 == 0, "first", "second")
    return ContactGraph.from_edges(2 * count, nodes[::2], nodes[1::2], weights, {"group": group})
