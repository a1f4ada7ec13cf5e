"""Agents on a GPU beside two cores: `python tests/benchmarks/bench_gpu.py [N ...]` prints a table; without a GPU it says so.

SIR on a random graph of mean degree 10, 64 replicates, beta 0.03, gamma 0.1, 1 % infected at the start. Times are per step,
over 10 steps after 20 that do not count, each side alone. The two cores run the engine `step` of the same release, which
packs 64 replicates into one word. The bandwidth is that of the sparse product and of the few passes over the states of all
agents, as counted in `bytes_moved`, over what a copy on the same device reaches.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import mesocosm
from mesocosm import Context

REPLICATES = 64
SIZES = (1_000_000, 10_000_000)
HEAD = (
    "| agents | device | seconds a step | two cores, seconds a step | ratio | share of copy bandwidth | device memory, GB |",
    "|---|---|---|---|---|---|---|",
)


def seconds_per_step(size: int, device: str) -> float:
    """Median wall time of a step of all replicates."""
    import torch

    scenario = mesocosm.parse(f"""
mesocosm: 1
name: gpu
seed: 1
device: {device}
precision: float32
time: {{end: 70, save_every: 10}}
population: {{size: {size}, initial: {{I: 0.01}}}}
graph: {{kind: erdos_renyi, mean_degree: 10}}
game: {{kind: sir, beta: 0.03, gamma: 0.1}}
dynamics: {{agents: {{kind: agent_based, replicates: {REPLICATES}, step: 1, engine: step}}}}
""")
    problem = mesocosm.build(scenario)
    dynamics = mesocosm.makers_of(scenario)["agents"](problem, Context("agents", problem.streams("agents")))
    dynamics.check()
    state, found = dynamics.init(), []
    for interval in problem.clock.intervals():
        begun = time.perf_counter()
        state = dynamics.advance(state, interval)
        if device != "cpu":
            torch.cuda.synchronize()
        found.append((time.perf_counter() - begun) / 10)
    return statistics.median(found[2:])


def bytes_moved(size: int) -> float:
    """Bytes that one step reads and writes, at least: the sparse product, and the passes over the agents."""
    entries, agents = 10 * size, size * REPLICATES
    product = entries * (4 + 4 + 4 * REPLICATES) + 8 * size + 4 * agents
    passes = agents * ((1 + 4) + 4 + (1 + 4 + 4 + 1) + 2)
    return product + passes


def copy_bandwidth() -> float:
    """Bytes per second that a copy on the device reads and writes."""
    import torch

    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    found = []
    for _ in range(20):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        found.append(time.perf_counter() - begun)
    return 2 * source.numel() / min(found)


def rows(sizes: tuple[int, ...] = SIZES) -> list[str]:
    """The table, or one line that says that there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        return ["Agents on a GPU: not run, there is none here."]
    bandwidth, lines = copy_bandwidth(), list(HEAD)
    for size in sizes:
        torch.cuda.reset_peak_memory_stats()
        ours = seconds_per_step(size, "cuda")
        memory = torch.cuda.max_memory_allocated() / 1e9
        torch.cuda.empty_cache()
        command = ["taskset", "-c", "0,1", sys.executable, __file__, "cores", str(size)]
        cores = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        lines.append(
            f"| {size} | {torch.cuda.get_device_name()} | {ours:.2g} | {cores:.2g} | {cores / ours:.3g} | "
            f"{bytes_moved(size) / ours / bandwidth:.2f} | {memory:.1f} |"
        )
        print(lines[-1], flush=True)
    return lines


if __name__ == "__main__":
    if sys.argv[1:2] == ["cores"]:
        os.environ["NUMBA_NUM_THREADS"] = "2"
        print(seconds_per_step(int(sys.argv[2]), "cpu"))
    else:
        print("\n".join(rows(tuple(int(size) for size in sys.argv[1:]) or SIZES)))
