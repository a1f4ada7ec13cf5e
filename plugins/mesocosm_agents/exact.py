"""The exact engine: continuous time, one jump after the other, without the error of a time step.

For tables of spontaneous and induced transitions, under a policy that ignores the field. A policy or a game that changes in
time is held constant over pieces no longer than the option `step`: constant ones are exact, and piecewise constant ones whose
values change at the bounds of pieces. Running costs are integrated exactly; those that look at the field are summed over
pieces instead, at the left end of each. Agents that all look alike to each other cost no more than others: what is drawn
is drawn for one agent and its contacts (see `exact_kernels`).

Intensities of induced transitions are sums over contacts, so each contact counts by itself; emissions must not be negative.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from mesocosm import ConstantPolicy, DynamicsError, FiniteStateGame, InputError, Policy
from mesocosm_agents.arrays import BoolArray, FloatArray, IntArray, Schedule, StateArray
from mesocosm_agents.compiled import in_threads, is_tabular, make_schedule, make_table
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.engine import Engine, Play, Stretch, count_states
from mesocosm_agents.exact_kernels import Crowd, Law, largest_weights, run_windows
from mesocosm_agents.random_bits import make_coins

_MOST_ATTEMPTS = 0.25
"""Attempts on each contact, on average, that may wait at once; it bounds memory."""

_STIFF = 1000.0
"""Attempts on a contact in one time step of the step engines, beyond which those are faster."""

_LATER = 0.618
"""Share of a stretch after which a game that says that it does not vary in time is looked at again."""


def obstacle(game: FiniteStateGame, policy: Policy) -> str | None:
    """What keeps the exact engine from running a game under a policy, in words; None where nothing does."""
    if policy.uses_field:
        return "a policy that looks at the field"
    if not is_tabular(game, policy):
        return "a game whose intensities are functions of its own"
    control = policy.table(0.0, len(game.states))
    states = np.broadcast_to(np.arange(len(game.states)), control.shape)
    if not (np.asarray(game.emission(0.0, states, control)) >= 0.0).all():
        return "a game whose emission is not always 0 or more"
    return None


def require_exact(game: FiniteStateGame, policy: Policy, label: str) -> None:
    """Raise `InputError` for what the exact engine cannot run."""
    found = obstacle(game, policy)
    if found is not None:
        raise InputError(
            f"engine 'exact' with {found}",
            where=f"dynamics.{label}.engine",
            rule="intensities are constant or linear in the field, emissions not negative, policies blind to the field",
            hint="use engine: step",
        )


def suits(play: Play) -> bool:
    """Whether the exact engine needs no time steps here, and is not slowed down by rates that are far apart."""
    if obstacle(play.game, play.policy) is not None or not _is_steady(play):
        return False
    schedule, cost_needs_field = make_schedule(play, np.zeros(1))
    if cost_needs_field:
        return False
    law = ExactEngine(play).law(schedule, 0, 0.0, 0)
    return float(law.attempt.sum(axis=-1).max(initial=0.0)) * play.step <= _STIFF


def _is_steady(play: Play) -> bool:
    """Whether neither policy nor game change in time by themselves."""
    return isinstance(play.policy, ConstantPolicy) and not play.game.varies_in_time


class Pieces(NamedTuple):
    """A stretch of time, cut where what agents do changes: where pieces begin [K], and what agents do in each. `schedule`
    is there where the running cost depends on the field."""

    times: FloatArray
    laws: tuple[Law, ...]
    schedule: Schedule | None


class ExactEngine(Engine):
    """See the module docstring."""

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self.table, self.order = make_table(play)
        self._top: dict[int, FloatArray] = {}

    def advance(self, held: StateArray, numbers: IntArray, stretch: Stretch) -> FloatArray:
        pieces = self.pieces(stretch, int(numbers[0]))

        def one(place: int) -> float | DynamicsError:
            replicate = int(numbers[place])
            cost: float = self.run(held[place], replicate, stretch, pieces).paid[0] / held.shape[1]
            return cost

        # What belongs to a graph is made here, before the threads start: a builder need not be safe to call from several.
        for replicate in numbers.tolist():
            self._largest_weights(replicate)
        return np.array(in_threads(one, len(numbers)), np.float64)

    def run(self, states: StateArray, replicate: int, stretch: Stretch, pieces: Pieces) -> Crowd:
        """Advance the `states` [N] of one replicate in place; what went on meanwhile: the largest number of agents in each
        state, the cost, and the time of the last jump."""
        play, contacts = self.play, self.play.graphs.contacts(replicate)
        top = self._largest_weights(replicate)
        random = make_coins(play.generator(stretch, replicate))
        counts = count_states(states[None], len(play.game.states))[0]
        crowd = Crowd(
            states,
            contacts.rows if play.policy.row_count > 1 else np.zeros(0, np.int64),
            np.zeros(contacts.size if self._counts_visits else 0, np.int32),
            np.stack([counts, counts]).astype(np.int64),
            np.zeros(4),
        )
        length, paid = (stretch.stop - stretch.start) / len(pieces.times), crowd.paid
        for piece, (time, law) in enumerate(zip(pieces.times.tolist(), pieces.laws, strict=True)):
            if pieces.schedule is not None:
                paid[0] += self._cost(contacts, states, pieces.schedule, piece, time) * length
            elif len(law.cost):
                paid[1] = law.cost[contacts.rows, states].sum()
            paid[2] = time
            windows = _windows(law, contacts, top, length)
            run_windows(crowd, contacts.wiring, top, self.table, law, time, length, windows, random)
            paid[0] += paid[1] * (time + length - paid[2])
        return crowd

    def law(self, schedule: Schedule, piece: int, time: float, replicate: int) -> Law:
        """What agents do in one piece. Raises `DynamicsError` for an intensity that cannot be."""
        table, control, emission = self.table, schedule.control[piece], schedule.emission[piece]
        leave, receptive = np.zeros(control.shape), np.zeros(emission.shape)
        for number, channel in enumerate(table.channel.tolist()):
            source = int(np.searchsorted(table.first, number, side="right")) - 1
            values = table.rate[number] * (control[:, source] if table.controlled[number] else np.ones(len(control)))
            wrong = np.flatnonzero(~((values >= 0) & np.isfinite(values)))
            if wrong.size:
                transition = self.play.game.transitions[self.order[number]]
                raise self.play.invalid(time, replicate, transition, float(values[wrong[0]]))
            if channel < 0:
                leave[:, source] += values
            else:
                receptive[:, source, channel] += values
        if not ((emission >= 0) & np.isfinite(emission)).all():
            raise DynamicsError(
                f"an emission of {float(emission.min()):g}",
                where=f"dynamics '{self.play.streams.label}' at time {time:g}",
                rule="the exact engine needs emissions that are finite and not negative",
                hint="use engine: step",
            )
        largest = receptive.max(axis=(0, 1), initial=0.0)
        attempt = emission * largest
        active = (leave > 0).any(axis=0) | (attempt > 0).any(axis=(0, 2))
        cost = schedule.cost[piece] if len(schedule.cost) else np.zeros((0, control.shape[1]))
        return Law(leave, attempt, largest, self._closed, active, control, cost)

    def pieces(self, stretch: Stretch, replicate: int) -> Pieces:
        """The pieces of a stretch. An error names the replicate."""
        times, schedule, cost_needs_field = self._tabulate(stretch)
        laws = tuple(self.law(schedule, piece, time, replicate) for piece, time in enumerate(times.tolist()))
        return Pieces(times, laws, schedule if cost_needs_field else None)

    def _tabulate(self, stretch: Stretch) -> tuple[FloatArray, Schedule, bool]:
        """Where pieces begin, what agents choose, emit and pay in each, and whether the cost needs the field instead."""
        play, start = self.play, np.array([stretch.start])
        if _is_steady(play):
            schedule, cost_needs_field = make_schedule(play, start)
            if not cost_needs_field:
                later, _ = make_schedule(play, start + _LATER * (stretch.stop - stretch.start))
                self._check_steady(schedule, later)
                return start, schedule, False
        count, length = play.substeps(stretch)
        times = np.array([stretch.start + piece * length for piece in range(count)])
        return times, *make_schedule(play, times)

    def _check_steady(self, now: Schedule, later: Schedule) -> None:
        """Raise `InputError` for a game that changes in time without saying so."""
        for what in ("emission", "cost"):
            if not np.array_equal(getattr(now, what), getattr(later, what), equal_nan=True):
                raise InputError(
                    f"its {what} changes in time by itself",
                    where=f"game {type(self.play.game).__name__}",
                    rule="a game whose functions depend on t says so",
                    hint="write varies_in_time = True into the class",
                )

    @cached_property
    def _closed(self) -> BoolArray:
        """Whether agents in a state are out of reach of a channel now and for ever: shape [state, channel]."""
        table, state_count = self.table, len(self.play.game.states)
        opens = np.zeros((state_count, len(self.play.game.channels)), np.bool_)
        leads = np.eye(state_count, dtype=np.bool_)
        for source in range(state_count):
            for number in range(table.first[source], table.first[source + 1]):
                if table.rate[number] > 0:
                    leads[source, table.target[number]] = True
                    if table.channel[number] >= 0:
                        opens[source, table.channel[number]] = True
        for _ in range(state_count.bit_length()):
            leads = leads @ leads
        return ~(leads @ opens)

    @cached_property
    def _counts_visits(self) -> bool:
        """Whether an induced jump can take an agent out of a state in which it does things of its own."""
        game = self.play.game
        induced = {item.source for item in game.transitions if item.channel is not None}
        spontaneous = {item.source for item in game.transitions if item.channel is None}
        emitting = {name for number, name in enumerate(game.states) if not self._is_silent(number)}
        return bool(induced & (spontaneous | emitting))

    def _is_silent(self, state: int) -> bool:
        """Whether agents of a state emit nothing, whatever they choose and whenever: looked at at time 0 only where a game
        says that it does not vary."""
        play = self.play
        if play.game.varies_in_time or not isinstance(play.policy, ConstantPolicy):
            return False
        control = play.policy.table(0.0, len(play.game.states))[:, state]
        return not play.emission(0.0, np.full(control.shape, state), control).any()

    def _cost(self, contacts: Contacts, states: StateArray, schedule: Schedule, piece: int, time: float) -> float:
        """Summed cost rate of all agents, where it depends on the field."""
        control = schedule.control[piece][contacts.rows, states]
        felt = contacts.field(schedule.emission[piece][contacts.rows, states][None])[0]
        rate = self.play.game.running_cost(time, states, felt, control)
        return float(np.sum(np.broadcast_to(rate, states.shape)))

    def _largest_weights(self, replicate: int) -> FloatArray:
        """`largest_weights` of a replicate's graph; empty where all weights are 1."""
        number = replicate if self.play.graphs.redraw else 0
        if number not in self._top:
            wiring = self.play.graphs.contacts(replicate).wiring
            is_plain = wiring.is_complete or not (len(wiring.weights) or len(wiring.divisor))
            self._top[number] = np.zeros(0) if is_plain else largest_weights(wiring)
        return self._top[number]


def _windows(law: Law, contacts: Contacts, top: FloatArray, length: float) -> int:
    """Number of windows that a piece is cut into, so that not too many events wait at once."""
    wiring = contacts.wiring
    entries = contacts.size if wiring.is_complete else len(wiring.indices)
    reach = float(np.diff(wiring.indptr) @ top) if len(top) else entries
    pace = float(law.attempt.sum(axis=-1).max(initial=0.0))
    return max(1, int(np.ceil(pace * reach * length / (_MOST_ATTEMPTS * max(entries, 1)))))
