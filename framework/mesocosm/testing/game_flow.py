"""Rules for what a game does: the best response of an agent, and the flow of a population that plays it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import FiniteStateGame, MeanField, Mixing
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.game_subject import CONTACTS, TIMES, GameSubject, attainable, emitted, inputs

FloatArray = NDArray[np.float64]

STEPS = 200
"""Runge-Kutta steps of a flow; each is at most a fifth of the shortest mean waiting time."""

DRAWS = 60
"""Random fields and values for which the best control is compared, at each time and weight of contacts."""


@rule("game")
def best_control_is_a_control(subject: GameSubject) -> None:
    """The best control is within the range where agents choose, neutral in the other states, in the shape of the values."""
    game, control = subject.choosing()
    choosing = np.isin(np.arange(len(game.states)), [game.state_index(name) for name in control.states])
    for t, field, value in _situations(game):
        found = np.asarray(game.best_control(t, field, value))
        if found.shape != value.shape:
            raise ConformanceError(f"best_control of shape {found.shape} for values of shape {value.shape}")
        slack = 1e-9 * (control.maximum - control.minimum)
        chosen, others = found[..., choosing], found[..., ~choosing]
        if not ((chosen >= control.minimum - slack) & (chosen <= control.maximum + slack)).all():
            raise ConformanceError(
                f"best_control goes from {chosen.min():g} to {chosen.max():g}; the range is [{control.minimum:g}, "
                f"{control.maximum:g}]",
                hint="end with .clip(minimum, maximum)",
            )
        if (others != control.neutral).any():
            raise ConformanceError(
                f"best_control is not neutral ({control.neutral:g}) in states in which nobody chooses",
                hint="begin with self.neutral_control(value)",
            )


@rule("game")
def best_control_minimises(subject: GameSubject) -> None:
    """The closed form of the best control is no worse than the numerical search.

    It is compared by the Hamiltonian, cost plus intensities times what is lost by jumping, to 1e-6 of the sum of its terms.
    """
    game, control = subject.choosing()
    if type(game).best_control is FiniteStateGame.best_control:
        raise NotApplicable("the game leaves the best control to the search")
    choosing = [game.state_index(name) for name in control.states]
    for t, field, value in _situations(game):
        given = np.asarray(game.best_control(t, field, value), np.float64)
        if given.shape != value.shape or not np.isfinite(given).all():
            raise NotApplicable("its best control is at fault; see best_control_is_a_control")
        searched = FiniteStateGame.best_control(game, t, field, value)
        ours, scale = _hamiltonian(game, t, field, value, given.clip(control.minimum, control.maximum))
        theirs, _ = _hamiltonian(game, t, field, value, searched)
        worse = (ours - theirs - 1e-6 * scale)[..., choosing]
        if (worse > 0).any():
            row, column = np.unravel_index(int(np.argmax(worse)), worse.shape)
            state = choosing[column]
            raise ConformanceError(
                f"in state {game.states[state]} with field {field[row].tolist()} and values {value[row].tolist()}, "
                f"best_control is {given[row, state]:g}; {searched[row, state]:g} costs less",
                hint="leave best_control out and the search is used, or set the derivative of the Hamiltonian to zero",
            )


def _situations(game: FiniteStateGame) -> list[tuple[float, FloatArray, FloatArray]]:
    """Times, fields [draw, channel] and values [draw, state] of all magnitudes."""
    random = np.random.default_rng(13)
    found = []
    for t in TIMES[:3]:
        for contacts in CONTACTS:
            scale = 10.0 ** random.uniform(-2, 2, size=(DRAWS, 1))
            value = scale * random.normal(size=(DRAWS, len(game.states)))
            found.append((t, attainable(game, random, (DRAWS,), t, contacts), value))
    return found


def _hamiltonian(
    game: FiniteStateGame, t: float, field: FloatArray, value: FloatArray, control: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The Hamiltonian in every state, and the sum of the sizes of its terms, both [draw, state]."""
    states = np.broadcast_to(np.arange(len(game.states)), control.shape)
    spread = np.broadcast_to(field[:, None, :], (*control.shape, field.shape[-1]))
    total = np.array(np.broadcast_to(game.running_cost(t, states, spread, control), control.shape), np.float64)
    scale = abs(total)
    for transition in game.transitions:
        source, target = game.state_index(transition.source), game.state_index(transition.target)
        rate = np.asarray(game.intensity(transition, t, field, control[:, source]))
        total[:, source] += rate * (value[:, target] - value[:, source])
        scale[:, source] += abs(rate) * (abs(value[:, target]) + abs(value[:, source]))
    return total, scale


