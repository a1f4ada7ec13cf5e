"""Rolling-origin forecasts: nothing later than an origin is seen, and what is learned, recorded and scored is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    InputError,
    Labelled,
    Population,
    Problem,
    Streams,
    Trajectories,
    resolve_device,
)
from mesocosm.options import references
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.forecast.forecasting import Forecasting
from mesocosm_neural.forecast.training import ForecastTraining, resampled
from mesocosm_neural.learn.covariates import gather_covariates
from mesocosm_neural.learn.options import CovariatesOptions
from mesocosm_neural.options import NeuralSDEOptions

FloatArray = NDArray[np.float64]

SAVES, SIZE, GAMMA = 120, 10**7, 0.2
SMALL: dict[str, Any] = {
    "learn": {
        "from": "counts",
        "reporting": {"quantity": "cases", "transition": "S -> I", "share": 0.5},
        "covariates": {"from": "weather"},
        "forecasts": {"first": 50, "every": 20, "horizons": [5, 10], "average": 7, "record": "mean_cases", "block": 15},
    },
    "loss": "crps",
    "seeds": 2,
    "paths": 8,
    "steps": 4,
    "batch": 24,
    "width": 4,
    "step": 1,
}


FORECASTS, REPORTING = SMALL["learn"]["forecasts"], SMALL["learn"]["reporting"]


def epidemic(wave: float = 30.0, seed: int = 1) -> FloatArray:
    """Reported cases of an Euler SIR whose rate swings around that of the game, with Poisson noise."""
    random = np.random.default_rng(seed)
    susceptible, infected, cases = 0.998, 0.002, [0.0]
    for time in range(SAVES - 1):
        new = GAMMA * np.exp(0.4 * np.sin(2 * np.pi * time / wave)) * susceptible * infected
        susceptible, infected = susceptible - new, infected + new - GAMMA * infected
        cases.append(float(random.poisson(0.5 * SIZE * new)))
    cases[0] = cases[1]
    return np.array(cases)


def series(label: str, **values: FloatArray) -> Trajectories:
    """A table of one replicate."""
    variables = {name: Labelled(("replicate", "time"), each.reshape(-1, SAVES)) for name, each in values.items()}
    return Trajectories(label, "table", np.arange(float(SAVES)), variables, {}, stochastic=True)


def forecasting(
    counts: FloatArray | None = None, weather: FloatArray | None = None, folder: Path | None = None, **changes: Any
) -> Forecasting:
    """A dynamics on these counts; changes are of the top-level options."""
    graph = ContactGraph.complete(SIZE)
    problem = Problem(
        name="forecasts",
        seed=3,
        game=SIR(SIROptions(beta=GAMMA, gamma=GAMMA)),
        graph=graph,
        population=Population(SIZE, np.array([0.998, 0.002, 0.0])),
        clock=Clock(SAVES - 1.0, 1.0),
        device=resolve_device("cpu"),
        draw=lambda replicate: graph,
        precision="float32",
    )
    tables = {
        "counts": series("counts", cases=epidemic() if counts is None else counts),
        "weather": series("weather", warmth=np.cos(np.arange(SAVES) / 9.0) if weather is None else weather),
    }
    options = NeuralSDEOptions.model_validate(SMALL | changes)
    context = Context("forecast", Streams(3, "forecast"), trajectories_of=lambda label: tables[label], folder=folder)
    made = NeuralSDE(problem, options, context)
    assert isinstance(made, Forecasting)
    return made


def with_learn(**changes: Any) -> dict[str, Any]:
    """Options with another `learn`; None leaves one out."""
    learn = {name: value for name, value in (SMALL["learn"] | changes).items() if value is not None}
    return {"learn": learn}


def test_nothing_later_than_an_origin_is_seen() -> None:
    """Catches a leak through targets, scaling, covariates, states or the joint training: forecasts of origins up to the 70th
    save are the same bytes when everything after it changes; that of a later origin is not."""
    counts, weather = epidemic(), np.cos(np.arange(SAVES) / 9.0)
    many = with_learn(forecasts=FORECASTS | {"block": None}) | {"batch": 240}
    before = forecasting(counts, weather, **many)
    before.prepare()
    counts[71:] = counts[71:] * 5 + 7
    weather[71:] = -3.0
    after = forecasting(counts, weather, **many)
    after.prepare()
    assert before.origins == [50, 70, 90]
    assert np.array_equal(before.ensembles[:2], after.ensembles[:2])
    assert not np.array_equal(before.ensembles[2], after.ensembles[2])


def test_an_origin_does_not_depend_on_others() -> None:
    """Catches numbers that pass between the networks of two origins, and noise that depends on how many there are."""
    alone = forecasting(**with_learn(forecasts=FORECASTS | {"every": 90}))
    together = forecasting()
    for each in (alone, together):
        each.prepare()
    assert (len(alone.origins), len(together.origins)) == (1, 3)
    assert alone.ensembles[0] == pytest.approx(together.ensembles[0], rel=1e-5)


def test_swinging_rates_are_learned() -> None:
    """Catches a network that learns nothing, or not from covariates: rates swing with a period of 30 days, a covariate says
    where in the swing they are, and no baseline knows that they turn.
    Measured: 0.36 of the CRPS of the best baseline at 10 days, and a quarter of the loss before training."""
    dynamics = forecasting(
        weather=np.cos(2 * np.pi * np.arange(SAVES) / 30.0),
        **with_learn(forecasts=FORECASTS | {"first": 70, "every": 9, "block": None}),
        steps=150,
        learning_rate=0.05,
        batch=64,
        width=8,
        paths=32,
        regularisation=0.1,
    )
    dynamics.prepare()
    summary = dynamics.summary(SAVES - 1)
    values = {name: each.values for name, each in summary.items() if isinstance(each, Labelled)}
    scores = dict(zip(dynamics.coordinates()["model"], values["forecast_crps"], strict=True))
    best = min(scores[name][1] for name in ("persistence", "damped", "least_squares", "unlearned"))
    assert scores["ensemble"][1] < 0.6 * best
    assert values["loss"][-1] < 0.5 * values["loss"][0]


def test_what_is_recorded_and_scored() -> None:
    """Catches a forecast from the wrong origin or horizon, and summaries whose axes are mixed up."""
    dynamics = forecasting(**with_learn(forecasts=FORECASTS | {"every": 8}))
    dynamics.prepare()
    assert dynamics.dimensions() == {"mean_cases": ("replicate",)}
    assert np.isnan(dynamics.observe(50)["mean_cases"]).all()
    assert np.isnan(dynamics.observe(117)["mean_cases"]).all()
    for save, origin, ahead in ((51, 0, 1), (58, 0, 8), (60, 1, 2), (116, 7, 10)):
        assert np.array_equal(dynamics.observe(save)["mean_cases"], dynamics.ensembles[origin, :, :, ahead - 1].ravel())
    summary = {name: getattr(each, "values", each) for name, each in dynamics.summary(SAVES - 1).items()}
    outcome = np.array([epidemic()[origin + 4 : origin + 11].mean() for origin in dynamics.origins])
    persistence = np.array([epidemic()[origin - 6 : origin + 1].mean() for origin in dynamics.origins])
    assert summary["forecast_error"][2, 1] == pytest.approx(np.abs(persistence - outcome).mean(), rel=1e-9)
    pooled = dynamics.ensembles[:, :, :, 9].reshape(8, -1)
    error = np.abs(np.median(pooled, axis=1) - outcome).mean()
    assert summary["forecast_error"][0, 1] == pytest.approx(error, rel=1e-9)
    assert summary["forecast_crps"][1] == pytest.approx(summary["forecast_crps_by_seed"].mean(axis=0), rel=1e-9)
    assert summary["forecast_origins"] == 8
    assert summary["seed_of_replicate"].tolist() == [0] * 8 + [1] * 8


class StopError(Exception):
    """Stands for whatever ends a run."""


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches anything of a forecast that is not in the checkpoint: half a training, continued, gives the same bytes."""
    whole = forecasting(folder=tmp_path / "whole", checkpoint_every=2)
    whole.prepare()
    loss = ForecastTraining.__call__

    def stopping(training: ForecastTraining, step: int, generator: torch.Generator) -> torch.Tensor:
        if step == 2:
            raise StopError
        return loss(training, step, generator)

    with monkeypatch.context() as patched:
        patched.setattr(ForecastTraining, "__call__", stopping)
        with pytest.raises(StopError):
            forecasting(folder=tmp_path / "part", checkpoint_every=2).prepare()
    again = forecasting(folder=tmp_path / "part", checkpoint_every=2)
    again.prepare()
    assert np.array_equal(again.losses, whole.losses)
    assert np.array_equal(again.ensembles, whole.ensembles)


