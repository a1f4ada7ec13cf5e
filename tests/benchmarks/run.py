"""`make bench`: wall times as ratios, agents at scale, games in discrete time against MFGLib, and training steps.

The tables go into docs/benchmarks.md.

Both sides of a ratio run by turns in this process, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import platform
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bench_games
import bench_gpu
import bench_neural
import bench_scale

import mesocosm

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
MARKS = re.compile(r"(<!-- measured: begin -->\n).*(<!-- measured: end -->)", re.S)
REPETITIONS = 3

EPIDEMIC = """
mesocosm: 1
name: benchmark
seed: 1
time: {end: 50, save_every: 1}
population: {size: 400, initial: {I: 0.02}}
graph: {kind: configuration, degrees: {poisson: 10}}
game: {kind: sir, beta: 0.03, gamma: 0.1}
dynamics:
  step: {kind: agent_based, replicates: 1, step: 0.5}
  mesa: {kind: agent_based, replicates: 1, step: 0.5, engine: mesa}
  homogeneous: {kind: classical_mfg, closure: homogeneous}
  degree: {kind: classical_mfg, closure: degree}
  individual: {kind: classical_mfg, closure: individual}
  edges: {kind: edge_based}
"""


@dataclass(frozen=True)
class Pair:
    """Two dynamics of the scenario above, and what their ratio says."""

    what: str
    slower: str
    faster: str


PAIRS = (
    Pair("agents: engine mesa over engine step", "mesa", "step"),
    Pair("closure degree over homogeneous", "degree", "homogeneous"),
    Pair("closure individual over homogeneous", "individual", "homogeneous"),
    Pair("edge-based over homogeneous", "edges", "homogeneous"),
)


def timers() -> dict[str, Callable[[], float]]:
    """For every dynamics of the scenario, a function that runs it once and returns the seconds that it took."""
    scenario, registry = mesocosm.parse(EPIDEMIC), mesocosm.Registry.discover()
    problem = mesocosm.build(scenario, registry)

    def timer(label: str) -> Callable[[], float]:
        choice = scenario.dynamics[label]
        maker = registry.factory("dynamics", choice.name).bind(choice.options)

        def once() -> float:
            start = time.perf_counter()
            mesocosm.simulate(problem, {label: maker})
            return time.perf_counter() - start

        return once

    return {label: timer(label) for label in scenario.dynamics}


def measure(slower: Callable[[], float], faster: Callable[[], float]) -> tuple[float, float, float]:
    """Median, smallest and largest ratio of two timers, run by turns after one run each that does not count."""
    slower(), faster()
    ratios = [slower() / faster() for _ in range(REPETITIONS)]
    return statistics.median(ratios), min(ratios), max(ratios)


def rounded(value: float) -> str:
    """Two significant digits, without an exponent."""
    return f"{float(f'{value:.2g}'):g}"


def main() -> None:
    """Measure every pair and every game, print the tables and write them into the page."""
    found = timers()
    lines = ["| ratio of wall times | median | range |", "|---|---|---|"]
    for pair in PAIRS:
        median, low, high = measure(found[pair.slower], found[pair.faster])
        lines.append(f"| {pair.what} | {rounded(median)} | {rounded(low)} to {rounded(high)} |")
        print(lines[-1], flush=True)
    about = f"Python {platform.python_version()}, {platform.machine()}, {REPETITIONS} repetitions, SIR with 400 agents."
    others = ("\n".join(part.rows()) for part in (bench_scale, bench_gpu, bench_games, bench_neural))
    table = "\n\n".join(["\n".join(lines), about, *others, ""])
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(MARKS.sub(lambda mark: f"{mark[1]}{table}{mark[2]}", text), encoding="utf-8")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    main()
