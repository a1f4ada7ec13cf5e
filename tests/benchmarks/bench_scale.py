"""Agents at scale: our engines beside a plain C loop and other libraries, their memory, and how time grows with the graph.

SIR and SIS, beta 0.03, gamma 0.1 a day, 1 % infected at the start, 100 days in steps of one day, one Erdos-Renyi graph of mean
degree 10 for everybody; building it is not counted. Ours are timed from the states at the start to those at the end, saves
every 10 days included, after one run that does not count (it compiles). Other libraries run in `.venv/peers`, one process
each, after a small run that does not count; the C loop is compiled here by gcc, and its fastest repetition counts. Without
that environment, or without gcc, their lines are left out.

`python tests/benchmarks/bench_scale.py [N ...]` prints the tables.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mesocosm
from mesocosm import Context, Problem

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / ".venv" / "peers" / "bin" / "python"
BETA, GAMMA, STEPS, REPLICATES = 0.03, 0.1, 100, 64
SIZES = (100_000, 1_000_000)
LONG = ("mesa", "ndlib")
"""Libraries that take minutes at a million agents, and run on the smaller graphs alone."""

ENGINES = {
    "step, 64 replicates": (REPLICATES, "step: 1, engine: step"),
    "step, one run": (1, "step: 1, engine: step"),
    "exact, one run": (1, "engine: exact"),
}


def problem_of(model: str, size: int, settings: str = "replicates: 1, step: 1, engine: step") -> tuple[Problem, Any]:
    """The epidemic as a problem, and what makes its agents."""
    scenario = mesocosm.parse(f"""
