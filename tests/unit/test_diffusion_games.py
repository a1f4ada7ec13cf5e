"""The games in a continuum, function by function: catches a wrong sign or factor in drift, cost, best response or signal.

Best responses are held against a numerical search, solutions in closed form against their own equations, and NumPy against
torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.integrate import solve_ivp
from scipy.special import iv

from mesocosm import DiffusionGame, GradientFlow, InputError, Normal, Passage, Point, Registry, Uniform
from mesocosm.hamiltonian import minimise_diffusion_hamiltonian
from mesocosm_games.start_options import StartOption

REGISTRY = Registry.discover()
MEETING = {"scheduled": 1.0, "quorum": 0.8, "start": {"point": -1.0}}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("meeting", {**MEETING, "reputation": 2.0, "inconvenience": 4.0, "waiting": 0.5}),
    ("interbank", {"borrowing": 0.3, "correlation": 0.2, "mean_reversion": 0.7}),
    ("torus", {"sigma": 0.8, "bandwidth": 0.1}),
    ("congestion", {"crowding": 1.5, "bandwidth": 0.1}),
    ("opinion", {"smoothing": 0.0}),
    ("opinion", {"controlled": True, "attraction": 3.0}),
    ("synchronisation", {"frequency": 0.4}),
    ("synchronisation", {"controlled": True, "frequency": 0.4, "incoherence": 3.0}),
]
NAMES = [f"{kind}{' controlled' if given.get('controlled') else ''}" for kind, given in CASES]


def game(kind: str, **given: Any) -> DiffusionGame:
    factory, options = REGISTRY.factory("game", kind), REGISTRY.options_model("game", kind)
    found = factory(options.model_validate(given))
    assert isinstance(found, DiffusionGame)
    found.check()
    return found


def draws(chosen: DiffusionGame, count: int = 40) -> tuple[np.ndarray, ...]:
    """Random places, fields, controls and gradients."""
    random = np.random.default_rng(5)
    low, high = ([getattr(axis, end) for axis in chosen.axes] for end in ("low", "high"))
    state = random.uniform(low, high, (count, len(chosen.axes)))
    field = random.uniform(0.1, 1.0, (count, len(chosen.channels)))
    control = random.normal(size=state.shape)
    return state, field, control, random.normal(0.0, 2.0, state.shape)


@pytest.mark.parametrize(("kind", "given"), CASES, ids=NAMES)
def test_the_best_response_minimises(kind: str, given: dict[str, Any]) -> None:
    """Catches a closed form that is not the minimum of the game's own costs and drift: a numerical search finds the same."""
    chosen = game(kind, **given)
    state, field, _, gradient = draws(chosen)
    found = chosen.best_control(0.3, state, field, gradient)
    assert found.shape == state.shape
    if chosen.control is None:
        assert not found.any()
        assert not chosen.has_costs
        return
    searched = minimise_diffusion_hamiltonian(chosen, 0.3, state, field, gradient)
    span = chosen.control.maximum - chosen.control.minimum
    assert found == pytest.approx(searched, abs=1e-6 * span)
    assert np.abs(found).max() > 0.1
    far = chosen.best_control(0.3, state, field, np.full_like(gradient, -1e9))
    assert far == pytest.approx(chosen.control.maximum)


@pytest.mark.parametrize(("kind", "given"), CASES, ids=NAMES)
def test_numpy_and_torch_give_the_same_numbers(kind: str, given: dict[str, Any]) -> None:
    """Catches an operation that only one library has, or a result in single precision, or of the wrong shape."""
    chosen = game(kind, **given)
    signals = np.array([1.4])

    def everything(convert: Any) -> list[Any]:
        x, z, a, p = (convert(item) for item in draws(chosen))
        vectors = [chosen.drift(0.3, x, z, a), chosen.noise(0.3, x, z), chosen.common_noise(0.3, x, z)]
        vectors += [chosen.best_control(0.3, x, z, p), chosen.neutral_control(x)]
        costs = [chosen.running_cost(0.3, x, z, a), chosen.myopic_cost(0.3, x, z)]
        costs += [chosen.terminal_cost(2.0, x, z, convert(signals)), chosen.exit_cost(1.2, x, convert(signals))]
        felt = chosen.emission(0.3, x, a) if chosen.interaction == "emission" else chosen.influence(0.3, x, x + 0.01)
        return [*vectors, *costs, felt]

    for ours, theirs in zip(everything(np.array), everything(torch.tensor), strict=True):
        assert isinstance(theirs, torch.Tensor)
        assert theirs.dtype == torch.float64
        assert theirs.numpy() == pytest.approx(ours, rel=1e-13, abs=1e-13)
    results = everything(np.array)
    count, axes, channels = 40, len(chosen.axes), len(chosen.channels)
    assert [item.shape for item in results] == [(count, axes)] * 5 + [(count,)] * 4 + [(count, channels)]


