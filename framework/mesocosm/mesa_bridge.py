"""A run as a `mesa.Model`, for people at home in Mesa. The component `mesa` of kind `executor` makes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mesocosm.registry import installed


def mesa_model(
    scenario: str | Path,
    label: str | None = None,
    *,
    rng: int | None = None,
    plugins: Sequence[str | Path] = (),
    **settings: str | float,
) -> Any:
    """A `mesa.Model` that plays one replicate of a scenario: each step is one save interval, each agent one node.

    Parameters
    ----------
    scenario: a file, or the text of a scenario.
    label: which dynamics of kind `agent_based`; by default the first.
    rng: the seed; by default that of the scenario.
    plugins: files of plugins, as `mesocosm -p` takes them.
    settings: settings of the scenario, such as `**{"game.beta": 0.05}`.

    Agents have `state`, the name of their state, and `node`; the model has `now`, `state_numbers`, `share_NAME` for every
    state, a `datacollector` and a `grid`. It pickles, and `mesa.batch_run(mesocosm.mesa_model, {...})` runs many.

    Raises `InputError` for a game without finite states and a label that is not that of agents, and what `load` raises.
    """
    make = installed().factory("executor", "mesa")
    return make(scenario=str(scenario), label=label, rng=rng, plugins=[str(file) for file in plugins], **settings)