def test_blocks_of_windows() -> None:
    """Catches starts that were not allowed, blocks that are torn, and a resampling where none was asked for."""
    starts = np.arange(7, 60)
    drawn = resampled(starts, 10, np.random.default_rng(1))
    assert len(drawn) == len(starts)
    assert set(drawn) <= set(starts)
    assert (np.diff(drawn[:10]) == 1).all()
    assert len(set(drawn)) < len(starts)
    assert np.array_equal(resampled(starts, None, np.random.default_rng(1)), starts)


def test_tables_of_covariates_run_first() -> None:
    """Catches references inside other references, or in a list, that the order of a run does not see."""
    learn = SMALL["learn"] | {"covariates": {"from": "weather", "also": [{"from": "measures"}]}}
    found = [(name, each.from_) for name, each in references(NeuralSDEOptions.model_validate(SMALL | {"learn": learn}))]
    expected = [("learn", "counts"), ("learn.covariates", "weather"), ("learn.covariates.also", "measures")]
    assert found == expected


def test_covariates_of_several_tables() -> None:
    """Catches tables whose order is lost, and two rules of interpolation that are mixed."""
    tables = {"a": series("a", x=np.arange(SAVES) * 1.0), "b": series("b", y=np.arange(SAVES) * 2.0)}
    options = CovariatesOptions.model_validate({"from": "a", "also": [{"from": "b"}]})
    joined = gather_covariates(lambda label: tables[label], options, 1)
    assert joined.names == ("x", "y")
    assert joined.values[0, 3].tolist() == [3.0, 6.0]
    mixed = CovariatesOptions.model_validate({"from": "a", "also": [{"from": "b", "between": "linear"}]})
    with pytest.raises(InputError, match="one rule for all"):
        gather_covariates(lambda label: tables[label], mixed, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reporting": None}, "forecasts are of reported counts"),
        ({"reporting": {"quantity": "cases", "transition": "S -> I"}}, "the share is given"),
        ({"reporting": REPORTING | {"size": 9}}, "part of the learned noise"),
        ({"reporting": REPORTING | {"transition": "S -> R"}}, "S -> I, I -> R"),
        ({"window": 9}, "window; it means nothing beside learn.forecasts"),
        ({"forecasts": FORECASTS | {"horizons": [2.5]}}, "a whole number of save_every"),
        ({"forecasts": FORECASTS | {"first": 9}}, "at least 12 saves"),
        ({"forecasts": FORECASTS | {"first": 115}}, "a whole horizon after it"),
    ],
)
def test_options_that_cannot_be_used(changes: dict[str, Any], message: str) -> None:
    """Catches options that are silently ignored or fail in the middle of a training: each is found before anything runs."""
    with pytest.raises(InputError) as caught:
        forecasting(**with_learn(**changes)).check()
    assert message in str(caught.value)


def test_counts_that_cannot_be_used() -> None:
    """Catches a gap that is filled silently, and series that are mixed."""
    gap = epidemic()
    gap[30] = np.nan
    with pytest.raises(InputError, match="missing at time 30"):
        forecasting(gap).prepare()
    with pytest.raises(InputError, match="forecasts are of one series"):
        forecasting(np.stack([epidemic(), epidemic()])).prepare()
