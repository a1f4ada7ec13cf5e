"""Learning in windows: what a network may see, where a window starts, and how paths are judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    FiniteStateGame,
    InputError,
    Labelled,
    Population,
    Problem,
    Streams,
    Trajectories,
    Transition,
    resolve_device,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.finite_fit import FiniteFit, Member
from mesocosm_neural.learn.finite_learning import FiniteLearning
from mesocosm_neural.learn.finite_verdict import Judge, Prediction
from mesocosm_neural.learn.law import GameLaw, uncorrected
from mesocosm_neural.learn.observations import Observations
from mesocosm_neural.learn.reconstruction import Reconstruction
from mesocosm_neural.learn.simulator import Cohort, Simulator
from mesocosm_neural.learn.windows import Windows, validation_windows
from mesocosm_neural.options import NeuralSDEOptions

SMALL = {"seeds": 2, "paths": 8, "batch": 16, "steps": 4, "width": 4, "step": 0.5, "checkpoint_every": 2}
SAVES, SERIES, SIZE = 13, 3, 1000
BETA, GAMMA = 0.9, 0.4


class KilledError(Exception):
    """Stands for whatever ends a run."""


def problem_of(game: FiniteStateGame, size: int = SIZE, saves: int = SAVES) -> Problem:
    graph = ContactGraph.complete(10)
    return Problem(
        name="windows",
        seed=3,
        game=game,
        graph=graph,
        population=Population(size, np.array([0.95, 0.05, 0.0])),
        clock=Clock(float(saves - 1), 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: graph,
    )


def epidemic(beta: float = BETA, saves: int = SAVES) -> tuple[np.ndarray, np.ndarray]:
    """Shares [time, state] and infections per head in the interval before each save, of the SIR equations."""

    def slope(time: float, m: np.ndarray) -> list[float]:
        return [-beta * m[0] * m[1], beta * m[0] * m[1] - GAMMA * m[1], GAMMA * m[1]]

    times = np.arange(saves)
    shares = solve_ivp(slope, (0, saves), [0.95, 0.05, 0.0], t_eval=times, rtol=1e-9, atol=1e-12).y.T
    return shares, np.append(0.0, -np.diff(shares[:, 0]))


def series() -> np.ndarray:
    """Epidemics of slightly different speed, [series, time, state]."""
    return np.stack([epidemic(BETA * factor)[0] for factor in (0.95, 1.0, 1.05)])


def recorded(label: str, values: Mapping[str, np.ndarray]) -> Trajectories:
    dims = {3: ("replicate", "time", "state"), 2: ("replicate", "time")}
    variables = {name: Labelled(dims[value.ndim], value) for name, value in values.items()}
    return Trajectories(label, "table", np.arange(SAVES, dtype=float), variables, {}, stochastic=True)


def context_of(
    sources: Mapping[str, Mapping[str, np.ndarray]], folder: Path | None = None, report: Any = None
) -> Context:
    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    tell = report or (lambda phase, fraction, note: None)
    return Context("neural", Streams(3, "neural"), nobody, lambda label: recorded(label, sources[label]), folder, tell)


def learning(
    sources: Mapping[str, Mapping[str, np.ndarray]], learn: Mapping[str, Any], folder: Path | None = None, **more: Any
) -> FiniteLearning:
    report = more.pop("report", None)
    options = NeuralSDEOptions.model_validate({**SMALL, "learn": {"from": "data", **learn}, **more})
    made = NeuralSDE(problem_of(SIR(SIROptions(beta=0.8, gamma=GAMMA))), options, context_of(sources, folder, report))
    assert isinstance(made, FiniteLearning)
    return made


def played(model: FiniteLearning) -> dict[str, Any]:
    model.check()
    model.prepare()
    state = model.init()
    for interval in model.problem.clock.intervals():
        state = model.advance(state, interval)
    return {name: each.values if isinstance(each, Labelled) else each for name, each in model.summary(state).items()}


def observations_of(values: np.ndarray, counts: np.ndarray | None = None) -> Observations:
    times = np.arange(values.shape[1], dtype=float)
    return Observations(times, values, counts, np.array([[0.95, 0.05, 0.0]]), len(times) - 1, len(values))


def law_of(beta: float = BETA) -> GameLaw:
    game = SIR(SIROptions(beta=beta, gamma=GAMMA))
    return GameLaw(problem_of(game), game, torch.device("cpu"), torch.float64)


def test_counts_say_what_the_population_was() -> None:
    """Catches a share that is applied the wrong way round, recoveries left out, and counts of the wrong interval.

    Oracle: the SIR equations. The game's beta is wrong by a factor of 3, which must not matter.
    """
    shares, infections = epidemic()
    counts = 0.25 * SIZE * infections[None]
    found = Reconstruction(
        law_of(3 * BETA), observations_of(np.full((1, SAVES, 3), np.nan), counts), step=0.125, transition=0
    )(torch.full((2, 1, 1), 0.25, dtype=torch.float64)).numpy()
    assert found.shape == (2, 1, SAVES, 3)
    np.testing.assert_allclose(found[1, 0, :, 0], shares[:, 0], atol=1e-9)
    np.testing.assert_allclose(found[1, 0, :, 1], shares[:, 1], rtol=0.02)


@pytest.mark.parametrize("seen", [(1,), (0,), (0, 2), (0, 1, 2)])
def test_states_that_were_observed_are_kept_and_the_others_follow_the_game(seen: tuple[int, ...]) -> None:
    """Catches observed states that are smoothed, lost mass, and unobserved states that stay where they were.

    Oracle: the SIR equations; the rest is the error of steps of an eighth.
    """
    shares, _ = epidemic()
    values = np.full((1, SAVES, 3), np.nan)
    values[0, 1:, seen] = shares[1:, seen].T
    found = Reconstruction(law_of(), observations_of(values), step=0.125)().numpy()[0, 0]
    np.testing.assert_allclose(found[:, seen], shares[:, seen], atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found, shares, atol=0.01)


def test_windows_are_those_that_start_where_all_is_known_and_see_something() -> None:
    """Catches windows that reach beyond what a member may see, start in a gap, or hold nothing; against a list by hand."""
    random = np.random.default_rng(4)
    startable, observed = random.random((SERIES, SAVES)) < 0.6, random.random((SERIES, SAVES)) < 0.3
    startable[:, 0] = True
    members = [Member(0, 7, (0, 2)), Member(1, 12, (0, 1, 2))]
    windows = Windows(members, startable, observed, [0, 3], [7, 12], 3)
    for number, (member, first) in enumerate(zip(members, (0, 3), strict=True)):
        wanted = {
            (each, start)
            for each in member.series
            for start in range(first, member.until - 2)
            if startable[each, start] and observed[each, start + 1 : start + 4].any()
        }
        drawn = {tuple(pair) for pair in windows.draw(4000, torch.Generator().manual_seed(1))[number].tolist()}
        assert drawn == wanted
        assert {tuple(pair) for pair in windows.spread(1000)[number].tolist()} == wanted
    with pytest.raises(InputError, match="no window of 9 saves"):
        Windows(members, startable, observed, [0, 3], [7, 12], 9)


def fit_of(values: np.ndarray, covariate: np.ndarray, **learn: Any) -> FiniteFit:
    """Two members: one that sees two series up to save 6, and one that sees all of all."""
    model = learning(
        {"data": {"occupancy": values}, "u": {"u": covariate}}, {"covariates": {"from": "u"}, "window": 2, **learn}
    )
    members = [Member(0, 6, (0, 1)), Member(0, SAVES - 1, (0, 1, 2))]
    return FiniteFit(model.law, members, model.options, model.observations, model.covariates, None, model.context, "x")


def test_a_member_sees_nothing_later_and_no_other_series() -> None:
    """Catches a leak from later data, later covariates or other series: into weights, scales, starts and forecasts.

    The member that may see what was changed must notice it, or the test would see nothing.
    """
    covariate = np.tile(np.linspace(0.0, 1.0, SAVES), (SERIES, 1))
    values, other, changed = series(), series(), covariate.copy()
    other[:, 7:] = [0.5, 0.3, 0.2]
    other[2] = other[2][::-1]
    changed[:, 7:] += 5.0
    changed[2] -= 3.0
    results = []
    for shares, seen in ((values, covariate), (other, changed)):
        fit = fit_of(shares, seen, validation=2)
        history = fit.train()
        start = fit.known_shares([6, 11], series=1)
        forecast = fit.forecast(np.repeat(start[:, None], 5, axis=1), [6, 11], 4, [6, 11], seed=8, series=1)
        assert forecast.shares.shape == (2, 5, 4, 3)
        assert forecast.counts is None
        weights = [weight.detach().numpy() for weight in fit.weights]
        numbers = [np.array(history.losses), np.array(history.scores)]
        results.append([np.stack([*start, *forecast.shares.mean(axis=(1, 2))]), *weights, *numbers])
    first, second = results
    for before, after in zip(first[1:-2], second[1:-2], strict=True):
        np.testing.assert_array_equal(before[0], after[0])
        assert (before[1] != after[1]).any()
    for before, after in zip(first[-2:], second[-2:], strict=True):
        np.testing.assert_array_equal(before[:, 0], after[:, 0])
    np.testing.assert_array_equal(first[0][[0, 2]], second[0][[0, 2]])


class Seasonal(FiniteStateGame):
    """A rate that depends on time in the table, and one in a general function."""

    states: ClassVar[tuple[str, ...]] = ("S", "I", "R")
    channels: ClassVar[tuple[str, ...]] = ("infected",)

    def __init__(self) -> None:
        self.transitions = (
            Transition.induced("S", "I", rate=1.0, channel="infected"),
            Transition.general("I", "R", lambda t, field, control: (0.1 + 0.3 * t) * (1.0 + 0.0 * field[..., 0])),
        )

    def emission(self, t: float, state: Any, control: Any) -> Any:
        return (1.0 + np.sin(t)) * self.stack([state == 1], like=control)


def test_windows_that_start_at_different_times_follow_the_game_of_their_time() -> None:
    """Catches a batch in which all windows see the rates of one of them."""
    game = Seasonal()
    law = GameLaw(problem_of(game, 10**12), game, torch.device("cpu"), torch.float64)
    model = learning({"data": {"occupancy": series()}}, {"window": 2})
    simulator = Simulator(law, model.networks, 4, "euler")
    shares = torch.tensor([[0.7, 0.2, 0.1]] * 4, dtype=torch.float64)
    starts = torch.tensor([0, 5, 9, 5])
    together, _ = simulator(shares, Cohort(starts * 0, starts), 3, torch.Generator().manual_seed(1), learned=False)
    for path, start in enumerate(starts.tolist()):
        cohort = Cohort(torch.tensor([0]), torch.tensor([start]))
        alone, _ = simulator(shares[:1], cohort, 3, torch.Generator().manual_seed(1), learned=False)
        np.testing.assert_allclose(together[path], alone[0], atol=1e-5)
    assert not law.is_steady
    assert law_of().is_steady


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("milstein", 1), ("srk", 2), ("reversible_heun", 2)])
def test_every_solver_reaches_the_equations_of_a_large_population(solver: str, order: int) -> None:
    """Catches a solver that is not passed on: with 10^12 agents the error falls as fast as the order for drifts, or faster."""
    game = SIR(SIROptions(beta=BETA, gamma=GAMMA))
    law = GameLaw(problem_of(game, 10**12), game, torch.device("cpu"), torch.float64)
    model = learning({"data": {"occupancy": series()}}, {"window": 2})
    errors = []
    for count in (4, 8):
        simulator = Simulator(law, model.networks, count, solver)
        cohort = Cohort(torch.zeros(1, dtype=torch.long), torch.zeros(1, dtype=torch.long))
        with torch.no_grad():
            shares, extents = simulator(
                torch.tensor([[0.95, 0.05, 0.0]], dtype=torch.float64),
                cohort,
                SAVES - 1,
                torch.Generator().manual_seed(1),
                learned=False,
            )
        np.testing.assert_allclose(extents.sum(dim=1)[0, 0], 0.95 - shares[0, -1, 0], atol=1e-9)
        errors.append(np.abs(shares[0].numpy() - epidemic()[0][1:]).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.3


@pytest.mark.parametrize("loss", ["energy", "crps", "mmd", "sliced_wasserstein", "gaussian", "mean_squared_error"])
def test_every_loss_trains(loss: str) -> None:
    """Catches a loss that is named in the options and not there, or not finite where a state is empty or not observed."""
    values = series()
    values[:, :, 2] = np.nan
    windowed = [{}] if loss == "sliced_wasserstein" else [{}, {"window": 3}]
    for window in windowed:
        summary = played(learning({"data": {"occupancy": values}}, window, loss=loss, steps=3))
        assert np.isfinite(summary["loss"]).all()
        assert np.isfinite(summary["train_score"]).all()


def test_weights_are_those_of_the_best_check(tmp_path: Path) -> None:
    """Catches validation windows that were trained on, and a kept step that is not the best one."""
    values = series()
    model = learning(
        {"data": {"occupancy": values}},
        {"window": 4, "validation": 3, "until": 10},
        check_every=2,
        steps=12,
        learning_rate=0.5,
    )
    summary = played(model)
    scores = np.array(model.history.scores)
    assert scores.shape == (6, 2)
    np.testing.assert_array_equal(summary["kept_step"], 2 * (1 + scores.argmin(axis=0)))
    windows = validation_windows(model.fit.members, model.observations, model.fit.ends, 4)
    assert windows.length == 3
    assert set(windows.table[:, :, 1].flatten().tolist()) == {7}
    assert int(model.fit.training.table[:, :, 1].max()) + 4 == 7
    with torch.no_grad():
        again = model.fit._validate(0).numpy()
    np.testing.assert_allclose(again, scores.min(axis=0), rtol=1e-12)


def test_training_with_everything_continues_to_the_same_bytes(tmp_path: Path) -> None:
    """Catches weights of reporting that are not kept, and validation noise that depends on what was drawn before."""
    counts = np.rint(0.5 * SIZE * np.stack([epidemic(BETA * factor)[1] for factor in (0.95, 1.0, 1.05)]))
    sources = {"data": {"new_cases": counts}, "u": {"u": np.linspace(0.0, 1.0, SAVES)[None]}}
    learn = {
        "reporting": {"quantity": "new_cases", "transition": "S -> I"},
        "covariates": {"from": "u", "between": "linear"},
        "window": 4,
        "validation": 3,
    }
    options = {"steps": 6, "check_every": 2}
    whole = learning(sources, learn, **options)
    whole.prepare()
    calls = 0

    def kill(phase: str, fraction: float, note: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KilledError

    with pytest.raises(KilledError):
        learning(sources, learn, tmp_path, report=kill, **options).prepare()
    resumed = learning(sources, learn, tmp_path, **options)
    resumed.prepare()
    for one, other in zip(whole.fit.weights, resumed.fit.weights, strict=True):
        assert torch.equal(one, other)
    assert whole.history.losses == resumed.history.losses
    assert len(whole.fit.weights) == len(whole.networks.weights) + 2


def test_series_that_are_held_out_are_judged_and_not_learned_from() -> None:
    """Catches held-out series in the training, and kept ones in the score; scores and coverage against brute force."""
    values, other = series(), series()
    other[2] = epidemic(0.5)[0]
    models = [learning({"data": {"occupancy": each}}, {"hold_out": 1, "window": 4}) for each in (values, other)]
    first, second = (played(model) for model in models)
    np.testing.assert_array_equal(first["train_score"], second["train_score"])
    np.testing.assert_array_equal(first["loss"], second["loss"])
    assert first["series_score"].shape == (2,)
    assert (first["series_score"] < second["series_score"]).all()
    data, fit = values[2, 1:], models[0].fit
    seed = models[0].context.streams.integer("series", replicate=2)
    paths = fit.forecast(np.tile(values[2, 0], (2, 8, 1)), 0, SAVES - 1, None, seed, series=2).shares
    to_data = np.linalg.norm(paths - data, axis=-1).mean(axis=1)
    within = np.linalg.norm(paths[:, :, None] - paths[:, None], axis=-1).sum(axis=(1, 2)) / 56
    np.testing.assert_allclose(first["series_score"], (to_data - within / 2).mean(axis=-1), rtol=1e-9)
    low, high = np.quantile(paths.reshape(16, *data.shape), [0.05, 0.95], axis=0)
    np.testing.assert_allclose(first["series_coverage_of_state"], ((data >= low) & (data <= high)).mean(axis=0))
    assert first["series_coverage"] == pytest.approx(first["series_coverage_of_state"].mean())
    assert first["series_score_climatology"] > 0


def test_series_with_different_gaps_are_scored_by_what_was_seen_of_each() -> None:
    """Catches one series' gaps that hide another's observations; with windows, gaps may differ."""
    random = np.random.default_rng(6)
    values = random.random((4, 5, 2))
    values[1, 3], values[2, 1:3, 0] = np.nan, np.nan
    paths = random.random((2, 6, 5, 2))
    saves = np.arange(1, 5)
    together = Judge(values, False).score(range(4), saves, paths)
    apart = [Judge(values[[each]], False).score([0], saves, paths) for each in range(4)]
    np.testing.assert_allclose(together, np.mean(apart, axis=0), rtol=1e-12)
    alone = [Prediction((each,), paths) for each in range(4)]
    np.testing.assert_allclose(Judge(values, False).mean_score(alone, saves), together, rtol=1e-12)
    gaps = series()
    gaps[1, 4] = np.nan
    with pytest.raises(InputError, match="'window'"):
        learning({"data": {"occupancy": gaps}}, {}).prepare()
    assert np.isfinite(played(learning({"data": {"occupancy": gaps}}, {"window": 2}))["train_score"]).all()


@pytest.mark.parametrize(
    ("learn", "options", "words"),
    [
        ({"window": 3}, {"loss": "sliced_wasserstein"}, "energy, crps or mmd"),
        ({"drift": "replace"}, {}, "option drift"),
        ({"reporting": {"quantity": "c", "transition": "S -> I"}}, {"loss": "crps"}, "by their likelihood"),
        ({"reporting": {"quantity": "c", "transition": "S->I"}}, {}, "S -> I, I -> R"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_anything_runs(
    learn: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    """Catches options that would be ignored."""
    with pytest.raises(InputError, match=words):
        learning({"data": {"occupancy": series()}}, learn, **options).check()


@pytest.mark.parametrize(
    ("learn", "words"),
    [
        ({"hold_out": 3}, "at least one is learned from"),
        ({"validation": 12}, "left to train on"),
        ({"window": 4, "until": 3}, "no window of 4 saves"),
    ],
)
def test_nothing_to_learn_from_is_said(learn: dict[str, Any], words: str) -> None:
    """Catches a training on nothing."""
    with pytest.raises(InputError, match=words):
        learning({"data": {"occupancy": series()}}, learn).prepare()


def test_an_unlearned_forecast_is_the_game() -> None:
    """Catches a forecast that ignores `learned`, its seed, or its start."""
    fit = fit_of(series(), np.tile(np.linspace(0.0, 1.0, SAVES), (SERIES, 1)))
    with torch.no_grad():
        fit.networks.layers[-1].fill_(0.5)
    initial = np.tile([0.9, 0.1, 0.0], (2, 3, 1))
    game = fit.forecast(initial, 2, 2, None, seed=4, learned=False).shares
    learned = fit.forecast(initial, 2, 2, None, seed=4).shares
    np.testing.assert_array_equal(game, fit.forecast(initial, 2, 2, None, seed=4, learned=False).shares)
    assert (game != fit.forecast(initial, 2, 2, None, seed=5, learned=False).shares).all()
    assert (game[..., 0] > learned[..., 0]).all()
    shares = torch.from_numpy(initial).view(-1, 3)
    cohort = Cohort(torch.zeros(6, dtype=torch.long), torch.full((6,), 2))
    by_hand, _ = fit.simulator(shares, cohort, 2, torch.Generator().manual_seed(4), learned=False)
    np.testing.assert_allclose(game.reshape(6, 2, 3), by_hand.numpy(), rtol=1e-12)
    assert uncorrected(0.0, shares)[0] == 1.0
