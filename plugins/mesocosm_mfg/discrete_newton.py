"""The equilibrium conditions of a game in discrete time as one square system, and Newton's method on it.

Unknowns at every time are the shares m[s], the cost to come v[s], and a number y[s, a] for every action. Where y >= 0 it is
the probability of the action, pi = max(y, 0); where y < 0 the action is not played, and -y is what it would cost above the
best (Robinson's normal map of the complementarity problem 0 <= pi, 0 <= Q - v, pi (Q - v) = 0). With weights w[t] >= 0 that
pull the policy towards a centre pi_c:

    shares     m_{t+1}[s'] - sum_{s, a} m_t[s] pi_t[s, a] P(t, L_t)[s, a, s'] = 0,   m_0 given
    sums       sum_a pi_t[s, a] - 1 = 0
    optimal    Q_t[s, a] - v_t[s] + w[t] (pi_t[s, a] - pi_c[s, a]) + min(y_t[s, a], 0) = 0

At w = 0 these are the equilibria; at w > 0 those of the game with the additional cost w (pi - pi_c)^2 / 2, which has only one
where w is large. Costs are in units of `unit`, so that y is of order 1. The system is smooth as long as no y changes its sign.
Its matrix is block tridiagonal in time, and is solved as a band in O(time (state action)^3).

Derivatives with respect to L are forward differences, accurate to about 1e-7; Newton's method still converges to rounding,
because each of its steps gains that much.

Sources: Robinson, Math. Oper. Res. 17, 691 (1992), normal maps; Guo, Hu, Zhang, arXiv 2206.09608, the complementarity form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dgbsv

from mesocosm import InputError
from mesocosm_mfg.discrete_flow import DiscreteField, Evaluation

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

STEP, SMALLEST_SHARE = 1e-7, 1e-2
"""Of the forward differences: relative to the share of the state, which counts as this much at least."""

LARGEST = 2**26
"""Most numbers in one array of derivatives (0.5 GiB)."""

ACCURATE = 1e-11
"""Largest residual of a solved system."""

LENGTHS = (1.0, 0.5, 0.25, 0.125)
"""Shares of a Newton step that are tried."""


@dataclass(frozen=True, eq=False)
class Point:
    """Values of all unknowns, [time, unknown]; the state of the path at the weights `weights` [time]."""

    values: FloatArray
    weights: FloatArray


class ComplementaritySystem:
    """The system above for one game. Errors: `InputError` where its derivatives would take too much memory."""

    def __init__(self, model: DiscreteField, centre: FloatArray, started: Evaluation) -> None:
        self.model, self.centre, self.started = model, centre, started
        self.times, self.states, self.actions = model.shape
        self.pairs = self.states * self.actions
        self.width = 2 * self.states + self.pairs
        if self.times * max(self.pairs**2 * self.states, 4 * self.width**2) > LARGEST:
            raise InputError(
                f"{self.times} times, {self.states} states and {self.actions} actions",
                where="equilibrium",
                rule=f"methods newton and anderson hold derivatives, at most {LARGEST} numbers",
                hint="use method: fictitious_play or mirror_descent",
            )
        self.unit = float(np.ptp(started.best_cost_to_come, axis=-1).max()) or 1.0
        self.solves = 0
        self._pick = np.repeat(np.eye(self.states), self.actions, axis=0)
        self._lower, self._upper = self.width + self.states - 1, self.width - 1
        self._places = self._index()
        self._clock = np.broadcast_to(model.times[:, None], (self.times, self.pairs + 1))

    def start(self, weight: float) -> Point:
        """The centre itself, with its own flow and cost to come."""
        value = (self.centre * self.started.cost_to_come).sum(axis=-1) / self.unit
        shares, policy = self.started.flow.sum(axis=-1), self.centre.reshape(self.times, self.pairs)
        return Point(np.concatenate([shares, value, policy], axis=1), np.full(self.times, weight))

    def policy(self, values: FloatArray) -> FloatArray:
        """y of these unknowns, [time, state, action]."""
        return values[:, 2 * self.states :].reshape(self.times, self.states, self.actions)

    def residual(self, values: FloatArray, played: BoolArray, weights: FloatArray) -> FloatArray:
        """Left-hand sides of the equations, [time, unknown].

        Where `played` [time, state, action], y is the probability whatever its sign; elsewhere it is the excess cost.
        """
        S, game = self.states, self.model.game
        shares, y = values[:, :S], self.policy(values)
        policy = np.where(played, y, 0.0)
        flow = shares[:, :, None] * policy
        moves, cost = game.transition(self.model.times, flow), game.cost(self.model.times, flow)
        result = np.empty_like(values)
        result[0, :S] = shares[0] - self.model.initial
        by_pair = moves.reshape(*moves.shape[:-3], self.pairs, S)
        following = (flow.reshape(self.times, 1, self.pairs) @ by_pair)[:, 0]
        result[1:, :S] = shares[1:] - following[:-1]
        result[:, S : 2 * S] = policy.sum(axis=-1) - 1.0
        Q = cost / self.unit + (moves @ self._ahead(values)[:, None, :, None])[..., 0]
        pull = weights[:, None, None] * (policy - self.centre)
        optimal = Q - values[:, S : 2 * S, None] + pull + np.where(played, 0.0, y)
        result[:, 2 * S :] = optimal.reshape(self.times, self.pairs)
        return result

    def matrix(self, values: FloatArray, played: BoolArray, weights: FloatArray) -> FloatArray:
        """Derivative of the residual with respect to the unknowns, as a band in the storage of LAPACK's `gbsv`."""
        S, pairs, width = self.states, self.pairs, self.width
        shares, policy = values[:, :S], np.where(played, self.policy(values), 0.0)
        moves, by_flow, spread = self._derivatives(shares[:, :, None] * policy, shares, self._ahead(values))
        pair, active = np.arange(pairs), played.reshape(self.times, pairs)
        flow_by = np.zeros((self.times, pairs, width))
        flow_by[:, :, :S] = self._pick * policy.reshape(self.times, pairs, 1)
        flow_by[:, pair, 2 * S + pair] = np.repeat(shares, self.actions, axis=1) * active
        middle = np.zeros((self.times, width, width))
        middle[:, range(S), range(S)] = 1.0
        middle[:, S : 2 * S, 2 * S :] = self._pick.T * active[:, None, :]
        middle[:, 2 * S :] = by_flow @ flow_by
        middle[:, 2 * S + pair, 2 * S + pair] += np.where(active, weights[:, None], 1.0)
        middle[:, 2 * S :, S : 2 * S] = -self._pick
        below, above = -(spread @ flow_by)[:-1], moves[:-1]
        band = np.zeros((2 * self._lower + self._upper + 1, self.times * width), order="F")
        band.T.reshape(-1)[self._places] = np.concatenate([middle.ravel(), below.ravel(), above.ravel()])
        return band

    def pulled(self, values: FloatArray, played: BoolArray, moving: FloatArray) -> FloatArray:
        """Derivative of the residual when the weights change at the rates `moving` [time]."""
        result = np.zeros_like(values)
        policy = np.where(played, self.policy(values), 0.0)
        pull = moving[:, None, None] * (policy - self.centre)
        result[:, 2 * self.states :] = pull.reshape(self.times, self.pairs)
        return result

    def solve(self, band: FloatArray, *sides: FloatArray) -> FloatArray:
        """The linear system for right-hand sides [time, unknown]: [side, time, unknown], NaN where it is singular.

        Overwrites `band`.
        """
        self.solves += 1
        right = np.stack([side.ravel() for side in sides], axis=1)
        _, _, found, failed = dgbsv(self._lower, self._upper, band, right, overwrite_ab=True)
        result = np.asarray(found, np.float64).T.reshape(len(sides), self.times, self.width)
        return np.full_like(result, np.nan) if failed else result

    def newton(self, point: Point, weights: FloatArray, steps: int) -> Point | None:
        """Semismooth Newton at these weights from a point, its steps halved where they make the residual larger.

        None where it has not converged after `steps`, or no step makes the residual smaller.
        """
        values = point.values
        found = self.residual(values, self.policy(values) > 0.0, weights)
        size = float(np.abs(found).max())
        for _ in range(steps):
            if size < ACCURATE:
                break
            change = self.solve(self.matrix(values, self.policy(values) > 0.0, weights), found)[0]
            for length in LENGTHS:
                there = values - length * change
                found = self.residual(there, self.policy(there) > 0.0, weights)
                after = float(np.abs(found).max())
                if after < size * (1.0 - 0.1 * length):
                    break
            else:
                return None
            values, size = there, after
        return Point(values, weights) if size < ACCURATE else None

    def _ahead(self, values: FloatArray) -> FloatArray:
        """Cost to come one time later, [time, state]; 0 after the last."""
        value = values[:, self.states : 2 * self.states]
        return np.concatenate([value[1:], np.zeros((1, self.states))])

    def _derivatives(
        self, flow: FloatArray, shares: FloatArray, ahead: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """P [time, pair, state]; dQ/dL [time, pair, pair]; d(shares at the next time)/dL [time, state, pair]."""
        game, count, S, pairs = self.model.game, self.times, self.states, self.pairs
        steps = STEP * np.maximum(np.repeat(shares, self.actions, axis=1), SMALLEST_SHARE)
        fields = np.repeat(flow.reshape(count, 1, pairs), pairs + 1, axis=1)
        fields[:, range(1, pairs + 1), range(pairs)] += steps
        fields = fields.reshape(count, pairs + 1, S, self.actions)
        moves, cost = game.transition(self._clock, fields), game.cost(self._clock, fields)
        by_flow = np.zeros((count, pairs, pairs))
        if cost.ndim > 2:
            by_flow += (cost[:, 1:] - cost[:, :1]).reshape(count, pairs, pairs) / self.unit
        if moves.ndim == 3:
            plain = np.broadcast_to(moves.reshape(1, pairs, S), (count, pairs, S))
            return plain, (by_flow / steps[:, :, None]).transpose(0, 2, 1), plain.transpose(0, 2, 1)
        change = (moves[:, 1:] - moves[:, :1]).reshape(count, pairs, pairs * S)
        by_flow += (change.reshape(count, pairs * pairs, S) @ ahead[:, :, None]).reshape(count, pairs, pairs)
        plain = moves[:, 0].reshape(count, pairs, S)
        weighted = flow.reshape(count, 1, 1, pairs) @ change.reshape(count, pairs, pairs, S)
        spread = plain + weighted[:, :, 0] / steps[:, :, None]
        return plain, (by_flow / steps[:, :, None]).transpose(0, 2, 1), spread.transpose(0, 2, 1)

    def _index(self) -> NDArray[np.int64]:
        """Where the entries of the blocks on, below and above the diagonal go in the band, column after column."""
        S, width, time = self.states, self.width, np.arange(self.times)
        inner = np.arange(width)
        shapes = (
            (time, inner, time, inner),
            (time[1:], inner[:S], time[:-1], inner),
            (time[:-1], inner[2 * S :], time[1:], inner[S : 2 * S]),
        )
        places, height = [], 2 * self._lower + self._upper + 1
        for row_time, rows, column_time, columns in shapes:
            row = (row_time * width)[:, None, None] + rows[:, None]
            column = (column_time * width)[:, None, None] + columns
            places.append((column * height + self._lower + self._upper + row - column).ravel())
        return np.concatenate(places)
