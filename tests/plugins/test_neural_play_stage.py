"""Play in games of simultaneous actions: the known equilibria, records, resume, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import Context, InputError, Labelled, Problem, Streams
from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.play.stage_play import StagePlay

MEETING = (
    "{kind: meeting, form: static, scheduled: 12, quorum: 0.8, reputation: 1, inconvenience: 1, waiting: 1, sigma: 0.5}"
)
BAR = "{kind: el_farol, capacity: 0.6, payoffs: {uncrowded: 1, home: 0.5, crowded: 0}}"
SMALL = {"play": {"averaging": 1, "flow_every": 1}, "seeds": 3, "steps": 40, "check_every": 10, "checkpoint_every": 10}
TEXT = """
mesocosm: 1
name: rounds
seed: 8
time: {end: 3, save_every: 1}
population: {size: 10}
graph: {kind: complete}
game: GAME
"""


class KilledError(Exception):
    """Stands for whatever ends a run."""


def problem_of(game: str) -> Problem:
    return mesocosm.build(mesocosm.parse(TEXT.replace("GAME", game)))


def play(
    game: str,
    *,
    folder: Path | None = None,
    report: Callable[[str, float, str], None] = lambda phase, fraction, note: None,
    **options: Any,
) -> StagePlay:
    """The dynamics, checked and prepared."""
    context = Context("neural", Streams(8, "neural"), folder=folder, report=report)
    model = NeuralSDE(problem_of(game), NeuralSDEOptions.model_validate({**SMALL, **options}), context)
    assert isinstance(model, StagePlay)
    model.check()
    model.prepare()
    return model


def summary_of(model: StagePlay) -> dict[str, Any]:
    found = model.summary(model.init())
    return {name: value.values if isinstance(value, Labelled) else value for name, value in found.items()}


def test_the_static_meeting_is_found() -> None:
    """Catches a wrong derivative, and signals that are not held fixed: tau = 12.1266735516, T = 12.5474841684.

    Differentiating through the start of the meeting as well would end elsewhere. Every seed finds it, from where it starts,
    up to the error of the central difference, 1e-8.
    """
    model = play(MEETING, play={}, steps=1500, check_every=500)
    np.testing.assert_allclose(model.actions, 12.1266735516, atol=1e-7)
    np.testing.assert_allclose(model.observe(model.init())["start_time"], 12.5474841684, atol=1e-7)
    summary = summary_of(model)
    assert (summary["exploitability_of_seed"] < 1e-12).all()
    assert summary["converged"] == 1.0


def test_the_bar_fills_to_its_capacity() -> None:
    """Catches a population that herds: K/N = 0.6, where the payoff jumps and every other share can be exploited by 0.2.

    The equilibrium counts as hit within 1e-9; one of three seeds comes that near, all come within 1e-6.
    """
    model = play(BAR, steps=3000, learning_rate=0.002)
    np.testing.assert_allclose(model.actions, 0.6, atol=1e-6)
    assert model.exploitabilities[model.best_seed] == pytest.approx(0.0, abs=1e-12)
    assert float(model.policy().control(0.0, np.zeros(1, int), np.zeros(1, int), None)[0]) == pytest.approx(
        0.6, abs=2e-9
    )


def test_records_are_those_of_the_mean_field(tmp_path: Path) -> None:
    """Catches names or rounds that differ from those of the mean field, whose equilibrium the actions are near; and a
    policy that agents cannot play."""
    scenario = mesocosm.parse(
        TEXT.replace("GAME", MEETING) + "dynamics:\n"
        "  nash: {kind: classical_mfg}\n"
        "  neural: {kind: neural_sde, play: {}, seeds: 2, steps: 600, check_every: 100}\n"
        "  agents: {kind: agent_based, replicates: 4, policy: {from: neural}}\n"
        "compare: {reference: nash, observables: [action, start_time, arrived_on_schedule, median_arrival]}\n"
    )
    results = mesocosm.run(scenario, tmp_path, report=False)
    nash, neural, agents = (results[label] for label in ("nash", "neural", "agents"))
    for name in ("action", "start_time", "arrived_on_schedule", "median_arrival", "start_time_so_far"):
        found = np.asarray(neural[name])
        assert found.shape == (2, 4)
        np.testing.assert_allclose(found, np.broadcast_to(np.asarray(nash[name]), found.shape), atol=1e-2)
    best = int(neural.best_seed)
    np.testing.assert_allclose(np.asarray(agents.action), float(np.asarray(neural.action)[best, 0]))
    assert float(neural.exploitability) == pytest.approx(float(neural.exploitability_of_seed[best]), abs=1e-12)


@pytest.mark.parametrize("kill_at", [15, 33])
def test_training_that_was_cut_short_continues_to_the_same_bytes(tmp_path: Path, kill_at: int) -> None:
    """Catches averaged signals that are lost."""
    options = {"play": {"averaging": 0.3, "flow_every": 4}}
    whole, steps = play(MEETING, **options), 0

    def kill(phase: str, fraction: float, note: str) -> None:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise KilledError

    with pytest.raises(KilledError):
        play(MEETING, folder=tmp_path, report=kill, **options)
    assert play(MEETING, folder=tmp_path, **options).actions.tobytes() == whole.actions.tobytes()


@pytest.mark.parametrize(
    ("game", "options", "message"),
    [
        (BAR, {"width": 8}, "width 8.*leave it out"),
        (BAR, {"play": {"frequencies": 2}}, "play.frequencies.*leave it out"),
        (BAR, {"step": 0.5}, "step 0.5.*leave it out"),
    ],
)
def test_what_means_nothing_is_refused(game: str, options: dict[str, Any], message: str) -> None:
    """Catches options that are passed over in silence."""
    with pytest.raises(InputError, match=message):
        play(game, **options)


def test_tables_are_refused() -> None:
    """Catches groups of people that are played as if they were one infinite population."""
    model = play(BAR, steps=1)
    game = model.problem.stage_game
    game.groups = (object(),)  # type: ignore[attr-defined]
    with pytest.raises(InputError, match="one table"):
        model.check()
