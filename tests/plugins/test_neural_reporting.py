"""Reported counts: the negative binomial law, its parameters, and what is recorded and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import nbinom

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
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.finite_learning import FiniteLearning
from mesocosm_neural.learn.options import ReportingOptions
from mesocosm_neural.learn.reporting import Reporting
from mesocosm_neural.options import NeuralSDEOptions

POPULATION = 2000.0
COUNTS = np.array([[0.0, 12.0, 17.0, 30.0, 44.0, 61.0]])
SMALL = {"seeds": 2, "paths": 8, "batch": 16, "steps": 3, "width": 4, "step": 0.5}


def reporting(share: float | None, size: float | None, members: int = 2) -> Reporting:
    options = ReportingOptions(quantity="new_cases", transition="S -> I", share=share, size=size)
    return Reporting(options, 0, POPULATION, members, torch.device("cpu"), torch.float64)


def learning(counts: np.ndarray, **learn: Any) -> FiniteLearning:
    graph = ContactGraph.complete(10)
    problem = Problem(
        name="counts",
        seed=2,
        game=SIR(SIROptions(beta=0.8, gamma=0.4)),
        graph=graph,
        population=Population(int(POPULATION), np.array([0.99, 0.01, 0.0])),
        clock=Clock(5.0, 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: graph,
    )
    variables = {"new_cases": Labelled(("replicate", "time"), counts)}
    recorded = Trajectories("data", "table", problem.clock.times, variables, {}, stochastic=True)

    def nobody(label: str) -> Any:
        raise AssertionError("learning needs no policy")

    context = Context("neural", Streams(2, "neural"), nobody, lambda label: recorded)
    given = {"quantity": "new_cases", "transition": "S -> I", **learn.pop("reporting", {})}
    options = NeuralSDEOptions.model_validate({**SMALL, "learn": {"from": "data", "reporting": given, **learn}})
    made = NeuralSDE(problem, options, context)
    assert isinstance(made, FiniteLearning)
    return made


@pytest.mark.parametrize("size", [0.5, 8.0, 1e6])
def test_likelihood_is_the_negative_binomial(size: float) -> None:
    """Catches size and variance that are mixed up, and digits lost for large sizes and counts. Oracle: SciPy."""
    counts = torch.tensor([[0.0, 3.0, 250.0, 40000.0]], dtype=torch.float64)
    mean = torch.tensor([[0.1, 5.0, 200.0, 38000.0]], dtype=torch.float64)
    got = reporting(0.5, size, members=1).log_likelihood(counts, mean)
    wanted = nbinom.logpmf(counts.numpy(), size, size / (size + mean.numpy()))
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-6)


def test_counts_are_drawn_with_the_mean_and_variance_of_the_law() -> None:
    """Catches noise that is Poisson, or of another member.

    40 000 draws: 4 standard errors of mean and variance (fourth moment from the draws) alarm falsely once in 4000 runs, and
    see 2 % in the mean and 8 % in the variance.
    """
    model = reporting(0.3, 5.0)
    with torch.no_grad():
        model.log_size[1] += np.log(4.0)
    extents = torch.tensor([0.05, 0.01], dtype=torch.float64).view(2, 1, 1).expand(2, 40000, 2)
    drawn = model.sample(extents, seed=9)
    np.testing.assert_array_equal(drawn, model.sample(extents, seed=9))
    for counts, mean, size in zip(drawn, (30.0, 6.0), (5.0, 20.0), strict=True):
        variance = mean + mean**2 / size
        squares = (counts - mean) ** 2
        assert abs(counts.mean() - mean) < 4 * (variance / 40000) ** 0.5
        assert abs(squares.mean() - variance) < 4 * squares.std() / 200


def test_share_and_size_are_learned_only_where_they_are_not_given() -> None:
    """Catches a given share that is trained, and a learned one that may leave (0, 1)."""
    assert [len(reporting(share, size).weights) for share in (None, 0.3) for size in (None, 5.0)] == [2, 1, 1, 0]
    learned = reporting(None, None)
    with torch.no_grad():
        learned.logit += 50.0
    assert (learned.share <= 1.0).all()
    np.testing.assert_allclose(reporting(1.0, 7.0).share.detach(), 1.0)
    np.testing.assert_allclose(reporting(1.0, 7.0).size.detach(), 7.0)


def test_counts_are_recorded_beside_shares_and_judged() -> None:
    """Catches counts that do not belong to their paths, and a score of shares where counts were observed."""
    model = learning(
        np.concatenate([COUNTS, 1.1 * COUNTS]), hold_out=1, until=4, reporting={"share": 0.8, "size": 50.0}
    )
    model.check()
    model.prepare()
    state = model.init()
    assert model.dimensions() == {"occupancy": ("replicate", "state"), "new_cases": ("replicate",)}
    np.testing.assert_array_equal(model.observe(state)["new_cases"], np.zeros(16))
    jumps, counts = np.zeros(16), np.zeros(16)
    for interval in model.problem.clock.intervals():
        before = model.observe(state)["occupancy"][:, 0]
        state = model.unpack(model.pack(model.advance(state, interval)))
        seen = model.observe(state)
        assert seen["new_cases"].shape == (16,)
        jumps += before - seen["occupancy"][:, 0]
        counts += seen["new_cases"]
    np.testing.assert_allclose(counts.sum() / (0.8 * POPULATION * jumps.sum()), 1.0, atol=0.1)
    summary = model.summary(state)
    wanted = {
        "train_score",
        "heldout_score",
        "heldout_score_persistence",
        "heldout_score_unlearned",
        "heldout_coverage",
    }
    assert wanted | {"series_score", "series_coverage"} <= set(summary)
    assert not {"reporting_share", "reporting_size"} & set(summary)
    assert isinstance(summary["heldout_coverage"], float)
    assert summary["heldout_score_persistence"] == pytest.approx(17.0)


def test_missing_counts_are_no_zeros() -> None:
    """Catches a gap that is scored as no cases: the loss of a series with a gap is that of the saves that were observed."""
    gap = COUNTS.copy()
    gap[0, 3] = np.nan
    models = [learning(counts, reporting={"share": 0.8, "size": 50.0}) for counts in (COUNTS, gap)]
    losses = []
    for model in models:
        model.prepare()
        fit = model.fit
        windows = torch.zeros(2, 1, 2, dtype=torch.long)
        extents = torch.full((2, 1, 4, 5, 2), 0.01, dtype=torch.float64)
        losses.append(fit.score(extents, extents, windows)[0].item())
    logs = nbinom.logpmf(COUNTS[0, 1:], 50.0, 50.0 / (50.0 + 16.0))
    np.testing.assert_allclose(losses, [-logs.mean(), -logs[[0, 1, 3, 4]].mean()], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda counts: -counts, "new_cases is -12 at time 1"),
        (lambda counts: counts[:, :4], "one count at each of 6 saves"),
        (lambda counts: np.full_like(counts, np.nan), "nothing was observed"),
    ],
)
def test_counts_that_cannot_be_are_refused(change: Any, words: str) -> None:
    """Catches negative counts, and those of other saves."""
    with pytest.raises(InputError, match=words):
        learning(change(COUNTS)).prepare()
