"""Maps of diffusions: densities and value functions over place and time, and when agents leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from mesocosm.dynamics import Trajectories
from mesocosm.figures import WIDTH, finish, legend, looks, with_unit

FloatArray = NDArray[np.float64]

SNAPSHOTS = 4
"""Times at which a density on two axes is shown."""

_COLOURS = "viridis"


def density_figure(trajectories: Mapping[str, Trajectories], *, unit: str = "") -> Figure | None:
    """Where agents are: one map over time and place for each dynamics, or on two axes a row of snapshots.

    All maps share one colour scale, the square root of the density, so that thin crowds are seen too. Means over replicates.
    None where no density was recorded.
    """
    densities = {
        label: _mean_map(item, "density") for label, item in trajectories.items() if "density" in item.variables
    }
    return _maps(trajectories, densities, "density", unit)


def value_figure(trajectories: Mapping[str, Trajectories], *, unit: str = "") -> Figure | None:
    """The expected cost to come at every time and place, where a solver found it; None where none did."""
    values = {
        label: np.asarray(item.array("value_function"), np.float64)
        for label, item in trajectories.items()
        if "value_function" in item.variables
    }
    return _maps(trajectories, values, "value_function", unit)


def exit_figure(trajectories: Mapping[str, Trajectories], reference: str, *, unit: str = "") -> Figure | None:
    """When agents leave: the share that leaves per unit time; None where nobody can."""
    leaving = {label: item for label, item in trajectories.items() if "absorbed" in item.variables}
    if not leaving:
        return None
    figure, panels = _panels(1, 1, WIDTH * 0.48, 3.1)
    style = looks(list(trajectories), reference)
    for label, item in leaving.items():
        gone = np.asarray(item.array("absorbed"), np.float64).mean(axis=0)
        rate = np.diff(gone) / np.diff(item.times)
        look = style[label]
        panels[0].stairs(rate, item.times, color=look.colour, linestyle=look.line, linewidth=look.width, label=label)
    finish(panels[0], "exit times", with_unit("time", unit), "share per unit time")
    legend(figure)
    return figure


def _mean_map(item: Trajectories, name: str) -> FloatArray:
    """A variable averaged over replicates: [time, places...]."""
    return np.asarray(np.asarray(item.array(name), np.float64).mean(axis=0), np.float64)


def _maps(
    trajectories: Mapping[str, Trajectories], found: Mapping[str, FloatArray], name: str, unit: str
) -> Figure | None:
    if not found:
        return None
    axes = [dim for dim in trajectories[next(iter(found))].variables[name].dims if dim not in ("replicate", "time")]
    draw = _over_time if len(axes) == 1 else _snapshots
    return draw(trajectories, found, axes, name.replace("_", " "), unit)


def _over_time(
    trajectories: Mapping[str, Trajectories],
    found: Mapping[str, FloatArray],
    axes: Sequence[str],
    words: str,
    unit: str,
) -> Figure:
    """One panel for each dynamics: time to the right, place upwards."""
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure, panels = _panels(rows, columns, WIDTH * (0.48 if columns == 1 else 1.0), 2.9 * rows)
    scale = _scale(found, words)
    for panel, (label, values) in zip(panels, found.items(), strict=False):
        item = trajectories[label]
        places = np.asarray(item.coordinates[axes[0]], np.float64)
        image = panel.pcolormesh(
            item.times, places, values.T, norm=scale, cmap=_COLOURS, shading="nearest", rasterized=True
        )
        finish(panel, label, with_unit("time", unit), axes[0])
    for panel in panels[len(found) :]:
        panel.set_visible(False)
    figure.colorbar(image, ax=panels[: len(found)], label=words, shrink=0.85)
    return figure


def _snapshots(
    trajectories: Mapping[str, Trajectories],
    found: Mapping[str, FloatArray],
    axes: Sequence[str],
    words: str,
    unit: str,
) -> Figure:
    """One row for each dynamics, one panel for each of a few times."""
    figure, panels = _panels(len(found), SNAPSHOTS, WIDTH, 2.5 * len(found))
    scale = _scale(found, words)
    for row, (label, values) in enumerate(found.items()):
        item = trajectories[label]
        x, y = (np.asarray(item.coordinates[axis], np.float64) for axis in axes)
        for column, save in enumerate(np.linspace(0, len(item.times) - 1, SNAPSHOTS + 1).astype(int)[:-1]):
            panel = panels[row * SNAPSHOTS + column]
            image = panel.pcolormesh(
                x, y, values[save].T, norm=scale, cmap=_COLOURS, shading="nearest", rasterized=True
            )
            finish(panel, f"{label} at {item.times[save]:g} {unit}".rstrip(), axes[0], axes[1])
            panel.set_aspect("equal")
    figure.colorbar(image, ax=panels, label=words, shrink=0.85)
    return figure


def _scale(found: Mapping[str, FloatArray], words: str) -> PowerNorm:
    """One colour scale for all maps; a spike at the start does not dim the rest."""
    values = np.concatenate([array.ravel() for array in found.values()])
    finite = values[np.isfinite(values)]
    if words == "density":
        later = np.concatenate([array[1:].ravel() for array in found.values()])
        return PowerNorm(0.5, vmin=0.0, vmax=float(later.max()) or 1.0)
    return PowerNorm(1.0, vmin=float(finite.min()), vmax=float(finite.max()))


def _panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height + 0.35), layout=ConstrainedLayoutEngine(w_pad=0.06, h_pad=0.06))
    return figure, [figure.add_subplot(rows, columns, number + 1) for number in range(rows * columns)]
