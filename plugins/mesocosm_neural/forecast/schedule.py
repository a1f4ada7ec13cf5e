"""When is forecast, how far ahead, and which options mean nothing beside forecasts."""

from __future__ import annotations

from mesocosm import Clock, InputError
from mesocosm_neural.forecast.options import ForecastOptions
from mesocosm_neural.options import NeuralSDEOptions


def saves_of(time: float, option: str, clock: Clock) -> int:
    """A time as a number of saves; `InputError` where it is not a whole one of at least 1."""
    every = clock.save_every
    saves = round(time / every)
    if saves < 1 or abs(saves * every - time) > 1e-9 * max(time, every):
        raise InputError(
            f"{time:g}", where=f"learn.forecasts.{option}", rule=f"a whole number of save_every, {every:g}"
        )
    return saves


def origins_of(options: ForecastOptions, horizons: list[int], clock: Clock) -> list[int]:
    """Numbers of the saves from which is forecast: all whose longest horizon is in the run; horizons are in saves.

    `InputError` where there is none, or nothing to learn from before the first.
    """
    first, every = (saves_of(getattr(options, name), name, clock) for name in ("first", "every"))
    origins = list(range(first, len(clock.times) - max(horizons), every))
    least = options.average + min(horizons)
    if not origins or first < least:
        raise InputError(
            f"first origin at {options.first:g}, horizons up to {max(options.horizons):g}, end {clock.end:g}",
            where="learn.forecasts",
            rule=f"at least {least} saves (average and shortest horizon) before the first origin, and a whole horizon "
            "after it",
        )
    return origins


def check_options(options: NeuralSDEOptions, where: str) -> None:
    """`InputError` for options that forecasts need and miss, or that mean nothing beside them."""
    learn = options.learn
    if learn is None or learn.reporting is None:
        raise InputError("no reporting", where=f"{where}, learn", rule="forecasts are of reported counts")
    if learn.reporting.share is None or learn.reporting.size is not None:
        raise InputError(
            "a share that is not given" if learn.reporting.share is None else "size",
            where=f"{where}, learn.reporting",
            rule="with forecasts the share is given, and the noise of counts is part of the learned noise",
        )
    used = {"from_", "reporting", "covariates", "forecasts"}
    unused = (learn.changed - used) | (options.changed & {"inputs"})
    if unused:
        raise InputError(
            ", ".join(sorted(unused)), where=where, rule="it means nothing beside learn.forecasts", hint="leave it out"
        )
