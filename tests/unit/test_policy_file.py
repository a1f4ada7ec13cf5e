"""Policies in files come back as they were, and what is no policy is refused."""

from __future__ import annotations

import numpy as np
import pytest

import mesocosm
from mesocosm import ConstantPolicy, DiscretePolicy, GridPolicy, InputError, StoreError, load_policy
from mesocosm.feedback import GradientFlow, Unmoved
from mesocosm.policy_file import pack_policy

TIMES = np.array([0.0, 0.5, 2.0])
ROWS = np.zeros(4, np.int64)
PLACES = np.array([[-0.4], [0.1], [0.55], [3.0]])

SIR = """
mesocosm: 1
name: kept
seed: 4
time: {end: 20, save_every: 1}
population: {size: 60, initial: {I: 0.1}}
graph: {kind: complete}
game: {kind: sir, beta: 0.4, gamma: 0.1, effort: {cost: 1, infection_cost: 1}}
dynamics:
  nash: {kind: classical_mfg, step: 0.5}
  agents: {kind: agent_based, replicates: 4, policy: POLICY}
"""


def again(policy, folder):
    path = folder / "policy.npz"
    path.write_bytes(pack_policy(policy))
    return load_policy(path)


def test_a_table_on_a_grid(tmp_path):
    """Catches a lost period or channel: in between, beyond the end, and relative to the mean of contacts."""
    values = np.random.default_rng(1).normal(size=(3, 5, 1))
    nodes = (np.linspace(0.0, 0.8, 5),)
    for policy in (
        GridPolicy(TIMES, nodes, (0.0,), values),
        GridPolicy(TIMES, nodes, (1.0,), values),
        GridPolicy(TIMES, nodes, (0.0,), values, channel=0, origin=0.25),
    ):
        field = np.full((4, 1), 0.3)
        read = again(policy, tmp_path)
        for t in (0.0, 0.7, 5.0):
            assert np.array_equal(read.control(t, ROWS, PLACES, field), policy.control(t, ROWS, PLACES, field))


def test_interpolation_on_a_grid():
    """Catches a grid that is read one node off: a function linear in time and place is met exactly, and kept at the ends."""
    nodes = (np.linspace(0.0, 1.0, 5), np.linspace(-1.0, 1.0, 3))
    x, y = np.meshgrid(*nodes, indexing="ij")
    values = np.stack([(1 + t) * np.stack([x, y + 2 * x], axis=-1) for t in TIMES])
    policy = GridPolicy(TIMES, nodes, (0.0, 0.0), values)
    places = np.array([[0.3, 0.2], [0.99, -0.7], [2.0, 0.0]])
    expected = 2.0 * np.array([[0.3, 0.8], [0.99, 1.28], [1.0, 2.0]])
    assert policy.control(1.0, ROWS[:3], places, None) == pytest.approx(expected)


def test_a_seam_is_none():
    """Catches an interpolation that jumps where a periodic axis ends."""
    nodes = (np.arange(8) / 8,)
    policy = GridPolicy(TIMES, nodes, (1.0,), np.tile(np.cos(2 * np.pi * nodes[0])[None, :, None], (3, 1, 1)))
    near = policy.control(0.0, ROWS[:2], np.array([[1.0 - 1e-9], [1.0 + 1e-9]]), None)
    assert near == pytest.approx(1.0, abs=1e-6)
    assert policy.control(0.0, ROWS[:1], np.array([[15 / 16]]), None)[0, 0] == pytest.approx(
        (1 + np.cos(np.pi / 4)) / 2
    )


def test_the_other_kinds(tmp_path):
    assert again(Unmoved(0.7), tmp_path).value == 0.7
    assert again(ConstantPolicy.of(0.4), tmp_path).by_state.tolist() == [0.4]
    table = np.full((2, 3, 2), 0.5)
    assert np.array_equal(again(DiscretePolicy(np.array([0.0, 1.0]), table), tmp_path).probabilities, table)


def test_code_is_not_kept():
    """A policy that only a plugin's code can make is not written into a file."""
    scenario = mesocosm.parse(
        "mesocosm: 1\nname: a\nseed: 1\ntime: {end: 1, save_every: 1}\npopulation: {size: 5}\ngraph: {kind: complete}\n"
        "game: {kind: interbank}\ndynamics: {limit: {kind: classical_mfg}}\n"
    )
    assert pack_policy(GradientFlow(mesocosm.build(scenario).diffusion_game)) is None


@pytest.mark.parametrize("content", [b"", b"no file of numbers"])
def test_what_is_no_policy(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no policy can be read from it"):
        load_policy(path)


def test_a_policy_of_a_run_is_played_elsewhere(tmp_path):
    """The same policy by name and from the file that the run left: the same agents, to the last bit."""
    first = mesocosm.run(mesocosm.parse(SIR.replace("POLICY", "{from: nash}")), tmp_path, report=False)
    kept = first.folder / "policies" / "nash.npz"
    second = mesocosm.run(mesocosm.parse(SIR.replace("POLICY", f"{{file: '{kept}'}}")), tmp_path, report=False)
    assert np.array_equal(first["agents"].occupancy, second["agents"].occupancy)
    assert np.array_equal(first["agents"].cost, second["agents"].cost)
    other = mesocosm.run(mesocosm.parse(SIR.replace("POLICY", "none")), tmp_path, report=False)
    assert not np.array_equal(first["agents"].occupancy, other["agents"].occupancy)


def test_a_policy_of_another_game_is_refused(tmp_path):
    """Catches a table over places that is played by agents with states, and the other way round."""
    path = tmp_path / "policy.npz"
    path.write_bytes(pack_policy(GridPolicy(TIMES, (np.linspace(0, 1, 3),), (0.0,), np.zeros((3, 3, 1)))))
    scenario = mesocosm.parse(SIR.replace("POLICY", f"{{file: '{path}'}}"))
    problem = mesocosm.build(scenario)
    with pytest.raises(InputError, match=r"a GridPolicy.*a table over the 3 states S, I, R"):
        mesocosm.simulate(problem, mesocosm.makers_of(scenario))