mesocosm: 1
name: scale
seed: 1
time: {{end: {STEPS}, save_every: 10}}
population: {{size: {size}, initial: {{I: 0.01}}}}
graph: {{kind: erdos_renyi, mean_degree: 10}}
game: {{kind: {model}, beta: {BETA}, gamma: {GAMMA}}}
dynamics: {{agents: {{kind: agent_based, {settings}}}}}
""")
    return mesocosm.build(scenario), mesocosm.makers_of(scenario)["agents"]


def maker_of(settings: str) -> Any:
    """What makes agents with these options."""
    return problem_of("sir", 1000, settings)[1]


def run_once(problem: Problem, maker: Any) -> tuple[float, float]:
    """Seconds from the states at the start to those at the end, and the share that is not susceptible then."""
    dynamics = maker(problem, Context("agents", problem.streams("agents")))
    dynamics.check()
    dynamics.prepare()
    state = dynamics.init()
    begun = time.perf_counter()
    for interval in problem.clock.intervals():
        state = dynamics.advance(state, interval)
        seen = dynamics.observe(state)["occupancy"]
    return time.perf_counter() - begun, 1.0 - float(seen[:, 0].mean())


def ours(problem: Problem) -> Iterator[tuple[str, int, float, float, float]]:
    """For every engine: name, replicates, seconds of all, share, and peak memory over that of graph and states."""
    for name, (replicates, settings) in ENGINES.items():
        maker = maker_of(f"replicates: {replicates}, {settings}")
        run_once(problem, maker)
        repetitions = 5 if problem.graph.node_count <= 200_000 else 2
        found = [run_once(problem, maker) for _ in range(repetitions)]
        yield (
            name,
            replicates,
            min(seconds for seconds, _ in found),
            found[0][1],
            memory_ratio(problem, maker, replicates),
        )


def memory_ratio(problem: Problem, maker: Any, replicates: int) -> float:
    """Peak memory of a run over that of the contact graph and the states, a byte for each agent and replicate."""
    graph = problem.graph
    csr = graph.indptr.nbytes + graph.indices.nbytes
    states = graph.node_count * replicates
    tracemalloc.start()
    run_once(problem, maker)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return float((csr + peak) / (csr + states))


def plain_loop(problem: Problem, model: str, folder: Path) -> tuple[float, float] | None:
    """Seconds and share of the C loop; None without gcc."""
    if shutil.which("gcc") is None:
        return None
    program, data, graph = folder / "plain_loop", folder / "graph.bin", problem.graph
    subprocess.run(
        ["gcc", "-O3", "-march=native", "-o", str(program), str(HERE / "plain_loop.c")], check=True, capture_output=True
    )
    with data.open("wb") as file:
        np.array([graph.node_count, len(graph.indices), len(infected(problem)), STEPS], np.int64).tofile(file)
        (-np.expm1(-np.array([BETA, GAMMA]))).tofile(file)
        graph.indptr.astype(np.int64).tofile(file)
        graph.indices.astype(np.int32).tofile(file)
        infected(problem).astype(np.int32).tofile(file)
    said = subprocess.run([str(program), model, str(data), "5"], check=True, capture_output=True, text=True).stdout
    seconds, share = said.split()
    return float(seconds), float(share)


def infected(problem: Problem) -> Any:
    """The nodes that are infected at the start."""
    states = problem.initial_states(problem.graph, problem.streams("agents").generator("initial", replicate=0))
    return np.flatnonzero(states == 1)


def peer(library: str, model: str, problem: Problem, folder: Path) -> dict[str, float] | None:
    """What another library took; None where it cannot be run."""
    if not PEERS.exists():
        return None
    data = folder / "graph.npz"
    source, target, _ = problem.graph.edges()
    values = {"size": problem.graph.node_count, "beta": BETA, "gamma": GAMMA, "steps": STEPS}
    np.savez(data, source=source, target=target, infected=infected(problem), **values)
    command = [str(PEERS), str(HERE / "peer_programs.py"), library, model, str(data)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=1800)
    if result.returncode:
        print(f"{library}: {result.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def table(model: str, size: int) -> list[str]:
    """One table: who, seconds of one run, how many times the C loop and our 64 replicates, share at the end, memory."""
    problem, _ = problem_of(model, size)
    lines = [
        f"| {model.upper()}, {size} agents, {problem.graph.edge_count} edges | seconds a run | over the C loop | "
        "over ours, 64 replicates | share not susceptible | memory |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loop = plain_loop(problem, model, folder)
        found = [(label, seconds / count, share, f"{ratio:.2f} x (graph + states)")
                 for label, count, seconds, share, ratio in ours(problem)]  # fmt: skip
        best = found[0][1]
        if loop:
            found.append(("plain C loop", *loop, ""))
        for library in ("starsim", "mesa-frames", "EoN", "ndlib", "mesa"):
            if size > 200_000 and (library in LONG or model == "sis"):
                continue
            said = peer(library, model, problem, folder)
            if said:
                found.append((library, said["seconds"], said["share"], f"{said['kilobytes'] / 1e6:.1f} GB in all"))
    for who, seconds, share, memory in found:
        over = f"{seconds / loop[0]:.2g}" if loop else ""
        lines.append(f"| {who} | {seconds:.2g} | {over} | {seconds / best:.3g} | {share:.4f} | {memory} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def growth(sizes: tuple[int, ...] = (2_000, 6_300, 20_000, 63_000, 200_000, 630_000, 2_000_000)) -> list[str]:
    """How the time of a run grows with the number of edges, 10^4 to 10^7: exponents of a fit, with 95 % intervals. What a run
    costs whatever its size, that on 50 agents, is taken off."""
    from scipy.stats import linregress, t

    lines = ["| engine | edges | exponent of the time of a run | 95 % interval |", "|---|---|---|---|"]
    for name, (replicates, settings) in ENGINES.items():
        maker = maker_of(f"replicates: {replicates}, {settings}")
        edges, seconds, small = [], [], problem_of("sir", 50)[0]
        fixed = min(run_once(small, maker)[0] for _ in range(20))
        for size in sizes:
            if replicates > 1 and size > 700_000:
                continue
            problem, _ = problem_of("sir", size)
            edges.append(problem.graph.edge_count)
            seconds.append(min(run_once(problem, maker)[0] for _ in range(5 if size < 300_000 else 2)) - fixed)
        fit = linregress(np.log(edges), np.log(seconds))
        half = fit.stderr * t.ppf(0.975, len(edges) - 2)
        span = f"{edges[0]:.1g} to {edges[-1]:.1g}"
        lines.append(f"| {name} | {span} | {fit.slope:.2f} | {fit.slope - half:.2f} to {fit.slope + half:.2f} |")
        print(lines[-1], flush=True)
    return [*lines, ""]


def largest(size: int = 10_000_000) -> list[str]:
    """Ten million agents with a hundred million ends of edges: seconds and peak memory of the process, building included."""
    code = (
        f"import sys, time, resource; sys.path.insert(0, {str(HERE)!r}); import bench_scale as b\n"
        f"begun = time.perf_counter(); problem, maker = b.problem_of('sir', {size}); built = time.perf_counter()\n"
        "seconds, share = b.run_once(problem, maker)\n"
        "print(len(problem.graph.indices), built - begun, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    entries, built, seconds, memory = (float(word) for word in result.stdout.split()[-4:])
    line = (
        f"One run with {size} agents and {entries:.3g} ends of edges (SIR as above, one run of `step`): graph {built:.0f} s, "
        f"run {seconds:.1f} s, peak memory of the process {memory / 1e6:.1f} GB."
    )
    print(line, flush=True)
    return [line, ""]


def rows(sizes: tuple[int, ...] = SIZES, extras: bool = True) -> list[str]:
    """All tables."""
    lines = [line for size in sizes for model in ("sir", "sis") for line in table(model, size)]
    more: tuple[Callable[[], list[str]], ...] = (growth, largest) if extras else ()
    return lines + [line for one in more for line in one()]


if __name__ == "__main__":
    print("\n".join(rows(tuple(int(size) for size in sys.argv[1:]) or SIZES)))
