"""Tables of what was found out: would catch a lost number, one in the wrong row, and a table of nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mesocosm.dynamics import Labelled, Trajectories
from mesocosm.equilibria import NOTHING
from mesocosm.findings import findings, texts


def recorded(variables: Mapping[str, Labelled], coordinates: Mapping[str, Sequence[Any]] | None = None) -> Trajectories:
    return Trajectories("learned", "neural_sde", np.array([0.0, 1.0]), variables, coordinates or {}, True)


def test_held_out_scores_are_means_over_seeds_beside_their_baselines():
    scores = {
        "heldout_score": Labelled(("seed",), np.array([0.1, 0.3])),
        "heldout_score_persistence": Labelled((), np.array(0.5)),
        "heldout_score_unlearned": Labelled((), np.array(0.05)),
    }
    (table,) = findings({"learned": recorded(scores), "agents": recorded({})})
    assert table.lines == (("learned", "0.2", "0.5", "0.05", NOTHING),)
    (covered,) = findings({"learned": recorded({**scores, "heldout_coverage": Labelled((), np.array(0.875))})})
    assert covered.lines[0][-1] == "0.875"


def test_held_out_series_have_a_table_of_their_own():
    scores = {
        "series_score": Labelled(("seed",), np.array([2.0, 4.0])),
        "series_score_climatology": Labelled((), np.array(5.0)),
        "series_score_unlearned": Labelled((), np.array(6.0)),
        "series_coverage": Labelled((), np.array(0.5)),
    }
    (table,) = findings({"learned": recorded(scores)})
    assert table.title == "Held-out series"
    assert table.lines == (("learned", "3", "5", "6", "0.5"),)


def test_forecasts_have_a_line_for_every_horizon_and_model():
    dims = ("model", "horizon")
    values = np.array([[100.4, 2000.6, 1.0], [3.0, 4.0, 5.0]])
    item = recorded(
        {
            "forecast_crps": Labelled(dims, values),
            "forecast_error": Labelled(dims, 2 * values),
            "forecast_coverage": Labelled(dims, np.full((2, 3), np.nan)),
        },
        {"model": ["learned", "persistence"], "horizon": [7.0, 14.0, 28.0]},
    )
    (table,) = findings({"learned": item})
    assert len(table.lines) == 6
    assert table.lines[0] == ("learned", "learned", "7", "100", "201", NOTHING)
    assert table.lines[2] == ("learned", "learned", "14", "2,001", "4,001", NOTHING)
    assert table.lines[5] == ("learned", "persistence", "28", "5", "10", NOTHING)


def test_parameters_are_shown_with_their_errors_in_aligned_text():
    item = recorded(
        {
            "parameter_value": Labelled(("parameter",), np.array([0.29876, 1.5])),
            "parameter_error": Labelled(("parameter",), np.array([0.0123, np.nan])),
        },
        {"parameter": ["beta", "effort.cost"]},
    )
    (table,) = findings({"learned": item})
    assert table.lines == (("learned", "beta", "0.29876", "0.012"), ("learned", "effort.cost", "1.5", NOTHING))
    lines = texts([table]).splitlines()
    assert lines[0].startswith("Calibrated parameters. ")
    assert lines[2].index("0.29876") + 7 == lines[3].index("1.5") + 3


def test_nothing_found_no_table():
    assert findings({"agents": recorded({})}) == []
    assert texts([]) == ""
