"""A scenario to put events into, and the faults that they have in it."""

from __future__ import annotations

import pytest

import mesocosm
from mesocosm import Registry, ScenarioError

HEAD = """\
mesocosm: 1
name: example
seed: 7
time: {end: 60, save_every: 0.5}
population: {size: 60, initial: {I: 0.1}}
graph: {kind: blocks, sizes: [20, 40], names: [young, old], mean_degrees: [[4, 2], [1, 3]]}
game: {kind: sir, beta: 0.05, gamma: 0.1, effort: {cost: 2}}
dynamics: {agents: {kind: agent_based, replicates: 2}}
"""
FIRST = len(HEAD.splitlines()) + 2
"""The line of the first event."""


def text(*events: str) -> str:
    return HEAD + "events:\n" + "".join(f"  - {event}\n" for event in events)


def faults(scenario: str, registry: Registry | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        mesocosm.build(mesocosm.parse(scenario, registry=registry), registry)
    return [str(fault).splitlines()[0] for fault in caught.value.faults]
