"""The gain from deviating alone: what one agent saves by its best response while all others keep their policy.

    gain = cost of agent i when all play the policy - cost of agent i when it alone plays the best response

In each *trial* a replicate runs again with the same random numbers; only the control of its deviator differs, and what
follows from it, on the actual graph. Common random numbers make the difference far less noisy than its two sides. The best
response is that to the flow which the population showed, averaged over the trials. So the gain is at most what a perfect
deviator would get, up to noise: at a Nash equilibrium it is not above 0. With few trials of few agents the flow holds
some of their own chances, and the gain is a little too large.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import InputError, Policy, Streams
from mesocosm_agents.arrays import FloatArray

MOST_AGENT_STEPS = 2e7
"""Agents x replicates x steps up to which gains are measured without being asked for."""


@dataclass(frozen=True, eq=False)
class Deviating(Policy):
    """A policy for a batch of runs in each of which one agent plays another policy; `agents` [batch] are the deviators."""

    policy: Policy
    best: Policy
    agents: NDArray[np.int64]

    @property
    def uses_field(self) -> bool:  # type: ignore[override]
        return self.policy.uses_field or self.best.uses_field

    def control(self, t: float, row: NDArray[np.int64], state: Any, field: FloatArray | None) -> FloatArray:
        chosen = self.policy.control(t, row, state, field if self.policy.uses_field else None)
        result = np.array(np.broadcast_to(chosen, state.shape), np.float64)
        deviator = (np.arange(len(self.agents)), self.agents)
        own = np.broadcast_to(row, state.shape[:2])[deviator]
        felt = field[deviator] if field is not None and self.best.uses_field else None
        result[deviator] = self.best.control(t, own, state[deviator], felt)
        return result


@dataclass(frozen=True, eq=False)
class Trials:
    """The replicate, and the agent in it that deviates, of each trial; both of shape [n]."""

    replicates: NDArray[np.intp]
    agents: NDArray[np.int64]

    @classmethod
    def draw(cls, count: int, replicates: int, size: int, streams: Streams) -> Trials:
        """One trial in each replicate, then a second one with another agent, and so on."""
        numbers = np.arange(count) % replicates
        orders = [streams.generator("deviation", replicate=r).permutation(size) for r in range(min(count, replicates))]
        agents = [orders[number][trial // replicates] for trial, number in enumerate(numbers)]
        return cls(numbers, np.array(agents, np.int64))

    def __len__(self) -> int:
        return len(self.agents)

    def some(self, which: slice) -> Trials:
        """Some of the trials."""
        return Trials(self.replicates[which], self.agents[which])


class Rerun(ABC):
    """Runs replicates again, for what single agents pay."""

    @abstractmethod
    def costs(self, trials: Trials, best: Policy | None) -> FloatArray:
        """What the deviator of each trial pays in all when it plays `best`, or the policy of all for None: shape [n]."""

    @abstractmethod
    def best_response(self) -> Policy:
        """The best response to the flow that `costs(trials, None)` showed; its rows are those of the policy played."""


def measure(rerun: Rerun, trials: Trials, best: Policy | None = None) -> FloatArray:
    """The gain of each trial, shape [n], from playing `best`; without it, the best response to the flow."""
    kept = rerun.costs(trials, None)
    return kept - rerun.costs(trials, best or rerun.best_response())


def summarise(gains: FloatArray) -> dict[str, float]:
    """What a run reports: mean gain per deviating agent, its standard error over trials (NaN for one), and their number."""
    count = len(gains)
    error = float(gains.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    return {"deviation_gain": float(gains.mean()), "deviation_gain_error": error, "deviations": float(count)}


def trial_count(option: int | None, game: Any, is_played: bool, replicates: int, agent_steps: float) -> int:
    """How many trials: what the option says; without it, one in every replicate of a game with costs and a control.

    There are none where nobody plays a policy, or where the run has more than `MOST_AGENT_STEPS`.
    """
    if option is not None:
        return option
    chooses = is_played and game.has_costs and game.control is not None
    return replicates if chooses and agent_steps <= MOST_AGENT_STEPS else 0


def check_deviations(option: int | None, game: Any, replicates: int, size: int, where: str) -> None:
    """Raise `InputError` for trials that there cannot be."""
    if not option:
        return
    if game.control is None or not game.has_costs:
        raise InputError(f"{option} deviations", where=where, rule="they need a game with costs and a control")
    if option > replicates * size:
        raise InputError(
            f"{option} deviations",
            where=where,
            rule=f"at most one for each of {size} agents in {replicates} replicates",
        )
