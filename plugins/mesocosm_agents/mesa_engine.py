"""The engine `mesa`: every agent a `mesa.Agent` on a `mesa.discrete_space.Network`; the readable ground truth.

It follows the same law as the other engines, one agent at a time, and shares no code with their time steps. A model
stands for one graph; it is given the states of each replicate in turn.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import mesa
import numpy as np
from mesa.discrete_space import FixedAgent, Network
from numpy.typing import NDArray

from mesocosm import ContactGraph, FiniteStateGame
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.engine import Engine, Play, Stretch

# Mesa 3.5 computes a spring layout by default, which takes longer than a run; before, there is no such argument.
WITHOUT_LAYOUT = {"layout": None} if "layout" in inspect.signature(Network.__init__).parameters else {}


class ContactAgent(FixedAgent):  # type: ignore[misc]
    """One agent, on the cell of its node. All arrays that it hands to the game have shape [1] or [1, channel]."""

    def __init__(self, model: ContactModel, cell: Any, row: int) -> None:
        super().__init__(model)
        self.cell = cell
        self.row = np.array([row])
        graph = model.network.G
        self.ties = [
            (float(graph.edges[cell.coordinate, node].get("weight", 1.0)), neighbour)
            for node, neighbour in cell.connections.items()
        ]
        self.enter(0)

    @property
    def game(self) -> FiniteStateGame:
        game: FiniteStateGame = self.model.play.game
        return game

    def enter(self, state: int) -> None:
        """Be in a state, with nothing chosen yet."""
        self.state = np.array([state])
        self.control = self.game.neutral_control(np.zeros(1))

    def emit(self) -> None:
        """Expose to the contacts what the state and the control say."""
        self.emission = self.model.play.emission(self.model.now, self.state, self.control)[0]

    def feel(self) -> None:
        """Receive the weighted sum, or the average, of what the contacts expose."""
        field = np.zeros(len(self.game.channels))
        for weight, cell in self.ties:
            for other in cell.agents:
                field += weight * other.emission
        strength = sum(weight for weight, _ in self.ties)
        if self.game.normalise == "mean" and strength > 0:
            field /= strength
        self.field = field[None, :]

    def choose(self) -> None:
        """Ask the policy, which may look at the field."""
        policy = self.model.play.policy
        field = self.field if policy.uses_field else None
        self.control = np.array(policy.control(self.model.now, self.row, self.state, field), np.float64).reshape(1)

    def respond(self) -> None:
        """Decide where to be at the end of the step; nobody moves yet."""
        self.next_state = int(self.state[0])
        transitions = self.model.play.leaving[self.next_state]
        q = [float(self.game.intensity(item, self.model.now, self.field, self.control)[0]) for item in transitions]
        for transition, value in zip(transitions, q, strict=True):
            if not 0.0 <= value < math.inf:
                raise self.model.play.invalid(self.model.now, self.model.replicate, transition, value)
        total = sum(q)
        if total > 0 and self.rng.random() < -math.expm1(-total * self.model.step_length):
            chosen = transitions[int(self.rng.choice(len(q), p=np.array(q) / total))]
            self.next_state = self.game.state_index(chosen.target)

    def pay(self) -> None:
        """Add the running cost of the step."""
        rate = self.game.running_cost(self.model.now, self.state, self.field, self.control)
        self.model.cost += float(np.sum(rate)) * self.model.step_length

    def jump(self) -> None:
        """Move."""
        self.enter(self.next_state)


class ContactModel(mesa.Model):  # type: ignore[misc]
    """All agents of one contact graph."""

    def __init__(self, play: Play, graph: ContactGraph, rng: int) -> None:
        super().__init__(rng=rng)
        self.play = play
        self.now, self.step_length, self.replicate, self.cost = 0.0, 0.0, 0, 0.0
        self.network = Network(graph.to_networkx(), random=self.random, **WITHOUT_LAYOUT)
        rows = play.policy.rows(graph)
        # Contacts are cells, so every cell must exist before the first agent.
        self.people = [ContactAgent(self, cell, int(rows[cell.coordinate])) for cell in self.network.all_cells]
        # Mesa 3.3 keeps every model that ever numbered an agent; this one numbers no more.
        vars(mesa.Agent).get("_ids", {}).pop(self, None)

    def step(self) -> None:
        """One synchronous step for everyone."""
        if self.play.policy.uses_field:
            self.agents.do("emit")
            self.agents.do("feel")
        self.agents.do("choose")
        self.agents.do("emit")
        self.agents.do("feel")
        if self.play.game.has_costs:
            self.agents.do("pay")
        self.agents.do("respond")
        self.agents.do("jump")

    def load(self, states: NDArray[np.int8], replicate: int, generator: np.random.Generator) -> None:
        """Put every agent into its state, and take the random numbers from `generator`."""
        self.replicate, self.rng, self.cost = replicate, generator, 0.0
        for agent in self.people:
            agent.enter(int(states[agent.cell.coordinate]))

    def states(self) -> NDArray[np.int8]:
        """State of every node, shape [N]."""
        result = np.empty(len(self.people), np.int8)
        for agent in self.people:
            result[agent.cell.coordinate] = agent.state[0]
        return result


class MesaEngine(Engine):
    """See the module docstring."""

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self._models: dict[int, ContactModel] = {}

    def advance(self, held: StateArray, numbers: IntArray, stretch: Stretch) -> FloatArray:
        count, length = self.play.substeps(stretch)
        cost = np.zeros(len(held))
        for place, replicate in enumerate(numbers.tolist()):
            model = self._model(replicate)
            model.load(held[place], replicate, self.play.generator(stretch, replicate))
            model.step_length = length
            for step in range(count):
                model.now = stretch.start + step * length
                model.step()
            held[place] = model.states()
            cost[place] = model.cost / held.shape[1]
        return cost

    def _model(self, replicate: int) -> ContactModel:
        number = replicate if self.play.graphs.redraw else 0
        if number not in self._models:
            graph = self.play.graphs.present(number)
            self._models[number] = ContactModel(self.play, graph, self.play.streams.integer("mesa", replicate=number))
        return self._models[number]
