"""`edge_based`: SIR on a configuration graph in the limit of many nodes (Miller, Slim, Volz 2012).

theta(t) is the probability that a random edge has not yet transmitted to its end. With the generating function psi of the
degrees, beta per edge, gamma, and initial shares S0, R0 (infected at random, whatever the degree):

    theta' = -beta theta + beta S0 psi'(theta) / psi'(1) + gamma (1 - theta) + beta R0,    theta(0) = 1
    S = S0 psi(theta),    R' = gamma I,    I = 1 - S - R

Source: J. C. Miller, A. C. Slim, E. M. Volz, J. R. Soc. Interface 9, 890 (2012), equations 3.4-3.6.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from mesocosm import Dynamics, InputError, Interval, Labelled
from mesocosm_mfg.options import EdgeBasedOptions

FloatArray = NDArray[np.float64]

RELATIVE, ABSOLUTE = 1e-10, 1e-12


class EdgeBased(Dynamics):
    """Edge-based equations for SIR without control. State: (theta, R)."""

    stochastic: ClassVar[bool] = False
    follows: ClassVar[str] = "closure"
    options: EdgeBasedOptions

    def check(self) -> None:
        game, graph = self.problem.finite_game, self.problem.graph
        where = f"dynamics '{self.context.label}'"
        susceptible, infected, recovered = self._sir()
        if graph.is_complete or graph.weights is not None:
            raise InputError(
                "a complete or weighted graph", where=where, rule="edge_based needs an unweighted configuration graph"
            )
        if self.problem.population.groups:
            raise InputError("initial shares by group", where=where, rule="edge_based infects nodes at random")
        for transition in game.transitions:
            if transition.source == susceptible:
                self.beta = transition.rate
            elif (transition.source, transition.target) == (infected, recovered):
                self.gamma = transition.rate
        mixing = graph.mixing("degree", degrees=self.options.degrees)
        self.degrees, self.shares = mixing.degrees, mixing.shares
        self.mean_degree = float(self.degrees @ self.shares)
        if self.mean_degree == 0:
            raise InputError("a graph without edges", where=where, rule="edge_based needs contacts")
        self.start = dict(zip(game.states, self.problem.population.shares.tolist(), strict=True))
        self.names = (susceptible, infected, recovered)

    def _sir(self) -> tuple[str, str, str]:
        """The names of the three states, found by the shape of the table; an error where it is not SIR."""
        game = self.problem.finite_game
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

    def init(self) -> FloatArray:
        return np.array([1.0, self.start[self.names[2]]])

    def advance(self, state: FloatArray, interval: Interval) -> FloatArray:
        solution = solve_ivp(
            self._rate_of_change, (interval.start, interval.stop), state, method="DOP853", rtol=RELATIVE, atol=ABSOLUTE
        )
        return np.asarray(solution.y[:, -1])

    def observe(self, state: FloatArray) -> dict[str, FloatArray]:
        theta, recovered = state
        susceptible = self._susceptible(theta)
        shares = {self.names[0]: susceptible, self.names[1]: 1.0 - susceptible - recovered, self.names[2]: recovered}
        return {"occupancy": np.array([[shares[name] for name in self.problem.finite_game.states]])}

    def summary(self, state: FloatArray) -> dict[str, float | Labelled]:
        return {"final_size": Labelled(("replicate",), np.array([1.0 - self._susceptible(state[0])]))}

    def _susceptible(self, theta: float) -> float:
        return float(self.start[self.names[0]] * (self.shares @ theta**self.degrees))

    def _rate_of_change(self, t: float, state: FloatArray) -> FloatArray:
        theta, recovered = state
        positive = np.maximum(self.degrees - 1, 0)
        slope = float((self.shares * self.degrees) @ theta**positive) / self.mean_degree
        start_susceptible, start_recovered = self.start[self.names[0]], self.start[self.names[2]]
        change = -self.beta * theta + self.beta * start_susceptible * slope
        change += self.gamma * (1.0 - theta) + self.beta * start_recovered
        infected = 1.0 - self._susceptible(theta) - recovered
        return np.array([change, self.gamma * infected])
