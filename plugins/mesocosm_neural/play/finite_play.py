"""The neural mean-field game in play mode, finite states: deep fictitious play.

A policy network is trained against the field that a population makes which plays it. The field is held fixed while the cost
of one agent is differentiated (agents take the population as given; differentiating through it would find the social optimum
instead), made anew every `flow_every` training steps, and averaged over the training. Where that settles, nobody gains by
deviating: a Nash equilibrium of the mean-field game.

Sources: Cardaliaguet and Hadikhanloo, ESAIM: COCV 23, 569 (2017), fictitious play; Perrin et al., arXiv 2007.03458.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import (
    Flow,
    InputError,
    Interval,
    Labelled,
    MeanField,
    Mixing,
    Policy,
    TabulatedPolicy,
    half_step_grid,
    steps_per_interval,
    tabulate_policy,
)
from mesocosm_neural.play.averaging import Averaged
from mesocosm_neural.play.finite_flow import OneAgent
from mesocosm_neural.play.finite_policy import FinitePolicies, NeuralPolicy, Sight, type_features
from mesocosm_neural.play.options import PLAYED_WITHOUT, check_meaning
from mesocosm_neural.play.playing import Playing
from mesocosm_neural.trainer import Trainer

FloatArray = NDArray[np.float64]

FELT, SEEN = "felt", "seen"
"""Names of the averaged fields: what agents feel, and what a policy sees of it."""


class FinitePlay(Playing):
    """Policies trained by deep fictitious play, one for each seed, and the mean-field flow of each.

    The closure is that of `play.closure`, with a policy for each of its types. Replicates are seeds: a replicate is the
    deterministic flow of a training of its own.
    Observes `occupancy(replicate, state)` and `control(replicate, state)`. At the end: `value(seed)` and
    `exploitability_of_seed(seed)` of each policy in its own flow, by the equations of `mesocosm.MeanField`, which training
    does not use; `exploitability_by_check(check)` and `loss(training_step)`, averaged over seeds; `residual(seed)`, the
    largest distance of the last field made from the averaged one; `iterations`; `best_seed`, whose policy others may play;
    `converged`, whether that one is exploitable by at most `tolerance` of its cost; `final_size(replicate)` for an epidemic.
    """

    expresses: ClassVar[frozenset[str]] = frozenset({"groups"})

    @property
    def sees_field(self) -> bool:
        """Whether the policies look at the field."""
        return "field" in self.play.sees

    def check(self) -> None:
        super().check()
        game = self.problem.finite_game
        if game.control is None or not game.has_costs:
            raise InputError(
                f"game {type(game).__name__}, whose agents choose nothing",
                where=self.where("play"),
                rule="playing needs a game with a control and costs",
                hint="give the game one (for sir, sis, seir: the option effort)",
            )
        check_meaning(self.context.label, self.options, PLAYED_WITHOUT)
        if self.sees_field and self.play.closure != "homogeneous":
            raise InputError(
                f"closure '{self.play.closure}' for a policy that sees the field",
                where=self.where("play.closure"),
                rule="such a policy is one for all types: its field tells them apart",
                hint="leave closure out, or field out of sees",
            )
        _ = self._mixing
        for name in sorted(self.play.changed & {"scenarios", "shock"}):
            if not self.sees_field:
                raise InputError(
                    f"{name}, but the policy does not see the field",
                    where=self.where(f"play.{name}"),
                    rule="populations differ by shocks only where policies can answer them",
                    hint="leave it out, or give sees: [time, state, field]",
                )

    def dimensions(self) -> dict[str, tuple[str, ...]]:
        return {"occupancy": ("replicate", "state"), "control": ("replicate", "state")}

    def prepare(self) -> None:
        times, options = self.problem.clock.times, self.options
        self.steps = steps_per_interval(lambda nodes: self._crowd(nodes, self.shares), times, options.step)
        self.nodes = half_step_grid(times, self.steps)
        initial = np.tile(self.initial_shares(), (options.seeds, 1))
        self.crowd = self._crowd(self.nodes, initial)
        self.policies = self._policies()
        self.average = Averaged(self.play.averaging, self.device)
        self._agent = OneAgent(self.problem.finite_game, self._tensor(self.nodes))
        self._initial = self._tensor(initial)
        trainer = Trainer(
            self.policies.network.layers,
            self._loss,
            options,
            self.context,
            self._fingerprint(),
            validate=self._exploitabilities,
            memory=self.average,
        )
        self.history = trainer.run()
        self._finish()

    def init(self) -> NDArray[np.int64]:
        """The state is the number of the save: the whole flow is known."""
        return np.array(0)

    def advance(self, state: NDArray[np.int64], interval: Interval) -> NDArray[np.int64]:
        return np.array(interval.index + 1)

    def observe(self, state: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        node, shares = 2 * self.steps * int(state), self._mixing.shares[:, None]
        apart = (self.options.seeds, len(shares), -1)
        mass, control = shares * self.flow.occupancy[node].reshape(apart), self.control[node].reshape(apart)
        occupancy = mass.sum(axis=1)
        # The mean over the agents in a state; over all agents where nobody is in it.
        weights = np.where(occupancy[:, None] > 0, mass, shares)
        return {"occupancy": occupancy, "control": (weights * control).sum(axis=1) / weights.sum(axis=1)}

    def summary(self, state: NDArray[np.int64]) -> dict[str, float | Labelled]:
        best, history = self.best_seed, self.history
        found: dict[str, float | Labelled] = {
            "loss": Labelled(("training_step",), np.mean(history.losses, axis=1)),
            "value": Labelled(("seed",), self.values),
            "exploitability_of_seed": Labelled(("seed",), self.exploitabilities),
            "exploitability_by_check": Labelled(("check",), np.mean(history.scores, axis=1)),
            "residual": Labelled(("seed",), self.average.residual.view(self.options.seeds, -1).amax(dim=1).numpy()),
            "iterations": float(len(history.losses)),
            "best_seed": float(best),
            "converged": float(self.exploitabilities[best] <= self.play.tolerance * abs(self.values[best])),
        }
        game = self.problem.finite_game
        if game.at_risk is not None:
            found["final_size"] = Labelled(("replicate",), 1.0 - game.share_at_risk(self.observe(state)["occupancy"]))
        return found

    def policy(self) -> Policy:
        """That of the best seed: a table over time, or the network where it looks at the field."""
        if self.sees_field:
            return NeuralPolicy(self.policies.of_seed(self.best_seed))
        count = len(self._mixing.types)
        own = slice(self.best_seed * count, (self.best_seed + 1) * count)
        return TabulatedPolicy.of(self.nodes, self.control[:, own], self._mixing)

    def initial_shares(self) -> FloatArray:
        """Shares at time 0 that each seed is trained on, [row, state]: those of the scenario, of every type; or, where the
        field is seen, those of the scenario and then shocked ones."""
        if not self.sees_field:
            return self.shares
        shape = (self.play.scenarios, self.shares.shape[1])
        logs = self.context.streams.generator("shocks").standard_normal(shape) * self.play.shock
        logs[0] = 0.0
        shocked = self.shares * np.exp(logs)
        return np.asarray(shocked / shocked.sum(axis=1, keepdims=True), np.float64)

    @cached_property
    def shares(self) -> FloatArray:
        """Shares at time 0 in the scenario, [type, state]."""
        return self.problem.type_shares(self._mixing)

    @cached_property
    def _mixing(self) -> Mixing:
        return self.problem.graph.mixing(self.play.closure, normalise=self.problem.game.normalise)

    @cached_property
    def weights(self) -> FloatArray:
        """Of the rows that each seed is trained on, summing to 1: shares of types, or equal ones of populations."""
        count = self.play.scenarios
        return np.full(count, 1.0 / count) if self.sees_field else self._mixing.shares

    def _crowd(self, nodes: FloatArray, initial: FloatArray) -> MeanField:
        """Populations side by side that know nothing of each other, from shares [population and type, state]."""
        mixing = self._mixing
        count = len(initial) // len(mixing.types)
        names, shares = tuple(map(str, range(len(initial)))), np.tile(mixing.shares, count) / count
        matrix = np.kron(np.eye(count), mixing.dense())
        apart = Mixing("individual", names, shares, np.tile(mixing.degrees, count), None, matrix=matrix)
        return MeanField(self.problem.finite_game, apart, initial, nodes)

    def _policies(self) -> FinitePolicies:
        options = self.options
        seen = self.crowd.flow(self.crowd.neutral()).field
        low, high = (self._tensor(each((0, 1))) for each in (seen.min, seen.max))
        types = self._tensor(type_features(self._mixing))
        sight = Sight(self.play.sees, self.problem.clock.end, self.play.frequencies, low, high, types)
        hidden = (options.width,) * options.depth
        return FinitePolicies(self.problem.finite_game, sight, hidden, self.generators())

    def _loss(self, step: int, generator: torch.Generator) -> torch.Tensor:
        """The cost of one agent of every seed, averaged over its types or populations, [seed]."""
        if step % self.play.flow_every == 0:
            self.average.add(self._fields())
        fields = self.average.values
        control = self.policies.controls(self._agent.nodes, fields.get(SEEN), len(self._initial))
        costs = self._agent.cost(control, fields[FELT], self._initial)
        return costs.view(self.options.seeds, -1) @ self._tensor(self.weights)

    def _fields(self) -> dict[str, torch.Tensor]:
        """The fields of the populations that play the policies as they are, [row, node, channel]."""
        control = self._tabulated(self.crowd)
        flow = self.crowd.flow(control)
        found = {FELT: self._tensor(flow.field.swapaxes(0, 1))}
        if self.sees_field:
            neutral = self.crowd.neutral()
            seen = [self.crowd.field(*each) for each in zip(self.nodes, flow.occupancy, neutral, strict=True)]
            found[SEEN] = self._tensor(np.stack(seen, axis=1))
        return found

    def _tabulated(self, crowd: MeanField) -> FloatArray:
        """The control of every population at every node, [node, population, state]."""
        count = len(crowd.initial)
        if self.sees_field:
            return tabulate_policy(crowd, NeuralPolicy(self.policies, count), np.arange(count))
        with torch.no_grad():
            control = self.policies.controls(self._tensor(self.nodes), None, count)
        return np.asarray(control.cpu().numpy().swapaxes(0, 1), np.float64)

    def _exploitabilities(self, step: int) -> torch.Tensor:
        """By the equations of `MeanField`, averaged over the types or populations of a seed, [seed]."""
        control = self._tabulated(self.crowd)
        flow = self.crowd.flow(control)
        _, gains = _worth(self.crowd, flow, control)
        return torch.from_numpy(gains.reshape(self.options.seeds, -1) @ self.weights)

    def _finish(self) -> None:
        """The flow, the value and the exploitability of every seed's policy, from the shares of the scenario."""
        seeds, shares = self.options.seeds, self._mixing.shares
        crowd = self._crowd(self.nodes, np.tile(self.shares, (seeds, 1)))
        self.control = self._tabulated(crowd)
        self.flow = crowd.flow(self.control)
        worth = _worth(crowd, self.flow, self.control)
        self.values, self.exploitabilities = (each.reshape(seeds, -1) @ shares for each in worth)
        self.best_seed = int(self.exploitabilities.argmin())

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device=self.device, dtype=self.dtype)

    def _fingerprint(self) -> str:
        mixing = self._mixing
        arrays = [mixing.dense(), mixing.shares, self.nodes, self.shares]
        return self.fingerprint_of([self.problem.finite_game.table()], arrays)


def _worth(crowd: MeanField, flow: Flow, control: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What an agent of each population and type pays, and what its best response would save, both [row]."""
    value, (best, _) = crowd.value(flow, control), crowd.best_response(flow)
    costs = (crowd.initial * value).sum(axis=-1)
    return costs, costs - (crowd.initial * best).sum(axis=-1)
