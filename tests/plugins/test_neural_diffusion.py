"""Learning of diffusion games and of series: runs, what they record and judge, resumed training, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import mesocosm
from mesocosm import (
    Axis,
    Clock,
    ContactGraph,
    Context,
    DiffusionGame,
    Door,
    Game,
    InputError,
    Labelled,
    Population,
    Problem,
    Streams,
    Trajectories,
    Uniform,
    resolve_device,
)
from mesocosm_games.el_farol import ElFarol
from mesocosm_games.stage_options import ElFarolOptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.options import NeuralSDEOptions

CLOCK = Clock(4.0, 1.0)
SMALL = {"seeds": 2, "paths": 16, "batch": 8, "steps": 6, "width": 4, "checkpoint_every": 2}
OVER_TIME = ("replicate", "time")


class Line(DiffusionGame):
    """dX = (0.3 (mean - X) + 0.1) dt + 0.5 dW; everyone emits its place."""

    channels = ("mean",)
    normalise = "mean"
    start = Uniform((0.2,), (0.8,))

    def __init__(self, lower: str = "open", upper: str = "open", common: str | None = None) -> None:
        self.axes, self.common = (Axis("x", 0.0, 1.0, lower, upper),), common

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.3 * (field - state) + 0.1

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.5 + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 1.0 * state


class Room(Line):
    """A box of two axes with a door."""

    channels = ("x", "y")
    start = Uniform((0.2, 0.2), (0.8, 0.8))
    axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
    doors = (Door(0, True, 0.4, 0.6),)

    def __init__(self) -> None:
        self.common = None


def bar() -> ElFarol:
    payoffs = {"uncrowded": 1.0, "home": 0.5, "crowded": 0.0}
    return ElFarol(ElFarolOptions.model_validate({"form": "repeated", "capacity": 0.6, "payoffs": payoffs}))


def observed() -> dict[str, Labelled]:
    """Eight series that drift upwards, [replicate, time]."""
    random = np.random.default_rng(2)
    steps = 0.05 + 0.1 * random.standard_normal((8, 4))
    return {"x": Labelled(OVER_TIME, 0.4 + np.concatenate([np.zeros((8, 1)), steps.cumsum(axis=1)], axis=1))}


def trajectories(data: Mapping[str, Labelled]) -> Trajectories:
    return Trajectories("data", "table", CLOCK.times, data, {}, stochastic=True)


def neural(
    game: Game | None = None,
    data: Mapping[str, Labelled] | None = None,
    *,
    folder: Path | None = None,
    report: Callable[[str, float, str], None] = lambda phase, fraction, note: None,
    precision: str = "float32",
    **options: Any,
) -> NeuralSDE:
    graph = ContactGraph.complete(50)
    problem = Problem(
        name="diffusion",
        seed=3,
        game=game or Line(),
        graph=graph,
        population=Population(50, np.ones(1)),
        clock=CLOCK,
        device=resolve_device("cpu"),
        precision=precision,
        draw=lambda replicate: graph,
    )
    recorded = {"data": trajectories(data or observed())}
    cover = np.array([[0.0, np.nan, 4.0, 4.0, 0.0]])
    recorded["weather"] = trajectories({"rain": Labelled(OVER_TIME, cover)})

    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    context = Context("neural", Streams(3, "neural"), nobody, recorded.__getitem__, folder, report)
    chosen = {"learn": {"from": "data", "until": 3}, **SMALL, **options}
    return NeuralSDE(problem, NeuralSDEOptions.model_validate(chosen), context)


def played(model: NeuralSDE) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What is recorded, [replicate, time, ...], and the summary, in the order of calls of a run."""
    model.check()
    model.prepare()
    state = model.init()
    saves = [model.observe(state)]
    for interval in CLOCK.intervals():
        state = model.unpack({name: np.array(value) for name, value in (model.pack(state) or {}).items()})
        state = model.advance(state, interval)
        saves.append(model.observe(state))
    found = {name: np.stack([save[name] for save in saves], axis=1) for name in saves[0]}
    assert set(found) == set(model.dimensions())
    summary = {
        name: value.values if isinstance(value, Labelled) else value for name, value in model.summary(state).items()
    }
    return found, summary


