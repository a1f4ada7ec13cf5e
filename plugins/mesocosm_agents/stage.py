"""Agents of a stage game: everyone acts once in every round, and save number k holds round k (round 0 at time 0).

The random numbers of a round are those of the stream `round` with its number as interval and its replicate; what agents
remember before the first round is drawn from the stream `begin`.

**Gain from deviating.** A deviator's expected cost is measured in every round against the outcomes of the others as they were
(common random numbers), for the action that it played and for each of the actions that the game lets it try. Its gain is that
of the one fixed action that is best on average. Which one that is, one half of the replicates decides for the other half, so
that the best of several noisy means is not mistaken for a gain. Where agents learn, the others are taken as they were: how
they would have learned from the deviation is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ConstantPolicy, InputError, Interval, Labelled, LearningRule, Policy, StageGame, choose_policy
from mesocosm_agents.arrays import FloatArray
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.deviation import check_deviations, summarise, trial_count
from mesocosm_agents.dynamics import AgentBased

Memory = tuple[FloatArray, ...]
Play = LearningRule | float
"""How a round is played: by agents that learn, or with one action by all."""


@dataclass(frozen=True, eq=False)
class Rounds:
    """What is known after some rounds.

    Attributes
    ----------
    count: number of rounds played. memory: of each replicate, what its agents remember.
    action: mean action of the last round, [replicate]. scalars: those of the last round, [replicate, scalar].
    means: means over rounds of the scalars, [replicate, scalar]. cost: sum over rounds of the mean cost, [replicate].
    own, tried: sums over rounds of the expected cost of deviators for what they played, [n], and for each trial, [n, K].
    """

    count: int
    memory: tuple[Memory, ...]
    action: FloatArray
    scalars: FloatArray
    cost: FloatArray
    means: FloatArray
    own: FloatArray
    tried: FloatArray


class StageAgents(AgentBased):
    """Any stage game, one round at every save.

    Observes `action(replicate)`, the mean action of the round; every scalar of the game, such as `attendance(replicate)`;
    and its mean over the rounds so far, `attendance_so_far(replicate)`. At the end: `cost(replicate)`, per agent and round;
    the constants of the game, of each replicate where it has tables; `deviation_gain`, its standard error
    `deviation_gain_error`, and `deviations`, the number of deviators.
    """

    def check(self) -> None:
        options, game = self.options, self.problem.stage_game
        for name in ("step", "engine", "record_places"):
            if name in options.changed:
                raise InputError(
                    f"{name} {getattr(options, name)}",
                    where=self._where(name),
                    rule="a stage game has none: leave it out",
                )
        self.check_policy(options.policy)
        check_deviations(options.deviations, game, self.replicates, self._size, self._where("deviations"))
        if not game.tables:
            return
        largest = max(game.players(replicate, self._size) for replicate in range(game.tables))
        if not self.problem.graph.is_complete or largest > self._size:
            raise InputError(
                f"a game with {game.tables} tables of up to {largest} players, and {self._size} agents",
                where=self._where("kind"),
                rule="it needs graph: {kind: complete}, and a population of at least the largest table",
            )

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        names = ["action", *self._names, *(f"{name}_so_far" for name in self._names)]
        return dict.fromkeys(names, ("replicate",))

    def init(self) -> Rounds:
        count, scalars, trials = self.replicates, len(self._names), len(self.problem.stage_game.trials)
        streams = self.context.streams
        memory: list[Memory] = []
        for replicate in range(count):
            play = self._play(replicate, 0)
            random, size = streams.generator("begin", replicate=replicate), self._players(replicate)
            memory.append(play.begin(random, size) if isinstance(play, LearningRule) else ())
        empty = Rounds(
            count=0,
            memory=tuple(memory),
            action=np.zeros(count),
            scalars=np.zeros((count, scalars)),
            cost=np.zeros(count),
            means=np.zeros((count, scalars)),
            own=np.zeros(self._deviations),
            tried=np.zeros((self._deviations, trials)),
        )
        return self._next(empty)

    def advance(self, state: Rounds, interval: Interval) -> Rounds:
        result = self._next(state)
        end = self.problem.clock.end
        if int(20 * interval.stop / end) > int(20 * interval.start / end):
            self.context.report("advance", interval.stop / end, f"round {interval.index + 1}")
        return result

    def observe(self, state: Rounds) -> dict[str, NDArray[Any]]:
        return {
            "action": state.action,
            **{name: state.scalars[:, number] for number, name in enumerate(self._names)},
            **{f"{name}_so_far": state.means[:, number] for number, name in enumerate(self._names)},
        }

    def summary(self, state: Rounds) -> dict[str, float | Labelled]:
        game, found = self.problem.stage_game, dict[str, float | Labelled]()
        found["cost"] = Labelled(("replicate",), state.cost / state.count)
        constants = [
            game.at(number, 0).constants(self._players(number))
            for number in range(self.replicates if game.tables else 1)
        ]
        for name in constants[0]:
            values = np.array([row[name] for row in constants])
            found[name] = Labelled(("replicate",), values) if game.tables else float(values[0])
        if self._deviations:
            clusters = np.arange(self._deviations) % self.replicates
            gains = held_out_gains(state.own / state.count, state.tried / state.count, clusters)
            found |= {**summarise(gains), "deviation_gain_error": clustered_error(gains, clusters)}
        return found

    def pack(self, state: Rounds) -> dict[str, NDArray[Any]]:
        names = ("action", "scalars", "means", "cost", "own", "tried")
        arrays = {"count": np.array(state.count), **{name: getattr(state, name) for name in names}}
        for slot, parts in enumerate(zip(*state.memory, strict=True)):
            arrays[f"memory_{slot}"] = np.concatenate(parts)
            arrays[f"lengths_{slot}"] = np.array([len(part) for part in parts])
        return arrays

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Rounds:
        slots: list[list[FloatArray]] = []
        while f"memory_{len(slots)}" in arrays:
            slot = len(slots)
            slots.append(np.split(arrays[f"memory_{slot}"], np.cumsum(arrays[f"lengths_{slot}"])[:-1]))
        memory = tuple(tuple(slot[replicate] for slot in slots) for replicate in range(self.replicates))
        names = ("action", "scalars", "means", "cost", "own", "tried")
        return Rounds(count=int(arrays["count"]), memory=memory, **{name: arrays[name] for name in names})

    def _next(self, state: Rounds) -> Rounds:
        """The state after one more round in every replicate."""
        memory, action, scalars = list(state.memory), state.action.copy(), state.scalars.copy()
        cost, own, tried = state.cost.copy(), state.own.copy(), state.tried.copy()
        for replicate in range(self.replicates):
            size, game = self._players(replicate), self.problem.stage_game.at(replicate, state.count)
            play = self._play(replicate, state.count)
            rule, given = (play, 0.0) if isinstance(play, LearningRule) else (None, play)
            random = self.context.streams.generator("round", interval=state.count, replicate=replicate)
            actions = rule.act(random, memory[replicate], size) if rule else np.full(size, given)
            outcome = game.draw(random, actions)
            field = self._graphs.contacts(replicate).field(game.emission(outcome)[None])[0]
            signals = game.find_signals(outcome)
            if rule:
                memory[replicate] = rule.learn(random, memory[replicate], outcome, field, signals)
            action[replicate] = actions.mean() if rule else given
            scalars[replicate] = list(game.scalars(outcome, signals).values())
            cost[replicate] += game.cost(outcome, field, signals).mean()
            for trial in range(replicate, self._deviations, self.replicates):
                agent = self._deviators[trial]
                others = np.concatenate([outcome[:agent], outcome[agent + 1 :]])
                expected = game.deviating_cost(np.append(game.trials, actions[agent]), others, field[agent])
                tried[trial] += expected[:-1]
                own[trial] += expected[-1]
        return replace(
            state,
            count=state.count + 1,
            memory=tuple(memory),
            action=action,
            scalars=scalars,
            cost=cost,
            means=state.means + (scalars - state.means) / (state.count + 1),
            own=own,
            tried=tried,
        )

    def _play(self, replicate: int, round_number: int) -> Play:
        """How a replicate plays a round; with tables, a policy by name is that of its own table."""
        option, game = self.options.policy, self.problem.stage_game
        if not game.tables or not isinstance(option, str):
            return self._policy
        table, size = game.at(replicate, round_number), self._players(replicate)
        if (table, size) not in self._plays:
            self._plays[table, size] = playable(
                choose_policy(option, table, size, self.problem.clock.end), table, self._where("policy")
            )
        return self._plays[table, size]

    @cached_property
    def _plays(self) -> dict[tuple[StageGame, int], Play]:
        return {}

    @cached_property
    def _policy(self) -> Play:
        return playable(self.played(self.options.policy), self.problem.stage_game, self._where("policy"))

    @cached_property
    def _graphs(self) -> Graphs:
        return Graphs(self.problem, ConstantPolicy.of(0.0), self.options.redraw)

    @cached_property
    def _deviations(self) -> int:
        options, work = self.options, float(self._size * self.replicates * len(self.problem.clock.times))
        return trial_count(options.deviations, self.problem.game, options.policy != "none", self.replicates, work)

    @cached_property
    def _deviators(self) -> NDArray[np.int64]:
        """The agent that deviates in each trial: one in each replicate, then a second one in each, and so on."""
        count, streams = min(self._deviations, self.replicates), self.context.streams
        orders = [
            streams.generator("deviation", replicate=number).permutation(self._players(number))
            for number in range(count)
        ]
        trials = range(self._deviations)
        chosen = [
            orders[n % self.replicates][n // self.replicates % self._players(n % self.replicates)] for n in trials
        ]
        return np.array(chosen, np.int64)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Names of the scalars of the game."""
        game = self.problem.stage_game
        return tuple(game.limit_scalars(game.control.neutral, game.limit(game.control.neutral)))

    @property
    def _size(self) -> int:
        return self.problem.graph.node_count

    def _players(self, replicate: int) -> int:
        return self.problem.stage_game.players(replicate, self._size)

    def _where(self, option: str) -> str:
        return f"dynamics.{self.context.label}.{option}"


