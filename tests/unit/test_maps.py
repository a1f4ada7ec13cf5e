"""Maps of diffusions: would catch axes that are swapped, maps on different scales, and a spike that dims the rest."""

from __future__ import annotations

import numpy as np
import pytest

from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.maps import density_figure, exit_figure, value_figure

TIMES = np.linspace(0.0, 2.0, 5)


def on_a_line(label: str, peak: float = 3.0, **more: Labelled) -> Trajectories:
    density = np.zeros((2, 5, 4))
    density[:, 0, 1] = 100.0
    density[:, 1:, 2] = peak
    variables = {"density": Labelled(("replicate", "time", "x"), density), **more}
    return Trajectories(label, "kind", TIMES, variables, {"x": [-1.5, -0.5, 0.5, 1.5]}, True)


def maps_of(figure):
    return [axes for axes in figure.axes if axes.collections and axes.get_label() != "<colorbar>"]


def test_time_to_the_right_and_place_upwards():
    figure = density_figure({"one": on_a_line("one"), "two": on_a_line("two", 1.0)}, unit="day")
    first, second = maps_of(figure)
    assert (first.get_xlabel(), first.get_ylabel(), second.get_title(loc="left")) == ("time (day)", "x", "two")
    values = first.collections[0].get_array()
    assert values.shape == (4, 5)
    assert values[2, 3] == 3.0
    assert first.collections[0].norm.vmax == second.collections[0].norm.vmax == 3.0


def test_two_axes_are_shown_at_a_few_times():
    density = np.zeros((1, 5, 4, 3))
    density[0, :, 3, 0] = 2.0
    recorded = Trajectories(
        "crowd", "kind", TIMES, {"density": Labelled(("replicate", "time", "x", "y"), density)},
        {"x": [0.0, 1.0, 2.0, 3.0], "y": [0.0, 1.0, 2.0]}, True,
    )  # fmt: skip
    panels = maps_of(density_figure({"crowd": recorded}))
    assert len(panels) == 4
    assert panels[1].collections[0].get_array()[0, 3] == 2.0


def test_exit_rate_is_the_share_that_leaves_per_unit_time():
    gone = Labelled(("replicate", "time"), np.array([[0.0, 0.1, 0.4, 0.4, 0.4], [0.0, 0.3, 0.4, 0.4, 0.6]]))
    figure = exit_figure({"one": on_a_line("one", absorbed=gone)}, "one")
    (steps,) = figure.axes[0].patches
    assert steps.get_data().values == pytest.approx([0.4, 0.4, 0.0, 0.2])


def test_value_functions_only_where_there_are_any():
    value = Labelled(("time", "x"), np.outer(TIMES, np.arange(4.0)))
    assert value_figure({"one": on_a_line("one")}) is None
    (panel,) = maps_of(value_figure({"one": on_a_line("one", value_function=value), "two": on_a_line("two")}))
    assert panel.collections[0].get_array()[3, 4] == 6.0
