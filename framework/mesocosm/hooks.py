"""Hooks: how plugins announce components and follow a run. One flat file; this is all there is.

A plugin is a module (or object) with functions marked `@hookimpl`. An installed package announces it as an entry point in
the group `mesocosm.plugins`; `mesocosm -p FILE.py` loads a single file.

    from mesocosm import Component, hookimpl

    @hookimpl
    def mesocosm_components():
        yield Component(
            kind="dynamics", name="gillespie", factory="my_package.dynamics:Gillespie",
            options="my_package.options:GillespieOptions", summary="exact stochastic simulation",
        )

Registration is data: `factory` and `options` are named, not imported, until a scenario uses them. Hook arguments may be
left out of an implementation, never given defaults (pluggy would not pass them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from mesocosm.clock import Interval

API_VERSION = 1
"""Version of the plugin interface. A component written for another one is refused with both numbers."""

KINDS = ("dynamics", "game", "graph", "strategy", "observable", "data", "executor", "model")

hookspec = pluggy.HookspecMarker("mesocosm")
hookimpl = pluggy.HookimplMarker("mesocosm")
"""Marks a function, or a method of an object, as the implementation of the hook of the same name."""


@dataclass(frozen=True)
class Component:
    """Something that a scenario can name with `kind: NAME`.

    Attributes
    ----------
    kind: one of `KINDS`.
    name: what scenarios write; lower case, words joined by underscores.
    factory: `module:attribute` of what makes it; imported only when a scenario is run with it.
        dynamics: a subclass of `mesocosm.Dynamics`.
        game: a callable (options) -> Game.
        graph: a callable (options, size or None, numpy Generator) -> ContactGraph.
        strategy: a callable (options) -> Strategy.
        model: a model of an agent-based library, unedited; for the dynamics `mesa_model` a subclass of `mesa.Model`, or a
            function that returns one.
        observable: a function of such a model.
        executor: what runs a scenario in a way of its own, such as `mesa` for `mesocosm.mesa_model`.
    options: `module:attribute` of its options model, a subclass of `mesocosm.Options`, in a module that imports nothing
        heavy: `mesocosm validate` imports it.
    requires: distributions that it needs beyond those of mesocosm; a missing one is named with how to install it.
    summary: one line for `mesocosm plugins`.
    api: the `API_VERSION` that it was written for.
    """

    kind: str
    name: str
    factory: str
    options: str
    summary: str
    requires: tuple[str, ...] = ()
    api: int = API_VERSION


@hookspec
def mesocosm_components() -> Iterable[Component]:  # type: ignore[empty-body]
    """The components of this plugin. Called once, before any scenario is read; import nothing heavy."""


@hookspec
def mesocosm_run_started(run: Mapping[str, Any]) -> None:
    """A run begins. `run` has: name, folder (or None), labels (in the order in which they will run), origins (label ->
    component and plugin, as text), device, seed."""


@hookspec
def mesocosm_phase_advanced(label: str, phase: str, fraction: float, note: str) -> None:
    """A dynamics is at `fraction` (0 to 1) of a phase, `prepare` or `advance`; `note` is for people, such as a loss.
    Both phases are announced at fraction 0."""


@hookspec
def mesocosm_interval_finished(label: str, interval: Interval, observation: Mapping[str, Any]) -> None:
    """One save interval of one dynamics is done; `observation` is what was recorded at its end. At most once a save."""


@hookspec
def mesocosm_run_finished(run: Mapping[str, Any], results: Any) -> None:
    """A run is complete and its results are on disk. `results` is a `mesocosm.Results`."""


@hookspec
def mesocosm_report_sections(results: Any) -> Iterable[tuple[str, str]]:  # type: ignore[empty-body]
    """Extra sections of the report, as (title, HTML) pairs, below the built-in ones."""


@hookspec
def mesocosm_cli_commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Extra click commands for the `mesocosm` program."""