@pytest.mark.parametrize("kill_at", [3, 5])
def test_training_that_was_cut_short_continues_to_the_same_bytes(tmp_path: Path, kill_at: int) -> None:
    """Catches noise that depends on what was drawn before, and a fingerprint that changes by itself."""
    whole, steps = neural(), 0
    whole.prepare()

    def kill(phase: str, fraction: float, note: str) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        neural(folder=tmp_path, report=kill).prepare()
    resumed = neural(folder=tmp_path)
    resumed.prepare()
    for ours, theirs in zip(resumed.networks.weights, whole.networks.weights, strict=True):
        assert torch.equal(ours, theirs)
    assert resumed.losses.tobytes() == whole.losses.tobytes()


@pytest.mark.parametrize("window", [None, 1, 2])
def test_a_population_for_each_seed_is_recorded_and_judged(window: int | None) -> None:
    """Catches particles counted as replicates, a score on what was trained on, and baselines that are not what they say."""
    found, summary = played(neural(learn={"from": "data", "until": 3, "hold_out": 2, "window": window}))
    assert found["mean"].shape == (2, 5, 1)
    assert found["quantile"].shape == (2, 5, 1, 20)
    assert summary["seed_of_replicate"].tolist() == [0, 1]
    assert summary["heldout_score"].shape == summary["heldout_distance"].shape == (2,)
    values = observed()["x"].values
    last, scores = values[:6, 3], []
    for save in range(1, 5):
        data = values[:, 4] if save == 4 else values[6:, save]
        within = np.abs(last[:, None] - last).sum() / (6 * 5)
        scores.append(np.abs(last[:, None] - data).mean() - within / 2)
    assert summary["heldout_score_persistence"] == pytest.approx(np.mean(scores), rel=1e-6)
    assert 0 <= summary["heldout_coverage"] <= 1
    again, _ = played(neural(learn={"from": "data", "until": 3, "hold_out": 2, "window": window}))
    assert all(again[name].tobytes() == found[name].tobytes() for name in found)


def test_training_stops_by_the_validation_window() -> None:
    """Catches a validation that is ignored, or that draws other noise at every check."""
    options = {"learn": {"from": "data", "validation": 1}, "steps": 40, "check_every": 2, "patience": 3}
    model = neural(learning_rate=1e-9, **options)
    model.prepare()
    assert len(model.losses) < 40


@pytest.mark.parametrize("solver", ["milstein", "srk", "reversible_heun"])
def test_the_solvers_of_torchsde_run_too(solver: str) -> None:
    """Catches a tape without areas, and an option that is not passed on."""
    euler, _ = played(neural(precision="float64"))
    other, _ = played(neural(precision="float64", solver=solver))
    assert np.isfinite(other["mean"]).all()
    assert other["mean"].tobytes() != euler["mean"].tobytes()


@pytest.mark.parametrize("sides", [("reflecting", "reflecting"), ("periodic", "periodic"), ("open", "absorbing")])
def test_every_side_can_be_learned_in(sides: tuple[str, str]) -> None:
    """Catches places outside the box, shares that have left without a wall, and gradients that are not finite."""
    data = {"x": Labelled(OVER_TIME, observed()["x"].values.clip(0.05, 1.0))}
    model = neural(Line(*sides), data, learn={"from": "data", "window": 1, "sees": ["state", "field", "time"]})
    found, _ = played(model)
    if sides[0] != "open":
        assert found["quantile"].min() >= 0.0
    assert found["quantile"].max() <= 1.0
    assert ("absorbed" in found) == ("absorbing" in sides)


