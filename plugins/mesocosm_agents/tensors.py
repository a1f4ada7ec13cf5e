"""The engine for devices: any transitions and any policy, in tensor operations over the agents of all replicates.

The law is that in `engine`. Agents are held as a tensor of states [N, replicate], nodes first, so that the fields of all
replicates are one product of the sparse adjacency with a dense matrix. Random numbers come from the device's own generator,
one for each batch of replicates that share a graph: another device, or other replicates beside one, change the numbers and
not the law.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from mesocosm import DeviceError, InputError
from mesocosm_agents.arrays import FloatArray, IntArray, StateArray, Wiring
from mesocosm_agents.contacts import Contacts
from mesocosm_agents.engine import Engine, Play, Stretch

Tensor = Any
"""A torch tensor."""


@dataclass(frozen=True, eq=False)
class Ties:
    """A contact graph on a device: the sparse adjacency [N, N] (None where the graph is complete), what fields are divided
    by [N] (None: nothing), and the row of each agent in the policy [N]."""

    adjacency: Tensor | None
    divisor: Tensor | None
    rows: Tensor

    @classmethod
    def of(cls, contacts: Contacts, device: torch.device, dtype: torch.dtype) -> Ties:
        """The contacts of one graph on a device."""
        wiring, rows = contacts.wiring, torch.tensor(contacts.rows, device=device)
        divisor = torch.tensor(wiring.divisor, dtype=dtype, device=device) if len(wiring.divisor) else None
        adjacency = None if wiring.is_complete else _adjacency(wiring, contacts.size, device, dtype)
        return cls(adjacency, divisor, rows)

    def field(self, emission: Tensor) -> Tensor:
        """Field of every agent: shapes [N, batch, channel] to [N, batch, channel]."""
        if self.adjacency is None:
            return (emission.sum(dim=0) - emission) / (len(emission) - 1)
        field = (self.adjacency @ emission.reshape(len(emission), -1)).reshape(emission.shape)
        return field if self.divisor is None else field / self.divisor[:, None, None]


def _adjacency(wiring: Wiring, size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    # Sparse products on a GPU are several times faster with 32-bit indices, where they suffice.
    narrow = torch.int32 if len(wiring.indices) < 2**31 else torch.int64
    values = torch.ones(len(wiring.indices), dtype=dtype, device=device)
    if len(wiring.weights):
        values = torch.tensor(wiring.weights, dtype=dtype, device=device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR|invariant)", UserWarning)
        return torch.sparse_csr_tensor(
            torch.tensor(wiring.indptr, dtype=narrow, device=device),
            torch.tensor(wiring.indices, dtype=narrow, device=device),
            values,
            (size, size),
            check_invariants=False,
        )


class TensorEngine(Engine):
    """See the module docstring. `device` is as torch names it; `precision` is float32 or float64."""

    def __init__(self, play: Play, device: str, precision: str) -> None:
        super().__init__(play)
        self.device, self.dtype = torch.device(device), getattr(torch, precision)
        kind = self.device.type
        if not (kind == "cpu" or (torch.backends.mps if kind == "mps" else torch.cuda).is_available()):
            raise DeviceError(
                f"torch {torch.__version__} cannot use '{device}'",
                where="device",
                rule="a named device must be usable: nothing falls back silently",
                hint="install a build of torch for it, or use 'cpu'",
            )
        self._ties: dict[int, tuple[Contacts, Ties]] = {}

    def load(self, states: StateArray) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(states.T), device=self.device)

    def unload(self, held: Tensor) -> StateArray:
        return np.ascontiguousarray(held.cpu().numpy().T)

    def copy(self, held: Tensor) -> Tensor:
        return held.clone()

    def occupancy(self, held: Tensor) -> FloatArray:
        count = len(self.play.game.states)
        counts = torch.stack([(held == number).sum(dim=0) for number in range(count)], dim=-1)
        return np.asarray(counts.cpu().numpy() / len(held), np.float64)

    def advance(self, held: Tensor, numbers: IntArray, stretch: Stretch) -> FloatArray:
        cost = np.zeros(len(numbers))
        for contacts, places in self.play.graphs.batches(numbers):
            ties = self._on_device(int(numbers[places[0]]), contacts)
            together = len(places) == len(numbers)
            batch = held if together else held[:, torch.as_tensor(places, device=self.device)]
            paid = self._advance_some(batch, ties, stretch, numbers[places])
            if not together:
                held[:, torch.as_tensor(places, device=self.device)] = batch
            cost[places] = paid.double().cpu().numpy()
        return cost

    def _on_device(self, number: int, contacts: Contacts) -> Ties:
        key = number if self.play.graphs.redraw else 0
        if key not in self._ties or self._ties[key][0] is not contacts:
            self._ties[key] = (contacts, Ties.of(contacts, self.device, self.dtype))
        return self._ties[key][1]

    def _advance_some(self, states: Tensor, ties: Ties, stretch: Stretch, numbers: IntArray) -> Tensor:
        """Advance agents on one graph, [N, batch], in place; the cost of each replicate."""
        play, game = self.play, self.play.game
        count, length = play.substeps(stretch)
        generator = torch.Generator(self.device)
        purpose = f"tensors, part {stretch.part}"
        generator.manual_seed(play.streams.integer(purpose, interval=stretch.index, replicate=int(numbers[0])))
        paid = torch.zeros(states.shape[1], dtype=self.dtype, device=self.device)
        for step in range(count):
            t = stretch.start + step * length
            control, field = self._respond(ties, t, states)
            if game.has_costs:
                rate = game.running_cost(t, states, field, control)
                paid += rate.expand(states.shape).mean(dim=0) * length
            draws = torch.rand(states.shape, dtype=self.dtype, device=self.device, generator=generator)
            after, is_sound = self._jump(states, t, length, control, field, draws)
            if not bool(is_sound):
                self._blame(states, t, control, field, numbers)
            states.copy_(after)
        return paid

    def _respond(self, ties: Ties, t: float, states: Tensor) -> tuple[Tensor, Tensor]:
        """Control [N, batch] and field [N, batch, channel], as `vectorised.respond`."""
        game, policy = self.play.game, self.play.policy
        if not policy.uses_field:
            control = self._tabulated(t, ties, states)
            return control, ties.field(self._emission(t, states, control))
        nothing = torch.zeros(states.shape, dtype=self.dtype, device=self.device)
        field = ties.field(self._emission(t, states, game.neutral_control(nothing)))
        # A policy that looks at the field is written for NumPy.
        numbers = states.long().cpu().numpy()
        chosen = policy.control(t, ties.rows.cpu().numpy()[:, None], numbers, field.cpu().numpy())
        control = torch.as_tensor(np.asarray(chosen), dtype=self.dtype, device=self.device).expand(states.shape)
        return control, ties.field(self._emission(t, states, control))

    def _tabulated(self, t: float, ties: Ties, states: Tensor) -> Tensor:
        table = self.play.policy.table(t, len(self.play.game.states))
        values = torch.as_tensor(table, dtype=self.dtype, device=self.device)
        if (table == table.flat[0]).all():
            return values[0, 0].expand(states.shape)
        return values[ties.rows[:, None], states.long()]

    def _emission(self, t: float, states: Tensor, control: Tensor) -> Tensor:
        emission: Tensor = self.play.game.emission(t, states, control)
        expected = (*control.shape, len(self.play.game.channels))
        if tuple(emission.shape) != expected:
            raise InputError(
                f"emission returned shape {tuple(emission.shape)}",
                where=f"game {type(self.play.game).__name__}",
                rule=f"for agents of shape {tuple(control.shape)} it is {expected}, with one entry per channel",
                hint="build it with self.stack",
            )
        return emission.to(self.dtype)

    @cached_property
    def _jump(self) -> Callable[..., tuple[Tensor, Tensor]]:
        """`_jump_once`; compiled into few passes over memory on a GPU, where a table says all about the intensities."""
        is_table = all(item.intensity is None for item in self.play.game.transitions)
        if self.device.type != "cuda" or not is_table:
            return self._jump_once
        compiled = torch.compile(self._jump_once, dynamic=True)
        return lambda states, t, length, *rest: compiled(states, 0.0, length, *rest)

    def _jump_once(
        self, states: Tensor, t: float, length: float, control: Tensor, field: Tensor, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The states [N, batch] after one step, and whether all intensities are sound; `draws` are uniform on [0, 1), one
        for each agent."""
        game, after = self.play.game, states
        is_sound: Tensor = torch.ones((), dtype=torch.bool, device=states.device)
        for state, transitions in enumerate(self.play.leaving):
            if not transitions:
                continue
            here = states == state
            edges: list[Tensor] = []
            for transition in transitions:
                q = torch.where(here, game.intensity(transition, t, field, control), 0.0)
                is_sound = is_sound & ((q >= 0) & torch.isfinite(q)).all()
                edges.append(q if not edges else edges[-1] + q)
            chance = -torch.expm1(-edges[-1] * length)
            leaves = draws < chance
            # Given that an agent leaves, draw / chance is uniform again and chooses the target: the first transition whose
            # edge lies above the mark. Rounding may not carry the mark past the last one that is possible.
            mark = draws / torch.where(leaves, chance, 1.0) * edges[-1]
            mark = torch.minimum(mark, edges[-1] * (1.0 - torch.finfo(self.dtype).eps))
            for edge, transition in zip(reversed(edges), reversed(transitions), strict=True):
                after = torch.where(leaves & (mark < edge), game.state_index(transition.target), after)
        return after.to(states.dtype), is_sound

    def _blame(self, states: Tensor, t: float, control: Tensor, field: Tensor, numbers: IntArray) -> None:
        """Raise the error for the first intensity that is negative, infinite or NaN."""
        for state, transitions in enumerate(self.play.leaving):
            for transition in transitions:
                q = torch.where(states == state, self.play.game.intensity(transition, t, field, control), 0.0)
                wrong: Any = torch.nonzero(~((q >= 0) & torch.isfinite(q)))
                if len(wrong):
                    agent, place = wrong[0].tolist()
                    raise self.play.invalid(t, int(numbers[place]), transition, float(q[agent, place]))
