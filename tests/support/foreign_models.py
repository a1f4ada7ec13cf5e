"""A plugin file with models written in Mesa: two of Mesa's own, unedited, and some with one habit or fault each."""

from __future__ import annotations

import math
import os
import random
import time
from pathlib import Path

import mesa
import numpy as np

from mesocosm import Component, hookimpl

BASIC = "mesa.examples.basic"
MODELS = {
    "virus": f"{BASIC}.virus_on_network.model:VirusOnNetwork",
    "wealth": f"{BASIC}.boltzmann_wealth_model.model:BoltzmannWealth",
    **{
        name: f"{__name__}:{name.capitalize()}"
        for name in ("contagion", "stopping", "unseeded", "shared", "failing", "dying", "sleeping", "open")
    },
    "local": f"{__name__}:local",
}


@hookimpl
def mesocosm_components():
    common = {"options": "mesocosm:Options", "summary": "for tests"}
    for name, factory in MODELS.items():
        yield Component(kind="model", name=name, factory=factory, **common)
    for name in ("poverty", "nobody"):
        yield Component(kind="observable", name=name, factory=f"{__name__}:{name}", **common)


def poverty(model):
    """A state for every agent of a model whose agents have none."""
    return np.array(["S" if agent.wealth else "I" for agent in model.agents])


def nobody(model):
    """No agents."""
    return []


class Node(mesa.Agent):
    """Somebody on a node, infected or not."""

    def __init__(self, model, node):
        super().__init__(model)
        self.node, self.health, self.next = node, "S", "S"

    def look(self):
        ill = sum(
            data.get("weight", 1.0) for other, data in self.model.graph[self.node].items() if self.model.ill(other)
        )
        rate = {"S": self.model.beta * ill, "I": self.model.gamma, "R": 0.0}[self.health]
        self.next = self.health
        if self.random.random() < 1 - math.exp(-rate):
            self.next = {"S": "I", "I": "R"}[self.health]

    def move(self):
        self.health = self.next


class Contagion(mesa.Model):
    """SIR in steps of one unit of time, on a graph that it is given: the law of time steps, as one writes it in Mesa."""

    def __init__(self, *, graph, beta, gamma, rng=None):
        super().__init__(rng=rng)
        self.graph, self.beta, self.gamma = graph, beta, gamma
        self.people = {node: Node(self, node) for node in graph}
        for node in self.random.sample(list(graph), 4):
            self.people[node].health = "I"
        self.datacollector = mesa.DataCollector(
            {
                "Edges": lambda model: model.graph.number_of_edges(),
                "Label": lambda model: "text",
                "Ratio": lambda _: math.inf,
            }
        )
        self.datacollector.collect(self)

    def ill(self, node):
        return self.people[node].health == "I"

    def step(self):
        self.agents.do("look")
        self.agents.do("move")
        self.datacollector.collect(self)


class Person(mesa.Agent):
    """Somebody whose state is an attribute of an attribute, and a truth value."""

    def __init__(self, model):
        super().__init__(model)
        self.record = type("Record", (), {"ill": False})()


class Stopping(mesa.Model):
    """One more is ill at every step, and the model ends after three."""

    def __init__(self, seed=None):
        super().__init__(rng=seed)
        self.people = [Person(self) for _ in range(10)]

    def step(self):
        self.people[self.steps - 1].record.ill = True
        self.running = self.steps < 3


class Unseeded(mesa.Model):
    """Takes no seed, and passes none on."""

    def __init__(self):
        super().__init__()
        self.people = [Person(self) for _ in range(50)]

    def step(self):
        for person in self.people:
            person.record.ill = self.random.random() < 0.5 and self.rng.random() < 0.5


class Shared(Unseeded):
    """Draws from the generators that everyone shares."""

    def step(self):
        for person in self.people:
            person.record.ill = random.random() < 0.5 and np.random.random() < 0.5  # noqa: NPY002


class Failing(Stopping):
    """Raises in its second step."""

    def step(self):
        super().step()
        if self.steps == 2:
            raise OSError("no room for a log")


class Dying(Stopping):
    """Takes its whole process with it."""

    def step(self):
        os._exit(7)


class Sleeping(Stopping):
    """Never returns from its first step."""

    def step(self):
        time.sleep(3600)


class Open(Stopping):
    """Takes any arguments, and writes on the standard output."""

    def __init__(self, **kwargs):
        print("a model prints")
        super().__init__(seed=kwargs.pop("rng", None))
        assert Path(kwargs["file"]).name == "here"


def _inner():
    class Inner(Stopping):
        """Not at the top level of a module."""

    return Inner


local = _inner()
