"""What is recorded of the agents: shares of states, by group too, and what those in each state choose."""

from __future__ import annotations

import numpy as np

from mesocosm_agents.arrays import FloatArray, IntArray, StateArray
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.course import Cohort
from mesocosm_agents.engine import Play
from mesocosm_agents.vectorised import respond


def group_occupancy(cohort: Cohort, group_count: int) -> FloatArray:
    """Share of each state within each group, shape [replicate, group, state]."""
    play, states = cohort.engine.play, cohort.states()
    state_count = len(play.game.states)
    result = np.empty((len(states), group_count, state_count))
    for place, (number, row) in enumerate(zip(cohort.numbers.tolist(), states, strict=True)):
        counts = _counts(play.graphs.contacts(number).groups, row, group_count, state_count)
        result[place] = counts / counts.sum(axis=1, keepdims=True)
    return result


def mean_control(cohort: Cohort, t: float) -> FloatArray:
    """Mean control of the agents in each state at time t, shape [replicate, state].

    Where nobody is in a state: of all agents, were they in it. In states without choice: the neutral control.
    """
    play = cohort.engine.play
    measure = _mean_felt_control if play.policy.uses_field else _mean_table_control
    agents = zip(cohort.numbers.tolist(), cohort.states(), strict=True)
    result = np.stack([measure(play, play.graphs.contacts(number), t, row) for number, row in agents])
    control = play.game.control
    if control is not None:
        idle = [number for number, name in enumerate(play.game.states) if name not in control.states]
        result[:, idle] = control.neutral
    return result


def _mean_table_control(play: Play, contacts: Contacts, t: float, states: StateArray) -> FloatArray:
    row_count, state_count = play.policy.row_count, len(play.game.states)
    table = play.policy.table(t, state_count)
    counts = _counts(contacts.rows, states, row_count, state_count)
    everyone = np.bincount(contacts.rows, minlength=row_count)[:, None]
    counts = np.where(counts.sum(axis=0) > 0, counts, everyone)
    return np.asarray((counts * table).sum(axis=0) / counts.sum(axis=0), np.float64)


def _mean_felt_control(play: Play, contacts: Contacts, t: float, states: StateArray) -> FloatArray:
    control, field = respond(play, contacts, t, states[None])
    result = np.empty(len(play.game.states))
    for state in range(len(result)):
        inside = control[0, states == state]
        if not len(inside):
            inside = play.policy.control(t, contacts.rows, np.full(contacts.size, state), field[0])
        result[state] = np.mean(inside)
    return result


def _counts(rows: IntArray, states: StateArray, row_count: int, state_count: int) -> IntArray:
    """How many agents of each row are in each state, shape [row, state]."""
    counts = np.bincount(rows * state_count + states, minlength=row_count * state_count)
    return counts.reshape(row_count, state_count).astype(np.int64)
