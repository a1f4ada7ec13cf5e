"""A diffusion game under test, and the inputs that its functions are called with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiffusionGame
from mesocosm.testing.check import NotApplicable
from mesocosm.testing.game_subject import GameSubject

FloatArray = NDArray[np.float64]

WIDEST = 10.0
"""Controls are tried up to here where their range is wider."""


@dataclass(frozen=True)
class Places:
    """Arguments of the functions of a diffusion game, shapes [..., axis] and [..., channel]."""

    t: float
    state: Any
    field: Any
    control: Any
    signals: Any

    def converted(self, convert: Callable[[Any], Any]) -> Places:
        """The same in other arrays."""
        return Places(self.t, *map(convert, (self.state, self.field, self.control, self.signals)))


def diffusion_of(subject: GameSubject) -> DiffusionGame:
    """A new diffusion game that does not contradict itself; raises `NotApplicable` for another one."""
    game = unchecked(subject)
    try:
        game.check()
    except Exception as error:
        raise NotApplicable("it contradicts itself; see the_box_is_sound") from error
    return game


def unchecked(subject: GameSubject) -> DiffusionGame:
    """A new diffusion game; raises `NotApplicable` for another kind."""
    game = subject.game()
    if not isinstance(game, DiffusionGame):
        raise NotApplicable("it is no diffusion game")
    return game


def places(game: DiffusionGame, random: np.random.Generator, shape: tuple[int, ...], *, t: float = 0.0) -> Places:
    """Agents at random places of the box, with random controls and a field that can come about."""
    low, high = ([getattr(axis, end) for axis in game.axes] for end in ("low", "high"))
    state = random.uniform(low, high, (*shape, len(game.axes)))
    return Places(t, state, attainable_field(game, random, state, t), controls(game, random, state), signals_of(game))


def controls(game: DiffusionGame, random: np.random.Generator, state: FloatArray) -> FloatArray:
    """Random controls within their range, or neutral ones where nobody chooses."""
    if game.control is None:
        return np.asarray(game.neutral_control(state), np.float64)
    low, high = max(game.control.minimum, -WIDEST), min(game.control.maximum, WIDEST)
    return np.asarray(random.uniform(low, high, state.shape), np.float64)


def attainable_field(game: DiffusionGame, random: np.random.Generator, state: FloatArray, t: float) -> FloatArray:
    """The mean of what contacts at 40 random places of the box expose; where that cannot be called, positive numbers."""
    low, high = ([getattr(axis, end) for axis in game.axes] for end in ("low", "high"))
    others = random.uniform(low, high, (40, len(game.axes)))
    shape = (*state.shape[:-1], len(game.channels))
    try:
        if game.interaction == "emission":
            felt = np.asarray(game.emission(t, others, np.asarray(game.neutral_control(others))), np.float64)
        elif game.interaction == "pairwise":
            felt = np.asarray(game.influence(t, state[..., None, :], others), np.float64)
        else:
            felt = np.asarray(0.1 + random.random((40, 1)), np.float64)
        return np.array(np.broadcast_to(felt.mean(axis=-2), shape))
    except Exception:
        return np.asarray(0.1 + random.random(shape), np.float64)


def signals_of(game: DiffusionGame) -> FloatArray:
    """Signals that could be: one number each."""
    return np.full(len(game.signals), 1.5)


def functions_of(game: DiffusionGame) -> dict[str, tuple[str, Callable[[Places], Any]]]:
    """The functions of a game by name, each with what its last axis holds: `axis`, `channel`, or '' for one number."""
    found: dict[str, tuple[str, Callable[[Places], Any]]] = {
        "drift": ("axis", lambda at: game.drift(at.t, at.state, at.field, at.control)),
        "noise": ("axis", lambda at: game.noise(at.t, at.state, at.field)),
        "common_noise": ("axis", lambda at: game.common_noise(at.t, at.state, at.field)),
        "running_cost": ("", lambda at: game.running_cost(at.t, at.state, at.field, at.control)),
        "terminal_cost": ("", lambda at: game.terminal_cost(at.t, at.state, at.field, at.signals)),
        "exit_cost": ("", lambda at: game.exit_cost(at.t, at.state, at.signals)),
    }
    if game.interaction == "emission":
        found["emission"] = ("channel", lambda at: game.emission(at.t, at.state, at.control))
    if game.interaction == "pairwise":
        found["influence"] = ("channel", lambda at: game.influence(at.t, at.state, _near(at.state)))
    return found


def _near(state: Any) -> Any:
    """Places of contacts: a tenth of the way to the first agent."""
    return 0.9 * state + 0.1 * state[..., :1, :]
