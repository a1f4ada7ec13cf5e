"""The compiled engine: for transitions that are all spontaneous or induced, under a policy that ignores the field.

Then everything an agent does is a table over (row of the policy, state), made once for each step, and one kernel call
advances one replicate over a whole interval. Replicates run in threads. On a complete graph agents are counted instead
(see `exchangeable`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mesocosm import DynamicsError, FiniteStateGame, Policy
from mesocosm_agents import exchangeable
from mesocosm_agents.arrays import BoolArray, Buffers, FloatArray, IntArray, Outcome, Schedule, StateArray, Table
from mesocosm_agents.contacts import Contacts, are_whole
from mesocosm_agents.engine import Engine, Play, Stretch
from mesocosm_agents.kernels import emit_all, perceive, receive_all, run_steps


class _FieldUsedError(Exception):
    """A cost looked at the field."""


class _NoField:
    """Stands in for a field to find out whether a cost looks at it: every use raises."""

    __array_ufunc__ = None

    def __getattr__(self, name: str) -> Any:
        raise _FieldUsedError

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple) and isinstance(key[-1], slice):
            return self  # to set some channels apart is not yet to look at them
        raise _FieldUsedError


def is_tabular(game: FiniteStateGame, policy: Policy) -> bool:
    """Whether the compiled engine can run this game under this policy."""
    return (
        not policy.uses_field
        and type(game).intensity is FiniteStateGame.intensity
        and all(transition.intensity is None for transition in game.transitions)
    )


class CompiledEngine(Engine):
    """See the module docstring."""

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self.table, self.order = make_table(play)

    def advance(self, held: StateArray, numbers: IntArray, stretch: Stretch) -> FloatArray:
        play = self.play
        count, length = play.substeps(stretch)
        times = np.array([stretch.start + step * length for step in range(count)])
        schedule, cost_needs_field = make_schedule(play, times)
        run = self._run_with_costs if cost_needs_field else self._run

        def one(place: int) -> float | DynamicsError:
            replicate = int(numbers[place])
            generator = play.generator(stretch, replicate)
            contacts = play.graphs.contacts(replicate)
            own = schedule._replace(exact=schedule.exact and contacts.has_whole_weights)
            try:
                return run(held[place], contacts, own, times, length, generator, replicate)
            except DynamicsError as error:
                return error

        # A graph is drawn here, before the threads start: a builder need not be safe to call from several.
        for replicate in numbers.tolist():
            play.graphs.contacts(replicate)
        results = in_threads(one, len(numbers))
        for result in results:
            if isinstance(result, DynamicsError):
                raise result
        return np.array(results, np.float64)

    def _run(
        self,
        states: StateArray,
        contacts: Contacts,
        schedule: Schedule,
        times: FloatArray,
        length: float,
        generator: np.random.Generator,
        replicate: int,
    ) -> float:
        rows, wiring = contacts.rows, contacts.wiring
        if wiring.is_complete and exchangeable.pays(contacts.size, *schedule.emission.shape[1:3]):
            outcome = exchangeable.advance(states, rows, self.table, schedule, length, generator)
        else:
            keep = buffers(contacts.size, len(self.play.game.channels), len(self.order))
            outcome = run_steps(states, False, rows, wiring, self.table, schedule, length, generator, keep)
        self._check(outcome, times, replicate)
        return outcome.cost * length / contacts.size

    def _run_with_costs(
        self,
        states: StateArray,
        contacts: Contacts,
        schedule: Schedule,
        times: FloatArray,
        length: float,
        generator: np.random.Generator,
        replicate: int,
    ) -> float:
        """As `_run`, one step at a time, with a running cost that depends on the field."""
        keep, rows, wiring, total = (
            buffers(contacts.size, len(self.play.game.channels), len(self.order)),
            contacts.rows,
            contacts.wiring,
            0.0,
        )
        felt = np.empty_like(keep.field)
        for step, time in enumerate(times):
            now = slice(step, step + 1)
            if schedule.renewed[step]:
                emit_all(states, rows, schedule.emission[step], keep.emitted)
                receive_all(wiring, keep.emitted, keep.field)
            perceive(wiring, keep.emitted, keep.field, felt)
            control = schedule.control[step][rows, states]
            cost = self.play.game.running_cost(float(time), states, felt, control)
            total += float(np.sum(np.broadcast_to(cost, states.shape)))
            part = schedule._replace(
                control=schedule.control[now],
                emission=schedule.emission[now],
                chosen=schedule.chosen[now],
                renewed=schedule.renewed[now],
            )
            outcome = run_steps(states, True, rows, wiring, self.table, part, length, generator, keep)
            self._check(outcome, times[now], replicate)
        return total * length / contacts.size

    def _check(self, outcome: Outcome, times: FloatArray, replicate: int) -> None:
        if outcome.step >= 0:
            transition = self.play.game.transitions[self.order[outcome.transition]]
            raise self.play.invalid(float(times[outcome.step]), replicate, transition, outcome.intensity)


def buffers(size: int, channels: int, transitions: int) -> Buffers:
    """What kernels keep between the steps of one replicate."""
    return Buffers(
        emitted=np.zeros((size, channels)),
        field=np.zeros((size, channels)),
        total=np.zeros(size),
        moved=np.zeros(size, np.int32),
        new=np.zeros(size, np.int8),
        touched=np.zeros(size, np.int32),
        is_touched=np.zeros(size, np.bool_),
        parts=np.zeros(transitions),
    )


def in_threads(one: Callable[[int], float | DynamicsError], count: int) -> list[float | DynamicsError]:
    """`one(0)` to `one(count - 1)`, by as many threads as there are cores."""
    workers = min(count, os.cpu_count() or 1)
    if workers == 1:
        return [one(replicate) for replicate in range(count)]
    # A few large chunks: the cost of handing over one replicate would exceed that of running a small one.
    bounds = np.linspace(0, count, min(count, 8 * workers) + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(lambda pair: [one(r) for r in range(*pair)], itertools.pairwise(bounds.tolist()))
        return [result for part in parts for result in part]


def make_table(play: Play) -> tuple[Table, list[int]]:
    """The transitions for kernels, and the number of each in the game's own table."""
    game = play.game
    order = sorted(range(len(game.transitions)), key=lambda n: game.state_index(game.transitions[n].source))
    transitions = [game.transitions[number] for number in order]
    sources = [game.state_index(transition.source) for transition in transitions]
    table = Table(
        first=np.searchsorted(sources, np.arange(len(game.states) + 1)).astype(np.int64),
        target=np.array([game.state_index(transition.target) for transition in transitions], np.int8),
        rate=np.array([transition.rate for transition in transitions], np.float64),
        channel=np.array(
            [-1 if item.channel is None else game.channels.index(item.channel) for item in transitions], np.int64
        ),
        controlled=np.array([transition.controlled for transition in transitions], np.bool_),
    )
    return table, order


