"""The noise tape: its moments, coarser tapes of the same Brownian motion, and one tape for agents, Euler and torchsde."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchsde

import mesocosm
from mesocosm_neural.engine import Law, integrate
from mesocosm_neural.tape import NoiseTape, noise_of_agents

DOUBLE = torch.zeros(1, dtype=torch.float64)

BANKS = """
mesocosm: 1
name: banks
seed: 5
time: {end: 1, save_every: 0.25}
population: {size: 7}
graph: {kind: complete}
game: {kind: interbank, correlation: 0.2, start: {normal: [0.0, 1.0]}}
dynamics:
  agents: {kind: agent_based, policy: mean_field, replicates: 2, record_places: 7, deviations: 0, step: 0.05}
"""


def test_coarser_tapes_hold_the_same_brownian_motion() -> None:
    """Catches increments or areas that are added up wrongly, and a scale that does not belong to the longer step.

    Oracle: the path of W on a grid so fine that the areas of its steps hardly matter, summed in NumPy; and the moments 1 and
    1/12 without correlation, to 5 standard errors.
    """
    tape = NoiseTape.drawn(torch.Generator().manual_seed(7), 12, 20000, 1, DOUBLE, areas=True)
    coarse = tape.coarsened(6)
    path = np.cumsum(tape.increments.numpy(), axis=0) / 6**0.5
    before = np.concatenate([np.zeros((1, *path.shape[1:])), path])
    means = (before[:-1] + before[1:]) / 2 + tape.areas.numpy() / 6**0.5
    np.testing.assert_allclose(coarse.increments, [path[5], path[11] - path[5]], rtol=1e-9, atol=1e-12)
    wanted = means[6:].mean(axis=0) - path[5] - (path[11] - path[5]) / 2
    np.testing.assert_allclose(coarse.areas[1], wanted, rtol=1e-9, atol=1e-12)
    for each in (tape, coarse, tape.coarsened(2).coarsened(3)):
        count = each.increments.numel() ** 0.5
        assert abs(float(each.increments.square().mean()) - 1) < 5 * 2**0.5 / count
        assert abs(float(each.areas.square().mean()) * 12 - 1) < 5 * 2**0.5 / count
        assert abs(float((each.increments * each.areas).mean())) < 5 / 12**0.5 / count
    assert torch.allclose(tape.coarsened(2).coarsened(3).areas, coarse.areas, atol=1e-12)
    with pytest.raises(ValueError, match="12 steps"):
        tape.coarsened(5)


def test_tape_gives_no_more_than_it_holds() -> None:
    """Catches increments of other stretches of time, areas out of nothing, and draws that depend on areas."""
    tape = NoiseTape.drawn(torch.Generator().manual_seed(1), 3, 4, 2, DOUBLE)
    with pytest.raises(ValueError, match="unit steps"):
        tape(torch.tensor(0.0), torch.tensor(2.0))
    with pytest.raises(ValueError, match="does not hold"):
        tape(torch.tensor(0.0), torch.tensor(1.0), return_U=True)
    with pytest.raises(ValueError, match="areas=True"):
        integrate(lambda time, state: (state, state), torch.ones(4, 2).double(), tape.increments, solver="srk")
    both = NoiseTape.drawn(torch.Generator().manual_seed(1), 3, 4, 2, DOUBLE, areas=True)
    assert torch.equal(tape.increments, both.increments)
    single = NoiseTape.drawn(torch.Generator().manual_seed(1), 3, 4, 2, torch.zeros(1))
    assert torch.equal(single.increments, tape.increments.float())


def test_agents_euler_and_torchsde_share_one_tape(tmp_path: Path) -> None:
    """Catches noise that is read in another order, a time step that is off by one, and a field of the wrong contacts.

    Seven banks on a complete graph, agent by agent, with a common noise; then the same banks as particles. Both to rounding.
    """
    run = mesocosm.run(mesocosm.parse(BANKS), tmp_path, report=False)
    places = torch.from_numpy(run.tree["agents"]["place"].transpose("replicate", "time", "agent", "axis").values)
    problem = mesocosm.build(mesocosm.parse(BANKS))
    game = problem.diffusion_game.for_population(7)
    policy, streams = game.policies(7, 1.0)["mean_field"], problem.streams("agents")
    for number, interval in enumerate(problem.clock.intervals()):
        own = noise_of_agents(streams, interval, 2, 7, 5, 1)
        common = noise_of_agents(streams, interval, 2, 7, 5, 1, common=True)
        increments = (0.96**0.5 * own + 0.2 * common).flatten(1, 2)

        def law(count: float, state: torch.Tensor, start: float = interval.start) -> tuple[torch.Tensor, torch.Tensor]:
            now, time = state.view(2, 7, 1), start + 0.05 * count
            field = (now.sum(dim=1, keepdim=True) - now) / 6
            control = torch.from_numpy(policy.control(time, None, now.numpy(), field.numpy()))
            return (0.05 * game.drift(time, now, field, control)).flatten(0, 1), torch.full_like(state, 0.05**0.5)

        before, after = (places[:, time].flatten(0, 1) for time in (number, number + 1))
        np.testing.assert_allclose(integrate(law, before, increments), after, rtol=1e-10, atol=1e-10)
        theirs = torchsde.sdeint(
            _as_torchsde(law), before, [0.0, 5.0], bm=NoiseTape(increments), method="euler", dt=1.0
        )
        np.testing.assert_allclose(theirs[-1], after, rtol=1e-10, atol=1e-10)


def _as_torchsde(law: Law) -> Any:
    class Equation:
        noise_type, sde_type = "diagonal", "ito"

        def f(self, time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
            return law(float(time), state)[0]

        def g(self, time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
            return law(float(time), state)[1]

    return Equation()
