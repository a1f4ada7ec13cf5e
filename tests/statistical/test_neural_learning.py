"""What a neural SDE learns from data: rates, noise, and how they carry over to a window that it has not seen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from mesocosm import (
    Clock,
    ContactGraph,
    Context,
    Labelled,
    Population,
    Problem,
    Streams,
    Trajectories,
    resolve_device,
)
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.options import NeuralSDEOptions

IN_BED = (3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4)


def binomial_chain(
    size: int, infected: int, *, beta: float, gamma: float, days: int, replicates: int, seed: int
) -> np.ndarray:
    """Shares [replicate, day, state] of a well-mixed SIR population whose agents jump in steps of a fiftieth."""
    random, step = np.random.default_rng(seed), 0.02
    s, i = np.full(replicates, size - infected), np.full(replicates, infected)
    saves = [np.stack([s, i, size - s - i], axis=-1)]
    for _ in range(days):
        for _ in range(round(1 / step)):
            infections = random.binomial(s, 1 - np.exp(-beta * i / size * step))
            recoveries = random.binomial(i, 1 - np.exp(-gamma * step))
            s, i = s - infections, i + infections - recoveries
        saves.append(np.stack([s, i, size - s - i], axis=-1))
    return np.stack(saves, axis=1) / size


class Learned(NamedTuple):
    occupancy: np.ndarray
    summary: dict[str, Any]
    model: NeuralSDE


def learn(data: np.ndarray, *, size: int, infected: float, beta: float, gamma: float, **options: Any) -> Learned:
    """Train on data [replicate, day, state] and play, in the order of calls of a run."""
    graph = ContactGraph.complete(size)
    problem = Problem(
        name="learning",
        seed=1,
        game=SIR(SIROptions(beta=beta, gamma=gamma)),
        graph=graph,
        population=Population(size, np.array([1 - infected, infected, 0.0])),
        clock=Clock(float(data.shape[1] - 1), 1.0, "day"),
        device=resolve_device("cpu"),
        precision="float32",
        draw=lambda replicate: graph,
    )
    values = {"occupancy": Labelled(("replicate", "time", "state"), data)}
    recorded = Trajectories("data", "agent_based", problem.clock.times, values, {}, stochastic=True)

    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    context = Context("neural", Streams(1, "neural"), nobody, lambda label: recorded)
    model = NeuralSDE(problem, NeuralSDEOptions.model_validate(options), context)
    model.check()
    model.prepare()
    state = model.init()
    saves = [model.observe(state)["occupancy"]]
    for interval in problem.clock.intervals():
        state = model.advance(state, interval)
        saves.append(model.observe(state)["occupancy"])
    summary = {
        name: value.values if isinstance(value, Labelled) else value for name, value in model.summary(state).items()
    }
    return Learned(np.stack(saves, axis=1), summary, model)


def spread_ratio(learned: Learned, reference: np.ndarray) -> float:
    return float(learned.summary["final_size"].std() / (1 - reference[:, -1, 0]).std())


@pytest.mark.parametrize(
    ("size", "assumed"), [(1000, 1000), (500, 2000)], ids=["beta is wrong", "beta and noise are wrong"]
)
def test_rates_and_spread_are_learned_from_the_first_half(size: int, assumed: int) -> None:
    """64 runs of a well-mixed SIR population, seen up to day 10 of 20, by a game whose beta is 30 % too low.

    In the second case the model also believes in 2000 agents where there are 500, so its own noise is half of the truth:
    the spread must come from the data. The spread is compared with that of 2000 runs of the same population. Were the
    learned law the true one, the ratio of spreads (320 paths) would have a standard error of 4 % (and 9 % more from the
    64 runs that were learned from), so 25 % is about 2.5 of them; seeds are fixed. Catches a loss that sees only means,
    noise that is not learned or left out, and training that does not carry over to the second half.
    """
    truth = {"beta": 1.0, "gamma": 0.4, "days": 20}
    data = binomial_chain(size, size // 50, **truth, replicates=64, seed=1)
    reference = binomial_chain(size, size // 50, **truth, replicates=2000, seed=99)
    learned = learn(
        data,
        size=assumed,
        infected=0.02,
        beta=1.0,
        gamma=0.4,
        parameters={"beta": 0.7},
        learn={"from": "data", "until": 10},
        steps=60,
    )
    score = learned.summary["heldout_score"]
    assert (score < 0.25 * learned.summary["heldout_score_persistence"]).all()
    assert (score < 0.25 * learned.summary["heldout_score_unlearned"]).all()
    assert spread_ratio(learned, reference) == pytest.approx(1.0, abs=0.25)


def test_a_school_outbreak_is_forecast_from_its_first_nine_days() -> None:
    """Boys in bed in a boarding school in 1978 (BMJ 1978;1:587), of 763: learned up to day 8, judged on days 9 to 13.

    The game starts from beta 1.5, where least squares on these nine days give 1.68 and a mean held-out error of 0.026.
    Catches a network that fits nine numbers and forgets the game, as it does without regularisation (0.08 to 0.11).
    """
    data = np.full((1, 14, 3), np.nan)
    data[0, :, 1] = np.array(IN_BED) / 763
    learned = learn(
        data,
        size=763,
        infected=3 / 763,
        beta=1.8,
        gamma=0.45,
        parameters={"beta": 1.5},
        learn={"from": "data", "until": 8},
        step=0.125,
    )
    score = learned.summary["heldout_score"]
    assert (score < 0.25 * learned.summary["heldout_score_persistence"]).all()
    assert (score < learned.summary["heldout_score_unlearned"]).all()
