"""Rules for what a game states: its table of transitions, names, control and costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any

import numpy as np

from mesocosm import FiniteStateGame
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.game_subject import CONTACTS, TIMES, GameSubject, emitted, functions_of, inputs


@rule("game")
def table_names_what_exists(subject: GameSubject) -> None:
    """The transitions name states and channels of the game, and can be printed as a table; there is one at least."""
    game = subject.table()
    if not game.transitions:
        raise ConformanceError("the game has no transitions")
    game.check()
    game.table()


@rule("game")
def names_are_unique(subject: GameSubject) -> None:
    """States and channels have different names, text that is not empty; there is one of each at least."""
    game = subject.table()
    _names("state", game.states)
    _names("channel", game.channels)


def _names(what: str, names: Sequence[str]) -> None:
    if isinstance(names, str) or not names:
        raise ConformanceError(f"the {what}s are {names!r}; write a tuple of names")
    wrong = [name for name in names if not (isinstance(name, str) and name.strip())]
    if wrong:
        raise ConformanceError(f"a {what} is called {wrong[0]!r}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConformanceError(f"two {what}s are called '{twice[0]}'")


@rule("game")
def at_risk_is_a_state(subject: GameSubject) -> None:
    """The state whose emptying gives the attack rate is one of the states."""
    game = subject.table()
    if game.at_risk is None:
        raise NotApplicable("the game has no state at risk")
    if game.at_risk not in game.states:
        raise ConformanceError(f"at_risk is '{game.at_risk}'; the states are {', '.join(game.states)}")


@rule("game")
def control_is_a_range(subject: GameSubject) -> None:
    """A control has a name, a finite range, and states in which it is chosen, each named once."""
    control = subject.sound().control
    if control is None:
        raise NotApplicable("nobody chooses in this game")
    if not (isinstance(control.name, str) and control.name.strip()):
        raise ConformanceError(f"the control is called {control.name!r}")
    if not np.isfinite([control.minimum, control.neutral, control.maximum]).all():
        raise ConformanceError(f"its range is [{control.minimum:g}, {control.maximum:g}]", hint="choose a finite one")
    if isinstance(control.states, str) or not control.states or len(set(control.states)) != len(control.states):
        raise ConformanceError(f"it is chosen in the states {control.states!r}; write a tuple that names each once")


@rule("game")
def costs_are_declared(subject: GameSubject) -> None:
    """A game with a cost that is not zero has `has_costs`; without it, no dynamics adds the costs up."""
    game = subject.sound()
    if game.has_costs:
        return
    random = np.random.default_rng(1)
    for t in TIMES:
        given = inputs(game, random, (40,), t=t)
        for name in ("running_cost", "terminal_cost"):
            if np.any(np.asarray(functions_of(game)[name][1](given)) != 0):
                raise ConformanceError(f"its {name} is not zero, and has_costs is False")


@rule("game")
def channels_are_emitted(subject: GameSubject) -> None:
    """Every channel is emitted in some state, or the transitions that it induces never happen."""
    game = subject.sound()
    tables = [emitted(game, t) for t in TIMES]
    if any(table is None for table in tables):
        raise NotApplicable("its emission is at fault; see emission_has_a_column_per_channel")
    silent = ~np.any([table != 0 for table in tables], axis=(0, 1))
    names = [name for name, mute in zip(game.channels, silent, strict=True) if mute]
    if names:
        raise ConformanceError(
            f"no state emits {', '.join(names)}", hint="compare the numbers of states in `emission` with `states`"
        )


@rule("game")
def intensities_are_those_of_the_table(subject: GameSubject) -> None:
    """A spontaneous or induced transition has the intensity that the table states.

    Compiled and exact dynamics read the table and never call `intensity`; what it does otherwise they do not do.
    """
    game = subject.sound()
    random = np.random.default_rng(2)
    for t in TIMES:
        for transition in game.transitions:
            if transition.intensity is not None:
                continue
            given = inputs(game, random, (20,), t=t, state=game.state_index(transition.source))
            expected = transition.rate * np.ones(20)
            if transition.channel is not None:
                expected = expected * given.field[:, game.channels.index(transition.channel)]
            if transition.controlled:
                expected = expected * given.control
            found = np.asarray(game.intensity(transition, t, given.field, given.control))
            if found.shape == expected.shape and not np.allclose(found, expected, rtol=1e-12, atol=0, equal_nan=True):
                raise ConformanceError(
                    f"{transition.source} -> {transition.target} does not happen at {transition.describe()}",
                    hint="leave `intensity` alone, and write Transition.general for another law",
                )


@rule("game")
def nothing_is_induced_without_a_field(subject: GameSubject) -> None:
    """An induced transition has intensity zero where the field is zero: who meets nobody is not infected."""
    game = subject.sound()
    induced = [transition for transition in game.transitions if transition.channel is not None]
    if not induced:
        raise NotApplicable("the game has no induced transition")
    random = np.random.default_rng(3)
    for t in TIMES:
        for transition in induced:
            given = inputs(game, random, (20,), t=t, contacts=0.0, state=game.state_index(transition.source))
            if np.any(np.asarray(game.intensity(transition, t, given.field, given.control)) != 0):
                raise ConformanceError(f"{transition.source} -> {transition.target} happens in a field of zero")


@rule("game")
def games_are_independent(subject: GameSubject) -> None:
    """A game does not change when another one is made of the same options, and the other one is its equal."""
    first = subject.sound()
    stated, given = _portrait(first)
    second = subject.sound()
    for game in (first, second):
        now, gives = _portrait(game)
        if now != stated or not all(starmap(_close, zip(given, gives, strict=True))):
            raise ConformanceError(
                "two games of the same options differ, or the second changes the first",
                hint="assign `transitions` and `control` to self; do not add to lists of the class or the module",
            )


def _portrait(game: FiniteStateGame) -> tuple[str, list[Any]]:
    """What a game states, and what its functions give."""
    random = np.random.default_rng(4)
    given = [
        np.asarray(function(inputs(game, random, (5,), contacts=contacts, state=state)))
        for state, function in functions_of(game).values()
        for contacts in CONTACTS[1:]
    ]
    return f"{game.control}\n{game.table()}", given


def _close(a: Any, b: Any) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


TABLE_RULES: tuple[Rule[Any], ...] = (
    table_names_what_exists,
    names_are_unique,
    at_risk_is_a_state,
    control_is_a_range,
    costs_are_declared,
    channels_are_emitted,
    intensities_are_those_of_the_table,
    nothing_is_induced_without_a_field,
    games_are_independent,
)
