"""Groups of agents with parameters of their own, or that meet by a contact matrix, as one game in finitely many states.

A state of a grouped game is a state of the plain game in a group, such as `S@children`; nobody changes group. Every dynamics
that takes finite states can run it as it is. What is recorded is folded back: `occupancy` over the plain states, and the same
within each group (see `folding`).

With a contact matrix C on the complete graph, C[g, h] being the contacts that an agent of group g has in group h, there is a
channel for each channel of the plain game and each group that receives it, `infected@children`. With phi the plain emission,

    an agent of g emits           phi_c(x) C[h, g] N / N_g           in channel c@h
    an agent of h receives        sum_g C[h, g] E[phi_c | g]         in the limit of many agents

since everyone receives the mean of all others: the pair of i in h and j in g has weight C[h, g] N / (N_g (N - 1)). Where the
plain game averages over contacts, each row of C is divided by its sum.

Source of the equations: Diekmann, Heesterbeek, Metz, J. Math. Biol. 28, 365 (1990), for types in continuous mixing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from mesocosm.errors import InputError
from mesocosm.game import Array, Control, FiniteStateGame, Game, Transition
from mesocosm.graph import ContactGraph

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class GroupedGame(FiniteStateGame):
    """A game of several groups; see the module docstring.

    State number `g * K + s` is plain state s of group g, with K plain states.

    Parameters
    ----------
    plain: the game of a group without parameters of its own.
    games: the game of each group by its name, in the order of `ContactGraph.group_index`; equal but for parameters.
    weights: what the emission of a group is multiplied by for each group that receives it, [sender, receiver]; None where
        the contact graph alone says who meets whom.

    Errors: `InputError` for games that differ in states, channels, averaging or the range of the control.
    """

    has_group_parameters: ClassVar[bool] = True

    def __init__(
        self, plain: FiniteStateGame, games: Mapping[str, FiniteStateGame], weights: FloatArray | None = None
    ) -> None:
        self._plain, self.groups, self.weights = plain, tuple(games), weights
        mixing = None if weights is None else weights.tolist()
        self.options = {name: getattr(game, "options", None) for name, game in games.items()}, mixing
        self.games = tuple(games.values())
        for name, game in games.items():
            check_alike(plain, game, name)
        self.states = tuple(f"{state}@{group}" for group in self.groups for state in plain.states)  # type: ignore[misc]
        self.channels = plain.channels  # type: ignore[misc]
        if weights is not None:
            self.channels = tuple(f"{name}@{group}" for group in self.groups for name in plain.channels)  # type: ignore[misc]
        self.normalise, self.at_risk = plain.normalise, plain.at_risk  # type: ignore[misc]
        self.varies_in_time = any(game.varies_in_time for game in self.games)  # type: ignore[misc]
        self.transitions = tuple(
            self._own(transition, game, number)
            for number, game in enumerate(self.games)
            for transition in game.transitions
        )
        self.control = self._joint_control()
        self._kinds: list[FiniteStateGame] = list({id(game): game for game in self.games}.values())
        self._members = [[n for n, game in enumerate(self.games) if game is kind] for kind in self._kinds]

    @property
    def plain(self) -> FiniteStateGame:
        return self._plain

    @property
    def has_costs(self) -> bool:
        return any(game.has_costs for game in self._kinds)

    def copies(self, state: str) -> tuple[int, ...]:
        """Numbers of a plain state in every group."""
        return tuple(int(number) for number in self.placed(self.plain.state_index(state), np.arange(len(self.groups))))

    def placed(self, states: Any, groups: IntArray) -> IntArray:
        """State numbers of agents of these groups in these plain states; shapes broadcast."""
        return np.asarray(states + len(self.plain.states) * groups, np.int64)

    def placed_shares(self, shares: FloatArray, groups: IntArray) -> FloatArray:
        """Shares [N, plain state] of nodes of these groups [N], as shares [N, state]."""
        result = np.zeros((len(shares), len(self.groups), len(self.plain.states)))
        result[np.arange(len(shares)), groups] = shares
        return result.reshape(len(shares), -1)

    def by_group(self, values: Array) -> Array:
        """Values [..., state] by group: [..., group, plain state]."""
        return values.reshape(*values.shape[:-1], len(self.groups), len(self.plain.states))

    def folded(self, occupancy: Array) -> Array:
        return self.by_group(occupancy).sum(-2)

    def emission(self, t: float, state: Array, control: Array) -> Array:
        group, own = self._apart(state)
        plain = _merged(self._members, [game.emission(t, own, control) for game in self._kinds], group[..., None])
        if self.weights is None:
            return plain
        xp = array_namespace(plain)
        weights = xp.asarray(self.weights, dtype=plain.dtype, device=device(plain))[xp.astype(group, xp.int64)]
        return (weights[..., None] * plain[..., None, :]).reshape(*plain.shape[:-1], len(self.channels))

    def running_cost(self, t: float, state: Array, field: Array, control: Array) -> Array:
        return self._cost(state, field, lambda game, own, felt: game.running_cost(t, own, felt, control))

    def terminal_cost(self, state: Array, field: Array) -> Array:
        return self._cost(state, field, lambda game, own, felt: game.terminal_cost(own, felt))

    def best_control(self, t: float, field: Array, value: Array) -> Array:
        count = len(self.plain.states)
        parts = [
            game.best_control(t, self._felt(field, number), value[..., number * count : (number + 1) * count])
            for number, game in enumerate(self.games)
        ]
        return array_namespace(parts[0]).concat(parts, axis=-1)

    def _cost(self, state: Array, field: Array, cost: Callable[[FiniteStateGame, Array, Array], Array]) -> Array:
        """A cost of agents: by game, or by group where each group feels channels of its own."""
        group, own = self._apart(state)
        if self.weights is None:
            return _merged(self._members, [cost(game, own, field) for game in self._kinds], group)
        felt = [self._felt(field, number) for number in range(len(self.games))]
        values = [cost(game, own, part) for game, part in zip(self.games, felt, strict=True)]
        return _merged([[number] for number in range(len(self.games))], values, group)

    def _apart(self, state: Array) -> tuple[Array, Array]:
        """Group and plain state of state numbers."""
        count = len(self.plain.states)
        return state // count, state % count

    def _felt(self, field: Array, group: int) -> Array:
        """The channels [..., plain channel] that a group feels."""
        if self.weights is None:
            return field
        count = len(self.plain.channels)
        return field[..., group * count : (group + 1) * count]

    def _own(self, transition: Transition, game: FiniteStateGame, number: int) -> Transition:
        """A transition of the game of a group, between states of that group."""
        group = self.groups[number]
        source, target = f"{transition.source}@{group}", f"{transition.target}@{group}"
        if transition.intensity is None and type(game).intensity is FiniteStateGame.intensity:
            channel = transition.channel
            if channel is not None and self.weights is not None:
                channel = f"{channel}@{group}"
            return replace(transition, source=source, target=target, channel=channel)

        @wraps(transition.intensity or game.intensity)
        def intensity(t: float, field: Array, control: Array) -> Array:
            return game.intensity(transition, t, self._felt(field, number), control)

        return Transition.general(source, target, intensity)

    def _joint_control(self) -> Control | None:
        """One control for all groups, in the states in which agents of a group choose."""
        choosing = [(name, game.control) for name, game in zip(self.groups, self.games, strict=True) if game.control]
        if not choosing:
            return None
        for name, game in zip(self.groups, self.games, strict=True):
            check_alike(next(each for each in self.games if each.control), game, name)
        states = tuple(f"{state}@{name}" for name, control in choosing for state in control.states)
        return replace(choosing[0][1], states=states)


def grouped(plain: Game, own: Mapping[str, Game], graph: ContactGraph) -> GroupedGame:
    """A game on a contact graph whose nodes are in groups; `own` are the games of groups with parameters of their own.

    Errors: `InputError` for games that are not in finite states or rewire the graph, and a graph without groups.
    """
    for game in (plain, *own.values()):
        if not isinstance(game, FiniteStateGame) or game.rewiring is not None:
            raise InputError(
                f"game {type(game).__name__}" + (" with a rule of rewiring" if game.rewiring is not None else ""),
                rule="groups with parameters of their own, or a contact matrix, need finite states, without rewiring",
            )
    names, index = graph.group_index()
    games: dict[str, Any] = {name: own.get(name, plain) for name in names}
    matrix = graph.contact_matrix
    if matrix is None:
        return GroupedGame(plain, games)  # type: ignore[arg-type]
    if plain.normalise == "mean":
        sums = matrix.sum(axis=1, keepdims=True)
        matrix = np.divide(matrix, sums, out=np.zeros_like(matrix), where=sums > 0)
    return GroupedGame(plain, games, (matrix * graph.node_count / np.bincount(index)).T)  # type: ignore[arg-type]


def _merged(members: Sequence[Iterable[int]], values: Sequence[Array], group: Array) -> Array:
    """One array of several: `values[k]` where the group is one of `members[k]`."""
    result = values[0]
    for numbers, value in zip(members[1:], values[1:], strict=True):
        for number in numbers:
            result = array_namespace(value).where(group == number, value, result)
    return result


def check_alike(plain: FiniteStateGame, game: FiniteStateGame, group: str) -> None:
    """Raise `InputError` where the game of a group differs from the plain one in more than parameters.

    A game without a control is as one whose agents always choose 1.
    """
    pairs = [(what, getattr(game, what), getattr(plain, what)) for what in ("states", "channels", "normalise")]
    pairs += [("neutral control", _neutral(game), _neutral(plain))]
    if game.control and plain.control:
        pairs += [("control", _range(game.control), _range(plain.control))]
    for what, found, expected in pairs:
        if found != expected:
            raise InputError(
                f"{what} of group '{group}': {found}",
                rule=f"the others have {expected}, and groups may differ in parameters only",
                hint="leave out what changes it",
            )


def _neutral(game: FiniteStateGame) -> float:
    return game.control.neutral if game.control else 1.0


def _range(control: Control) -> str:
    return f"{control.name} from {control.minimum:g} to {control.maximum:g}"
