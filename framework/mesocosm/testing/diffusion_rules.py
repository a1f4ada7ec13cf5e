"""Rules for diffusion games: where agents live and start, how they move, what they pay, and what they choose."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np

from mesocosm import DiffusionGame, Passage
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.diffusion_subject import (
    WIDEST,
    Places,
    controls,
    diffusion_of,
    functions_of,
    places,
    unchecked,
)
from mesocosm.testing.game_subject import TIMES, GameSubject

BATCHES = ((7,), (3, 5))
"""Shapes that the functions are called with: agents, and replicates by agents."""


@rule("diffusion")
def the_box_is_sound(subject: GameSubject) -> None:
    """Axes, doors, interaction and control agree with each other: `check` raises nothing."""
    game = unchecked(subject)
    try:
        game.check()
    except Exception as error:
        raise ConformanceError(f"check raises {type(error).__name__}: {error}") from error


@rule("diffusion")
def agents_start_in_the_box(subject: GameSubject) -> None:
    """`start` draws places within every side that is not open, and its masses on a grid sum to 1 and have the same mean."""
    game = diffusion_of(subject)
    drawn = np.asarray(game.start.sample(np.random.default_rng(3), 4000), np.float64)
    if drawn.shape != (4000, len(game.axes)) or not np.isfinite(drawn).all():
        raise ConformanceError(f"4000 draws have shape {drawn.shape}, or are not finite")
    edges = [np.linspace(axis.low, axis.high, 401) for axis in game.axes]
    masses = np.asarray(game.start.masses(edges), np.float64)
    if masses.shape != (400,) * len(game.axes) or masses.min() < 0 or abs(masses.sum() - 1) > 1e-9:
        raise ConformanceError(
            f"masses on a grid of 400 cells per axis have shape {masses.shape}, sum {masses.sum():.9g}"
        )
    for number, axis in enumerate(game.axes):
        low = axis.low if axis.lower != "open" else -np.inf
        high = axis.high if axis.upper != "open" else np.inf
        if drawn[:, number].min() < low or drawn[:, number].max() > high:
            raise ConformanceError(f"on axis '{axis.name}' agents start outside [{low:g}, {high:g}]")
        centres = (edges[number][1:] + edges[number][:-1]) / 2
        others = tuple(other for other in range(len(game.axes)) if other != number)
        expected = float(centres @ masses.sum(axis=others))
        error = 6 * drawn[:, number].std() / np.sqrt(len(drawn)) + axis.length / 400
        if abs(drawn[:, number].mean() - expected) > error:
            raise ConformanceError(
                f"on axis '{axis.name}' draws have mean {drawn[:, number].mean():g}, masses {expected:g}",
                hint="sample and masses must be of one law",
            )


@rule("diffusion")
def functions_keep_the_shape_of_places(subject: GameSubject) -> None:
    """Drift and noise have one finite number per axis, costs one per agent, emission or influence one per channel."""
    game, random = diffusion_of(subject), np.random.default_rng(4)
    sizes = {"axis": (len(game.axes),), "channel": (len(game.channels),), "": ()}
    for t in TIMES:
        for shape in BATCHES:
            given = places(game, random, shape, t=t)
            for name, (last, function) in functions_of(game).items():
                found = np.asarray(function(given))
                if found.shape != (*shape, *sizes[last]):
                    raise ConformanceError(
                        f"{name} of shape {found.shape} for agents of shape {shape}",
                        rule=f"it is {(*shape, *sizes[last])}",
                    )
                if not np.isfinite(found).all():
                    raise ConformanceError(f"{name} is not finite at time {t:g}")


@rule("diffusion")
def noise_is_not_negative(subject: GameSubject) -> None:
    """An agent's own noise is a standard deviation: 0 or more everywhere."""
    game, random = diffusion_of(subject), np.random.default_rng(5)
    for t in TIMES:
        given = places(game, random, (400,), t=t)
        least = float(np.min(np.asarray(game.noise(given.t, given.state, given.field))))
        if least < 0:
            raise ConformanceError(f"noise {least:g} at time {t:g}")


@rule("diffusion")
def drift_is_affine_in_the_control(subject: GameSubject) -> None:
    """Half way between two controls the drift is half way between theirs, as solvers take for granted."""
    game, random = diffusion_of(subject), np.random.default_rng(6)
    given = places(game, random, (200,), t=0.4)
    first, second = (controls(game, random, given.state) for _ in range(2))
    drifts = [
        np.asarray(game.drift(given.t, given.state, given.field, control), np.float64)
        for control in (first, second, (first + second) / 2)
    ]
    miss = float(np.abs((drifts[0] + drifts[1]) / 2 - drifts[2]).max())
    if miss > 1e-9 * (1 + float(np.abs(drifts).max())):
        raise ConformanceError(f"the drift half way between two controls is off by {miss:g}")


@rule("diffusion")
def places_are_not_changed(subject: GameSubject) -> None:
    """The functions leave the arrays that they are given as they were."""
    game = diffusion_of(subject)
    given = places(game, np.random.default_rng(7), (9,))
    for name, (_, function) in functions_of(game).items():
        passed = given.converted(np.array)
        function(passed)
        if not all(np.array_equal(*pair) for pair in zip(_arrays(passed), _arrays(given), strict=True)):
            raise ConformanceError(f"{name} writes into what it is given", hint="make a new array")