def playable(policy: Policy, game: StageGame, where: str) -> Play:
    """A policy as a stage game plays it. Errors: `InputError` for one that is neither a constant nor a rule to learn by."""
    if isinstance(policy, LearningRule):
        return policy
    if not isinstance(policy, ConstantPolicy):
        raise InputError(
            f"a {type(policy).__name__}",
            where=where,
            rule="in a stage game a policy is one action, or learns by a rule",
        )
    action = float(policy.control(0.0, np.zeros(1, np.int64), np.zeros(1, np.int64), None)[0])
    game.control.check(action)
    return action


def held_out_gains(own: FloatArray, tried: FloatArray, clusters: NDArray[np.int64]) -> FloatArray:
    """The gain of each deviator, [n], from the action that is best in replicates of the other parity: own [n], tried [n, K].

    `clusters` [n] are the replicates of the deviators. With a single one, it chooses for itself.
    """
    gains = own[:, None] - tried
    if not clusters.any():
        return np.asarray(gains[:, int(gains.mean(axis=0).argmax())], np.float64)
    result = np.empty(len(own))
    for half in range(2):
        here = clusters % 2 == half
        result[here] = gains[here, int(gains[~here].mean(axis=0).argmax())]
    return result


def clustered_error(gains: FloatArray, clusters: NDArray[np.int64]) -> float:
    """Standard error of the mean of gains [n], of which those of one replicate are not independent; NaN for one replicate."""
    count = int(clusters.max()) + 1
    if count < 2:
        return float("nan")
    sums = np.bincount(clusters, gains - gains.mean())
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(gains))
