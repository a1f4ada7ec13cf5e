"""The adapter. What Mesa's model remembers is the states of its agents, so one model, filled anew, plays all replicates."""

import multiprocessing
from functools import cached_property

import numpy as np

from mesocosm import Dynamics, InputError


class MesaVirus(Dynamics):
    """VirusOnNetwork on the contact graph. State: of each agent, Mesa's states numbered by name, [replicate, N]."""

    follows = "own"

    @property
    def replicates(self):
        return self.options.replicates

    def check(self):
        where, graph, length = f"dynamics '{self.context.label}'", self.problem.graph, self.problem.clock.save_every
        if abs(length - max(1, round(length))) > 1e-9:
            raise InputError(f"save_every {length:g}", where=where, rule="a whole number of steps, each of length 1")
        if graph.is_complete or graph.weights is not None:
            raise InputError("contacts with weights", where=where, rule="to Mesa's model all contacts are alike")
        if set(self.options.states.values()) != set(self.problem.finite_game.states):
            raise InputError("option states", where=where, rule="it names every state of the game, and no other")

    def init(self):
        position = np.unique(self._to_game, return_index=True)[1]  # the first for each of the game's states
        return position[self.initial_agents()]

    def advance(self, state, interval):
        """Each replicate in turn: fill the model with its states, seed it, step, read."""
        (model, agents, enum), names, after = self._model, sorted(self.options.states), np.empty_like(state)
        for replicate, row in enumerate(state):
            model.reset_randomizer(self.context.streams.integer("steps", interval=interval.index, replicate=replicate))
            for agent, position in zip(agents, row, strict=True):
                agent.state = enum[names[position]]
            for _ in range(round(interval.stop - interval.start)):
                model.step()
            after[replicate] = [names.index(agent.state.name) for agent in agents]
        return after

    def observe(self, state):
        return {"occupancy": self.problem.finite_game.occupancy(self._to_game[state])}

    @cached_property
    def _to_game(self):
        return np.array([self.problem.finite_game.state_index(name) for _, name in sorted(self.options.states.items())])

    @cached_property
    def _model(self):
        """Mesa's model on the contact graph, its agents in the order of the nodes, and its enumeration of states."""
        method = multiprocessing.get_start_method(allow_none=True)
        from mesa import Agent
        from mesa.examples.basic.virus_on_network import agents, model

        multiprocessing.set_start_method(method, force=True)  # importing Mesa changes it
        graph, chances = self.problem.graph, self.options.model_dump(exclude={"replicates", "states"})
        # Mesa draws contacts from the global generator, so it is asked for none, and for nobody infected.
        made = model.VirusOnNetwork(num_nodes=graph.node_count, avg_node_degree=0, initial_outbreak_size=0, **chances)
        cells = sorted(made.grid.all_cells, key=lambda cell: cell.coordinate)
        for first, second in np.transpose(graph.edges()[:2]):
            made.grid.add_connection(cells[first], cells[second])
        # Mesa 3.3 would keep every model for ever, in these three tables.
        vars(Agent).get("_ids", {}).pop(made, None)
        made.grid.cell_klass.get_neighborhood.cache_clear()
        made.grid.cell_klass._neighborhood.cache_clear()
        return made, [cell.agents[0] for cell in cells], agents.State