@pytest.mark.parametrize("kind", ["interbank", "torus", "congestion", "opinion", "synchronisation"])
def test_defaults_are_a_game(kind: str) -> None:
    """Catches a default that an option refuses, or a start outside the box: `game: {kind: X}` alone works."""
    chosen = game(kind)
    sample = chosen.start.sample(np.random.default_rng(1), 1000)
    for number, axis in enumerate(chosen.axes):
        assert axis.low <= sample[:, number].min() <= sample[:, number].max() <= axis.high


STARTS: list[tuple[dict[str, Any], int, Any]] = [
    ({"point": -1}, 1, Point((-1.0,))),
    ({"normal": [-3, 0.5]}, 1, Normal((-3.0,), (0.5,))),
    ({"uniform": [[0, 0], [0.5, 1]]}, 2, Uniform((0.0, 0.0), (0.5, 1.0))),
]


@pytest.mark.parametrize(("given", "dimension", "law"), STARTS)
def test_starts(given: dict[str, Any], dimension: int, law: Any) -> None:
    """Catches mean and deviation, or low and high, the wrong way round."""
    start = TypeAdapter(StartOption).validate_python(given)
    assert start.law(dimension) == law
    with pytest.raises(InputError, match="this game has"):
        start.law(3 - dimension)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"normal": [0, 0]}, "positive"),
        ({"uniform": [1, 1]}, "low is below high"),
        ({"uniform": [[0, 0], 1]}, "low is below high"),
        ({"somewhere": 1}, "one of {point: x}"),
        (3, "one of {point: x}"),
    ],
)
def test_bad_starts_are_refused(given: Any, says: str) -> None:
    """Catches a start that no law can have."""
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(StartOption).validate_python(given)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("meeting", {**MEETING, "start": {"point": 0.5}}),
        ("meeting", {**MEETING, "start": {"normal": [-1, 0.5]}}),
        ("torus", {"start": {"uniform": [0.5, 1.5]}}),
        ("congestion", {"start": {"uniform": [[0.5, 0.5], [1.0, 1.2]]}}),
        ("opinion", {"start": {"normal": [0.5, 0.2]}}),
    ],
)
def test_a_start_beyond_a_wall_is_refused(kind: str, given: dict[str, Any]) -> None:
    """Catches agents that begin outside of the box, or behind the door."""
    with pytest.raises(InputError, match="a start from"):
        game(kind, **given)


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("interbank", {"borrowing": 0.8, "running_cost": 0.5}, "not convex and there is no equilibrium"),
        ("interbank", {"correlation": 1.5}, "less than or equal to 1"),
        ("congestion", {"door": [0.6, 0.4]}, "0 <= start < stop <= 1"),
        ("congestion", {"door": [0.6, 1.4]}, "0 <= start < stop <= 1"),
    ],
)
def test_impossible_options_are_refused_with_the_reason(kind: str, given: dict[str, Any], says: str) -> None:
    """Catches a game without an equilibrium, or a door beside the wall."""
    with pytest.raises(ValidationError, match=says):
        game(kind, **given)


@pytest.mark.parametrize("size", [1, 10, 1000, np.inf])
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"borrowing": 0.6, "mean_reversion": 2.0, "running_cost": 0.9, "terminal_cost": 3.0},
        {"borrowing": 0.0, "mean_reversion": 0.0, "running_cost": 0.0},
        {"borrowing": 0.5, "running_cost": 0.25, "mean_reversion": 0.0, "terminal_cost": 0.0},
    ],
)
def test_the_gain_solves_its_equation(given: dict[str, float], size: float) -> None:
    """Catches an error in the closed form of eta: the Riccati equation of the paper, integrated numerically, to 1e-9."""
    chosen = game("interbank", **given)
    options: Any = chosen.options
    slope = options.mean_reversion + options.borrowing
    free, curvature = options.running_cost - options.borrowing**2, 1 - 1 / size**2

    def change(t: float, eta: np.ndarray) -> np.ndarray:
        return 2 * slope * eta + curvature * eta**2 - free

    found = solve_ivp(change, (2.5, 0.0), [options.terminal_cost], rtol=1e-11, atol=1e-13, dense_output=True)
    for t in (0.0, 0.7, 2.4, 2.5):
        assert chosen.gain(t, 2.5, size) == pytest.approx(float(found.sol(t)[0]), rel=1e-9, abs=1e-11)


def test_the_gain_far_from_the_end_is_stationary() -> None:
    """Catches an overflow at an infinite horizon: eta solves 0 = 2 (a+q) eta + eta^2 - (eps - q^2)."""
    eta = game("interbank").gain(0.0, np.inf)
    assert 0.4 * eta + eta**2 == pytest.approx(0.49, rel=1e-12)


