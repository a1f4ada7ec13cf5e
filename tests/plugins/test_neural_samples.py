"""What diffusion games and series are learned on: samples and their split, sides of the box, coordinates, networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mesocosm import Axis, Clock, InputError, Labelled, Trajectories
from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.learn.samples import samples_of
from mesocosm_neural.learn.sde_law import SDELaw, UnitPart, folded
from mesocosm_neural.learn.sde_networks import DriftAndNoise
from mesocosm_neural.learn.sde_units import Units
from mesocosm_neural.learn.space import Space
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.tape import NoiseTape

CLOCK = Clock(4.0, 1.0)
OVER_TIME = ("replicate", "time")


def observed() -> dict[str, Labelled]:
    """Eight series, [replicate, time]."""
    return {"x": Labelled(OVER_TIME, np.random.default_rng(2).random((8, 5)))}


def trajectories(data: Mapping[str, Labelled]) -> Trajectories:
    return Trajectories("data", "table", CLOCK.times, data, {}, stochastic=True)


def learn_options(**options: Any) -> LearnOptions:
    return LearnOptions.model_validate({"from": "data", **options})


def test_samples_are_places_else_quantiles_else_named_quantities() -> None:
    """Catches axes, agents or times in the wrong order, quantiles that count as followed, and 2-D ones as joint."""
    place = np.arange(2 * 5 * 3 * 2.0).reshape(2, 5, 3, 2)
    data = {"place": Labelled(("replicate", "time", "agent", "axis"), place)}
    found = samples_of(trajectories(data), ("x", "y"), learn_options(), CLOCK)
    assert found.values.shape == (5, 6, 2)
    np.testing.assert_array_equal(found.values[3, 4], place[1, 3, 1])
    assert found.followed
    assert found.joint
    quantile = np.arange(2 * 5 * 2 * 4.0).reshape(2, 5, 2, 4)
    data = {"quantile": Labelled(("replicate", "time", "axis", "level"), quantile)}
    found = samples_of(trajectories(data), ("x", "y"), learn_options(), CLOCK)
    np.testing.assert_array_equal(found.values[3, 4 + 2], quantile[1, 3, :, 2])
    assert not found.followed
    assert not found.joint
    assert found.column_groups() == [slice(0, 1), slice(1, 2)]
    found = samples_of(trajectories(observed()), ("x",), learn_options(), CLOCK)
    np.testing.assert_array_equal(found.values[..., 0], observed()["x"].values.T)


def test_what_is_held_out_by_time_and_by_series_is_not_trained_on() -> None:
    """Catches held-out saves or series in the training window, and a validation window on either side of it."""
    data = observed()["x"].values.copy()
    data[1, 2] = np.nan
    found = samples_of(
        trajectories({"x": Labelled(OVER_TIME, data)}), ("x",), learn_options(until=3, validation=1, hold_out=2), CLOCK
    )
    series = np.arange(8)
    seen = ~np.isnan(data.T)
    np.testing.assert_array_equal(found.train, seen & (np.arange(5) <= 2)[:, None] & (series < 6))
    np.testing.assert_array_equal(found.validation, seen & (np.arange(5) == 3)[:, None] & (series < 6))
    late = (np.arange(5) == 4)[:, None] | ((np.arange(5) > 0)[:, None] & (series >= 6))
    np.testing.assert_array_equal(found.held_out, seen & late)
    pairs = {tuple(pair): group.rows.tolist() for group in found.pairs() for pair in group.saves.tolist()}
    assert pairs == {(0, 1): [0, 1, 2, 3, 4, 5], (1, 2): [0, 2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ({"y": Labelled(OVER_TIME, np.zeros((2, 5)))}, {}, "record_places"),
        ({"x": Labelled(OVER_TIME, np.zeros((2, 4)))}, {}, "5 saves"),
        ({"x": Labelled(OVER_TIME, np.full((2, 5), np.nan))}, {}, "nothing was observed"),
        ({"x": Labelled(OVER_TIME, np.zeros((2, 5)))}, {"hold_out": 2}, "hold_out 2 of 2"),
        ({"x": Labelled(OVER_TIME, np.tile([0, 0, 0, np.nan, 0], (2, 1)))}, {"validation": 0.5}, "longer 'validation'"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    data: dict[str, Labelled], options: dict[str, Any], words: str
) -> None:
    """Catches training on nothing, and a split that leaves nothing."""
    with pytest.raises(InputError, match=words):
        samples_of(trajectories(data), ("x",), learn_options(until=3, **options), CLOCK)


@pytest.mark.parametrize(
    ("lower", "upper", "unfolded", "place", "turn"),
    [
        ("reflecting", "reflecting", [-0.25, 1.5, 2.25, -1.5], [0.25, 0.5, 0.25, 0.5], [-1, -1, 1, 1]),
        ("periodic", "periodic", [-0.25, 1.5, 2.25, 0.5], [0.75, 0.5, 0.25, 0.5], [1, 1, 1, 1]),
        ("reflecting", "open", [-0.25, 1.5], [0.25, 1.5], [-1, 1]),
        ("open", "reflecting", [-0.25, 1.5], [-0.25, 0.5], [1, -1]),
    ],
)
def test_sides_fold_the_line_into_the_box(
    lower: str, upper: str, unfolded: list[float], place: list[float], turn: list[float]
) -> None:
    """Catches a mirror at the wrong side, a second reflection that is left out, and a drift that is not turned."""
    found, turned = folded(torch.tensor(unfolded)[:, None], (Axis("x", 0.0, 1.0, lower, upper),))
    np.testing.assert_allclose(found[:, 0].numpy(), place, atol=1e-6)
    np.testing.assert_array_equal(turned.expand(len(unfolded), 1)[:, 0].numpy(), turn)


def test_a_drift_that_pushes_to_a_reflecting_side_gathers_paths_there() -> None:
    """Drift -1 and noise 0.5 in [0, 1]: the stationary density is that of exp(-8 x), of mean 0.1247; standard error 0.002.

    Catches a drift that is not turned beyond a side, with which paths spread over the box (mean 0.5).
    """
    axes = (Axis("x", 0.0, 1.0),)

    def part(time: float, places: torch.Tensor, inside: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        return -torch.ones_like(places), 0.5 * torch.ones_like(places), places[..., :0]

    law = SDELaw(part, None, Space.of_box(axes), axes, 0.01)
    places = torch.full((1, 4000, 1), 0.5)
    after = law.advance(places, 0.0, 2.0, NoiseTape.drawn(torch.Generator().manual_seed(4), 200, 4000, 1, places))
    assert float(after.mean()) == pytest.approx(1 / 8 - 1 / np.expm1(8), abs=0.01)


def test_who_reaches_an_absorbing_side_stays_there_as_often_as_brownian_motion_does() -> None:
    """From -1 with noise 1, a share 2 Phi(-1) = 0.3173 reaches 0 by time 1; standard error of 60000 paths 0.0019.

    In eight steps one that only sees the ends of steps finds 0.26. Catches a shift that is left out or twice as large, and
    paths that leave the side again.
    """
    axes = (Axis("x", -6.0, 0.0, "open", "absorbing"),)
    law = SDELaw(UnitPart(torch.ones(1)), None, Space.of_box(axes), axes, 1 / 8)
    generator = torch.Generator().manual_seed(5)
    places, left = torch.full((1, 60000, 1), -1.0), 0.0
    for half in range(2):
        tape = NoiseTape.drawn(generator, 4, 60000, 1, places)
        after = law.advance(places, half / 2, (half + 1) / 2, tape)
        inside = law.inside(after)
        assert inside is not None
        assert (after[~inside] == 0.0).all()
        gone = float((~inside).double().mean())
        assert gone > left
        before = law.inside(places)
        assert before is not None
        assert not (inside & ~before).any()
        places, left = after, gone
    assert left == pytest.approx(2 * norm.cdf(-1.0), abs=0.01)


def test_values_between_bounds_and_places_are_inverse() -> None:
    """Catches a bound that is passed, a bound whose place is infinite, and circles that are cut open."""
    space = Space.of_ranges([(0.0, 2.0), None])
    values = torch.tensor([[0.0, -3.0], [0.5, 0.0], [2.0, 7.0]], dtype=torch.float64)
    np.testing.assert_allclose(
        space.values(space.places(values)).numpy(), [[0.02, -3.0], [0.5, 0.0], [1.98, 7.0]], rtol=1e-12
    )
    circle = Space.of_box([Axis("angle", 0.0, 1.0, "periodic", "periodic"), Axis("x", 0.0, 1.0)])
    ends = circle.compared(torch.tensor([[0.0, 0.3], [1.0, 0.3], [0.5, 0.3]], dtype=torch.float64))
    np.testing.assert_allclose(ends[0].numpy(), ends[1].numpy(), atol=1e-12)
    assert float((ends[0] - ends[2]).norm()) == pytest.approx(1 / np.pi)
    assert circle.dimensions() == [slice(0, 2), slice(2, 3)]


@pytest.mark.parametrize(
    ("drift", "diffusion", "expected"),
    [
        ("keep", "keep", (2.0, 0.6)),
        ("replace", "replace", (0.0, 0.8)),
        ("rescale", "rescale", (2.0, 0.6)),
        ("keep", "add", (2.0, 1.0)),
    ],
)
def test_networks_of_zero_leave_what_is_kept_of_the_game(
    drift: str, diffusion: str, expected: tuple[float, float]
) -> None:
    """Drift 2 and noise 0.6 of the game, unit noise 0.8. Catches a part that is added where it replaces, and noises that add
    up instead of their squares; and with a bias of 0.5, a network that enters with the wrong unit or sign."""
    one = torch.ones(1)
    units = Units(0 * one, one, 0 * one, one, 3 * one, 0.8 * one, 4.0)
    options = NeuralSDEOptions.model_validate({"learn": {"from": "data"}})
    networks = DriftAndNoise(options, learn_options(drift=drift, diffusion=diffusion), units, [torch.Generator()])
    place, game = torch.zeros(1, 1, 1), (2 * one.view(1, 1, 1), 0.6 * one.view(1, 1, 1), torch.zeros(1, 1, 1))
    with torch.no_grad():
        for weight in networks.weights:
            weight.zero_()
        assert tuple(float(term) for term in networks.terms(0.0, place, None, game)) == pytest.approx(expected)
        networks.layers[-1].fill_(0.5)
        found = tuple(float(term) for term in networks.terms(0.0, place, None, game))
    grown = np.exp(0.5)
    drifts = {"keep": 2.0 + 1.5, "replace": 1.5, "rescale": 2.0 * grown}
    noises = {"keep": 0.6, "replace": 0.8 * grown, "rescale": 0.6 * grown, "add": np.hypot(0.6, 0.8 * grown)}
    assert found == pytest.approx((drifts[drift], noises[diffusion]))
