"""The mean field of a game in discrete time: the flow of a policy, its cost, the best response, exploitability.

    flow            L_t[s, a] = m_t[s] pi_t[s, a],  m_{t+1} = sum_{s, a} L_t[s, a] P(t, L_t)[s, a, .]     forward from m_0
    cost to come    Q_t[s, a] = c(t, L_t)[s, a] + sum_s' P(t, L_t)[s, a, s'] V_{t+1}[s'],  V_{T+1} = 0    backward
                    V_t[s] = sum_a pi_t[s, a] Q_t[s, a] for a policy, min_a Q_t[s, a] for the best response
    exploitability  sum_s m_0[s] (V_0 of the policy - V_0 of the best response), both against the flow of the policy

Exploitability is that of MFGLib (`exploitability_score`) with costs for rewards. It is never negative but by rounding.
Source: Cui and Koeppl, AISTATS 2021, arXiv 2102.01585, section 2; Perrin et al., NeurIPS 2020, arXiv 2007.03458, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesocosm import DiscreteTimeGame

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tables:
    """What agents meet in a flow: `transition` [time, state, action, next state] and `cost` [time, state, action]."""

    transition: FloatArray
    cost: FloatArray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A policy against its own flow.

    Attributes
    ----------
    flow: shape [time, state, action]. tables: what agents meet in it.
    cost_to_come: Q of the policy. best_cost_to_come: Q of the best response. Both of shape [time, state, action].
    cost: expected total cost of an agent. exploitability: what it would gain by its best response.
    scale: sum over time of the mean absolute cost; 1 where nothing costs anything.
    """

    flow: FloatArray
    tables: Tables
    cost_to_come: FloatArray
    best_cost_to_come: FloatArray
    cost: float
    exploitability: float
    scale: float


@dataclass(frozen=True, eq=False)
class DiscreteField:
    """A game in discrete time from `initial` shares [state], played at `times` [time]."""

    game: DiscreteTimeGame
    initial: FloatArray
    times: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of times, states and actions."""
        return len(self.times), len(self.game.states), len(self.game.actions)

    def uniform(self) -> FloatArray:
        """The policy that plays every action alike, [time, state, action]."""
        return np.full(self.shape, 1.0 / self.shape[2])

    def flow(self, policy: FloatArray) -> FloatArray:
        """The joint distribution of state and action of a population that plays a policy, [time, state, action]."""
        result = np.empty(self.shape)
        last, (_, states, actions) = len(self.times) - 1, self.shape
        shares = self.initial
        for number, t in enumerate(self.times):
            result[number] = shares[:, None] * policy[number]
            if number < last:
                moves = self.game.transition(t, result[number])
                shares = result[number].ravel() @ moves.reshape(states * actions, states)
        return result

    def tables(self, flow: FloatArray) -> Tables:
        """Transition probabilities and costs of an agent in a flow."""
        moves, cost = self.game.transition(self.times, flow), self.game.cost(self.times, flow)
        return Tables(np.broadcast_to(moves, (*self.shape, self.shape[1])), np.broadcast_to(cost, self.shape))

    def cost_to_come(self, tables: Tables, policy: FloatArray | None) -> FloatArray:
        """Q of a policy, or of the best response where it is None: [time, state, action]."""
        result = np.empty(self.shape)
        value = np.zeros(self.shape[1])
        for number in range(len(self.times) - 1, -1, -1):
            result[number] = tables.cost[number] + tables.transition[number] @ value
            weighted = result[number] if policy is None else policy[number] * result[number]
            value = weighted.min(axis=-1) if policy is None else weighted.sum(axis=-1)
        return result

    def evaluate(self, policy: FloatArray) -> Evaluation:
        """A policy [time, state, action] against its own flow."""
        flow = self.flow(policy)
        tables = self.tables(flow)
        own, best = self.cost_to_come(tables, policy), self.cost_to_come(tables, None)
        cost = float(self.initial @ (policy[0] * own[0]).sum(axis=-1))
        gain = cost - float(self.initial @ best[0].min(axis=-1))
        scale = float((np.abs(tables.cost) * flow).sum())
        return Evaluation(flow, tables, own, best, cost, gain, scale or 1.0)


def greedy(cost_to_come: FloatArray) -> FloatArray:
    """The policy that plays what costs least, ties with equal probability: [time, state, action] to the same."""
    least = cost_to_come == cost_to_come.min(axis=-1, keepdims=True)
    return np.asarray(least / least.sum(axis=-1, keepdims=True), np.float64)


def as_policy(weights: FloatArray) -> FloatArray:
    """Weights [..., action] as probabilities: negative ones are 0, and a row of zeros is played evenly."""
    positive = np.maximum(weights, 0.0)
    sums = positive.sum(axis=-1, keepdims=True)
    even = np.full_like(positive, 1.0 / weights.shape[-1])
    return np.asarray(np.divide(positive, sums, out=even, where=sums > 0.0), np.float64)
