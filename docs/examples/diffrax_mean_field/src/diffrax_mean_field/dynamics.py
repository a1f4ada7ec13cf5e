"""The mean-field ODE, compiled by JAX and solved by diffrax (Kidger, On Neural Differential Equations, 2022).

With occupancy m[type, state], mixing K and emission phi, z = K E[phi] is the field and

    m'[type, y] = sum over transitions x -> y of m[type, x] q(t, z)  -  sum over y -> x of m[type, y] q(t, z)

Source: Kurtz, J. Appl. Prob. 7, 49 (1970), for many agents who mix; the closures are those of `ContactGraph.mixing`.
"""

import weakref
from functools import cached_property

import diffrax
import jax
import numpy as np

from mesocosm import Dynamics, DynamicsError, InputError

MOST_STEPS = 100_000
"""Steps in one save interval after which the solver gives up."""


class DiffraxMeanField(Dynamics):
    """Mean-field equations without choices. State: occupancy, shape [type, state], float64."""

    follows = "closure"
    stochastic = False

    def check(self):
        with jax.enable_x64(True):
            try:
                jax.eval_shape(self._change, 0.0, self.init(), None)
            except TypeError as error:
                name = type(self.problem.game).__name__
                rule = "it must be written in operations that JAX can trace: no branch on the time, no assignment"
                where = f"dynamics '{self.context.label}'"
                raise InputError(f"game {name}", where=where, rule=rule, hint="use classical_mfg") from error

    def init(self):
        return self.problem.type_shares(self._mixing)

    def advance(self, state, interval):
        for time in (interval.start, interval.stop):
            self._inspect(time, state)
        with jax.enable_x64(True):
            after, done = self._solve(interval.start, interval.stop, state)
        if not (done and np.isfinite(after).all()):
            where = f"dynamics '{self.context.label}' between times {interval.start:g} and {interval.stop:g}"
            raise DynamicsError(f"not solved in {MOST_STEPS} steps", where=where, hint="look at the game's intensities")
        return np.asarray(after)

    def observe(self, state):
        return {"occupancy": (self._mixing.shares @ state)[None]}

    @cached_property
    def _mixing(self):
        return self.problem.graph.mixing(self.options.closure, normalise=self.problem.game.normalise)

    @cached_property
    def _matrix(self):
        return self._mixing.dense()

    @cached_property
    def _solve(self):
        """(start, stop, occupancy) -> occupancy at `stop`, and whether it was reached; compiled when first called."""
        # JAX keeps what it compiled, and what that refers to; a weak reference lets the problem go.
        change = weakref.WeakMethod(self._change)
        control = diffrax.PIDController(rtol=self.options.tolerance, atol=1e-3 * self.options.tolerance)

        def right_hand_side(t, occupancy, args):
            return change()(t, occupancy, args)

        def solve(start, stop, occupancy):
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(right_hand_side),
                diffrax.Tsit5(),
                start,
                stop,
                None,
                occupancy,
                stepsize_controller=control,
                max_steps=MOST_STEPS,
                throw=False,
            )
            return solution.ys[0], solution.result == diffrax.RESULTS.successful

        return jax.jit(solve)

    def _flows(self, t, occupancy, intensity):
        """Every transition with its intensity, shape [type], in the array library of `occupancy`."""
        game = self.problem.finite_game
        control = game.neutral_control(occupancy)
        states = np.tile(np.arange(len(game.states)), (len(self._matrix), 1))
        emission = game.emission(t, states, control)  # [type, state, channel]
        field = self._matrix @ (occupancy[:, None, :] @ emission)[:, 0]  # [type, channel]
        for item in game.transitions:
            yield item, intensity(item, t, field, control[:, game.state_index(item.source)])

    def _change(self, t, occupancy, _):
        """The right-hand side, shape [type, state]."""
        game = self.problem.finite_game
        change = [0.0] * len(game.states)
        for item, intensity in self._flows(t, occupancy, game.intensity):
            source, target = game.state_index(item.source), game.state_index(item.target)
            moved = occupancy[:, source] * intensity
            change[source], change[target] = change[source] - moved, change[target] + moved
        return game.stack(change, like=occupancy[:, 0])

    def _inspect(self, time, occupancy):
        """Raise `DynamicsError` for an intensity that is NaN, infinite or negative: a solver would only take small steps."""
        for _ in self._flows(time, occupancy, self.problem.finite_game.checked_intensity):
            pass