def make_schedule(play: Play, times: FloatArray) -> tuple[Schedule, bool]:
    """Control, emission and cost of every (row, state) at `times`; and whether the cost needs the field instead."""
    game, policy, state_count = play.game, play.policy, len(play.game.states)
    shape = (policy.row_count, state_count)
    states = np.broadcast_to(np.arange(state_count), shape)
    control = np.stack([policy.table(float(t), state_count) for t in times])
    emission = np.stack([play.emission(float(t), states, row) for t, row in zip(times, control, strict=True)])
    chosen, renewed = _differs(control), _differs(emission)
    exact = are_whole(emission)
    nothing = np.zeros((0, *shape))
    if not game.has_costs:
        return Schedule(control, emission, nothing, chosen, renewed, exact), False
    try:
        rates = [game.running_cost(float(t), states, _NoField(), row) for t, row in zip(times, control, strict=True)]
        cost = np.stack([np.broadcast_to(np.asarray(rate, np.float64), shape) for rate in rates])
    # Whatever goes wrong without a field: the cost needs one, and a fault of its own shows when it gets it.
    except Exception:
        return Schedule(control, emission, nothing, chosen, renewed, exact), True
    return Schedule(control, emission, cost, chosen, renewed, exact), False


def _differs(tables: FloatArray) -> BoolArray:
    """Whether each of K tables differs from the one before it; the first one does."""
    result: BoolArray = np.ones(len(tables), np.bool_)
    result[1:] = (tables[1:] != tables[:-1]).any(axis=tuple(range(1, tables.ndim)))
    return result
