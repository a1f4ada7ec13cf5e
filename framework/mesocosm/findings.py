"""What dynamics found out beside their trajectories, as tables: held-out scores, forecasts, calibrated parameters.

Each table is read from what a dynamics recorded, by these names:

    held out      heldout_score(seed), heldout_score_persistence, heldout_score_unlearned, heldout_coverage: later times
    series        series_score(seed), series_score_climatology, series_score_unlearned, series_coverage: whole series
    forecasts     forecast_crps(model, horizon), forecast_error(model, horizon), forecast_coverage(model, horizon)
    calibrated    parameter_value(parameter), parameter_error(parameter)
    events        fired(replicate, event): times

Scores: lower is better. Coverage: share of what was observed that lies inside the central 90 % band of the ensemble; 0.9 where
the ensemble has the law of the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mesocosm.dynamics import Trajectories
from mesocosm.equilibria import NOTHING, aligned

COVERAGE = "coverage of 90 %"


@dataclass(frozen=True)
class Finding:
    """A table for people: a title, what it says, the head, and lines of as many cells, words before numbers.

    `words` is the number of columns that hold words.
    """

    title: str
    caption: str
    head: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    words: int

    def text(self) -> str:
        """The table as aligned text, without title."""
        return aligned([self.head, *self.lines], self.words)


def findings(trajectories: Mapping[str, Trajectories]) -> list[Finding]:
    """The tables that have a line."""
    tables = (
        Finding(
            "Held-out scores",
            "Judged on times or series that were not learned from; lower is better.",
            ("dynamics", "learned", "persistence", "unlearned", COVERAGE),
            tuple(_judged(trajectories, "heldout", "persistence")),
            1,
        ),
        Finding(
            "Held-out series",
            "Whole series that were not learned from; lower is better. Climatology: the series that were.",
            ("dynamics", "learned", "climatology", "unlearned", COVERAGE),
            tuple(_judged(trajectories, "series", "climatology")),
            1,
        ),
        Finding(
            "Forecasts",
            "Means over origins and training seeds; CRPS and absolute error in units of what is forecast, lower is better.",
            ("dynamics", "model", "horizon", "CRPS", "absolute error", COVERAGE),
            tuple(_forecasts(trajectories)),
            2,
        ),
        Finding(
            "Calibrated parameters",
            "The values that fit best, and their standard errors.",
            ("dynamics", "parameter", "value", "standard error"),
            tuple(_parameters(trajectories)),
            2,
        ),
        Finding(
            "Events",
            "Share of replicates in which each happened, and the median, earliest and latest time at which it did.",
            ("dynamics", "event", "happened", "median time", "earliest", "latest"),
            tuple(_events(trajectories)),
            2,
        ),
    )
    return [table for table in tables if table.lines]


def _judged(trajectories: Mapping[str, Trajectories], what: str, baseline: str) -> Iterator[tuple[str, ...]]:
    names = (f"{what}_score", f"{what}_score_{baseline}", f"{what}_score_unlearned", f"{what}_coverage")
    for label, item in trajectories.items():
        if names[0] in item.variables:
            yield label, *(_mean(item, name) for name in names)


def _forecasts(trajectories: Mapping[str, Trajectories]) -> Iterator[tuple[str, ...]]:
    names = ("forecast_crps", "forecast_error", "forecast_coverage")
    for label, item in trajectories.items():
        if "forecast_crps" not in item.variables:
            continue
        models, horizons = item.coordinates["model"], item.coordinates["horizon"]
        for column, horizon in enumerate(horizons):
            for row, model in enumerate(models):
                cells = (_shown(float(item.array(name)[row, column])) for name in names)
                yield label, str(model), f"{float(horizon):g}", *cells


def _parameters(trajectories: Mapping[str, Trajectories]) -> Iterator[tuple[str, ...]]:
    for label, item in trajectories.items():
        if "parameter_value" not in item.variables:
            continue
        values = item.array("parameter_value")
        errors = item.array("parameter_error") if "parameter_error" in item.variables else np.full(len(values), np.nan)
        for name, value, error in zip(item.coordinates["parameter"], values, errors, strict=True):
            yield label, str(name), f"{float(value):.5g}", _shown(float(error), 2)


def _events(trajectories: Mapping[str, Trajectories]) -> Iterator[tuple[str, ...]]:
    for label, item in trajectories.items():
        if "fired" not in item.variables:
            continue
        for name, times in zip(item.coordinates["event"], item.array("fired").T, strict=True):
            found = times[~np.isnan(times)]
            cells = (f"{f(found):g}" if found.size else NOTHING for f in (np.median, np.min, np.max))
            yield label, str(name), f"{found.size / len(times):.3g}", *cells


def _mean(item: Trajectories, name: str) -> str:
    return _shown(float(np.mean(item.array(name)))) if name in item.variables else NOTHING


def _shown(value: float, digits: int = 3) -> str:
    if np.isnan(value):
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def texts(tables: Iterable[Finding]) -> str:
    """All tables as text, each below its title."""
    return "\n\n".join(f"{table.title}. {table.caption}\n{table.text()}" for table in tables)
