"""Likelihoods of observed shares, their scores and information, and the covariance of what is estimated from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mesocosm_neural.calibrate.likelihood import Gaussian, Likelihood, Multinomial, covariance


def likelihoods() -> list[Likelihood]:
    """Both kinds on the same data with gaps: [replicate 3, save 4, state 3]."""
    random = np.random.default_rng(5)
    laws = random.dirichlet((4.0, 3.0, 2.0), (3, 4))
    data = torch.from_numpy(random.multinomial(500, laws) / 500)
    known = torch.ones_like(data)
    known[:, 1, 0] = known[0, 2] = known[1, 3, 1:] = 0.0
    return [kind(data * known, known, 500.0) for kind in (Gaussian, Multinomial)]


def test_likelihoods_are_those_of_scipy() -> None:
    """Catches wrong variances, gaps counted as zeros, and a category of unobserved states that is missing."""
    from scipy.stats import multinomial, norm

    gaussian, counted = likelihoods()
    data, known = gaussian.data.numpy(), gaussian.known.numpy().astype(bool)
    shares = np.tile([0.5, 0.3, 0.2], (4, 1))
    expected = 0.0
    for state in range(3):
        residual = (data - shares)[..., state][known[..., state]]
        scale = np.sqrt((residual**2).mean())
        expected -= norm.logpdf(residual, scale=scale).sum() - norm.logpdf(np.ones(len(residual))).sum()
    found = float(gaussian.loss(torch.from_numpy(shares))) * known.sum()
    assert found == pytest.approx(expected, rel=1e-12)
    expected = 0.0
    for row, seen in zip(data.reshape(-1, 3), known.reshape(-1, 3), strict=True):
        if seen.any():
            rest = [] if seen.all() else [1.0 - row[seen].sum()]
            counts, law = np.round(500 * np.append(row[seen], rest)), np.array([0.5, 0.3, 0.2])[seen]
            law = np.append(law, [1.0 - law.sum()] * len(rest))
            expected -= multinomial.logpmf(counts, 500, law) - multinomial.logpmf(counts, 500, counts / 500)
    found = float(counted.loss(torch.from_numpy(shares))) * known.sum()
    assert found == pytest.approx(expected, rel=1e-9)


def test_scores_are_the_gradient_of_the_likelihood() -> None:
    """Catches scores or information that belong to another likelihood than the one that is minimised."""
    moved = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moved[..., 2] = -moved[..., 0] - moved[..., 1]
    for likelihood in likelihoods():
        amounts = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        shares = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).repeat(4, 1)
        loss = likelihood.loss(shares + torch.einsum("d,dts->ts", amounts, moved)) * likelihood.known.sum()
        (gradient,) = torch.autograd.grad(loss, amounts)
        scores, information = likelihood.weighted(shares, moved)
        assert scores.shape == (3, 2)
        torch.testing.assert_close(-scores.sum(dim=0), gradient)
        assert bool((torch.linalg.eigvalsh(information) > 0).all())


def test_covariance_says_what_cannot_be_told() -> None:
    """Catches finite errors of parameters of which only a ratio is seen, and infinite ones of those beside them."""
    scores = torch.randn(400, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    scores[:, 2] = -2.0 * scores[:, 1]
    information = 400.0 * torch.tensor([[1.0, 0, 0], [0, 1.0, -2.0], [0, -2.0, 4.0]], dtype=torch.float64)
    found = covariance(scores, information)
    assert float(found[0, 0]) == pytest.approx(1 / 400, rel=0.3)
    assert bool(found[1:].isinf().all())
    assert bool(found[:, 1:].isinf().all())
    alone = covariance(scores[:1, :1], information[:1, :1])
    assert float(alone) == pytest.approx(1 / 400)
