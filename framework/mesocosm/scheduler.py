"""The loop, on one page. `run` does these phases in this order, and each is a public function of its own:

    load       a scenario file becomes a checked Scenario                        (nothing heavy is imported)
    build      graph, game, population, clock and device become a frozen Problem
    order      dynamics that others refer to come first                          (Scenario.order)
    makers_of  what makes each dynamics, by label, in the order in which they run
    simulate   for each label: make and check all; then prepare, init, and for every interval advance, observe, record
    compare    distances from the reference, with intervals
    save       results.nc, then report.html, into the run folder

A notebook may stop at any of them. What goes wrong ends as one error that says where, and the run folder says so too.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mesocosm.building import Maker, build, makers_of
from mesocosm.dynamics import Context, Dynamics, Trajectories
from mesocosm.errors import DynamicsError, InputError, MesocosmError
from mesocosm.loading import load, parse
from mesocosm.policy import Policy
from mesocosm.problem import Problem
from mesocosm.recorder import Recorder
from mesocosm.registry import Registry, installed
from mesocosm.scenario import Scenario
from mesocosm.store import RunFolder, peak_memory, versions

if TYPE_CHECKING:
    from mesocosm.results import Results

Notify = Callable[..., object]

__all__ = ["build", "load", "parse", "resume", "run", "simulate"]


def simulate(
    problem: Problem,
    makers: Mapping[str, Maker],
    *,
    notify: Notify | None = None,
    folder: RunFolder | None = None,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, Trajectories]:
    """Run dynamics on a problem, in the order given, and return what each recorded.

    `makers` are what `Dynamics.bind(options)` gives, by label. With a `folder`, finished dynamics are kept there, and those
    that it already holds are not run again. Raises `DynamicsError` naming the label and the time.
    """
    tell = notify or (lambda *_, **__: None)
    made: dict[str, Dynamics] = {}
    prepared: set[str] = set()
    done: dict[str, Trajectories] = {}

    def prepare(label: str) -> Dynamics:
        if label not in prepared:
            with _guard(label, "preparing"):
                made[label].prepare()
            prepared.add(label)
        return made[label]

    def policy_of(label: str) -> Policy:
        policy = prepare(label).policy()
        if policy is None:
            raise InputError(f"'{label}' has no policy", where="policy", rule="it must solve for one, or be given one")
        return policy

    def report_of(label: str) -> Callable[[str, float, str], None]:
        def report(phase: str, fraction: float, note: str) -> None:
            tell("mesocosm_phase_advanced", label=label, phase=phase, fraction=fraction, note=note)

        return report

    for label, maker in makers.items():
        files = folder.files(label) if folder else None
        context = Context(label, problem.streams(label), policy_of, lambda other: done[other], files, report_of(label))
        with _guard(label, "checking the problem"):
            made[label] = maker(problem, context)
            made[label].check()
    for label, dynamics in made.items():
        kept = _restore(folder, label)
        done[label] = kept or _run_one(
            label, (kinds or {}).get(label, type(dynamics).__name__), prepare, tell, folder, dynamics
        )
    return done


def _run_one(
    label: str,
    kind: str,
    prepare: Callable[[str], Dynamics],
    tell: Notify,
    folder: RunFolder | None,
    dynamics: Dynamics,
) -> Trajectories:
    """Prepare one dynamics, advance it over every interval, record; and keep what it cost."""
    device = dynamics.problem.device.name if dynamics.problem.device.kind in dynamics.devices else "cpu"
    if folder:
        folder.event("dynamics_started", label=label, kind=kind, device=device)
        folder.update_dynamics(label, kind=kind, status="running", device=device)
    started = time.perf_counter()
    prepare(label)
    ready = time.perf_counter()
    clock = dynamics.problem.clock
    with _guard(label, "at time 0"):
        recorder = Recorder(label, kind, dynamics)
        state = dynamics.init()
        recorder.save(0, dynamics.observe(state))
    for interval in clock.intervals():
        with _guard(label, f"between times {interval.start:g} and {interval.stop:g}"):
            state = dynamics.advance(state, interval)
            kept = recorder.save(interval.index + 1, dynamics.observe(state))
        tell("mesocosm_interval_finished", label=label, interval=interval, observation=kept)
        tell("mesocosm_phase_advanced", label=label, phase="advance", fraction=interval.stop / clock.end, note="")
    with _guard(label, "summing up"):
        trajectories = recorder.trajectories(dynamics.summary(state))
    if folder:
        _keep(folder, label, trajectories)
        walls = {"prepare": ready - started, "advance": time.perf_counter() - ready}
        walls = {phase: round(seconds, 4) for phase, seconds in walls.items()}
        folder.update_dynamics(label, status="done", wall_seconds=walls, peak_memory_bytes=peak_memory())
        folder.event("dynamics_finished", label=label, wall_seconds=walls)
    return trajectories


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
    names |= {"game": [chosen.game.name], "graph": [chosen.graph.name]}
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

    A dynamics that was under way starts again from its own files where it keeps any (the training of a network does),
    else from time 0; either way the results are those of an uninterrupted run.
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
    about = {
        "name": scenario.name,
        "folder": folder.path,
        "labels": list(makers),
        "device": problem.device.name,
        "seed": scenario.seed,
    }
    kinds = {label: choice.name for label, choice in scenario.dynamics.items()}
    try:
        folder.event("run_started", labels=list(makers))
        plugins.notify("mesocosm_run_started", run=about)
        found = simulate(problem, makers, notify=plugins.notify, folder=folder, kinds=kinds)
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


@contextmanager
def _guard(label: str, when: str) -> Iterator[None]:
    """Whatever a dynamics raises ends as one error that names it."""
    try:
        yield
    except MesocosmError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise DynamicsError(
            f"{type(error).__name__}: {text}",
            where=f"dynamics '{label}', {when}",
            hint=f"raised at {last.filename}:{last.lineno}; --traceback shows the whole way there",
        ) from error


def _keep(folder: RunFolder, label: str, trajectories: Trajectories) -> None:
    from mesocosm.results import Results

    Results.of({label: trajectories}, None, {}).save(folder.checkpoint(label))


def _restore(folder: RunFolder | None, label: str) -> Trajectories | None:
    if folder is None or not folder.checkpoint(label).is_file():
        return None
    from mesocosm.results import open_results

    return open_results(folder.checkpoint(label)).trajectories()[label]