@pytest.mark.parametrize(("between", "middle"), [("hold", 0.0), ("linear", 1.0)])
def test_covariates_are_seen_standardised_at_the_time(between: str, middle: float) -> None:
    """Rain 0, missing, 4, 4, 0, seen up to time 3: held it is 0, 0, 4, 4, of mean 2 and deviation 2; on a line 0, 2, 4, 4.

    Catches covariates at the save that ends a step, scales from held-out saves, what is known only later (at time 4 it is
    held), and networks that do not see them.
    """
    model = neural(learn={"from": "data", "until": 3, "covariates": {"from": "weather", "between": between}})
    assert model.networks.covariates is not None
    values = np.array([0.0, 0.0, 4.0, 4.0]) if between == "hold" else np.array([0.0, 2.0, 4.0, 4.0])
    expected = (middle - values.mean()) / values.std()
    assert float(model.networks.covariates(0.5)) == pytest.approx(expected)
    assert float(model.networks.covariates(4.0)) == pytest.approx((4.0 - values.mean()) / values.std())
    assert model.networks.size == 2
    played(model)


def test_a_series_stays_between_its_bounds_and_may_end_early() -> None:
    """Catches a bound that is passed, series of unlike lengths, and means over rounds that start too late."""
    values = np.random.default_rng(1).random((6, 5))
    values[4:, 3:] = np.nan
    data = {"attendance": Labelled(OVER_TIME, values)}
    options = {"from": "data", "window": 1, "bounds": {"attendance": [0, 1]}}
    found, summary = played(neural(bar(), data, learn=options))
    assert found["attendance"].shape == (32, 5)
    assert found["attendance"].min() > 0
    assert found["attendance"].max() < 1
    np.testing.assert_allclose(found["attendance_so_far"][:, 2], found["attendance"][:, :3].mean(axis=1))
    assert summary["seed_of_replicate"].tolist() == [0] * 16 + [1] * 16


@pytest.mark.parametrize(
    ("game", "options", "words"),
    [
        (Room(), {}, "1 doors"),
        (Line(common="weather"), {}, "common noise 'weather'"),
        (Line(), {"learn": {"from": "data", "bounds": {"x": [0, 1]}}}, "for stage games"),
        (Line(), {"learn": {"from": "data", "window": 4, "until": 3}}, "window 4"),
        (bar(), {"learn": {"from": "data", "bounds": {"crowd": [0, 1]}}}, "it learns attendance"),
        (bar(), {"learn": {"from": "data", "bounds": {"attendance": [1, 0]}}}, "low below high"),
        (bar(), {"learn": {"from": "data", "sees": ["field"]}}, "no field"),
        (bar(), {"learn": {"from": "data", "drift": "rescale"}}, "no drift"),
        (bar(), {"parameters": {"capacity": 0.5}}, "leave them out"),
    ],
)
def test_what_makes_no_sense_is_refused(game: Game, options: dict[str, Any], words: str) -> None:
    """Catches options that would be ignored, and games that would be learned wrongly."""
    with pytest.raises(InputError, match=words):
        played(neural(game, **options))


def test_values_beyond_their_bounds_are_refused() -> None:
    """Catches counts that were taken for shares, and clipped."""
    data = {"attendance": Labelled(OVER_TIME, np.full((2, 5), 60.0))}
    with pytest.raises(InputError, match="its bounds are 0 and 1"):
        neural(bar(), data, learn={"from": "data", "bounds": {"attendance": [0, 1]}}).prepare()


def test_a_scenario_learns_from_the_places_of_its_agents() -> None:
    """Catches a run in which agents and what is learned from them do not meet: names, shapes, comparison by quantiles."""
    scenario = mesocosm.parse("""
mesocosm: 1
name: learning
seed: 1
time: {end: 1, save_every: 0.25}
population: {size: 20}
graph: {kind: complete}
game: {kind: interbank, mean_reversion: 1, sigma: 1, start: {normal: [0, 1]}}
dynamics:
  agents: {kind: agent_based, replicates: 4, policy: none, record_places: 20}
  neural:
    kind: neural_sde
    learn: {from: agents, until: 0.75, window: 1, sees: [state, field]}
    seeds: 2
    paths: 64
    batch: 64
    steps: 20
""")
    problem = mesocosm.build(scenario)
    found = mesocosm.simulate(problem, mesocosm.makers_of(scenario))
    rows = mesocosm.compare(found, "agents").rows
    gaps = [row for row in rows if row.dynamics == "neural" and row.measure == "w1_gap"]
    assert gaps
    assert gaps[0].gap < 0.5