def test_the_textbook_mean_includes_oneself() -> None:
    """Catches a mean over the others where the game speaks of that over all: drift, costs and both policies, N = 5."""
    reserves = np.array([1.0, -2.0, 0.5, 3.0, 0.25])[:, None]
    others = (reserves.sum() - reserves) / 4
    gap = reserves.mean() - reserves
    textbook = game("interbank", mean_reversion=0.3).for_population(5)
    zero = 0.0 * reserves
    assert textbook.drift(0.0, reserves, others, zero) == pytest.approx(0.3 * gap)
    assert textbook.running_cost(0.0, reserves, others, zero) == pytest.approx((0.25 * gap**2)[:, 0])
    assert textbook.terminal_cost(1.0, reserves, others, np.zeros(0)) == pytest.approx((0.25 * gap**2)[:, 0])
    rows = np.zeros(5, np.int64)
    policies = textbook.policies(5, 1.0)
    exact = (0.1 + 0.8 * textbook.gain(0.25, 1.0, 5)) * gap
    assert policies["n_player"].control(0.25, rows, reserves, others) == pytest.approx(exact)
    limit = (0.1 + textbook.gain(0.25, 1.0)) * gap
    assert policies["mean_field"].control(0.25, rows, reserves, others) == pytest.approx(limit)


def test_common_noise_is_named_and_shares_the_variance() -> None:
    """Catches common noise that is on by default, or that adds to the variance instead of taking its part of it."""
    alone, together = game("interbank"), game("interbank", correlation=0.6, sigma=2.0)
    assert alone.common is None
    assert together.common == "correlation"
    x = np.zeros((1, 1))
    assert together.noise(0.0, x, x)[0, 0] == pytest.approx(1.6)
    assert together.common_noise(0.0, x, x)[0, 0] == pytest.approx(1.2)


@pytest.mark.parametrize("sigma", [1.0, 0.6])
def test_the_torus_solves_its_own_equation(sigma: float) -> None:
    """Catches an error in the potential: with u = -sigma^2 sin 2 pi x and the density exp(2 sin)/I0(2), the minimum of the
    Hamiltonian plus sigma^2/2 u'' is -ln I0(2) at every place, and drift m = sigma^2/2 m'."""
    chosen = game("torus", sigma=sigma)
    x = np.linspace(0, 1, 41)[:, None]
    sine, cosine = np.sin(2 * np.pi * x), np.cos(2 * np.pi * x)
    density = np.exp(2 * sine) / iv(0, 2)
    slope, curvature = -(sigma**2) * 2 * np.pi * cosine, sigma**2 * 4 * np.pi**2 * sine
    control = chosen.best_control(0.0, x, density, slope)
    minimum = chosen.running_cost(0.0, x, density, control) + (chosen.drift(0.0, x, density, control) * slope)[:, 0]
    assert minimum + sigma**2 / 2 * curvature[:, 0] == pytest.approx(-0.8239935415, abs=1e-9)
    assert chosen.drift(0.0, x, density, control) == pytest.approx(sigma**2 / 2 * 4 * np.pi * cosine, abs=1e-12)


def test_arrival_costs_and_signals() -> None:
    """Catches weights of the meeting mixed up, and a start before the schedule or without a quorum."""
    chosen = game("meeting", scheduled=3.0, quorum=0.9, reputation=2, inconvenience=4, waiting=0.5, start={"point": -1})
    x, signals = np.zeros((1, 1)), np.array([3.5])
    costs = [float(chosen.exit_cost(t, x, signals)[0]) for t in (1.0, 3.25, 4.0)]
    assert costs == pytest.approx([0.5 * 2.5, 2 * 0.25 + 0.5 * 0.25, 2 * 1.0 + 4 * 0.5])
    assert float(chosen.terminal_cost(4.0, x, x, signals)[0]) == pytest.approx(costs[-1])
    late = Passage(np.array([0.0, 2.0, 4.0, 8.0]), np.array([0.0, 0.4, 0.8, 1.0]))
    assert chosen.find_signals(late) == pytest.approx([6.0])
    assert dict(chosen.scalars(late, np.array([6.0]))) == pytest.approx(
        {"start_time": 6.0, "arrived_on_schedule": 0.6, "median_arrival": 2.5}
    )
    assert chosen.find_signals(Passage(np.array([0.0, 2.0, 9.0]), np.array([0.0, 0.95, 1.0]))) == pytest.approx([3.0])
    assert chosen.find_signals(Passage(np.array([0.0, 12.0]), np.array([0.0, 0.5]))) == pytest.approx([12.0])


