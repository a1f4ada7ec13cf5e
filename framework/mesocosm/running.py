"""A run from scenario file to report, and its resumption: the phases of `scheduler`, with a run folder around them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesocosm.building import Maker, build, makers_of
from mesocosm.dynamics import Trajectories
from mesocosm.errors import InputError
from mesocosm.loading import load
from mesocosm.nested import nested_graphs
from mesocosm.problem import Problem
from mesocosm.registry import Registry, installed
from mesocosm.scenario import Scenario
from mesocosm.scheduler import simulate
from mesocosm.store import RunFolder, versions

if TYPE_CHECKING:
    from mesocosm.results import Results


def run(
    scenario: Scenario | str | Path,
    out: str | Path = "runs",
    *,
    settings: Mapping[str, str] | None = None,
    device: str | None = None,
    report: bool = True,
    registry: Registry | None = None,
) -> Results:
    """Run a scenario from file to report; returns the results, whose `folder` holds everything.

    `out` is the folder in which the run folder is made; `device` overrides that of the scenario.
    """
    plugins = registry or installed()
    changes = {**(settings or {}), **({"device": device} if device else {})}
    if isinstance(scenario, Scenario):
        if changes:
            raise InputError("settings with a scenario that is already read", where="run", hint="give them to load")
        chosen = scenario
    else:
        chosen = load(scenario, changes, plugins)
    problem = build(chosen, plugins)
    makers = makers_of(chosen, plugins)
    resolved = chosen.resolved()
    names = {"dynamics": [choice.name for choice in chosen.dynamics.values()]}
    graphs = [chosen.graph.name, *(graph.name for graph in nested_graphs(chosen.graph.options))]
    names |= {"game": [chosen.game.name], "graph": graphs}
    names |= {"strategy": [event.strategy.name for event in chosen.events if event.strategy]}
    manifest = {
        "scenario_sha256": chosen.digest(),
        "seed": chosen.seed,
        "device": {"requested": problem.device.requested, "name": problem.device.name},
        "precision": chosen.precision,
        "versions": versions(),
        "plugins": plugins.used(names),
    }
    folder = RunFolder.create(Path(out), chosen.name, chosen.text, resolved, manifest)
    return _finish(chosen, problem, makers, folder, plugins, report)


def resume(path: str | Path, *, report: bool = True, registry: Registry | None = None) -> Results:
    """Go on with a run that failed or was interrupted: finished dynamics are kept, the others are run.

    A dynamics that was under way goes on from the last state that it packed, or from time 0 with its own files
    where it keeps any (the training of a network does); either way the results are those of an uninterrupted run.
    """
    plugins = registry or installed()
    folder = RunFolder.open(Path(path))
    status = folder.manifest()["status"]
    if status in ("done", "running"):
        raise InputError(
            f"the run is {status}", where=str(path), rule="only a failed, interrupted or killed run resumes"
        )
    scenario = load(folder.path / "scenario.resolved.json", registry=plugins)
    scenario = replace(scenario, text=(folder.path / "scenario.yaml").read_text(encoding="utf-8"))
    problem, makers = build(scenario, plugins), makers_of(scenario, plugins)
    folder.reopen()
    return _finish(scenario, problem, makers, folder, plugins, report)


def _finish(
    scenario: Scenario,
    problem: Problem,
    makers: Mapping[str, Maker],
    folder: RunFolder,
    plugins: Registry,
    report: bool,
) -> Results:
    """Simulate, compare, save and report, and leave the folder with the right status whatever happens."""
    entries = {label: plugins.entry("dynamics", choice.name) for label, choice in scenario.dynamics.items()}
    about: dict[str, Any] = {
        "name": scenario.name,
        "folder": folder.path,
        "labels": list(makers),
        "device": problem.device.name,
        "seed": scenario.seed,
        "origins": {label: f"{entry.component.name} of {entry.plugin}" for label, entry in entries.items()},
    }
    try:
        folder.event("run_started", labels=list(makers))
        plugins.notify("mesocosm_run_started", run=about)
        found = simulate(problem, makers, notify=plugins.notify, folder=folder, entries=entries)
        ordered = {label: found[label] for label in scenario.dynamics}
        results = _results(scenario, problem, ordered, folder)
        results.save(folder.path / "results.nc")
        folder.update(status="done", warnings=plugins.warnings)
        if report:
            from mesocosm.report import write_run_report

            write_run_report(results, folder, plugins)
        folder.event("run_finished")
        folder.tidy()
        plugins.notify("mesocosm_run_finished", run=about, results=results)
        return results
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        folder.event(f"run_{status}", message=str(error))
        folder.update(status=status, message=str(error) or type(error).__name__, warnings=plugins.warnings)
        raise


def _results(scenario: Scenario, problem: Problem, found: Mapping[str, Trajectories], folder: RunFolder) -> Results:
    from mesocosm.comparing import compare
    from mesocosm.results import Results

    comparison = None
    at_risk = getattr(problem.game, "at_risk", None)
    reference = scenario.compare.reference or (next(iter(found)) if found else None)
    if reference is not None and len(found) > 1:
        comparison = compare(
            found,
            reference,
            observables=scenario.compare.observables,
            window=scenario.compare.window,
            at_risk=at_risk,
            seed=scenario.seed,
        )
    attributes = {
        "name": scenario.name,
        "time_unit": scenario.time.unit,
        "seed": scenario.seed,
        "scenario_sha256": scenario.digest(),
        "at_risk": at_risk or "",
        "scenario": json.dumps(scenario.resolved()),
    }
    return Results.of(found, comparison, attributes, folder.path)
