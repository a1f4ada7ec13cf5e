"""Calibration in whole runs: from options to results, on the closure asked for, and what others play."""

from __future__ import annotations

import numpy as np

import mesocosm

SCENARIO = """
mesocosm: 1
name: calibrating
seed: 3
time: {end: 12, save_every: 1}
population: {size: 4000, initial: {I: 0.05}}
graph: {kind: complete}
game: {kind: sir, beta: 0.5, gamma: 0.125, effort: {cost: 0.5, infection_cost: 1}}
dynamics:
  nash: {kind: classical_mfg}
  agents: {kind: agent_based, replicates: 4, step: 0.1, policy: {from: nash}}
  found:
    kind: neural_sde
    seeds: 2
    calibrate: {from: agents, parameters: {beta: {start: 0.4}, gamma: {start: 0.2}}}
  replayed: {kind: agent_based, replicates: 4, step: 0.1, policy: {from: found}}
"""


def test_a_run_calibrates_and_others_play_what_it_found() -> None:
    """Catches a broken wire: options to results, with names, and a policy that agents can play."""
    scenario = mesocosm.parse(SCENARIO)
    outcome = mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))
    found = outcome["found"]
    assert list(found.coordinates["parameter"]) == ["beta", "gamma"]
    np.testing.assert_allclose(found.array("parameter_value"), [0.5, 0.125], rtol=0.2)
    assert found.array("parameter_by_seed").shape == (2, 2)
    assert np.isfinite(found.array("parameter_error")).all()
    gap = found.array("occupancy")[0] - outcome["nash"].array("occupancy")[0]
    assert np.abs(gap).max() < 0.03
    assert np.abs(outcome["replayed"].array("occupancy").mean(axis=0) - found.array("occupancy")[0]).max() < 0.05


BY_DEGREE = """
mesocosm: 1
name: degrees
seed: 3
time: {end: 10, save_every: 1}
population: {size: 300, initial: {I: 0.05}}
graph: {kind: configuration, degrees: {values: [2, 8], shares: [0.7, 0.3]}}
game: {kind: sir, beta: 0.2, gamma: 0.2, effort: {cost: 0.5, infection_cost: 1}}
dynamics:
  nash: {kind: classical_mfg, closure: degree}
  right: {kind: neural_sde, seeds: 1, calibrate: {from: nash, closure: degree, parameters: {beta: {start: 0.3}}}}
  wrong: {kind: neural_sde, seeds: 1, calibrate: {from: nash, parameters: {beta: {start: 0.3}}}}
"""


def test_the_closure_is_the_one_asked_for() -> None:
    """Catches types with wrong shares or contacts: on degree classes beta comes back, and in one class it does not."""
    scenario = mesocosm.parse(BY_DEGREE)
    outcome = mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario))
    np.testing.assert_allclose(outcome["right"].array("parameter_value"), [0.2], rtol=1e-3)
    assert abs(float(outcome["wrong"].array("parameter_value")[0]) - 0.2) > 0.01
    gap = outcome["right"].array("control") - outcome["nash"].array("control")
    assert np.abs(gap).max() < 1e-3