def test_the_myopic_walker_aims_at_the_schedule() -> None:
    """Catches a myopic cost that rises towards the meeting: late walkers go to it, early ones step back."""
    chosen = game("meeting", **MEETING, reputation=2.0, inconvenience=1.0, waiting=0.5)
    places = np.array([[-2.0], [-1.9]])
    late, early = (chosen.myopic_cost(t, places, places) for t in (0.0, -4.0))
    assert np.diff(late)[0] == pytest.approx(-3.0 * 0.1)
    assert np.diff(early)[0] == pytest.approx(0.5 * 0.1)


def test_the_crowd_goes_to_the_door() -> None:
    """Catches a door in the wrong side, and scalars that read the passage wrongly."""
    chosen = game("congestion", door=[0.2, 0.4])
    assert [(door.axis, door.upper, door.start, door.stop) for door in chosen.doors] == [(0, True, 0.2, 0.4)]
    assert chosen.has_exits
    place, step = np.array([[0.3, 0.8]]), np.array([[0.1, -0.1]])
    z = np.ones((1, 1))
    assert chosen.myopic_cost(0.0, place + step, z) < chosen.myopic_cost(0.0, place, z)
    assert chosen.myopic_cost(0.0, np.array([[1.0, 0.3]]), z)[0] == pytest.approx(0.0, abs=1e-15)
    passage = Passage(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.25, 0.75]))
    assert dict(chosen.scalars(passage, np.zeros(0))) == {"evacuated": 0.75, "median_exit": 1.5}
    cost = chosen.running_cost(0.0, place, 2 * z, np.array([[3.0, 4.0]]))
    assert float(cost[0]) == pytest.approx(12.5 + 1.0 + 0.5 * 2)


def test_who_listens_to_whom() -> None:
    """Catches influence in the wrong direction, beyond confidence, or that smoothing moves."""
    receiver = np.full((4, 1), 0.5)
    sender = np.array([[0.4], [0.65], [0.8], [0.5]])
    sharp, soft = (game("opinion", confidence=0.2, smoothing=width) for width in (0.0, 0.001))
    expected = [-0.1, 0.15, 0.0, 0.0]
    for chosen in (sharp, soft):
        assert chosen.influence(0.0, receiver, sender)[:, 0] == pytest.approx(expected, abs=1e-12)
        assert chosen.influence(0.0, sender, receiver) == pytest.approx(-chosen.influence(0.0, receiver, sender))
    edge = soft.influence(0.0, np.zeros((1, 1)), np.full((1, 1), 0.2))
    assert float(edge[0, 0]) == pytest.approx(0.1)


def test_oscillators_pull_towards_each_other() -> None:
    """Catches sine and cosine exchanged: with all contacts at angle y, the pull is K sin(y - x), the cost sin^2((y - x)/2)."""
    x, y = np.array([[0.3], [2.0], [6.0]]), np.array([[1.0], [1.5], [0.2]])
    coupled = game("synchronisation", frequency=0.7, coupling=3.0)
    field = coupled.emission(0.0, y, 0.0 * y)
    assert coupled.drift(0.0, x, field, 0.0 * x) == pytest.approx(0.7 + 3.0 * np.sin(y - x))
    choosing = game("synchronisation", frequency=0.7, controlled=True, incoherence=3.0)
    cost = choosing.running_cost(0.0, x, field, 2.0 + 0.0 * x)
    assert cost == pytest.approx(2.0 + 3.0 * np.sin((y - x) / 2)[:, 0] ** 2)
    assert choosing.drift(0.0, x, field, 2.0 + 0.0 * x) == pytest.approx(2.7 + 0.0 * x)


@pytest.mark.parametrize(("kind", "given"), CASES, ids=NAMES)
def test_the_myopic_flow_moves(kind: str, given: dict[str, Any]) -> None:
    """Catches a myopic cost that does not depend on the place, so that gradient_flow would stand still."""
    chosen = game(kind, **given)
    if chosen.control is None:
        return
    state, field, _, _ = draws(chosen)
    control = GradientFlow(chosen).control(0.3, np.zeros(len(state), np.int64), state, field)
    assert np.abs(control).mean() > 0.05
    assert np.abs(control).max() <= chosen.control.maximum


def test_the_myopic_flow_of_banks_and_opinions() -> None:
    """Catches a factor in the myopic costs: banks go to the mean at rate eps, opinions at rate kappa."""
    row, place, mean = np.zeros(1, np.int64), np.array([[0.5]]), np.array([[0.7]])
    bank, opinion = game("interbank"), game("opinion", controlled=True, conformity=4.0)
    assert GradientFlow(bank).control(0.0, row, place, mean) == pytest.approx(0.5 * 0.2, rel=1e-6)
    assert GradientFlow(opinion).control(0.0, row, place, mean - place) == pytest.approx(4.0 * 0.2, rel=1e-6)
