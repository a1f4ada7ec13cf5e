"""Games in discrete time against MFGLib, on its default games: `python tests/benchmarks/bench_games.py` prints the table.

Each method of MFGLib runs with its default options, one thread, 300 iterations at most, after a call that does not count. Its
clock stops at the iteration with the lowest exploitability that it reaches. The path method of `classical_mfg` then runs to
the same exploitability, or below, also after a run that does not count. Both are then timed by turns, so that whatever else
the machine does falls on both, and medians are taken; a run of MFGLib that takes longer than `LONG` is not repeated. MFGLib
computes in single precision, so exploitability below `FLOOR` is rounding there, and the target is not set lower.

MFGLib is looked for in .venv/bench-libs, where `make bench` installs it, and on the path. Without it, only the times of
mesocosm are measured.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mesocosm
from mesocosm_mfg.discrete_flow import DiscreteField
from mesocosm_mfg.discrete_solvers import DiscreteEquilibrium, solve_discrete

LIBRARIES = Path(__file__).resolve().parents[2] / ".venv" / "bench-libs"
MOST_ITERATIONS, REPETITIONS, LONG = 300, 5, 5.0
FLOOR, FINAL = 1e-7, 1e-8
"""Lowest target in costs; relative exploitability of the last column."""

GAMES = {
    "rock_paper_scissors": (1, ""),
    "left_right": (1, ""),
    "susceptible_infected": (50, ", initial: {S: 0.4, I: 0.6}"),
    "beach_bar": (2, ", initial: {place_0: 0.25, place_1: 0.25, place_2: 0.25, place_3: 0.25}"),
}
"""Kind -> horizon and start of MFGLib."""

METHODS = {"FictitiousPlay": "fictitious play", "OnlineMirrorDescent": "mirror descent", "MFOMO": "MF-OMO"}
"""Class of MFGLib -> its name in the table."""

HEAD = (
    "| game | MFGLib | iterations | seconds | exploitability | mesocosm: linear systems | seconds | exploitability | ratio |",
    "|---|---|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Reached:
    """The lowest exploitability of a run, and what it took to get there."""

    exploitability: float
    steps: int
    seconds: float


def field_of(kind: str) -> DiscreteField:
    """A bundled game as MFGLib has it by default."""
    end, initial = GAMES[kind]
    scenario = mesocosm.parse(
        f"{{mesocosm: 1, name: bench, seed: 1, time: {{end: {end}, save_every: 1}}, "
        f"population: {{size: 10{initial}}}, graph: {{kind: complete}}, game: {{kind: {kind}}}}}"
    )
    problem = mesocosm.build(scenario)
    return DiscreteField(problem.discrete_game, problem.population.shares, problem.clock.times)


def solve(model: DiscreteField, target: float) -> DiscreteEquilibrium:
    """The path method to a relative exploitability."""
    return solve_discrete(
        model,
        model.uniform(),
        method="newton",
        tolerance=target,
        iterations=1000,
        damping=1.0,
        report=lambda iteration, residual: None,
    )


def ours(model: DiscreteField, target: float) -> Reached:
    """The path method to an exploitability in costs."""
    relative = target / model.evaluate(model.uniform()).scale
    start = time.perf_counter()
    found = solve(model, relative)
    return Reached(max(found.evaluation.exploitability, 0.0), found.solves, time.perf_counter() - start)


def mfglib() -> Any:
    """The modules of MFGLib, on one thread; None where it is not installed."""
    sys.path.append(str(LIBRARIES))
    try:
        import mfglib.alg
        import mfglib.env
        import torch
    except ImportError:
        return None
    finally:
        sys.path.remove(str(LIBRARIES))
    torch.set_num_threads(1)
    return mfglib


def theirs(library: Any, kind: str, method: str, iterations: int) -> Reached:
    """A method of MFGLib on one of its games, up to its lowest exploitability."""
    game, solver = getattr(library.env.Environment, kind)(), getattr(library.alg, method)()
    _, found, seconds = solver.solve(game, max_iter=iterations, atol=1e-12, rtol=None)
    best = min(range(len(found)), key=lambda index: max(found[index], FLOOR))
    return Reached(max(found[best], 0.0), best, seconds[best])


def compared(library: Any, kind: str, method: str, model: DiscreteField) -> tuple[Reached, Reached]:
    """A method of MFGLib, and the path method to its lowest exploitability, with the medians of their seconds."""
    theirs(library, kind, method, 2)
    other = theirs(library, kind, method, MOST_ITERATIONS)
    target = max(other.exploitability, FLOOR)
    own = ours(model, target)
    pairs = [(other.seconds, ours(model, target).seconds)]
    if other.steps and other.seconds < LONG:
        for _ in range(REPETITIONS - 1):
            seconds = theirs(library, kind, method, other.steps).seconds
            pairs.append((seconds, ours(model, target).seconds))
    else:
        pairs += [(other.seconds, ours(model, target).seconds) for _ in range(REPETITIONS - 1)]
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return replace(other, seconds=first), replace(own, seconds=second)


def rows() -> Sequence[str]:
    """The table, line by line; each is printed when it is known."""
    library, lines = mfglib(), [*HEAD]
    print(*lines, sep="\n", flush=True)
    for kind in GAMES:
        model = field_of(kind)
        for method, name in METHODS.items() if library else ():
            other, own = compared(library, kind, method, model)
            ratio = f"{other.seconds / own.seconds:.2g}" if other.steps else "never below its start"
            lines.append(
                f"| {kind} | {name} | {other.steps} | {other.seconds:.2g} | {other.exploitability:.2g} "
                f"| {own.steps} | {own.seconds:.2g} | {own.exploitability:.1e} | {ratio} |"
            )
            print(lines[-1], flush=True)
        target = FINAL * model.evaluate(model.uniform()).scale
        own = ours(model, target)
        seconds = statistics.median(ours(model, target).seconds for _ in range(REPETITIONS))
        lines.append(f"| {kind} | | | | | {own.steps} | {seconds:.2g} | {own.exploitability:.1e} | |")
        print(lines[-1], flush=True)
    if not library:
        lines += ["", "MFGLib is not installed here; its part is left out."]
        print(lines[-1])
    return lines


if __name__ == "__main__":
    rows()
