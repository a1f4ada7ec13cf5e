"""Figures: trajectories with bands, solver residuals, training losses and held-out scores.

Colours are those of Okabe and Ito (2008), which colour-blind readers can tell apart; line styles tell them apart in print.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mesocosm.dynamics import Trajectories
from mesocosm.errors import InputError, suggestion
from mesocosm.observables import is_observed_data, varies
from mesocosm.observables import observables as observables_of

FloatArray = NDArray[np.float64]

REFERENCE_COLOUR = "#000000"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))
BAND = (0.05, 0.95)
"""The quantiles of the replicates between which a band lies."""

_GREY = "#4d4d4d"
WIDTH = 9.0
"""Width in inches of a figure that fills a page."""

_PANELS_A_ROW = 3


@dataclass(frozen=True)
class Look:
    """How one dynamics is drawn in every figure."""

    colour: str
    line: Any
    width: float
    order: int


def looks(labels: Sequence[str], reference: str) -> dict[str, Look]:
    """One look per dynamics: the reference black and heavy, the others in the order of the palette."""
    others = [label for label in labels if label != reference]
    found = {
        label: Look(COLOURS[index % len(COLOURS)], LINES[index % len(LINES)], 1.7, 3)
        for index, label in enumerate(others)
    }
    return {label: found.get(label, Look(REFERENCE_COLOUR, "-", 2.4, 2)) for label in labels}


def trajectory_figure(
    trajectories: Mapping[str, Trajectories], reference: str, names: Sequence[str] | None = None, *, unit: str = ""
) -> Figure:
    """Every dynamics over time, one panel per observable: the mean, a 90 % band of the replicates, data as points.

    `names` are observables such as `control.S`; by default every occupancy. Errors: `InputError` for one that nobody has.
    """
    curves = {label: observables_of(item) for label, item in trajectories.items()}
    fullest_first = sorted(curves.values(), key=len, reverse=True)
    known = list(dict.fromkeys(name for found in fullest_first for name in found))
    chosen = [name for name in known if name.startswith("occupancy.")] or known if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise InputError(f"observable '{name}'", where="plot", hint=suggestion(name, known))
    style = looks(list(trajectories), reference)
    figure, panels = _panels(len(chosen))
    for name, axes in zip(chosen, panels, strict=True):
        for label, item in trajectories.items():
            if name in curves[label]:
                _draw_curve(axes, item, curves[label][name], style[label])
        finish(axes, name, with_unit("time", unit), "share" if name.startswith("occupancy.") else name.split(".")[0])
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        if name.startswith("occupancy."):
            axes.set_ylim(bottom=0.0)
    legend(figure)
    return figure


def control_names(trajectories: Mapping[str, Trajectories]) -> list[str]:
    """The controls that vary over time or replicates in some dynamics."""
    found = (
        name
        for item in trajectories.values()
        for name, values in observables_of(item).items()
        if name.startswith("control.") and varies(values)
    )
    return list(dict.fromkeys(found))


def solver_figure(trajectories: Mapping[str, Trajectories], reference: str) -> Figure | None:
    """What solvers recorded at each iteration, such as residuals, one panel per variable; None where there is nothing."""
    return _trace_figure(trajectories, reference, "iteration", "iteration", logarithmic=True)


def training_figure(trajectories: Mapping[str, Trajectories], reference: str) -> Figure | None:
    """What was recorded at each training step, such as losses, one panel per variable; None where there is nothing."""
    return _trace_figure(trajectories, reference, "training_step", "training step", logarithmic=False)


def heldout_figure(trajectories: Mapping[str, Trajectories]) -> Figure | None:
    """Held-out scores: bars of the means, a dot per training seed, next to persistence and the unlearned game."""
    learned = {label: item for label, item in trajectories.items() if "heldout_score" in item.variables}
    if not learned:
        return None
    figure, panels = _panels(len(learned))
    for (label, item), axes in zip(learned.items(), panels, strict=True):
        scores = {"learned": np.ravel(item.array("heldout_score"))}
        for name in item.variables:
            if name.startswith("heldout_score_"):
                scores[name.removeprefix("heldout_score_").replace("_", " ")] = np.ravel(item.array(name))
        means = [float(values.mean()) for values in scores.values()]
        shades = [COLOURS[0], *["#bdbdbd"] * (len(scores) - 1)]
        axes.bar(range(len(scores)), means, color=shades, width=0.6)
        for place, values in enumerate(scores.values()):
            if len(values) > 1:
                spots = place + np.linspace(-0.12, 0.12, len(values))
                axes.plot(spots, values, "o", color="black", markersize=3.5, markerfacecolor="white")
        axes.set_xticks(range(len(scores)), list(scores))
        finish(axes, label, "", "score (lower is better)")
    return figure


def _trace_figure(
    trajectories: Mapping[str, Trajectories], reference: str, dimension: str, words: str, *, logarithmic: bool
) -> Figure | None:
    names = list(
        dict.fromkeys(
            name for item in trajectories.values() for name, value in item.variables.items() if dimension in value.dims
        )
    )
    if not names:
        return None
    style = looks(list(trajectories), reference)
    figure, panels = _panels(len(names))
    for name, axes in zip(names, panels, strict=True):
        for label, item in trajectories.items():
            for number, trace in enumerate(_traces(item, name, dimension)):
                shown = np.where(trace > 0, trace, np.nan) if logarithmic else trace
                look = style[label]
                axes.plot(
                    np.arange(1, len(trace) + 1),
                    shown,
                    color=look.colour,
                    linewidth=1.4,
                    marker="o" if len(trace) == 1 else None,
                    label=label if number == 0 else None,
                )
        if logarithmic:
            axes.set_yscale("log")
        finish(axes, name.replace("_", " "), words, "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    legend(figure)
    return figure


def _traces(item: Trajectories, name: str, dimension: str) -> Iterator[FloatArray]:
    """The traces of one variable along a dimension, one for each entry of the others."""
    if name in item.variables and dimension in item.variables[name].dims:
        labelled = item.variables[name]
        values = np.moveaxis(np.asarray(labelled.values, np.float64), labelled.dims.index(dimension), -1)
        yield from values.reshape(-1, values.shape[-1])


def _draw_curve(axes: Axes, item: Trajectories, values: FloatArray, look: Look) -> None:
    seen = ~np.isnan(values).all(axis=0)
    times, known = item.times[seen], values[:, seen]
    mean = np.nanmean(known, axis=0)
    if is_observed_data(item):
        axes.plot(times, mean, "o", color=look.colour, markersize=5, zorder=look.order + 2, label=item.label)
        return
    if len(known) > 1:
        low, high = np.nanquantile(known, BAND, axis=0)
        axes.fill_between(times, low, high, color=look.colour, alpha=0.16, linewidth=0, zorder=1)
    axes.plot(
        times,
        mean,
        color=look.colour,
        linestyle=look.line,
        linewidth=look.width,
        zorder=look.order,
        label=item.label,
    )


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, up to three in a row; a single one is half a page wide."""
    columns = 2 if count == 4 else min(_PANELS_A_ROW, max(count, 1))
    rows = max(1, math.ceil(count / columns))
    width = WIDTH * (0.48 if columns == 1 else 1.0)
    figure = Figure(figsize=(width, 2.8 * rows + 0.35), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    grid = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
    return figure, grid


def finish(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Titles, labels and lines of a panel, the same in every figure."""
    axes.set_title(title, fontsize=10.5, loc="left", fontweight="bold")
    axes.set_xlabel(x_label, fontsize=9, color=_GREY)
    axes.set_ylabel(y_label, fontsize=9, color=_GREY)
    axes.tick_params(labelsize=8.5, colors=_GREY, length=3)
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#8c8c8c")


def legend(figure: Figure) -> None:
    """One legend above all panels, where it covers no data, in as many lines as the width of the figure asks for.

    It takes the place of the one that is there: call it again when the figure has another size.
    """
    for old in list(figure.legends):
        old.remove()
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        entries |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in entries}
    for lines in range(max(1, math.ceil(len(entries) / 6)), len(entries) + 1):
        made = figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside upper left",
            ncols=math.ceil(len(entries) / lines),
            frameon=False,
            fontsize=9.5,
            handlelength=2.6,
        )
        if lines == len(entries) or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()


def with_unit(name: str, unit: str) -> str:
    """A name with its unit, where there is one."""
    return f"{name} ({unit})" if unit else name
