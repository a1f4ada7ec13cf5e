"""Cost of a training step of a neural SDE: `python tests/benchmarks/bench_neural.py` prints the table.

dX = f(t, X) dt + g(t, X) dW in one dimension, f and g the outputs of one network with two hidden layers of 64 units; 10^4
paths, 100 steps to the horizon 1, float32, one thread. A training step draws noise, simulates, takes the CRPS to 1000 data,
differentiates, and moves the weights by Adam. The rows:

    mesocosm            `engine.integrate` with its Euler scheme, `Perceptrons` and `Adam`
    plain loop          the same by hand: `torch.nn`, `torch.optim.Adam`, a loop of Euler steps
    compiled loop       that loop with `torch.compile` of its step; the time to compile is apart
    torchsde, euler     `sdeint(method="euler", dt=0.01)`, with one call of the network for f and g
    torchsde, srk       `sdeint(dt=0.01)`, whose default method is srk, which calls f and g apart
    torchsde, default   `sdeint` with nothing chosen: srk, dt = 0.001

The last two do not fit into memory, so they go a tenth and a hundredth of the way, and their times are multiplied: the cost of
a step does not depend on the time. All are run by turns after a run that does not count, and medians are taken.
"""

from __future__ import annotations

import shutil
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from mesocosm_neural.adam import Adam
from mesocosm_neural.engine import integrate
from mesocosm_neural.losses import crps
from mesocosm_neural.perceptron import Perceptrons
from mesocosm_neural.tape import NoiseTape

PATHS, STEPS, WIDTH, DATA = 10_000, 100, 64, 1000
LENGTH = 1.0 / STEPS
REPETITIONS = 5

HEAD = (
    "| training step, 10^4 paths, 100 steps, width 64 | seconds | times mesocosm |",
    "|---|---|---|",
)

Step = Callable[[], None]


