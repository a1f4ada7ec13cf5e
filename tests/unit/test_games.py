"""The bundled games: tables, emissions, intensities, costs, best responses; the same numbers from NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mesocosm import FiniteStateGame, InputError, Transition
from mesocosm.hamiltonian import minimise_hamiltonian
from mesocosm_games.epidemics import SEIR, SIR, SIS, Epidemic
from mesocosm_games.options import EffortOptions, SEIROptions, SIROptions, SISOptions

EFFORT = EffortOptions(cost=2, infection_cost=3, minimum=0.25)


def game(
    name: str, effort: EffortOptions | None = None, beta: float = 0.3, gamma: float = 0.1, sigma: float = 0.2
) -> Epidemic:
    if name == "sir":
        return SIR(SIROptions(beta=beta, gamma=gamma, effort=effort))
    if name == "sis":
        return SIS(SISOptions(beta=beta, gamma=gamma, effort=effort))
    return SEIR(SEIROptions(beta=beta, gamma=gamma, sigma=sigma, effort=effort))


TABLES = {
    "sir": "S -> I  at 0.3 * field[infected]\nI -> R  at 0.1",
    "sis": "S -> I  at 0.3 * field[infected]\nI -> S  at 0.1",
    "seir": "S -> E  at 0.3 * field[infected]\nE -> I  at 0.2\nI -> R  at 0.1",
}
STATES = {"sir": "SIR", "sis": "SI", "seir": "SEIR"}
KINDS = list(TABLES)


@pytest.mark.parametrize("kind", KINDS)
def test_tables(kind: str) -> None:
    """Catches a transition with the wrong source, target or rate."""
    assert game(kind).table() == TABLES[kind]
    assert game(kind, EFFORT).table() == TABLES[kind].replace("[infected]", "[infected] * control")
    assert game(kind).states == tuple(STATES[kind])
    game(kind, EFFORT).check()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_infected_emit(kind: str) -> None:
    """Catches exposed or recovered agents that infect, and a control that scales what an agent emits."""
    states = np.arange(len(STATES[kind]))
    emitted = game(kind, EFFORT).emission(0.0, states, np.full(len(states), 0.5))
    assert emitted.shape == (len(states), 1)
    assert emitted[:, 0].tolist() == [float(state == "I") for state in STATES[kind]]


@pytest.mark.parametrize("kind", KINDS)
def test_intensities(kind: str) -> None:
    """Catches a rate that forgets the field or the control, or applies the control to recovery."""
    field, control = np.array([[0.0], [2.0], [5.0]]), np.array([0.5, 0.5, 1.0])
    infection, *others = game(kind, EFFORT).transitions
    assert game(kind, EFFORT).intensity(infection, 0, field, control) == pytest.approx(0.3 * field[:, 0] * control)
    free = game(kind)
    assert free.intensity(free.transitions[0], 0, field, control) == pytest.approx(0.3 * field[:, 0])
    for transition in others:
        rate = {"I": 0.1, "E": 0.2}[transition.source]
        assert game(kind, EFFORT).intensity(transition, 0, field, control).tolist() == [rate] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_costs(kind: str) -> None:
    """Catches an effort paid outside of S, a factor 1/2 lost, an infection that costs nothing."""
    states = np.arange(len(STATES[kind]))
    control = np.full(len(states), 0.4)
    cost = game(kind, EFFORT).running_cost(0, states, np.ones((len(states), 1)), control)
    expected = {"S": 0.5 * 2 * 0.6**2, "I": 3.0}
    assert cost == pytest.approx([expected.get(state, 0.0) for state in STATES[kind]])
    assert game(kind).running_cost(0, states, np.ones((len(states), 1)), control).tolist() == [0] * len(states)
    assert game(kind, EFFORT).has_costs
    assert not game(kind).has_costs
    assert game(kind, EFFORT).terminal_cost(states, np.ones((len(states), 1))).tolist() == [0] * len(states)


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(KINDS),
    st.lists(st.floats(-20, 20), min_size=4, max_size=4),
    st.floats(0, 10),
    st.floats(0.1, 5),
    st.floats(0, 0.9),
)
def test_the_closed_form_is_the_minimiser(
    kind: str, value: list[float], field: float, cost: float, minimum: float
) -> None:
    """Catches a wrong sign, factor, or state in the best response, by minimising the Hamiltonian numerically."""
    effort = EffortOptions(cost=cost, infection_cost=1, minimum=minimum)
    chosen = game(kind, effort)
    values = np.array(value[: len(chosen.states)])
    fields = np.array([field])
    assert chosen.best_control(0.0, fields, values) == pytest.approx(
        minimise_hamiltonian(chosen, 0.0, fields, values), abs=1e-6
    )


def test_the_formula_of_the_best_response() -> None:
    """Catches both forms being wrong alike: a* = clip(1 - beta z (u_I - u_S) / c_a, a_min, 1), by hand."""
    chosen = game("sir", EFFORT)
    assert chosen.best_control(0, np.array([1.0]), np.array([1.0, 3.0, 0.0])).tolist() == pytest.approx([0.7, 1, 1])
    assert chosen.best_control(0, np.array([9.0]), np.array([1.0, 3.0, 0.0]))[0] == 0.25
    assert chosen.best_control(0, np.array([9.0]), np.array([3.0, 1.0, 0.0]))[0] == 1.0


def test_the_best_response_leaves_the_value_alone() -> None:
    """Catches a result written into the array that was given."""
    values = np.array([[1.0, 3.0, 0.0]])
    game("sir", EFFORT).best_control(0, np.array([[1.0]]), values)
    assert values.tolist() == [[1.0, 3.0, 0.0]]


@pytest.mark.parametrize("effort", [None, EFFORT])
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_and_torch_give_the_same_numbers(kind: str, effort: EffortOptions | None) -> None:
    """Catches an operation that only one library has, or that means something else in the other."""
    random = np.random.default_rng(2)
    chosen, count = game(kind, effort), len(STATES[kind])
    state = np.broadcast_to(np.arange(count), (5, count)).copy()
    control, field, value = random.random((5, count)), random.random((5, count, 1)), random.normal(size=(5, count))

    def everything(convert: Any) -> list[Any]:
        x, a, z, u = (convert(item) for item in (state, control, field, value))
        results = [chosen.emission(0.0, x, a), chosen.running_cost(0.0, x, z, a), chosen.terminal_cost(x, z)]
        results += [chosen.best_control(0.0, z[:, 0], u), chosen.neutral_control(a)]
        return results + [chosen.intensity(item, 0.0, z, a) for item in chosen.transitions]

    for ours, theirs in zip(everything(np.array), everything(torch.tensor), strict=True):
        assert isinstance(theirs, torch.Tensor)
        assert theirs.dtype == torch.float64
        assert np.array_equal(ours, theirs.numpy())


def test_gradients_flow_through_a_game() -> None:
    """Catches an operation that cuts the gradient: d(beta a z)/dz = beta a."""
    chosen = game("sir", EFFORT)
    field = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    chosen.intensity(chosen.transitions[0], 0.0, field, torch.tensor([0.5], dtype=torch.float64)).sum().backward()
    assert field.grad is not None
    assert float(field.grad) == pytest.approx(0.15)


class Broken(SIR):
    """A game whose table can be replaced."""

    def __init__(self, *transitions: Transition) -> None:
        self.transitions = transitions


@pytest.mark.parametrize(
    ("transition", "says"),
    [
        (Transition.spontaneous("S", "X", rate=1), "state 'X'"),
        (Transition.induced("S", "I", rate=1, channel="infectd"), "channel 'infectd'.*did you mean 'infected'"),
    ],
)
def test_a_table_that_names_unknown_things(transition: Transition, says: str) -> None:
    """Catches a misspelt state or channel found only in the middle of a run."""
    with pytest.raises(InputError, match=says):
        Broken(transition).check()


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_rates_are_finite_and_not_negative(rate: float) -> None:
    """Catches a negative rate in a game that is written in Python."""
    with pytest.raises(InputError, match="finite and not negative"):
        Transition.spontaneous("S", "I", rate=rate)
    with pytest.raises(InputError, match="source and target differ"):
        Transition.spontaneous("S", "S", rate=1)


def test_a_general_intensity_is_used_and_described() -> None:
    """Catches a general transition that falls back to its nominal rate."""

    def crowded(t: float, field: Any, control: Any) -> Any:
        return t * field[..., 0] ** 2 * control

    transition = Transition.general("S", "I", crowded)
    chosen: FiniteStateGame = Broken(transition)
    assert chosen.intensity(transition, 2.0, np.array([3.0]), np.array(0.5)) == 9.0
    assert chosen.table() == "S -> I  at crowded(t, field, control)"
