"""The direct method: Gillespie, J. Phys. Chem. 81, 2340 (1977). Every jump looks at all rates anew, which costs O(N)."""

import numpy as np

from mesocosm import Dynamics, substeps


class Gillespie(Dynamics):
    """Any finite-state game on the contact graph; agents do not choose. State: that of every agent, [replicate, N]."""

    @property
    def replicates(self):
        return self.options.replicates

    def init(self):
        return self.initial_agents()

    def advance(self, state, interval):
        agents, streams, index = state.copy(), self.context.streams, interval.index
        generators = [streams.generator("jumps", interval=index, replicate=number) for number in range(len(agents))]
        hold = self.options.hold or self.problem.clock.save_every / 10
        count, length = substeps(interval.start, interval.stop, hold)
        for number in range(count):
            self.jump(agents, interval.start + number * length, length, generators)
        return agents

    def jump(self, agents, time, length, generators):
        """Make all jumps within `length` of `time` in `agents`. Waiting times have no memory: one may stop at any moment."""
        targets = np.array([self.problem.game.state_index(item.target) for item in self.problem.game.transitions])
        rows, left = np.arange(len(agents)), np.full(len(agents), length)  # replicates that go on, and their time left
        while rows.size:
            edges = self.rates(time, agents, rows).reshape(len(rows), -1).cumsum(axis=1)
            draws = np.array([(generators[row].exponential(), generators[row].random()) for row in rows])
            left[rows] -= np.divide(draws[:, 0], edges[:, -1], out=np.full(len(rows), np.inf), where=edges[:, -1] > 0)
            going = left[rows] > 0
            rows, edges, marks = rows[going], edges[going], (draws[:, 1] * edges[:, -1])[going]
            transition, agent = np.divmod((edges <= marks[:, None]).sum(axis=1), agents.shape[1])
            agents[rows, agent] = targets[transition]

    def rates(self, time, agents, rows):
        """Intensities, [row, transition, N]. Raises `DynamicsError` where one is NaN, infinite or negative."""
        game, graph, agents = self.problem.finite_game, self.problem.graph, agents[rows]
        control = game.neutral_control(np.zeros(agents.shape))
        field = graph.field(game.emission(time, agents, control), game.normalise)  # [row, N, channel]
        rates = np.zeros((len(rows), len(game.transitions), graph.node_count))
        for number, transition in enumerate(game.transitions):
            inside = agents == game.state_index(transition.source)
            rates[:, number][inside] = game.checked_intensity(transition, time, field[inside], control[inside])
        return rates

    def observe(self, state):
        return {"occupancy": self.problem.finite_game.occupancy(state)}
