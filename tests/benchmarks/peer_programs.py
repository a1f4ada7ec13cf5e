"""One epidemic in another library: `python peer_programs.py LIBRARY MODEL EDGES` prints what it took, as JSON.

It runs in the environment of tests/benchmarks/peers.txt and imports nothing of mesocosm. EDGES is an npz file with the arrays
`source` and `target` [edges], `infected` (nodes at time 0), `size`, `beta`, `gamma`, `steps`. MODEL is sir or sis. Building
the graph in the library's own form is timed apart, after a small run that does not count. Each program is written as the
library's documentation would have it.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], float]
"""Runs the epidemic; the share that is not susceptible at the end."""


def networkx_graph(data: Any) -> Any:
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from(range(int(data["size"])))
    graph.add_edges_from(zip(data["source"].tolist(), data["target"].tolist(), strict=True))
    return graph


def eon(model: str, data: Any) -> Run:
    """Event-driven and exact in time (Kiss, Miller, Simon 2017)."""
    import EoN

    graph, infected = networkx_graph(data), data["infected"].tolist()
    function = EoN.fast_SIR if model == "sir" else EoN.fast_SIS

    def run() -> float:
        found = function(graph, float(data["beta"]), float(data["gamma"]), infected, tmax=float(data["steps"]))
        return 1.0 - found[1][-1] / int(data["size"])

    return run


def ndlib(model: str, data: Any) -> Run:
    from ndlib.models import epidemics
    from ndlib.models.ModelConfig import Configuration

    spreading = (epidemics.SIRModel if model == "sir" else epidemics.SISModel)(networkx_graph(data))
    configuration = Configuration()
    configuration.add_model_parameter("beta", chance(data["beta"]))
    configuration.add_model_parameter("gamma" if model == "sir" else "lambda", chance(data["gamma"]))
    configuration.add_model_initial_configuration("Infected", data["infected"].tolist())
    spreading.set_initial_status(configuration)

    def run() -> float:
        last = spreading.iteration_bunch(int(data["steps"]), node_status=False)[-1]
        return 1.0 - last["node_count"][0] / int(data["size"])

    return run


def mesa(model: str, data: Any) -> Run:
    import random

    import mesa as library

    infect, recover, after = chance(data["beta"]), chance(data["gamma"]), 2 if model == "sir" else 0

    class Person(library.Agent):  # type: ignore[misc]
        def __init__(self, world: Any) -> None:
            super().__init__(world)
            self.state, self.coming, self.contacts = 0, 0, []

        def meet(self) -> None:
            if self.state == 1:
                for other in self.contacts:
                    if other.state == 0 and random.random() < infect:
                        other.coming = 1
                if random.random() < recover:
                    self.coming = after

        def change(self) -> None:
            self.state = self.coming

    class World(library.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(seed=1)
            self.people = list(Person.create_agents(self, int(data["size"])))
            for first, second in zip(data["source"].tolist(), data["target"].tolist(), strict=True):
                self.people[first].contacts.append(self.people[second])
                self.people[second].contacts.append(self.people[first])
            for node in data["infected"].tolist():
                self.people[node].state = self.people[node].coming = 1

        def step(self) -> None:
            self.agents.do("meet")
            self.agents.do("change")

    world = World()

    def run() -> float:
        for _ in range(int(data["steps"])):
            world.step()
        return sum(person.state != 0 for person in world.people) / int(data["size"])

    return run


def mesa_frames(model: str, data: Any) -> Run:
    import mesa_frames
    import polars

    size, random = int(data["size"]), np.random.default_rng(1)
    infect, recover, after = chance(data["beta"]), chance(data["gamma"]), 2 if model == "sir" else 0
    ties = polars.DataFrame(
        {
            "from": np.concatenate([data["source"], data["target"]]),
            "to": np.concatenate([data["target"], data["source"]]),
        }
    )

    class People(mesa_frames.AgentSetPolars):  # type: ignore[misc]
        def __init__(self, world: Any) -> None:
            super().__init__(world)
            state = np.zeros(size, np.int8)
            state[data["infected"]] = 1
            self.add(polars.DataFrame({"unique_id": np.arange(size), "node": np.arange(size), "state": state}))

        def step(self) -> None:
            people = self.agents.select("node", "state")
            ill = people.filter(polars.col("state") == 1).select("node")
            met = ties.join(ill, left_on="from", right_on="node", how="semi")
            met = met.filter(polars.Series(random.random(len(met)) < infect)).select(node="to").unique()
            state = people["state"].to_numpy().copy()
            hit = np.zeros(size, bool)
            hit[met["node"].to_numpy()] = True
            leaves = (state == 1) & (random.random(size) < recover)
            state[(state == 0) & hit] = 1
            state[leaves] = after
            self["state"] = polars.Series(state)

    people = People(mesa_frames.ModelDF())

    def run() -> float:
        for _ in range(int(data["steps"])):
            people.step()
        return float((people.agents["state"] != 0).mean())

    return run


def starsim(model: str, data: Any) -> Run:
    import starsim as library

    size = int(data["size"])

    class Ties(library.Network):  # type: ignore[misc]
        def init_post(self) -> None:
            super().init_post()
            self.edges.p1 = data["source"].astype(library.dtypes.int)
            self.edges.p2 = data["target"].astype(library.dtypes.int)
            self.edges.beta = np.ones(len(data["source"]), library.dtypes.float)

        def step(self) -> None:
            """The ties stay as they are."""

    first = np.zeros(size, bool)
    first[data["infected"]] = True
    kind = library.SIR if model == "sir" else library.SIS
    options: dict[str, Any] = {
        "beta": library.perday(float(data["beta"])),
        "dur_inf": library.expon(scale=library.days(1.0 / float(data["gamma"]))),
        "init_prev": library.bernoulli(lambda self, sim, uids: first[uids]),
    }
    if model == "sir":
        options["p_death"] = 0
    else:
        options |= {"waning": library.peryear(0), "imm_boost": 0}
    simulation = library.Sim(
        people=library.People(size),
        networks=Ties(),
        diseases=kind(**options),
        dt=library.days(1),
        start=library.date("2020-01-01"),
        dur=library.days(int(data["steps"])),
        verbose=0,
    )
    simulation.init()

    def run() -> float:
        simulation.run()
        return 1.0 - float(np.mean(simulation.diseases[0].susceptible))

    return run


def chance(rate: Any) -> float:
    """The probability of a rate in one step."""
    return float(-np.expm1(-float(rate)))


LIBRARIES = {"EoN": eon, "ndlib": ndlib, "mesa": mesa, "mesa-frames": mesa_frames, "starsim": starsim}


def part_of(data: dict[str, Any], size: int) -> dict[str, Any]:
    """The epidemic on the first nodes alone: a run that does not count, since some libraries compile in their first one."""
    inside = (data["source"] < size) & (data["target"] < size)
    ends = {name: data[name][inside] for name in ("source", "target")}
    return data | ends | {"size": size, "infected": np.arange(5)}


def main() -> None:
    """Build, run, print."""
    library, model, path = sys.argv[1:4]
    data = dict(np.load(path).items())
    LIBRARIES[library](model, part_of(data, 500))()
    begun = time.perf_counter()
    run = LIBRARIES[library](model, data)
    built, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    share = run()
    seconds = time.perf_counter() - built
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"build": built - begun, "seconds": seconds, "kilobytes": max(before, memory), "share": share}))


if __name__ == "__main__":
    main()
