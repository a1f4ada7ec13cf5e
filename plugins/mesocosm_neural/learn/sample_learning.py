"""Learning an SDE of agents or of series from samples: what diffusion games and stage games have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mesocosm import Axis, InputError, Interval, Labelled
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.learn.covariates import gather_covariates
from mesocosm_neural.learn.judging import coverage, judge
from mesocosm_neural.learn.options import LearnOptions
from mesocosm_neural.learn.samples import FloatArray, Samples
from mesocosm_neural.learn.sde_fit import Objective
from mesocosm_neural.learn.sde_law import Part, SDELaw
from mesocosm_neural.learn.sde_networks import Covariates, DriftAndNoise
from mesocosm_neural.learn.sde_task import Start, Task, advance
from mesocosm_neural.learn.sde_units import Units
from mesocosm_neural.learn.space import Space
from mesocosm_neural.trainer import Trainer, one_thread

STEPS_PER_SAVE = 4
"""Steps of the SDE between two saves, unless the option `step` says otherwise."""

BAND = 0.9


@dataclass(frozen=True, eq=False)
class Paths:
    """Places now, [seed, path, column], and what was recorded at all saves so far, each [seed, path, column]."""

    places: torch.Tensor
    saved: tuple[FloatArray, ...]


class SampleLearning(NeuralSDE):
    """A neural SDE trained on samples. Subclasses say what the game gives, what was observed, and what is recorded.

    Summary: `loss(training_step)`, averaged over seeds; energy scores in the units of the data, averaged over saves:
    `train_score(seed)`, and where something is held out `heldout_score(seed)`, `heldout_score_unlearned` (the game's own SDE)
    and, with `until`, `heldout_score_persistence` (the data at the last save that was trained on, as if nothing moved on);
    `heldout_distance(seed)`, `heldout_distance_unlearned`, `heldout_distance_persistence`, the same as energy distances,
    which are 0 for the law of the data; `heldout_coverage`, the share of held-out values within the central 90 % of the paths
    of all seeds.
    """

    has_origin = False
    """Whether networks see the place at the last save."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """Coordinates."""

    @property
    @abstractmethod
    def sides(self) -> tuple[Axis, ...]:
        """Axes with sides; none for series."""

    @property
    @abstractmethod
    def samples(self) -> Samples:
        """What was observed."""

    @property
    @abstractmethod
    def start(self) -> Start:
        """Where paths start."""

    @property
    @abstractmethod
    def part(self) -> Part:
        """The game's drift and noise."""

    @property
    @abstractmethod
    def units(self) -> Units:
        """What the networks measure in."""

    @abstractmethod
    def signature(self) -> bytes:
        """What training depends on, beside the options and the data."""

    @property
    def learn(self) -> LearnOptions:
        """What is learned from."""
        assert self.options.learn is not None
        return self.options.learn

    def check(self) -> None:
        super().check()
        for name in ("reporting", "forecasts"):
            if getattr(self.learn, name) is not None:
                raise InputError(
                    f"{name} for game {type(self.problem.game).__name__}",
                    where=f"{self.context.label}.learn.{name}",
                    rule="for games with finitely many states",
                )

    @cached_property
    def networks(self) -> DriftAndNoise:
        """The networks before `prepare`, trained in place by it."""
        return DriftAndNoise(
            self.options,
            self.learn,
            self.units,
            self.generators(),
            covariates=self._covariates(),
            has_origin=self.has_origin,
        )

    @cached_property
    def law(self) -> SDELaw:
        """What is learned."""
        step = self.options.step or self.problem.clock.save_every / STEPS_PER_SAVE
        return SDELaw(self.part, self.networks, self.space, self.sides, step, self.options.solver)

    def prepare(self) -> None:
        task = Task(self.law, self.samples, self.start, self.problem.clock, self.options)
        objective = Objective(task, self.learn.window)
        seed = self.context.streams.integer("validation")

        def validate(step: int) -> torch.Tensor:
            return objective.validate(torch.Generator().manual_seed(seed))

        trainer = Trainer(
            self.networks.weights,
            objective,
            self.options,
            self.context,
            self._fingerprint(),
            validate=validate if self.learn.validation else None,
        )
        self.losses = np.array(trainer.run().losses)

    def init(self) -> Paths:
        generator = torch.Generator().manual_seed(self.context.streams.integer("initial"))
        places = self.start.draw(self.options.seeds, self.options.paths, generator)
        return Paths(places, (self._recorded(places),))

    def advance(self, state: Paths, interval: Interval) -> Paths:
        return self._advance(self.law, state, interval, "paths")

    def summary(self, state: Paths) -> dict[str, float | Labelled]:
        samples, ours = self.samples, np.stack(state.saved, axis=2)
        trained = samples.train & (np.arange(len(samples.train)) > 0)[:, None]
        result: dict[str, float | Labelled] = {
            "loss": Labelled(("training_step",), self.losses.mean(axis=1)),
            "train_score": Labelled(("seed",), judge(self.space, samples, trained, ours).score),
        }
        held_out = samples.held_out
        if held_out.any():
            learned = judge(self.space, samples, held_out, ours)
            result["heldout_score"] = Labelled(("seed",), learned.score)
            result["heldout_distance"] = Labelled(("seed",), learned.distance)
            for name, paths in self._baselines().items():
                found = judge(self.space, samples, held_out, paths)
                result[f"heldout_score_{name}"] = float(found.score[0])
                result[f"heldout_distance_{name}"] = float(found.distance[0])
            result["heldout_coverage"] = coverage(samples, held_out, ours, BAND)
        return {name: value for name, value in result.items() if not np.isnan(_array(value)).all()}

    def pack(self, state: Paths) -> dict[str, NDArray[Any]]:
        return {"places": state.places.cpu().numpy(), "saved": np.stack(state.saved)}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Paths:
        places = torch.from_numpy(arrays["places"]).to(device=self.device, dtype=self.dtype)
        return Paths(places, tuple(arrays["saved"]))

    def unlearned(self) -> Paths:
        """Paths of the game's own SDE over the whole run, with noise of their own."""
        law, state = replace(self.law, networks=None), self.init()
        for interval in self.problem.clock.intervals():
            state = self._advance(law, state, interval, "unlearned")
        return state

    def _baselines(self) -> dict[str, FloatArray]:
        """Paths [1, path, time, column] of what learning is measured against."""
        samples, found = self.samples, np.stack(self.unlearned().saved, axis=2)
        result = {"unlearned": found.reshape(1, -1, *found.shape[2:])}
        if self.learn.until is not None:
            last = samples.train_saves[-1]
            law = samples.values[last, samples.train[last]]
            result["persistence"] = np.repeat(law[None, :, None], len(samples.values), axis=2)
        return result

    def _advance(self, law: SDELaw, state: Paths, interval: Interval, purpose: str) -> Paths:
        seed = self.context.streams.integer(purpose, interval=interval.index)
        with torch.no_grad(), one_thread():
            places = advance(law, state.places, interval, torch.Generator().manual_seed(seed))
        return Paths(places, (*state.saved, self._recorded(places)))

    def _recorded(self, places: torch.Tensor) -> FloatArray:
        return np.asarray(self.space.values(places).cpu().numpy(), np.float64)

    @cached_property
    def _seen(self) -> FloatArray | None:
        """Covariates at every save, [time, name], standardised over the saves that are trained on; one series for all rows.

        What is later than `until` is held at the last value known then. None without covariates.
        """
        options, times = self.learn.covariates, self.problem.clock.times
        if options is None:
            return None
        read = gather_covariates(self.context.trajectories_of, options, 1)
        centre, scale = read.scale(int(self.samples.train_saves[-1]), [0])
        until = times[-1] if self.learn.until is None else self.learn.until
        known = int(np.flatnonzero(times <= until + 1e-9 * times[-1])[-1])
        return np.asarray((read.until(known)[0] - centre) * scale, np.float64)

    def _covariates(self) -> Covariates | None:
        """Covariates at a time."""
        options, clock, values = self.learn.covariates, self.problem.clock, self._seen
        if options is None or values is None:
            return None
        linear = options.between == "linear"

        def at(time: float) -> torch.Tensor:
            if linear:
                now = np.array([np.interp(time, clock.times, column) for column in values.T])
            else:
                now = values[np.searchsorted(clock.times, time + 1e-9 * clock.end, side="right") - 1]
            return torch.from_numpy(now)

        return at

    def _fingerprint(self) -> str:
        samples, seen = self.samples, [] if self._seen is None else [self._seen]
        arrays = [samples.values, samples.train, self.start.places.cpu().numpy(), *seen]
        return self.fingerprint_of([self.signature()], arrays)


def _array(value: float | Labelled) -> NDArray[Any]:
    return value.values if isinstance(value, Labelled) else np.asarray(value)
