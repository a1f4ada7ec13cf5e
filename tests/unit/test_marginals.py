"""What is recorded of a diffusion: would catch bins that are shifted, agents lost at a side, and masses in the wrong place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from mesocosm import Axis, DiffusionGame, Marginals, Normal, Uniform


class Line(DiffusionGame):
    """An interval that one can leave at the top."""

    channels = ("nothing",)
    axes = (Axis("x", -3.0, 3.0, "open", "absorbing"),)
    start = Normal((0.0,), (1.0,))

    def drift(self, t, state, field, control):
        return control

    def noise(self, t, state, field):
        return 1.0 + 0.0 * state


class Square(Line):
    """A box of two axes, twice as wide as it is high."""

    axes = (Axis("x", 0.0, 2.0), Axis("y", 0.0, 1.0))
    start = Uniform((0.0, 0.0), (1.0, 1.0))


def test_agents_are_counted_as_numpy_counts_them():
    """Against numpy.histogramdd, replicate by replicate, with agents beyond the open side and some that have left."""
    random = np.random.default_rng(1)
    for game in (Line(), Square()):
        low, high = ([getattr(axis, end) for axis in game.axes] for end in ("low", "high"))
        places = random.uniform(
            np.array(low) - (0.5 if game.axes[0].lower == "open" else 0.0), high, (3, 500, len(low))
        )
        inside = random.random((3, 500)) < 0.8
        marginals = Marginals(game)
        found = marginals.of_agents(places, inside)["density"]
        for row, here, density in zip(places, inside, found, strict=True):
            expected, _ = np.histogramdd(row[here].clip(low, high), marginals.edges)
            volume = np.prod([edges[1] - edges[0] for edges in marginals.edges])
            assert density * volume * 500 == pytest.approx(expected)


def test_masses_of_a_grid_keep_what_the_law_has():
    """A normal law on a fine grid: mean, variance, quantiles and density by its closed form; the density has its mass."""
    edges = np.linspace(-3.0, 3.0, 1201)
    centres, masses = (edges[1:] + edges[:-1]) / 2, np.diff(norm.cdf(edges))
    marginals = Marginals(Line())
    left = 1.0 - masses.sum()
    found = marginals.of_masses([centres], masses, np.array([[3.0]]), np.array([left]))
    levels = np.asarray(marginals.coordinates["level"])
    assert found["quantile"][0, 0, 1:-1] == pytest.approx(norm.ppf(levels)[1:-1], abs=0.01)
    assert found["mean"][0, 0] == pytest.approx(0.0, abs=0.01)
    assert found["absorbed"][0] == pytest.approx(left)
    bins = marginals.edges[0]
    assert found["density"][0] * np.diff(bins) == pytest.approx(np.diff(norm.cdf(bins)), abs=1e-4)
    assert found["density"][0].sum() * (bins[1] - bins[0]) == pytest.approx(1.0 - left)


def test_axes_of_a_square_are_not_swapped():
    """One mass near the corner (2, 0)."""
    centres = [np.linspace(0.05, 1.95, 20), np.linspace(0.05, 0.95, 10)]
    masses = np.zeros((20, 10))
    masses[-1, 0] = 1.0
    density = Marginals(Square()).of_masses(centres, masses, np.zeros((0, 2)), np.zeros(0))["density"][0]
    heaviest = np.unravel_index(density.argmax(), density.shape)
    assert heaviest[0] >= 22
    assert heaviest[1] <= 1
