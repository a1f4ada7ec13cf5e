"""EoN runs the game: exact, event by event. Source: Kiss, Miller, Simon, Mathematics of Epidemics on Networks (2017), app. A.

EoN knows simple contagions: an agent jumps by itself at a constant rate, or each of its contacts makes it jump at a rate
that depends on the contact's state and the weight of the tie. A field is a sum over contacts, so a transition at
`rate * field[channel]` is one such jump for every state that emits into the channel.

EoN runs from a start to an end and keeps nothing in between. The waiting times are exponential, so that a run in pieces,
each started from the states in which the last one ended, has exactly the law of one run over the whole horizon.
"""

from functools import cached_property

import EoN
import networkx
import numpy as np

from mesocosm import Dynamics, FiniteStateGame, InputError

LARGEST_COMPLETE = 500
"""Most agents on a complete graph: EoN walks through every pair in every interval."""


class EonReference(Dynamics):
    """A simple contagion on the contact graph; agents do not choose. State: that of every agent, shape [replicate, N]."""

    @property
    def replicates(self):
        return self.options.replicates

    def check(self):
        game, graph = self.problem.finite_game, self.problem.graph
        general = [item for item in game.transitions if item.intensity is not None]
        if general or type(game).intensity is not FiniteStateGame.intensity:
            what = f"{general[0].source} -> {general[0].target}" if general else "the game's own intensity"
            self._refuse(what, "EoN knows spontaneous and induced transitions only")
        emissions = [self._emission(time) for time in self.problem.clock.times]
        if any((emission != emissions[0]).any() for emission in emissions):
            self._refuse("emissions that change with time", "EoN's rates are constant")
        if not (np.isfinite(emissions[0]) & (emissions[0] >= 0)).all():
            self._refuse("emissions that are negative or not finite", "they are rates in EoN")
        if graph.is_complete and graph.node_count > LARGEST_COMPLETE:
            self._refuse(
                f"{graph.node_count} agents on a complete graph",
                f"at most {LARGEST_COMPLETE}: it walks through all pairs",
            )

    def init(self):
        return self.initial_agents()

    def advance(self, state, interval):
        streams, index = self.context.streams, interval.index
        generators = [streams.generator("events", interval=index, replicate=number) for number in range(len(state))]
        return np.stack([self._run(row, interval, random) for row, random in zip(state, generators, strict=True)])

    def observe(self, state):
        return {"occupancy": self.problem.finite_game.occupancy(state)}

    def _run(self, agents, interval, random):
        """States at the end of an interval, shape [N], from those at its start; EoN draws from `random` alone."""
        simulation = EoN.fast_simple_contagion(
            self._network,
            self._spontaneous,
            self._induced,
            IC=dict(enumerate(agents.tolist())),
            return_statuses=range(len(self.problem.finite_game.states)),
            tmin=interval.start,
            tmax=interval.stop,
            rng=random,
            return_full_data=True,
        )
        last = [simulation.node_history(node)[1][-1] for node in range(len(agents))]
        return np.array(last, agents.dtype)

    def _emission(self, time):
        """What an agent that does not choose emits in every state, shape [state, channel]."""
        game = self.problem.finite_game
        states = np.arange(len(game.states))
        return game.emission(time, states, game.neutral_control(np.zeros(len(states))))

    @cached_property
    def _network(self):
        """The contact graph; the attribute `weight` of a tie from one agent to another scales what passes along it."""
        graph, mean = self.problem.graph, self.problem.game.normalise == "mean"
        network = graph.to_networkx()
        if mean:
            network = network.to_directed()
            for _, target, tie in network.edges(data=True):
                tie["weight"] = tie.get("weight", 1.0) / graph.strengths[target]
        return network

    @cached_property
    def _spontaneous(self):
        """Jumps by oneself: an edge from state to state with its rate."""
        table = networkx.DiGraph()
        for source, target, rate, channel in self._jumps():
            if channel is None:
                _add(table, source, target, rate)
        return table

    @cached_property
    def _induced(self):
        """Jumps by contact: an edge from (state of the contact, own state) to (state of the contact, own next state)."""
        table = networkx.DiGraph()
        for source, target, rate, channel in self._jumps():
            for state, emitted in enumerate(self._emission(0.0)[:, channel] if channel is not None else ()):
                if emitted > 0:
                    _add(table, (state, source), (state, target), rate * emitted)
        if networkx.is_weighted(self._network):
            networkx.set_edge_attributes(table, "weight", "weight_label")
        return table

    def _jumps(self):
        """Every transition as (source, target, rate, number of its channel or None)."""
        game = self.problem.finite_game
        neutral = float(game.neutral_control(np.zeros(1))[0])
        for item in game.transitions:
            channel = None if item.channel is None else game.channels.index(item.channel)
            rate = item.rate * (neutral if item.controlled else 1.0)
            yield game.state_index(item.source), game.state_index(item.target), rate, channel

    def _refuse(self, what, rule):
        raise InputError(what, where=f"dynamics '{self.context.label}'", rule=rule, hint="use agent_based")


def _add(table, start, end, rate):
    """Two jumps between the same states are one, at the sum of their rates."""
    before = table.edges[start, end]["rate"] if table.has_edge(start, end) else 0.0
    table.add_edge(start, end, rate=before + rate)