def _arrays(at: Places) -> tuple[Any, ...]:
    return at.state, at.field, at.control, at.signals


@rule("diffusion")
def a_periodic_axis_has_no_seam(subject: GameSubject) -> None:
    """One turn further on a periodic axis every function gives the same."""
    game = diffusion_of(subject)
    turns = np.array([axis.length if axis.is_periodic else 0.0 for axis in game.axes])
    if not turns.any():
        raise NotApplicable("no axis is periodic")
    given = places(game, np.random.default_rng(8), (60,))
    turned = Places(given.t, given.state + turns, given.field, given.control, given.signals)
    for name, (_, function) in functions_of(game).items():
        first, second = (np.asarray(function(at), np.float64) for at in (given, turned))
        if float(np.abs(first - second).max()) > 1e-6 * (1 + float(np.abs(first).max())):
            raise ConformanceError(f"{name} differs by {np.abs(first - second).max():g} after one turn")


@rule("diffusion")
def the_best_control_minimises(subject: GameSubject) -> None:
    """`best_control` lies in the control's range, and no other control makes the Hamiltonian f + b . gradient smaller."""
    game, random = diffusion_of(subject), np.random.default_rng(9)
    if game.control is None:
        raise NotApplicable("nobody chooses in this game")
    for t in TIMES:
        given = places(game, random, (80,), t=t)
        gradient = random.normal(size=given.state.shape) * 2.0
        best = np.asarray(game.best_control(t, given.state, given.field, gradient), np.float64)
        low, high = game.control.minimum, game.control.maximum
        if best.shape != given.state.shape or best.min() < low - 1e-12 or best.max() > high + 1e-12:
            raise ConformanceError(
                f"best_control of shape {best.shape} goes from {best.min():g} to {best.max():g}; "
                f"the range is [{low:g}, {high:g}]",
                hint="end with .clip(minimum, maximum)",
            )
        least = _hamiltonian(game, given, best, gradient)
        for _ in range(60):
            near = best + random.normal(size=best.shape) * random.choice([0.01, 0.3, WIDEST])
            other = _hamiltonian(game, given, near.clip(low, high), gradient)
            better = least - other
            if float(better.max()) > 1e-7 * (1 + float(np.abs(least).max())):
                at = int(better.argmax())
                raise ConformanceError(
                    f"at {given.state[at].tolist()} control {near[at].tolist()} has a Hamiltonian smaller by {better[at]:g} "
                    f"than best_control {best[at].tolist()}"
                )


def _hamiltonian(game: DiffusionGame, at: Places, control: Any, gradient: Any) -> Any:
    moved = np.asarray(game.drift(at.t, at.state, at.field, control)) * gradient
    return np.asarray(game.running_cost(at.t, at.state, at.field, control)) + moved.sum(axis=-1)


@rule("diffusion")
def signals_are_found_in_every_flow(subject: GameSubject) -> None:
    """`find_signals` gives one finite number per signal, whether everyone leaves at once, slowly, or nobody ever does."""
    game = diffusion_of(subject)
    times = np.linspace(0.0, 4.0, 9)
    for share in (times / 4.0, np.ones(9), np.zeros(9)):
        found = np.asarray(game.find_signals(Passage(times, share)), np.float64)
        if found.shape != (len(game.signals),) or not np.isfinite(found).all():
            raise ConformanceError(
                f"find_signals gives {found.tolist()}; the signals are {', '.join(game.signals) or 'none'}"
            )
        names = {name: float(value) for name, value in game.scalars(Passage(times, share), found).items()}
        if any(np.isnan(value) for value in names.values()):
            raise ConformanceError(f"scalars gives {names}")


@rule("diffusion")
def takes_torch_tensors(subject: GameSubject) -> None:
    """With torch tensors every function gives what it gives with NumPy arrays, in the precision of its arguments."""
    if importlib.util.find_spec("torch") is None:
        raise NotApplicable("torch is not installed")
    torch: Any = importlib.import_module("torch")
    game = diffusion_of(subject)
    given = places(game, np.random.default_rng(10), (11,), t=0.4)
    tensors = given.converted(lambda array: torch.as_tensor(np.array(array)))
    for name, (_, function) in functions_of(game).items():
        expected, found = np.asarray(function(given), np.float64), function(tensors)
        if not isinstance(found, torch.Tensor) or found.dtype != torch.float64:
            raise ConformanceError(f"{name} returns {getattr(found, 'dtype', type(found).__name__)} for torch.float64")
        if float(np.abs(found.numpy() - expected).max()) > 1e-9 * (1 + float(np.abs(expected).max())):
            raise ConformanceError(f"{name} differs between NumPy and torch")


DIFFUSION_RULES: tuple[Rule[Any], ...] = (
    the_box_is_sound,
    agents_start_in_the_box,
    functions_keep_the_shape_of_places,
    noise_is_not_negative,
    drift_is_affine_in_the_control,
    places_are_not_changed,
    a_periodic_axis_has_no_seam,
    the_best_control_minimises,
    signals_are_found_in_every_flow,
    takes_torch_tensors,
)
