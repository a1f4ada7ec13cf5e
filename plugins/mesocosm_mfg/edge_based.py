"""`edge_based`: SIR on a configuration graph in the limit of many nodes (Miller, Slim, Volz 2012).

theta(t) is the probability that a random edge has not yet transmitted to its end. With the generating function psi of the
degrees, beta per edge, gamma, and initial shares S0, R0 (infected at random, whatever the degree):

    theta' = -beta phi_I,    phi_I = theta - S0 psi'(theta) / psi'(1) - phi_R,    theta(0) = 1
    phi_R' = gamma phi_I,    phi_R(0) = R0
    S = S0 psi(theta),    R' = gamma I,    I = 1 - S - R

phi_I and phi_R are the probabilities that such an edge leads to an infected or a recovered neighbour. While beta and gamma
stay as they are, phi_R = R0 + gamma (1 - theta) / beta, as in the source; where events change them, only the above holds.
Source: J. C. Miller, A. C. Slim, E. M. Volz, J. R. Soc. Interface 9, 890 (2012), equations 3.1-3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from mesocosm import Dynamics, FiniteStateGame, InputError, Interval, Labelled
from mesocosm_mfg.options import EdgeBasedOptions

FloatArray = NDArray[np.float64]

RELATIVE, ABSOLUTE = 1e-10, 1e-12


@dataclass(frozen=True, eq=False)
class EdgeState:
    """`solution`: theta, R and phi_R; `fired`: when each event happened, [event] (NaN: not yet)."""

    solution: FloatArray
    fired: FloatArray


class EdgeBased(Dynamics):
    """Edge-based equations for SIR without control; events may set beta and gamma."""

    stochastic: ClassVar[bool] = False
    follows: ClassVar[str] = "closure"
    expresses: ClassVar[frozenset[str]] = frozenset({"events"})
    options: EdgeBasedOptions

    def check(self) -> None:
        game, graph = self.problem.finite_game, self.problem.graph
        where = f"dynamics '{self.context.label}'"
        susceptible, infected, recovered = self._sir(game)
        self._check_events()
        if graph.is_complete or graph.weights is not None:
            raise InputError(
                "a complete or weighted graph", where=where, rule="edge_based needs an unweighted configuration graph"
            )
        if self.problem.population.groups:
            raise InputError("initial shares by group", where=where, rule="edge_based infects nodes at random")
        mixing = graph.mixing("degree", degrees=self.options.degrees)
        self.degrees, self.shares = mixing.degrees, mixing.shares
        self.mean_degree = float(self.degrees @ self.shares)
        if self.mean_degree == 0:
            raise InputError("a graph without edges", where=where, rule="edge_based needs contacts")
        self.start = dict(zip(game.states, self.problem.population.shares.tolist(), strict=True))
        self.names = (susceptible, infected, recovered)

    def _check_events(self) -> None:
        """Raise `InputError` for events other than those that leave an SIR game with other rates."""
        for number, event in enumerate(self.problem.events.items):
            if event.vaccination is not None or event.close:
                raise InputError(
                    f"event '{event.name}' " + ("vaccinates" if event.vaccination else "closes layers"),
                    where=f"dynamics '{self.context.label}'",
                    rule="edge_based can express events that set the rates of infection and recovery",
                    hint="use classical_mfg",
                )
            self._sir(self._game((number,)))

    def _game(self, history: tuple[int, ...]) -> FiniteStateGame:
        """The game that events have left behind."""
        situation = self.problem.events.situation(history)
        game = self.problem.events.game(situation) if situation.parameters else self.problem.finite_game
        assert isinstance(game, FiniteStateGame)
        return game

    def _sir(self, game: FiniteStateGame) -> tuple[str, str, str]:
        """The names of the three states, found by the shape of the table; an error where it is not SIR."""
        table = {(item.source, item.target): item for item in game.transitions}
        if len(game.states) == 3 and len(table) == 2 and game.normalise == "sum" and len(game.channels) == 1:
            first, second, third = game.states
            infection, recovery = table.get((first, second)), table.get((second, third))
            emission = game.emission(0.0, np.arange(3), np.ones(3))[:, 0]
            infects = infection is not None and infection.channel is not None
            recovers = recovery is not None and recovery.channel is None and recovery.intensity is None
            if infects and recovers and emission.tolist() == [0.0, 1.0, 0.0]:
                return first, second, third
        raise InputError(
            f"game {type(game).__name__}",
            where=f"dynamics '{self.context.label}'",
            rule="edge_based is for SIR: S -> I induced by infected contacts, I -> R spontaneous",
            hint="use classical_mfg",
        )

    def init(self) -> EdgeState:
        recovered = self.start[self.names[2]]
        fired = np.full(len(self.problem.events.items), np.nan)
        return EdgeState(np.array([1.0, recovered, recovered]), fired)

    def advance(self, state: EdgeState, interval: Interval) -> EdgeState:
        events, fired = self.problem.events, state.fired.copy()
        due = events.due(interval.start, self._shares(state), events.history(fired))
        fired[list(due)] = interval.start
        beta, gamma = self._rates(events.history(fired))

        def slope(t: float, now: FloatArray) -> FloatArray:
            return self._rate_of_change(now, beta, gamma)

        solution = solve_ivp(
            slope, (interval.start, interval.stop), state.solution, method="DOP853", rtol=RELATIVE, atol=ABSOLUTE
        )
        return EdgeState(np.asarray(solution.y[:, -1]), fired)

    def observe(self, state: EdgeState) -> dict[str, FloatArray]:
        return {"occupancy": self._shares(state)[None]}

    def summary(self, state: EdgeState) -> dict[str, float | Labelled]:
        final_size = Labelled(("replicate",), np.array([1.0 - self._susceptible(state.solution[0])]))
        return {"final_size": final_size, **self.fired(state.fired[None])}

    def pack(self, state: EdgeState) -> dict[str, FloatArray]:
        return {"solution": state.solution, "fired": state.fired}

    def unpack(self, arrays: Mapping[str, FloatArray]) -> EdgeState:
        return EdgeState(arrays["solution"], arrays["fired"])

    def _rates(self, history: tuple[int, ...]) -> tuple[float, float]:
        """beta and gamma after some events."""
        rates = {(item.source, item.target): item.rate for item in self._game(history).transitions}
        susceptible, infected, recovered = self.names
        return rates[susceptible, infected], rates[infected, recovered]

    def _shares(self, state: EdgeState) -> FloatArray:
        """Share of each state, in the order of the game: shape [state]."""
        theta, recovered, _ = state.solution
        susceptible = self._susceptible(theta)
        shares = {self.names[0]: susceptible, self.names[1]: 1.0 - susceptible - recovered, self.names[2]: recovered}
        return np.array([shares[name] for name in self.problem.finite_game.states])

    def _susceptible(self, theta: float) -> float:
        return float(self.start[self.names[0]] * (self.shares @ theta**self.degrees))

    def _rate_of_change(self, state: FloatArray, beta: float, gamma: float) -> FloatArray:
        theta, recovered, phi_recovered = state
        positive = np.maximum(self.degrees - 1, 0)
        slope = float((self.shares * self.degrees) @ theta**positive) / self.mean_degree
        phi_infected = theta - self.start[self.names[0]] * slope - phi_recovered
        infected = 1.0 - self._susceptible(theta) - recovered
        return np.array([-beta * phi_infected, gamma * infected, gamma * phi_infected])
