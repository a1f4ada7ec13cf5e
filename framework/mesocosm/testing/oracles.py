"""What the kit knows without any dynamics: the law of a pair, and the mean field of a complete graph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.linalg import expm

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PairLaw:
    """SIR on two nodes joined by one contact: the exact law, by the exponential of its generator on nine states.

    The first node starts infected, the other susceptible. Source: Kolmogorov's forward equation of the Markov chain.
    """

    beta: float
    gamma: float

    def moments(self, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the share of the two nodes in S, I and R: two arrays of shape [time, 3]."""
        states = list(product(range(3), repeat=2))
        generator = np.zeros((9, 9))
        for index, pair in enumerate(states):
            for node in (0, 1):
                rate = (self.beta * (pair[1 - node] == 1), self.gamma, 0.0)[pair[node]]
                if rate:
                    after = tuple(value + (place == node) for place, value in enumerate(pair))
                    generator[index, states.index(after)] += rate
                    generator[index, index] -= rate
        start = np.zeros(9)
        start[states.index((1, 0))] = 1.0
        shares = np.array([[pair.count(state) / 2 for state in range(3)] for pair in states])
        law = np.stack([start @ expm(generator * time) for time in times])
        mean = law @ shares
        return mean, law @ shares**2 - mean**2


def mean_field(beta: float, gamma: float, shares: tuple[float, float, float], times: FloatArray) -> FloatArray:
    """S' = -beta S I, I' = beta S I - gamma I, R' = gamma I (Kermack and McKendrick 1927); shape [time, 3]."""

    def change(t: float, m: FloatArray) -> FloatArray:
        infection, recovery = beta * m[0] * m[1], gamma * m[1]
        return np.array([-infection, infection - recovery, recovery])

    solution = solve_ivp(change, (0.0, times[-1]), shares, t_eval=times, method="DOP853", rtol=1e-10, atol=1e-12)
    return np.asarray(solution.y.T)
