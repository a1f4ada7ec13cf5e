"""The figure that shows why the loss matters: what is learned of the same data with the energy score and with squared errors.

A page says where it goes by `<!-- generated: spread SCENARIO DATA LABEL... -->`, in the page that also shows the scenario in
the gallery: both come from one run.
"""

from __future__ import annotations

import numpy as np
from gallery import NEEDS_DATA, Gallery, finished, listed, picture, run
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mesocosm import Results
from mesocosm.figures import COLOURS, REFERENCE_COLOUR, finish, with_unit
from mesocosm.observables import quantiles_of

BANDS = ((0.05, 0.95, 0.18), (0.25, 0.75, 0.32))
"""Lower and upper level of each band, and how dark it is."""

SIZE = (7.5, 2.7)


def spread(gallery: Gallery, name: str, *labels: str) -> str:
    """The figure of a scenario as Markdown; one sentence where its data are not on this machine."""
    found = gallery.found(name)
    if found is None:
        return NEEDS_DATA
    scenario, folder = found
    results = finished(folder) or run(scenario, folder)
    address = f"/{folder.relative_to(gallery.docs).as_posix()}"
    words = f"where {listed(labels)} are over time: median, and bands of half and of nine tenths of all."
    return picture(results, spread_figure(results, labels), SIZE, "spread", words, folder, address)


def spread_figure(results: Results, labels: tuple[str, ...]) -> Figure:
    """Median and bands of the first axis over time, a panel for each label; the first one is what was observed."""
    figure = Figure(layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    panels = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    recorded, unit = results.trajectories(), str(results.attributes["time_unit"])
    for number, (label, axes) in enumerate(zip(labels, panels, strict=True)):
        found = recorded[label]
        axis, values = next(iter(quantiles_of(found).items()))
        levels, middle = np.asarray(found.coordinates["level"], np.float64), values.mean(axis=0)
        colour = REFERENCE_COLOUR if number == 0 else COLOURS[number - 1]
        for low, high, shade in BANDS:
            edges = [[np.interp(level, levels, row) for row in middle] for level in (low, high)]
            axes.fill_between(found.times, *edges, color=colour, alpha=shade, linewidth=0)
        axes.plot(found.times, [np.interp(0.5, levels, row) for row in middle], color=colour, linewidth=1.7)
        finish(axes, label, with_unit("time", unit), axis if number == 0 else "")
    return figure