@rule("game")
def shares_stay_shares(subject: GameSubject) -> None:
    """Along the mean-field flow on a complete graph the shares of the states sum to 1 and stay between 0 and 1."""
    game = subject.sound()
    flow = _flow(game)
    lost = abs(flow.sum(axis=-1) - 1.0).max()
    if not lost <= 1e-9:
        raise ConformanceError(f"the shares of the states sum to 1 only up to {lost:g}")
    low, high = np.unravel_index(flow.argmin(), flow.shape)[-1], np.unravel_index(flow.argmax(), flow.shape)[-1]
    if flow.min() < -1e-6 or flow.max() > 1.0 + 1e-6:
        raise ConformanceError(
            f"the share of {game.states[low]} falls to {flow.min():g}, that of {game.states[high]} rises to {flow.max():g}",
            hint="an intensity is negative somewhere",
        )


@rule("game")
def absorbing_states_absorb(subject: GameSubject) -> None:
    """The share of a state that no transition leaves never falls along the mean-field flow on a complete graph."""
    game = subject.sound()
    left = {transition.source for transition in game.transitions}
    absorbing = [number for number, name in enumerate(game.states) if name not in left]
    if not absorbing:
        raise NotApplicable("a transition leaves every state")
    falls = -np.diff(_flow(game)[..., absorbing], axis=0)
    if falls.max() > 1e-9:
        state = absorbing[int(np.unravel_index(falls.argmax(), falls.shape)[-1])]
        raise ConformanceError(
            f"the share of {game.states[state]} falls, and no transition leaves it",
            hint="an intensity of a transition that leads there is negative somewhere",
        )


def _flow(game: FiniteStateGame) -> FloatArray:
    """Shares [time, start, state] from everyone in one state, and from all states alike."""
    if any(emitted(game, t) is None for t in TIMES):
        raise NotApplicable("its emission is at fault; see emission_has_a_column_per_channel")
    count = len(game.states)
    length = min(0.25, 0.2 / max(_fastest(game), 1e-12))
    nodes = np.linspace(0.0, STEPS * length, 2 * STEPS + 1)
    starts = np.array([*np.eye(count), np.full(count, 1.0 / count)])
    # One population for each start: it mixes with itself alone, as on a complete graph of its own.
    names, alike = tuple(map(str, range(count + 1))), np.full(count + 1, 1.0 / (count + 1))
    mixing = Mixing("group", names, alike, np.ones(count + 1), None, matrix=np.eye(count + 1))
    model = MeanField(game, mixing, starts, nodes)
    return model.flow(model.neutral()).occupancy[::2]


def _fastest(game: FiniteStateGame) -> float:
    """The greatest total intensity with which an agent leaves a state, in fields of one contact."""
    random, fastest = np.random.default_rng(14), 0.0
    for t in TIMES:
        leaving = dict.fromkeys(game.states, 0.0)
        for transition in game.transitions:
            given = inputs(game, random, (50,), t=t, state=game.state_index(transition.source))
            found = np.asarray(game.intensity(transition, t, given.field, given.control), np.float64)
            if not np.isfinite(found).all():
                raise NotApplicable("an intensity is not finite; see intensities_are_rates")
            leaving[transition.source] += float(found.max())
        fastest = max(fastest, *leaving.values())
    return fastest


FLOW_RULES: tuple[Rule[Any], ...] = (
    best_control_is_a_control,
    best_control_minimises,
    shares_stay_shares,
    absorbing_states_absorb,
)
