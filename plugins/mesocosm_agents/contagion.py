"""Contagion-like games: what an agent exposes depends on its state alone, and a state can be left for one other state only.

Then an agent leaves with probability 1 - exp(-q dt) if and only if at least one of independent coins shows heads: one for
its spontaneous transitions and one for each of its contacts, each with probability 1 - exp(-q' dt) for the part q' of q that
is due to it. Engines toss only the few coins that matter. Policies, weights and averages over contacts only change q'.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mesocosm_agents.arrays import BoolArray, FloatArray, IntArray
from mesocosm_agents.compiled import is_tabular, make_schedule
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.engine import Play


class Contagion(NamedTuple):
    """The intensities of a contagion-like game in K steps.

    `target` [state]: where agents go from each state, -1 where they stay. `leaving` [K, state, row]: how they go of
    themselves. Contacts come in C classes: `receiver` [C] is the state of those who may go, `senders` [C, state] says which
    states make them, and `contact` [K, C, row] is the intensity that a contact of weight 1 with one sender adds; the row is
    the receiver's. `cost` [K, row, state]: the running cost, or empty.
    """

    target: IntArray
    leaving: FloatArray
    receiver: IntArray
    senders: BoolArray
    contact: FloatArray
    cost: FloatArray


def is_contagious(play: Play) -> bool:
    """Whether a game may be contagion-like: by its table, policy and graph; emissions are looked at in each stretch."""
    if not is_tabular(play.game, play.policy) or play.graphs.problem.graph.is_complete:
        return False
    return all(len({transition.target for transition in transitions}) <= 1 for transitions in play.leaving)


def make_contagion(play: Play, times: FloatArray) -> Contagion | None:
    """The intensities at `times`, or None where emissions depend on the row, intensities are not valid or the running cost
    needs the field: that is for the compiled engine."""
    game = play.game
    schedule, cost_needs_field = make_schedule(play, times)
    emission = schedule.emission[:, 0]
    if cost_needs_field or not (schedule.emission == emission[:, None]).all():
        return None
    steps, rows, states = schedule.control.shape
    target: IntArray = np.full(states, -1, np.int64)
    leaving = np.zeros((steps, states, rows))
    felt: dict[tuple[int, int], FloatArray] = {}
    for transition in game.transitions:
        source = game.state_index(transition.source)
        target[source] = game.state_index(transition.target)
        rate = transition.rate * (schedule.control[:, :, source] if transition.controlled else np.ones((steps, rows)))
        if transition.channel is None:
            leaving[:, source] += rate
            continue
        emitted = emission[:, :, game.channels.index(transition.channel)]
        for sender in np.flatnonzero(emitted.any(axis=0)).tolist():
            felt[source, sender] = felt.get((source, sender), 0.0) + rate * emitted[:, sender, None]
    if not all(bool(((part >= 0) & (part < np.inf)).all()) for part in (leaving, *felt.values())):
        return None
    receiver, senders, contact = _classes(felt, states)
    shape = (steps, len(receiver), rows)
    stacked = np.stack(contact, axis=1) if contact else np.zeros(shape)
    return Contagion(target, leaving, np.array(receiver, np.int64), senders, stacked, schedule.cost)


def _classes(felt: dict[tuple[int, int], FloatArray], states: int) -> tuple[list[int], BoolArray, list[FloatArray]]:
    """Pairs (receiver, sender) with intensities [K, row], merged where senders are felt alike: receiver of each class, its
    senders [class, state] and its intensities."""
    receivers: list[int] = []
    rates: list[FloatArray] = []
    senders: BoolArray = np.zeros((len(felt), states), np.bool_)
    for (receiver, sender), rate in felt.items():
        alike = (n for n, other in enumerate(rates) if receivers[n] == receiver and np.array_equal(other, rate))
        number = next(alike, len(rates))
        if number == len(rates):
            receivers.append(receiver)
            rates.append(rate)
        senders[number, sender] = True
    return receivers, senders[: len(rates)], rates


def reach(contacts: Contacts) -> float:
    """The largest share that one contact can have in a field: its weight, over what the field is divided by."""
    wiring = contacts.wiring
    if not len(wiring.indices):
        return 0.0
    largest = float(wiring.weights.max()) if len(wiring.weights) else 1.0
    return largest / float(wiring.divisor.min()) if len(wiring.divisor) else largest
