"""The loop, on one page. A run does these phases in this order, and each is a public function of its own:

    load       a scenario file becomes a checked Scenario                        (nothing heavy is imported)
    build      graph, game, population, clock and device become a frozen Problem
    order      dynamics that others refer to come first                          (Scenario.order)
    makers_of  what makes each dynamics, by label, in the order in which they run
    simulate   for each label: make and check all; then prepare, init, and for every interval advance, observe, record
    compare    distances from the reference, with intervals
    save       results.nc, then report.html, into the run folder

A notebook may stop at any of them. What goes wrong ends as one error that says where, and the run folder says so too.
`simulate` is here; `running` puts a run folder around it.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mesocosm.assessing import assess, can_assess
from mesocosm.building import Maker
from mesocosm.checkpoint import Checkpoint
from mesocosm.dynamics import Context, Dynamics, State, Trajectories
from mesocosm.errors import DynamicsError, InputError, MesocosmError, RunError, ScenarioError
from mesocosm.features import refuse_unexpressed
from mesocosm.plugin import Entry
from mesocosm.policy import Policy
from mesocosm.policy_file import pack_policy
from mesocosm.problem import Problem
from mesocosm.recorder import Recorder
from mesocosm.store import RunFolder, peak_memory

Notify = Callable[..., object]

CHECKPOINT_SECONDS = 30.0
"""Wall time between two checkpoints of a dynamics that is under way."""


def simulate(
    problem: Problem,
    makers: Mapping[str, Maker],
    *,
    notify: Notify | None = None,
    folder: RunFolder | None = None,
    entries: Mapping[str, Entry] | None = None,
) -> dict[str, Trajectories]:
    """Run dynamics on a problem, in the order given, and return what each recorded.

    `makers` are what `Dynamics.bind(options)` gives, by label; `entries` say which component each is, for messages. With a
    `folder`, finished dynamics are kept there, and those that it already holds are not run again; one that was under way
    goes on from the last state that it packed. Raises `DynamicsError` naming the label and the time.
    """
    tell = notify or (lambda *_, **__: None)
    made: dict[str, Dynamics] = {}
    prepared: set[str] = set()
    done: dict[str, Trajectories] = {}
    guards = {label: _Guard(label, (entries or {}).get(label)) for label in makers}

    def prepare(label: str) -> Dynamics:
        if label not in prepared:
            with guards[label].at("preparing"):
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
        with guards[label].at("checking the problem"):
            made[label] = maker(problem, context)
            kind = entries[label].component.name if entries and label in entries else type(made[label]).__name__
            refuse_unexpressed(label, kind, made[label])
            made[label].check()
    for label, dynamics in made.items():
        kept = Checkpoint.finished(folder, label)
        done[label] = kept or _run_one(label, guards[label], prepare, tell, folder, dynamics)
    return done


def _run_one(
    label: str,
    guard: _Guard,
    prepare: Callable[[str], Dynamics],
    tell: Notify,
    folder: RunFolder | None,
    dynamics: Dynamics,
) -> Trajectories:
    """Prepare one dynamics, advance it over every interval, record; and keep what it cost."""
    kind = guard.entry.component.name if guard.entry else type(dynamics).__name__
    device = dynamics.problem.device.name if dynamics.problem.device.kind in dynamics.devices else "cpu"
    if folder:
        folder.event("dynamics_started", label=label, kind=kind, device=device)
        folder.update_dynamics(label, kind=kind, status="running", device=device)
    started = time.perf_counter()
    tell("mesocosm_phase_advanced", label=label, phase="prepare", fraction=0.0, note="")
    prepare(label)
    ready = time.perf_counter()
    tell("mesocosm_phase_advanced", label=label, phase="advance", fraction=0.0, note="")
    with guard.at("at time 0"):
        recorder = Recorder(label, kind, dynamics)
    checkpoint = Checkpoint(folder, label, dynamics, recorder, CHECKPOINT_SECONDS)
    with checkpoint:
        state = _advance(guard, tell, dynamics, recorder, checkpoint)
    with guard.at("summing up"):
        summary = dynamics.summary(state)
        trajectories = recorder.trajectories({**_measures(label, dynamics, recorder, tell, folder), **summary})
    if folder:
        _keep_policy(folder, label, dynamics)
    if folder:
        checkpoint.finish(trajectories)
        walls = {"prepare": ready - started, "advance": time.perf_counter() - ready}
        walls = {phase: round(seconds, 4) for phase, seconds in walls.items()}
        folder.update_dynamics(label, status="done", wall_seconds=walls, peak_memory_bytes=peak_memory())
        folder.event("dynamics_finished", label=label, wall_seconds=walls)
    return trajectories


def _measures(
    label: str, dynamics: Dynamics, recorder: Recorder, tell: Notify, folder: RunFolder | None
) -> dict[str, float]:
    """How far the policy that was played is from an equilibrium, where the game has costs.

    What cannot be assessed costs no run: the reason is told, and kept among the events of the run.
    """
    policy = dynamics.plays() if dynamics.problem.game.has_costs else None
    if policy is None or not can_assess(dynamics.problem, policy):
        return {}
    try:
        found = assess(dynamics.problem, policy, recorder.arrays)
    except MesocosmError as error:
        reason = f"not assessed: {error.message()}"
        tell("mesocosm_phase_advanced", label=label, phase="advance", fraction=1.0, note=reason)
        if folder:
            folder.event("not_assessed", label=label, reason=error.message())
        return {}
    return {"exploitability": found.exploitability, "consistency": found.consistency}


def _keep_policy(folder: RunFolder, label: str, dynamics: Dynamics) -> None:
    """Keep the policy that a dynamics found, for `policy: {file: ...}` elsewhere."""
    policy = dynamics.policy()
    content = None if policy is None else pack_policy(policy)
    if content is not None:
        folder.keep_policy(label, content)


def _advance(guard: _Guard, tell: Notify, dynamics: Dynamics, recorder: Recorder, checkpoint: Checkpoint) -> State:
    """From time 0, or from where a run was stopped, to the end; returns the last state."""
    label, clock = guard.label, dynamics.problem.clock
    kept = checkpoint.restored()
    first = kept[0] if kept else 0
    with guard.at("going on from a checkpoint" if kept else "at time 0"):
        state = dynamics.unpack(kept[1]) if kept else dynamics.init()
        if kept is None:
            recorder.save(0, dynamics.observe(state))
    for interval in clock.intervals(first):
        checkpoint.at(interval.index, state)
        with guard.at(f"between times {interval.start:g} and {interval.stop:g}"):
            state = dynamics.advance(state, interval)
            seen = recorder.save(interval.index + 1, dynamics.observe(state))
        tell("mesocosm_interval_finished", label=label, interval=interval, observation=seen)
        tell("mesocosm_phase_advanced", label=label, phase="advance", fraction=interval.stop / clock.end, note="")
    return state


@dataclass(frozen=True)
class _Guard:
    """Whatever a dynamics raises ends as one error that names it, and the plugin that it comes from."""

    label: str
    entry: Entry | None

    @contextmanager
    def at(self, when: str) -> Iterator[None]:
        """Around one phase, which `when` names."""
        where = f"dynamics '{self.label}', {when}"
        origin = f"it comes from {self.entry.plugin}" if self.entry else ""
        try:
            yield
        except ScenarioError:
            raise
        except MesocosmError as error:
            named = error if self.label in error.message() else error.followed_by(f"in {where}")
            raise named.followed_by(origin if isinstance(error, RunError) else "") from error
        except Exception as error:
            text = " ".join(str(error).split())
            last = traceback.extract_tb(error.__traceback__)[-1]
            raised = f"raised at {last.filename}:{last.lineno}; --traceback shows the whole way there"
            raise DynamicsError(
                f"{type(error).__name__}: {text}" if text else type(error).__name__,
                where=where,
                hint="; ".join(part for part in (raised, origin) if part),
            ) from error
