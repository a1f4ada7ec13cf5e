"""The neural SDE learned from agents: better than persistence and than the game it started from, with the agents' spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mesocosm

SCENARIO = """
mesocosm: 1
name: learned-from-agents
seed: 2504
time: {end: 60, save_every: 2, unit: day}
population: {size: 1000, initial: {I: 0.02}}
GRAPH
dynamics:
  agents: {kind: agent_based, replicates: 64, step: 0.1, redraw: true}
  learned: {kind: neural_sde, parameters: {beta: WRONG}, seeds: 3, learn: {from: agents, until: 30}}
compare: {reference: agents}
"""
GRAPHS = {
    "complete": ("graph: {kind: complete}\ngame: {kind: sir, beta: 0.4, gamma: 0.1}", "0.28"),
    "random": (
        "graph: {kind: configuration, degrees: {poisson: 10}}\ngame: {kind: sir, beta: 0.045, gamma: 0.1}",
        "0.0315",
    ),
}


@pytest.mark.parametrize("graph", ["complete", pytest.param("random", marks=pytest.mark.slow)])
def test_learned_from_agents(tmp_path: Path, graph: str) -> None:
    """Catches a model that learns the mean but not the spread, or nothing: beta starts 30 % too low.

    Held-out energy score (days 32 to 60) below persistence and below the unlearned game; the standard deviation of the
    final size within 25 % of that of the 64 agent runs, whose own standard error is 9 %: the seed is fixed.
    """
    text, wrong = GRAPHS[graph]
    scenario = mesocosm.parse(SCENARIO.replace("GRAPH", text).replace("WRONG", wrong))
    results = mesocosm.run(scenario, tmp_path, report=False)
    learned, agents = results["learned"], results["agents"]
    score = float(learned.heldout_score.mean())
    assert score < float(learned.heldout_score_persistence)
    assert score < float(learned.heldout_score_unlearned)
    spread = float(learned.final_size.std(ddof=1) / agents.final_size.std(ddof=1))
    assert np.abs(spread - 1) < 0.25, spread
