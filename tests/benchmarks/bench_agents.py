"""How long agents take: `python tests/benchmarks/bench_agents.py [agents] [replicates]`; prints seconds and final sizes.

SIR on random graphs of mean degree 10, beta 0.03, gamma 0.1, to time 100 in steps of 0.05, every replicate on a fresh
graph. Drawing the graphs is timed apart; the first run on a machine also compiles the kernels, which are then cached.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from mesocosm import Clock, ContactGraph, Context, Population, Problem, resolve_device
from mesocosm_agents.dynamics import AgentBased
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_games.epidemics import SIR
from mesocosm_games.options import SIROptions


def draw(size: int, seed: int) -> ContactGraph:
    """An Erdos-Renyi graph of mean degree 10, up to the few pairs drawn twice."""
    pairs = np.random.default_rng(seed).integers(0, size, (5 * size, 2))
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    return ContactGraph.from_edges(size, pairs[:, 0], pairs[:, 1])


def main(size: int = 100_000, replicates: int = 16) -> None:
    problem = Problem(
        name="bench",
        seed=1,
        game=SIR(SIROptions(beta=0.03, gamma=0.1)),
        graph=draw(size, 0),
        population=Population(size, np.array([0.99, 0.01, 0.0])),
        clock=Clock(100.0, 1.0),
        device=resolve_device("cpu"),
        precision="float64",
        draw=lambda replicate: draw(size, replicate),
    )
    context = Context("agents", problem.streams("agents"), lambda label: None, lambda label: None)
    dynamics = AgentBased(problem, AgentBasedOptions(replicates=replicates, step=0.05, redraw=True), context)
    begun = time.perf_counter()
    state = dynamics.init()
    drawn, used = time.perf_counter(), time.process_time()
    for interval in problem.clock.intervals():
        state = dynamics.advance(state, interval)
    done = time.perf_counter()
    sizes = dynamics.summary(state)["final_size"].values
    print(f"{size} agents, {replicates} replicates: graphs {drawn - begun:.1f} s, steps {done - drawn:.1f} s", end=" ")
    print(f"({time.process_time() - used:.1f} s of processor time)")
    print(f"final size {sizes.mean():.5f}, standard error {sizes.std(ddof=1) / replicates**0.5:.5f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
