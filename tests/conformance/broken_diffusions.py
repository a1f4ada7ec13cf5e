"""Diffusion games with one fault each. A component is called like the rule that must find it, and no other rule may."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mesocosm import Axis, Component, Control, DiffusionGame, Normal, Options, Passage, Uniform, hookimpl


class NoOptions(Options):
    """No options."""


class SoundDiffusion(DiffusionGame):
    """Keep to the mean of the others, and leave at the top; it breaks no rule."""

    channels: ClassVar[tuple[str, ...]] = ("mean",)
    normalise = "mean"
    signals = ("half_gone",)

    def __init__(self, options: NoOptions) -> None:
        self.axes = (Axis("x", -3.0, 3.0, "open", "absorbing"),)
        self.control = Control("steering", (), -4.0, 4.0, neutral=0.0)
        self.start = Normal((-1.0,), (0.4,))

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return control - 0.1 * state

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.5 + 0.0 * state

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 1.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return (0.5 * control**2 + 0.5 * (state - field) ** 2)[..., 0]

    def exit_cost(self, t: Any, state: Any, signals: Any) -> Any:
        return 0.0 * state[..., 0] + signals[..., 0]

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-4.0, 4.0)

    def find_signals(self, passage: Passage) -> Any:
        return np.array([min(passage.time_of(0.5), passage.times[-1])])


class Turning(SoundDiffusion):
    """On a circle; it breaks no rule."""

    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        self.axes = (Axis("x", 0.0, 1.0, "periodic", "periodic"),)
        self.start = Uniform((0.0,), (1.0,))

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * control

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 0.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * control[..., 0] ** 2


class Contradicting(SoundDiffusion):
    moves_with = "median"


class Outside(SoundDiffusion):
    def __init__(self, options: NoOptions) -> None:
        super().__init__(options)
        self.start = Normal((2.9,), (0.4,))


class OneNumber(SoundDiffusion):
    def terminal_cost(self, t: Any, state: Any, field: Any, signals: Any) -> Any:
        return 0.0 * state


class Negative(SoundDiffusion):
    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.2 * state


class Squared(SoundDiffusion):
    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return control + 0.1 * control**2

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return DiffusionGame.best_control(self, t, state, field, gradient)


class InPlace(SoundDiffusion):
    def emission(self, t: Any, state: Any, control: Any) -> Any:
        state *= 0.5
        return 2.0 * state


class Seam(Turning):
    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 0.5 * control[..., 0] ** 2 + state[..., 0]


class Halved(SoundDiffusion):
    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-0.5 * gradient).clip(-4.0, 4.0)


class Never(SoundDiffusion):
    def find_signals(self, passage: Passage) -> Any:
        return np.array([passage.time_of(0.5)])


class OnlyNumPy(SoundDiffusion):
    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return np.asarray(state) * 1.0


GAMES = {
    "sound_diffusion": SoundDiffusion,
    "turning": Turning,
    "the_box_is_sound": Contradicting,
    "agents_start_in_the_box": Outside,
    "functions_keep_the_shape_of_places": OneNumber,
    "noise_is_not_negative": Negative,
    "drift_is_affine_in_the_control": Squared,
    "places_are_not_changed": InPlace,
    "a_periodic_axis_has_no_seam": Seam,
    "the_best_control_minimises": Halved,
    "signals_are_found_in_every_flow": Never,
    "takes_torch_tensors": OnlyNumPy,
}


@hookimpl
def mesocosm_components() -> Any:
    for name, cls in GAMES.items():
        yield Component(
            kind="game",
            name=name,
            factory=f"{__name__}:{cls.__name__}",
            options=f"{__name__}:NoOptions",
            summary=name.replace("_", " "),
        )
