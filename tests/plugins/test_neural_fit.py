"""Learning in windows: what a network may see, how paths are judged, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from windowed_epidemics import (
    BETA,
    SAVES,
    SERIES,
    SIZE,
    epidemic,
    learning,
    played,
    series,
)

from mesocosm import (
    InputError,
)
from mesocosm_neural.learn.finite_fit import FiniteFit, Member
from mesocosm_neural.learn.finite_verdict import Judge, Prediction
from mesocosm_neural.learn.law import uncorrected
from mesocosm_neural.learn.simulator import Cohort
from mesocosm_neural.learn.windows import validation_windows


class KilledError(Exception):
    """Stands for whatever ends a run."""


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
