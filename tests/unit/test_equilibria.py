"""Equilibrium measures for people: would catch a lost measure, an error that is no standard error, and false digits."""

from __future__ import annotations

import numpy as np
import pytest

from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.equilibria import equilibria, equilibria_table


def recorded(label: str, **scalars: object) -> Trajectories:
    variables = {
        name: Labelled(("replicate",) if np.ndim(value) else (), np.asarray(value, np.float64))
        for name, value in scalars.items()
    }
    return Trajectories(label, "kind", np.array([0.0, 1.0]), variables, {}, True)


COSTS = np.array([1.0, 2.0, 3.0, 6.0])


def test_measures_are_read_from_what_was_recorded():
    found = equilibria(
        {
            "agents": recorded("agents", cost=COSTS, deviation_gain=0.25, deviation_gain_error=0.125),
            "nash": recorded("nash", value=2.5, exploitability=1e-9, consistency=0.0, price_of_anarchy=1.25),
            "table": recorded("table", final_size=0.5),
        }
    )
    assert [row.dynamics for row in found] == ["agents", "nash"]
    agents, nash = found
    assert (agents.cost, agents.cost_error) == pytest.approx((3.0, COSTS.std(ddof=1) / 2))
    assert (agents.deviation_gain, agents.deviation_gain_error) == (0.25, 0.125)
    assert np.isnan(agents.exploitability)
    assert (nash.cost, nash.cost_error, nash.exploitability, nash.price_of_anarchy) == (2.5, 0.0, 1e-9, 1.25)


def test_table_leaves_out_what_nobody_has():
    text = equilibria_table(equilibria({"agents": recorded("agents", cost=COSTS), "nash": recorded("nash", value=2.5)}))
    assert text.splitlines()[0].split() == ["dynamics", "cost"]
    assert "3.0 ± 1.1" in text
    assert "2.5" in text.splitlines()[2]


def test_an_error_that_is_nothing_gives_no_digits():
    costs = 9.162367 + np.array([-1e-8, 0.0, 1e-8])
    (line,) = equilibria_table(equilibria({"played": recorded("played", cost=costs)})).splitlines()[1:]
    assert line.split() == ["played", "9.1624"]


def test_no_costs_no_table():
    assert equilibria_table(equilibria({"table": recorded("table", final_size=0.5)})) == ""
