"""The direct method: Gillespie, J. Phys. Chem. 81, 2340 (1977). Every jump looks at all rates anew, which costs O(N)."""

import numpy as np

from mesocosm import Dynamics, DynamicsError, substeps


class Gillespie(Dynamics):
    """Any finite-state game on the contact graph; agents do not choose. State: that of every agent, [replicate, N]."""

    @property
    def replicates(self):
        return self.options.replicates

    def init(self):
        graph, streams = self.problem.graph, self.context.streams
        generators = [streams.generator("initial", replicate=replicate) for replicate in range(self.replicates)]
        return np.stack([self.problem.initial_states(graph, random) for random in generators]).astype(np.int64)

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
        emission = np.moveaxis(game.emission(time, agents, control), -1, 1)
        field = np.moveaxis(graph.neighbour_sum(emission), 1, -1)  # [row, N, channel]
        if game.normalise == "mean":
            field = field / np.where(graph.strengths > 0, graph.strengths, 1.0)[:, None]
        rates = np.zeros((len(rows), len(game.transitions), graph.node_count))
        for number, transition in enumerate(game.transitions):
            inside = agents == game.state_index(transition.source)
            values = np.asarray(game.intensity(transition, time, field[inside], control[inside]))
            wrong = ~((values >= 0) & (values < np.inf))
            if wrong.any():
                what = f"the intensity of {transition.source} -> {transition.target} is {values[wrong][0]:g}"
                where = f"dynamics '{self.context.label}' at time {time:g}"
                raise DynamicsError(what, where=where, rule="an intensity is finite and not negative")
            rates[:, number][inside] = values
        return rates

    def observe(self, state):
        count = len(self.problem.finite_game.states)
        return {"occupancy": np.stack([np.bincount(row, minlength=count) for row in state]) / state.shape[1]}

    def pack(self, state):
        return {"agents": state}

    def unpack(self, arrays):
        return arrays["agents"]
