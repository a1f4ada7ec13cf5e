"""A game under test: how the kit makes it, and the inputs that it calls the functions of a game with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import Control, FiniteStateGame, Game, Options, Registry
from mesocosm.testing.check import NotApplicable
from mesocosm.testing.component import Part, options_of

FloatArray = NDArray[np.float64]

TIMES = (0.0, 0.4, 1.0, 7.3)
"""Times at which the functions of a game are called."""

CONTACTS = (0.0, 0.01, 1.0, 10.0)
"""How many contacts, or how much weight of contact, a field comes from."""


@dataclass(frozen=True)
class GameSubject(Part):
    """A game with the options that it is tested with."""

    options: Options

    def game(self) -> Game:
        """A new game; raises `NotApplicable` where none is made, which is the business of one rule alone."""
        fault = "it makes no game; see factory_is_what_its_kind_needs"
        try:
            made = self.factory()(self.options.model_copy(deep=True))
        except Exception as error:
            raise NotApplicable(fault) from error
        if not isinstance(made, Game):
            raise NotApplicable(fault)
        return made

    def table(self) -> FiniteStateGame:
        """A new game with a table of transitions; raises `NotApplicable` for another one."""
        game = self.game()
        if not isinstance(game, FiniteStateGame):
            raise NotApplicable("the game has no table of transitions")
        return game

    def sound(self) -> FiniteStateGame:
        """The same, where the table names only what there is; raises `NotApplicable` otherwise."""
        game = self.table()
        try:
            game.check()
            game.table()
        except Exception as error:
            raise NotApplicable("its table is at fault; see table_names_what_exists") from error
        return game

    def choosing(self) -> tuple[FiniteStateGame, Control]:
        """The same, and its control; raises `NotApplicable` where nobody chooses, or the control is no range."""
        game = self.sound()
        if game.control is None:
            raise NotApplicable("nobody chooses in this game")
        if not np.isfinite([game.control.minimum, game.control.maximum]).all():
            raise NotApplicable("its control has no range; see control_is_a_range")
        return game, game.control


def game_subject(name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None) -> GameSubject:
    """The game that scenarios call `name`. Raises `InputError` for a name or an option that is not there."""
    plugins = registry or Registry.discover()
    own = options_of(plugins, "game", name, options or {}, where=f"game '{name}'")
    return GameSubject("game", name, plugins, own)


@dataclass(frozen=True)
class Inputs:
    """Arguments of the functions of a game: state and control of shape [...], field [..., channel]."""

    t: float
    state: Any
    field: Any
    control: Any

    def converted(self, convert: Callable[[Any], Any]) -> Inputs:
        """The same in other arrays."""
        return Inputs(self.t, convert(self.state), convert(self.field), convert(self.control))

    def copied(self) -> Inputs:
        """The same in arrays of its own."""
        return self.converted(np.array)

    def at(self, index: tuple[int, ...]) -> Inputs:
        """One agent alone, in arrays of shape [1]."""
        return self.converted(lambda array: np.array(array[index])[None])


def inputs(
    game: FiniteStateGame,
    random: np.random.Generator,
    shape: tuple[int, ...],
    *,
    t: float = 0.0,
    contacts: float = 1.0,
    state: int | None = None,
) -> Inputs:
    """Agents in random states, or all in one, who choose at random where they may, and fields that can come about."""
    states = np.asarray(random.integers(len(game.states), size=shape) if state is None else np.full(shape, state))
    return Inputs(t, states, attainable(game, random, shape, t, contacts), controls(game, random, states))


def controls(game: FiniteStateGame, random: np.random.Generator, states: NDArray[Any]) -> FloatArray:
    """Random controls in the states in which agents choose, neutral in the others; shape of `states`."""
    control = game.control
    if control is None:
        return np.ones(states.shape)
    low, high = (value if np.isfinite(value) else control.neutral for value in (control.minimum, control.maximum))
    chosen = random.uniform(low, high, size=states.shape)
    choosing = np.isin(states, [game.states.index(name) for name in control.states if name in game.states])
    return np.where(choosing, chosen, control.neutral)


def emitted(game: FiniteStateGame, t: float) -> FloatArray | None:
    """What agents can emit, [state and control, channel], at the least, neutral and greatest control; None for a fault."""
    control = game.control
    ends = [1.0] if control is None else [control.minimum, control.neutral, control.maximum]
    states = np.tile(np.arange(len(game.states)), len(ends))
    chosen = np.repeat(ends, len(game.states))
    if control is not None:
        free = np.isin(states, [game.states.index(name) for name in control.states if name in game.states])
        chosen = np.where(free & np.isfinite(chosen), chosen, control.neutral)
    try:
        found = np.asarray(game.emission(t, states, chosen), np.float64)
    except Exception:
        return None
    return found if found.shape == (len(states), len(game.channels)) and np.isfinite(found).all() else None


def attainable(
    game: FiniteStateGame, random: np.random.Generator, shape: tuple[int, ...], t: float, contacts: float
) -> FloatArray:
    """Fields [..., channel] of agents with random contacts, as far as the emission is sound; else any numbers.

    `contacts` is their number or weight; an average over contacts is that of 1 as soon as there is one.
    """
    weight = contacts if game.normalise == "sum" else float(contacts > 0)
    rows = emitted(game, t)
    if rows is None:
        return np.asarray(weight * random.random((*shape, len(game.channels))))
    mixture = random.exponential(size=(*shape, len(rows)))
    return np.asarray(weight * (mixture / mixture.sum(axis=-1, keepdims=True)) @ rows)


def functions_of(game: FiniteStateGame) -> dict[str, tuple[int | None, Callable[[Inputs], Any]]]:
    """The functions of a game by name, each with the state that the agents are in; None where they may be in any."""
    found: dict[str, tuple[int | None, Callable[[Inputs], Any]]] = {
        "emission": (None, lambda given: game.emission(given.t, given.state, given.control)),
        "running_cost": (None, lambda given: game.running_cost(given.t, given.state, given.field, given.control)),
        "terminal_cost": (None, lambda given: game.terminal_cost(given.state, given.field)),
    }
    for number, transition in enumerate(game.transitions):
        name = f"intensity {number} ({transition.source} -> {transition.target})"

        def intensity(given: Inputs, number: int = number) -> Any:
            return game.intensity(game.transitions[number], given.t, given.field, given.control)

        found[name] = (game.states.index(transition.source), intensity)
    return found
