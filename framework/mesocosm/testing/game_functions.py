"""Rules for the functions of a game: emission, intensities, costs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import FiniteStateGame
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.game_subject import CONTACTS, TIMES, GameSubject, Inputs, functions_of, inputs
from mesocosm.testing.watching import frozen, global_states, poisoned

BATCHES = ((7,), (3, 5))
"""Shapes that the functions are called with: agents, and replicates or types by agents or states."""


@rule("game")
def emission_has_a_column_per_channel(subject: GameSubject) -> None:
    """Emission has the shape of the states plus a last axis of channels, and is finite, for any shape of the states."""
    game = subject.sound()
    random = np.random.default_rng(5)
    for shape in BATCHES:
        for t in TIMES:
            given = inputs(game, random, shape, t=t)
            found = np.asarray(game.emission(t, given.state, given.control))
            if found.shape != (*shape, len(game.channels)):
                raise ConformanceError(
                    f"emission of shape {found.shape} for states of shape {shape} and {len(game.channels)} channels",
                    hint="return self.stack([...], like=control), one column per channel",
                )
            if not np.isfinite(found).all():
                raise ConformanceError(f"emission is not finite at time {t:g}")


@rule("game")
def intensities_are_rates(subject: GameSubject) -> None:
    """Intensities have one number per agent, finite and not negative, in every field that can come about."""
    game = subject.sound()
    for name, t, shape, found in _results(game, lambda name: name.startswith("intensity")):
        what = name.partition(" ")[2]
        _numbers(f"intensity {what}", t, shape, found)
        if (found < 0).any():
            raise ConformanceError(f"intensity {what} is {found.min():g} at time {t:g}")


@rule("game")
def costs_are_numbers(subject: GameSubject) -> None:
    """Running and terminal cost have one finite number per agent; they take any shape of the states."""
    game = subject.sound()
    for name, t, shape, found in _results(game, lambda name: name.endswith("_cost")):
        _numbers(name, t, shape, found)


def _numbers(name: str, t: float, shape: tuple[int, ...], found: NDArray[Any]) -> None:
    if found.shape != shape:
        raise ConformanceError(
            f"{name} of shape {found.shape} for agents of shape {shape}",
            hint="write 0.0 * control + VALUE for the same number everywhere",
        )
    if not np.isfinite(found).all():
        raise ConformanceError(f"{name} is not finite at time {t:g}")


def _results(
    game: FiniteStateGame, chosen: Callable[[str], bool]
) -> list[tuple[str, float, tuple[int, ...], NDArray[Any]]]:
    """Name, time, shape of the agents and result, of the chosen functions at all times, batches and fields."""
    random = np.random.default_rng(6)
    return [
        (name, t, shape, np.asarray(function(inputs(game, random, shape, t=t, contacts=contacts, state=state))))
        for name, (state, function) in functions_of(game).items()
        if chosen(name)
        for t in TIMES
        for shape in BATCHES
        for contacts in CONTACTS
    ]


@rule("game")
def agents_do_not_see_each_other(subject: GameSubject) -> None:
    """What a function gives for one agent is the same alone and among others: they meet through the field only."""
    game, random = subject.sound(), np.random.default_rng(7)
    for name, (state, function) in functions_of(game).items():
        given = inputs(game, random, (3, 5), state=state)
        together = np.asarray(function(given))
        if together.shape[:2] != (3, 5):
            continue
        for index in np.ndindex(3, 5):
            if not np.allclose(np.asarray(function(given.at(index)))[0], together[index], rtol=1e-9, atol=1e-12):
                raise ConformanceError(f"{name} of an agent depends on the other agents that it is computed with")
    field, value = inputs(game, random, (6,)).field, random.normal(size=(6, len(game.states)))
    together = np.asarray(game.best_control(0.0, field, value))
    for row in range(6):
        alone = np.asarray(game.best_control(0.0, field[row : row + 1], value[row : row + 1]))
        if not np.allclose(alone[0], together[row], rtol=1e-9, atol=1e-12):
            raise ConformanceError("best_control of a type depends on the other types that it is computed with")


@rule("game")
def any_integer_type_of_states(subject: GameSubject) -> None:
    """State numbers may be of any integer type, such as int8: the functions give the same for each."""
    game, random = subject.sound(), np.random.default_rng(8)
    for name in ("emission", "running_cost", "terminal_cost"):
        _, function = functions_of(game)[name]
        given = inputs(game, random, (30,))
        expected = np.asarray(function(given))
        for kind in (np.int8, np.int32, np.uint8):
            found = function(Inputs(given.t, given.state.astype(kind), given.field, given.control))
            if not np.allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-12):
                raise ConformanceError(
                    f"{name} differs for states of type {np.dtype(kind)}",
                    hint="compare states, do not compute with them",
                )


@rule("game")
def time_is_declared(subject: GameSubject) -> None:
    """Emission, intensities and running cost are the same at all times, unless the game says that they vary."""
    game = subject.sound()
    if game.varies_in_time:
        raise NotApplicable("the game says that it varies in time")
    for name, (state, function) in functions_of(game).items():
        given = inputs(game, np.random.default_rng(13), (40,), state=state)
        expected = np.asarray(function(given))
        if not np.array_equal(np.asarray(function(given)), expected, equal_nan=True):
            continue  # not deterministic at all: the fault of another rule
        for t in TIMES[1:]:
            if not np.array_equal(np.asarray(function(replace(given, t=t))), expected, equal_nan=True):
                raise ConformanceError(
                    f"{name} is not the same at time {t:g} as at {given.t:g}",
                    hint="write varies_in_time = True into the class: the exact engine holds it constant over pieces then",
                )


@rule("game")
def functions_are_deterministic(subject: GameSubject) -> None:
    """The same arguments give the same bytes; nothing is drawn at random, which is the business of the dynamics."""
    game, random = subject.sound(), np.random.default_rng(9)
    for name, (state, function) in functions_of(game).items():
        given, before = inputs(game, random, (6,), state=state), global_states()
        found = []
        for seed in (1, 2):
            with poisoned(seed):
                found.append(np.asarray(function(given.copied())).tobytes())
        function(given)
        if found[0] != found[1] or global_states() != before:
            raise ConformanceError(f"{name} gives different numbers for the same arguments, or draws at random")


@rule("game")
def functions_change_nothing(subject: GameSubject) -> None:
    """The functions change neither their arguments nor the game; what they keep they may make at the first call."""
    game = subject.sound()
    for repeated in (False, True):
        before = frozen(game)
        random = np.random.default_rng(10)
        for name, (state, function) in functions_of(game).items():
            given = inputs(game, random, (6,), state=state)
            copy = given.copied()
            function(given)
            if frozen(given) != frozen(copy):
                raise ConformanceError(f"{name} writes into its arguments", hint="work on a copy")
        field, value = inputs(game, random, (6,)).field, random.normal(size=(6, len(game.states)))
        copies = frozen([field, value])
        game.best_control(0.0, field, value)
        if frozen([field, value]) != copies:
            raise ConformanceError("best_control writes into its arguments", hint="work on a copy")
        if repeated and frozen(game) != before:
            raise ConformanceError(
                "calling its functions changes the game", hint="keep nothing that changes with a call"
            )


def _torch() -> Any:
    if importlib.util.find_spec("torch") is None:
        raise NotApplicable("torch is not installed")
    return importlib.import_module("torch")


@rule("game")
def numpy_and_torch_agree(subject: GameSubject) -> None:
    """The functions take torch tensors as they take NumPy arrays, and give tensors with the same numbers."""
    game, torch, random = subject.sound(), _torch(), np.random.default_rng(11)
    for name, (state, function) in functions_of(game).items():
        for contacts in CONTACTS:
            given = inputs(game, random, (3, 5), contacts=contacts, state=state)
            ours = np.asarray(function(given))
            if ours.shape[:2] != (3, 5):
                continue
            theirs = function(given.converted(lambda array: torch.tensor(np.array(array))))
            if not isinstance(theirs, torch.Tensor):
                raise ConformanceError(f"{name} makes {type(theirs).__name__} of tensors")
            if theirs.is_floating_point() and theirs.dtype != torch.float64:
                raise ConformanceError(f"{name} makes {theirs.dtype} of float64")
            found = theirs.detach().cpu().numpy()
            if found.shape != ours.shape or not np.allclose(found, ours, rtol=1e-9, atol=1e-12, equal_nan=True):
                raise ConformanceError(
                    f"{name} gives other numbers for tensors than for arrays",
                    hint="0.3 * (state == 1) has single precision in torch; write (0.0 * control + 0.3) * (state == 1)",
                )


@rule("game")
def gradients_flow(subject: GameSubject) -> None:
    """An intensity of tensors can be differentiated by the field: the neural dynamics does; the slope is the right one."""
    game, torch, random = subject.sound(), _torch(), np.random.default_rng(12)
    for name, (state, function) in functions_of(game).items():
        if state is None:
            continue
        given = inputs(game, random, (8,), state=state)
        tensors = given.converted(lambda array: torch.tensor(np.array(array)))
        tensors.field.requires_grad_(True)
        result = function(tensors)
        slope = np.zeros_like(given.field)
        if isinstance(result, torch.Tensor) and result.requires_grad:
            (gradient,) = torch.autograd.grad(result.sum(), tensors.field, allow_unused=True)
            slope = slope if gradient is None else gradient.numpy()
        expected = _differences(function, given)
        if not np.allclose(slope, expected, rtol=1e-4, atol=1e-6):
            raise ConformanceError(
                f"{name}: automatic differentiation by the field gives {slope.ravel()[0]:g}, differences give "
                f"{expected.ravel()[0]:g}",
                hint="leave tensors as they are: no detach, no numpy, no float()",
            )


def _differences(function: Callable[[Inputs], Any], given: Inputs) -> NDArray[np.float64]:
    """Slope by each channel of the field, from central differences."""
    slopes = np.zeros(given.field.shape)
    for channel in range(given.field.shape[-1]):
        step = np.zeros(given.field.shape)
        step[..., channel] = 1e-5 * (1.0 + abs(given.field[..., channel]))
        up, down = (
            np.asarray(function(Inputs(given.t, given.state, given.field + sign * step, given.control)))
            for sign in (1, -1)
        )
        slopes[..., channel] = (up - down) / (2 * step[..., channel])
    return slopes


FUNCTION_RULES: tuple[Rule[Any], ...] = (
    emission_has_a_column_per_channel,
    intensities_are_rates,
    costs_are_numbers,
    agents_do_not_see_each_other,
    any_integer_type_of_states,
    time_is_declared,
    functions_are_deterministic,
    functions_change_nothing,
    numpy_and_torch_agree,
    gradients_flow,
)
