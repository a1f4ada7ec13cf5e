"""The general engine: any transitions and any policy, in array operations over the agents of all replicates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.engine import Engine, Play, Stretch


def respond(play: Play, contacts: Contacts, t: float, states: StateArray) -> tuple[FloatArray, FloatArray]:
    """Control [batch, N] and field [batch, N, channel] of every agent at time t, from the states of all, [batch, N]."""
    game, policy = play.game, play.policy
    numbers = states.astype(np.int64)
    if not policy.uses_field:
        chosen = policy.control(t, contacts.rows, numbers, None)
        control = np.array(np.broadcast_to(chosen, numbers.shape), np.float64)
        return control, contacts.field(play.emission(t, numbers, control))
    emission = play.emission(t, numbers, game.neutral_control(np.zeros(numbers.shape)))
    field = contacts.field(emission)
    control = np.asarray(policy.control(t, contacts.rows, numbers, field), np.float64)
    after = play.emission(t, numbers, control)
    return control, field if np.array_equal(after, emission) else contacts.field(after)


Witness = Callable[[float, float, StateArray, FloatArray, FloatArray], None]
"""Told of every step at its beginning: time, length, states and control [batch, N], field [batch, N, channel]."""


class VectorisedEngine(Engine):
    """See the module docstring."""

    def advance(self, held: StateArray, numbers: IntArray, stretch: Stretch) -> FloatArray:
        game, cost = self.play.game, np.zeros(len(held))
        for contacts, places in self.play.graphs.batches(numbers):
            batch, paid = held[places], np.zeros(len(places))

            def pay(
                t: float,
                length: float,
                now: StateArray,
                control: FloatArray,
                field: FloatArray,
                paid: FloatArray = paid,
            ) -> None:
                rate = game.running_cost(t, now, field, control)
                paid += np.broadcast_to(rate, now.shape).mean(axis=1) * length

            self.advance_some(contacts, numbers[places], batch, stretch, pay if game.has_costs else None)
            held[places], cost[places] = batch, paid
        return cost

    def advance_some(
        self,
        contacts: Contacts,
        numbers: IntArray,
        states: StateArray,
        stretch: Stretch,
        witness: Witness | None,
    ) -> None:
        """Advance agents on one graph, [batch, N], in place; `numbers` are their replicates, which decide their random
        numbers."""
        play = self.play
        count, length = play.substeps(stretch)
        generators = [play.generator(stretch, int(number)) for number in numbers]
        draws = np.empty(states.shape)
        for step in range(count):
            t = stretch.start + step * length
            control, field = respond(play, contacts, t, states)
            if witness is not None:
                witness(t, length, states, control, field)
            for generator, row in zip(generators, draws, strict=True):
                generator.random(out=row)
            self._jump(states, t, length, control, field, draws, numbers)

    def _jump(
        self,
        states: StateArray,
        t: float,
        length: float,
        control: FloatArray,
        field: FloatArray,
        draws: FloatArray,
        numbers: IntArray,
    ) -> None:
        """Move the agents of a batch, in place, by one step; `draws` are uniform on [0, 1), one for each agent."""
        game = self.play.game
        before = states.copy()
        for state, transitions in enumerate(self.play.leaving):
            where = np.nonzero(before == state)
            if not transitions or not len(where[0]):
                continue
            q = np.empty((len(transitions), len(where[0])))
            for number, transition in enumerate(transitions):
                q[number] = game.intensity(transition, t, field[where], control[where])
                wrong = np.flatnonzero(~((q[number] >= 0) & np.isfinite(q[number])))
                if wrong.size:
                    first = int(wrong[0])
                    replicate = int(numbers[where[0][first]])
                    raise self.play.invalid(t, replicate, transition, float(q[number, first]))
            edges = np.cumsum(q, axis=0)
            chance = -np.expm1(-edges[-1] * length)
            leaving = np.flatnonzero(draws[where] < chance)
            if not leaving.size:
                continue
            # Given that an agent leaves, draw / chance is uniform again and chooses the target.
            mark = draws[where][leaving] / chance[leaving] * edges[-1, leaving]
            # Rounding may not carry the mark past the last transition that is possible.
            mark = np.minimum(mark, np.nextafter(edges[-1, leaving], 0.0))
            choice = (edges[:, leaving] <= mark).sum(axis=0)
            targets = np.array([game.state_index(transition.target) for transition in transitions], np.int8)
            states[where[0][leaving], where[1][leaving]] = targets[choice]
