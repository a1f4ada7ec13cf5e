"""Policy networks: what they see, what they choose, and the averages of flows that they are trained against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mesocosm import Control, FiniteStateGame, InputError, Transition
from mesocosm_neural.play.averaging import LEAST, Averaged
from mesocosm_neural.play.finite_policy import FinitePolicies, NeuralPolicy, Sight
from mesocosm_neural.play.policy_network import PolicyNetwork, field_features, time_features, within

CPU, DOUBLE = torch.device("cpu"), torch.float64


class Commons(FiniteStateGame):
    """Two states with a choice, one without, two channels."""

    states = ("out", "in", "gone")
    channels = ("in", "effort")
    control = Control("effort", ("out", "in"), 0.0, 2.0, neutral=0.5)
    transitions = (Transition.spontaneous("in", "gone", rate=0.1, controlled=True),)

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return self.stack([state == 1, control], like=control)


def test_the_projection_reaches_both_ends_and_keeps_gradients_that_lead_back() -> None:
    """Catches dead gradients outside of the range, and values that creep out of it further and further."""
    values = torch.tensor([-3.0, -3.0, 0.5, 0.5, 9.0, 9.0], dtype=DOUBLE, requires_grad=True)
    result = within(values, 0.0, 2.0)
    result.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0], dtype=DOUBLE))
    assert result.tolist() == [0.0, 0.0, 0.5, 0.5, 2.0, 2.0]
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]


@pytest.mark.parametrize("ends", [(0.25, 1.0, 1.0), (-50.0, 50.0, 3.0)])
def test_a_network_starts_near_the_neutral_control(ends: tuple[float, float, float]) -> None:
    """Catches a start anywhere else, and seeds that share their weights."""
    low, high, neutral = ends
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    network = PolicyNetwork(Control("a", (), low, high, neutral), (4, 8, 1), generators, CPU, DOUBLE)
    chosen = network.controls(torch.randn(2, 50, 4, dtype=DOUBLE, generator=generators[0]))
    assert (chosen - neutral).abs().max() < 0.02 * (high - low)
    assert not torch.equal(network.layers[0][0], network.layers[0][1])


def test_what_a_network_sees_is_of_order_one() -> None:
    """Catches a scale that is left out: both ends of a range are mapped to -1 and 1, also where the range is a point."""
    low, high = torch.tensor([0.0, -2.0, 1.0], dtype=DOUBLE), torch.tensor([0.3, 2.0, 1.0], dtype=DOUBLE)
    torch.testing.assert_close(field_features(low, low, high), torch.tensor([-1.0, -1, 0, -1, -1, 0], dtype=DOUBLE))
    torch.testing.assert_close(field_features(high, low, high), torch.tensor([1.0, 1, 0, 1, 1, 0], dtype=DOUBLE))
    times = time_features(torch.tensor([0.0, 20.0, 40.0], dtype=DOUBLE), 40.0, 2)
    torch.testing.assert_close(times, torch.tensor([[-1.0, 1, 1], [0, 0, -1], [1, -1, 1]], dtype=DOUBLE))


def policies(*sees: str) -> FinitePolicies:
    """Networks of two seeds, far from neutral."""
    low, high = torch.zeros(2, dtype=DOUBLE), torch.ones(2, dtype=DOUBLE)
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    found = FinitePolicies(Commons(), Sight(sees, 4.0, 3, low, high, low.new_zeros(1, 0)), (5,), generators)
    with torch.no_grad():
        for layer in found.network.layers:
            layer.add_(torch.randn(layer.shape, generator=generators[0], dtype=DOUBLE), alpha=0.3)
    return found


def test_a_policy_looks_at_what_it_is_said_to_see() -> None:
    """Catches a policy that sees what it should not, or does not see what it should, and states that get the wrong control."""
    times = torch.linspace(0.0, 4.0, 5, dtype=DOUBLE)
    field = torch.rand(4, 5, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    for sees, varies in {("time", "state"): "time state", ("time",): "time", ("state",): "state"}.items():
        control = policies(*sees).controls(times, field, 4)
        assert control.shape == (4, 5, 3)
        assert (control[..., 2] == 0.5).all()
        assert torch.equal(control[0], control[1])
        assert (control[1] - control[2]).abs().max() > 1e-3
        assert bool((control[:, 0] - control[:, -1]).abs().max() > 1e-3) == ("time" in varies)
        assert bool((control[..., 0] - control[..., 1]).abs().max() > 1e-3) == ("state" in varies)
    seeing = policies("time", "state", "field").controls(times, field, 4)
    assert (seeing[0] - seeing[1]).abs().max() > 1e-3


def test_a_policy_of_the_field_answers_all_rows_and_each_agent_alike() -> None:
    """Catches rows that get the network of another seed, and an agent that gets the control of another state or field."""
    together = policies("time", "state", "field")
    field = np.random.default_rng(2).random((4, 3, 2))
    rows, states = np.arange(4)[:, None], np.arange(3)[None, :]
    whole = NeuralPolicy(together, 4).control(1.5, rows, states, field)
    for row in range(4):
        alone = NeuralPolicy(together.of_seed(row // 2))
        agents = np.array([2, 0, 1, 0])
        found = alone.control(1.5, np.zeros(4, np.int64), agents, field[row, agents])
        np.testing.assert_allclose(found, whole[row, agents], rtol=1e-12)
    with pytest.raises(InputError, match="no field"):
        NeuralPolicy(together.of_seed(0)).control(0.0, rows, states, None)


def test_averages_of_flows() -> None:
    """Catches a wrong weight: a plain mean of the first, then at least `LEAST` for the newest; or always the one given."""
    plain, given = Averaged(None), Averaged(0.5)
    for number in range(1, 6):
        for average in (plain, given):
            average.add({"z": torch.full((2, 3), float(number))})
    assert plain.values["z"].unique().item() == pytest.approx(3.0)
    assert given.values["z"].unique().item() == pytest.approx((1 + 2 + 2 * 3 + 4 * 4 + 8 * 5) / 16)
    assert plain.residual.tolist() == [2.5, 2.5]
    for _ in range(20):
        plain.add({"z": torch.full((2, 3), 3.0)})
    plain.add({"z": torch.full((2, 3), 13.0)})
    assert plain.values["z"][0, 0].item() == pytest.approx(3.0 + 10 * LEAST)