def mesocosm_step(device: str = "cpu") -> Step:
    """Ours."""
    place = torch.device(device)
    network = Perceptrons([2, WIDTH, WIDTH, 2], [torch.Generator().manual_seed(1)], place, torch.float32, last=1.0)
    adam, generator = Adam(network.layers), torch.Generator().manual_seed(2)
    start, data = torch.zeros(PATHS, 1, device=place), torch.randn(DATA, 1, generator=generator).to(place)
    count = 0

    def law(steps: float, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = torch.cat([torch.full_like(state, steps * LENGTH), state], dim=-1)
        drift, noise = network(seen[None])[0].split(1, dim=-1)
        return drift * LENGTH, noise * LENGTH**0.5

    def step() -> None:
        nonlocal count
        count += 1
        for weight in network.layers:
            weight.grad = None
        tape = NoiseTape.drawn(generator, STEPS, PATHS, 1, start)
        crps(integrate(law, start, tape.increments), data).sum().backward()
        adam.step(count, 1e-3, 1.0)

    return step


class Equation(torch.nn.Module):
    """The same SDE as anyone would write it for torch and torchsde."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self) -> None:
        super().__init__()
        layers = [torch.nn.Linear(2, WIDTH), torch.nn.Tanh(), torch.nn.Linear(WIDTH, WIDTH), torch.nn.Tanh()]
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(WIDTH, 2))

    def f_and_g(self, now: Any, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        drift, noise = self.network(torch.cat([now * torch.ones_like(state), state], dim=-1)).split(1, dim=-1)
        return drift, noise

    def f(self, now: Any, state: torch.Tensor) -> torch.Tensor:
        return self.f_and_g(now, state)[0]

    def g(self, now: Any, state: torch.Tensor) -> torch.Tensor:
        return self.f_and_g(now, state)[1]


def by_hand(simulate: Callable[[Equation, torch.Tensor, torch.Generator], torch.Tensor]) -> Step:
    """A training step with torch's own layers and optimiser around a simulation."""
    torch.manual_seed(1)
    equation, generator = Equation(), torch.Generator().manual_seed(2)
    adam = torch.optim.Adam(equation.parameters(), lr=1e-3)
    start, data = torch.zeros(PATHS, 1), torch.randn(DATA, 1, generator=generator)

    def step() -> None:
        adam.zero_grad()
        crps(simulate(equation, start, generator), data).sum().backward()
        torch.nn.utils.clip_grad_norm_(equation.parameters(), 1.0)
        adam.step()

    return step


def euler_step(equation: Equation, now: torch.Tensor, state: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """One step of a loop by hand."""
    drift, noise = equation.f_and_g(now, state)
    return state + drift * LENGTH + noise * LENGTH**0.5 * normal


def loop(one: Callable[..., torch.Tensor]) -> Step:
    """A loop by hand over `one`, a step."""

    def simulate(equation: Equation, state: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        normals = torch.randn(STEPS, PATHS, 1, generator=generator)
        for count, now in enumerate(torch.arange(STEPS) * LENGTH):
            state = one(equation, now, state, normals[count])
        return state

    return by_hand(simulate)


def torchsde_step(horizon: float, **options: Any) -> Step:
    """`torchsde.sdeint` up to a horizon, with its own Brownian motion."""
    import torchsde

    def simulate(equation: Equation, start: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        path: torch.Tensor = torchsde.sdeint(equation, start, torch.tensor([0.0, horizon]), **options)
        return path[-1]

    return by_hand(simulate)


def seconds(step: Step) -> float:
    """Of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def compiled_loop() -> tuple[Step, float] | None:
    """The compiled loop and the seconds of its first call; None where there is no C++ compiler."""
    if not any(shutil.which(name) for name in ("g++", "clang++")):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = loop(torch.compile(euler_step, dynamic=False))
        return step, seconds(step)


def contenders() -> dict[str, tuple[Step, float]]:
    """Name -> training step, and how many times longer the whole way would take."""
    found = {
        "mesocosm": (mesocosm_step(), 1.0),
        "plain loop": (loop(euler_step), 1.0),
        "torchsde, euler, dt = 0.01": (torchsde_step(1.0, method="euler", dt=LENGTH), 1.0),
        "torchsde, srk, dt = 0.01": (torchsde_step(0.1, dt=LENGTH), 10.0),
        "torchsde, default (srk, dt = 0.001)": (torchsde_step(0.01), 100.0),
    }
    compiled = compiled_loop()
    if compiled is not None:
        found[f"compiled loop, after {compiled[1]:.0f} s of compiling"] = (compiled[0], 1.0)
    return found


def on_gpu() -> float | None:
    """How many times faster a GPU is than two threads of the CPU; None without one."""
    if not torch.cuda.is_available():
        return None
    step, both = mesocosm_step("cuda"), mesocosm_step()

    def finished() -> None:
        step()
        torch.cuda.synchronize()

    finished(), both()
    torch.set_num_threads(2)
    try:
        return statistics.median(seconds(both) / seconds(finished) for _ in range(REPETITIONS))
    finally:
        torch.set_num_threads(1)


def rows() -> Sequence[str]:
    """The table, line by line."""
    torch.set_num_threads(1)
    runs = contenders()
    for step, _ in runs.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(REPETITIONS):
        for name, (step, scale) in runs.items():
            times[name].append(scale * seconds(step))
    lines = [*HEAD]
    for name, taken in times.items():
        ratio = statistics.median(other / own for other, own in zip(taken, times["mesocosm"], strict=True))
        lines.append(f"| {name} | {statistics.median(taken):.2g} | {ratio:.2f} |")
    gpu = on_gpu()
    said = "There is no GPU here." if gpu is None else f"A GPU is {gpu:.1f} times as fast as two threads of the CPU."
    if not any(name.startswith("compiled") for name in runs):
        said += " There is no C++ compiler here, so the compiled loop is left out."
    lines += ["", said]
    print(*lines, sep="\n", flush=True)
    return lines


if __name__ == "__main__":
    rows()
