"""The example dynamics give the numbers that they promise: against closed forms, and against what others compute.

All seeds are fixed, so a test gives the same answer every time. z is a difference in its standard errors.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def z_score(first: FloatArray, second: FloatArray) -> FloatArray:
    """Difference of the means over the first axis, in combined standard errors."""
    error = first.var(axis=0, ddof=1) / len(first) + second.var(axis=0, ddof=1) / len(second)
    return np.asarray((first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(error))


def test_gillespie_on_pairs(installed: Any) -> None:
    """Catches a rate that is off by 10 %: beta by that much too large is at 7 standard errors, and 4 are allowed.

    One of each pair is infected. The other is infected by time t with probability b / (b + g) (1 - exp(-(b + g) t)), and
    the first is still infected with probability exp(-g t).
    """
    environment, beta, gamma, pairs, replicates = installed("gillespie_numpy"), 0.7, 0.4, 100, 160
    edges = "".join(f"{2 * pair},{2 * pair + 1}\n" for pair in range(pairs))
    nodes = "node,group\n" + "".join(f"{node},{'ab'[node % 2]}\n" for node in range(2 * pairs))
    (environment.folder / "pairs.csv").write_text(edges)
    (environment.folder / "nodes.csv").write_text(nodes)
    results = environment.simulate(
        {
            "name": "pairs",
            "seed": 1,
            "time": {"end": 3, "save_every": 1},
            "population": {"initial": {"I": 0}, "groups": {"a": {"initial": {"I": 1}}}},
            "graph": {"kind": "edges", "file": "pairs.csv", "nodes": "nodes.csv"},
            "game": {"kind": "sir", "beta": beta, "gamma": gamma},
            "dynamics": {"exact": {"kind": "gillespie_numpy", "replicates": replicates}},
        }
    )
    susceptible = 2 * results["exact"].occupancy.sel(state="S").mean("replicate").values
    time = results["exact"].time.values
    law = 1 - beta / (beta + gamma) * (1 - np.exp(-(beta + gamma) * time))
    error = np.sqrt(law * (1 - law) / (pairs * replicates))
    assert (np.abs(susceptible - law) <= 4 * error).all()


def test_eon_and_the_agents(installed: Any) -> None:
    """Catches a wrong rate in either: beta 5 % off is at 7.9 standard errors, and 4 are allowed: power above 0.999.

    The final size varies over replicates by 0.022, and 5 % of beta change it by 0.018.
    """
    results = installed("eon_reference").simulate(
        {
            "name": "final-size",
            "seed": 5,
            "time": {"end": 60, "save_every": 60},
            "population": {"size": 1000, "initial": {"I": 0.05}},
            "graph": {"kind": "configuration", "degrees": {"poisson": 8}},
            "game": {"kind": "sir", "beta": 0.05, "gamma": 0.15},
            "dynamics": {
                "eon": {"kind": "eon_reference", "replicates": 100},
                "agents": {"kind": "agent_based", "replicates": 1000, "step": 0.02},
            },
        }
    )
    sizes = [1 - results[label].occupancy.sel(state="S").values[:, -1] for label in ("eon", "agents")]
    assert abs(z_score(*sizes)) < 4


STANDALONE = """
import json
from mesa.examples.basic.virus_on_network.model import VirusOnNetwork

runs = []
for seed in range({runs}):
    model = VirusOnNetwork(num_nodes={size}, avg_node_degree={size}, initial_outbreak_size=3, seed=seed, **{chances})
    for _ in range({steps}):
        model.step()
    columns = model.datacollector.model_vars
    runs.append([columns[name] for name in ("Susceptible", "Infected", "Resistant")])
print(json.dumps(runs))
"""


def test_mesa_virus_and_the_model_alone(installed: Any) -> None:
    """Catches agents that are filled, seeded, stepped or read wrongly: a chance that is 25 % off is at 6 standard errors or
    more, and 4 are allowed.

    Mesa's own graph joins each pair with probability avg_node_degree / num_nodes: at 1 it is not random.
    """
    environment, size, steps, runs = installed("mesa_virus"), 30, 10, 250
    chances = {"virus_spread_chance": 0.02, "virus_check_frequency": 0.5, "recovery_chance": 0.4}
    printed = environment("-c", STANDALONE.format(size=size, steps=steps, runs=runs, chances=chances))
    alone = np.array(json.loads(printed)) / size  # [run, state, time]
    results = environment.simulate(
        {
            "name": "everyone-meets",
            "seed": 2,
            "time": {"end": steps, "save_every": 1},
            "population": {"size": size, "initial": {"infected": 0.1}},
            "graph": {"kind": "regular", "degree": size - 1},
            "game": {"kind": "virus"},
            "dynamics": {"mesa": {"kind": "mesa_virus", "replicates": runs, **chances}},
        }
    )
    ours = results["mesa"].occupancy.transpose("replicate", "state", "time").values
    assert (alone[:, :, 0] == ours[:, :, 0]).all()
    z = z_score(alone[:, :, 1:], ours[:, :, 1:])
    assert (np.abs(z) < 4).all()
