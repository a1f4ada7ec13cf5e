"""Playing in diffusion games: every kind of box and field, policies that travel, checkpoints, refusals.

Would catch a table that is not the network, a policy that agents cannot take up, a training that a checkpoint does not
continue, and games that are trained although they cannot be. Particles are in `test_neural_play_particles`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import mesocosm
from mesocosm import (
    Axis,
    Clock,
    ContactGraph,
    Context,
    Control,
    DiffusionGame,
    Door,
    InputError,
    Normal,
    Point,
    Population,
    Problem,
    Uniform,
    resolve_device,
)
from mesocosm_games.diffusion_options import InterbankOptions
from mesocosm_games.interbank import Interbank
from mesocosm_neural.options import NeuralSDEOptions
from mesocosm_neural.play.diffusion_play import DiffusionPlay
from mesocosm_neural.play.diffusion_policy import NeuralPolicy

SMALL = {"seeds": 2, "steps": 4, "batch": 32, "width": 4, "paths": 20, "check_every": 4, "step": 0.25}


class Flock(DiffusionGame):
    """Keep to the mean of the others, which is no place to be relative to; the policy may see it. Sides as asked."""

    channels: ClassVar[tuple[str, ...]] = ("mean",)
    normalise: ClassVar[str] = "mean"
    control: Control | None = Control("steering", (), -2.0, 2.0, neutral=0.0)

    def __init__(self, sides: tuple[str, str] = ("reflecting", "reflecting"), interaction: str = "emission") -> None:
        self.axes = (Axis("x", -2.0, 2.0, *sides),)
        self.start = Uniform((-1.5,), (1.0,))
        self.interaction = interaction  # type: ignore[misc]
        self.bandwidth = 0.3

    def drift(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return 1.0 * control

    def noise(self, t: Any, state: Any, field: Any) -> Any:
        return 0.8 + 0.0 * state

    def best_control(self, t: Any, state: Any, field: Any, gradient: Any) -> Any:
        return (-gradient).clip(-2.0, 2.0)

    def emission(self, t: Any, state: Any, control: Any) -> Any:
        return 1.0 * state

    def running_cost(self, t: Any, state: Any, field: Any, control: Any) -> Any:
        return (0.5 * control**2 + 0.5 * (state - field) ** 2)[..., 0]


class Hall(Flock):
    """A square with a door."""

    def __init__(self) -> None:
        super().__init__()
        self.axes = (Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0))
        self.doors = (Door(0, True, 0.4, 0.6),)
        self.start = Uniform((0.0, 0.0), (1.0, 1.0))


class Vote(Flock):
    """Signals, and common noise."""

    signals: ClassVar[tuple[str, ...]] = ("half",)
    common = "news"


def play_of(
    game: DiffusionGame, folder: Path | None = None, *, end: float = 1.0, precision: str = "float64", **options: Any
):
    """A dynamics in play mode on a hand-made problem."""
    graph = ContactGraph.complete(10)
    problem = Problem(
        name="hand-made",
        seed=3,
        game=game,
        graph=graph,
        population=Population(10, np.zeros(0)),
        clock=Clock(end, end / 2),
        device=resolve_device("cpu"),
        precision=precision,
        draw=lambda replicate: graph,
    )
    given = SMALL | {"play": {"frequencies": 2, "flow_every": 1}} | options
    return DiffusionPlay(problem, NeuralSDEOptions(**given), Context("play", problem.streams("play"), folder=folder))


@pytest.mark.parametrize(
    ("game", "options", "named"),
    [
        (Hall(), {}, "a box with doors"),
        (Vote(), {}, "common noise 'news' in a game with signals"),
        (Flock(interaction="density"), {"play": {"sees": ("time", "field")}}, "sees: field"),
        (Flock(), {"play": {"shock": 1.0}}, "shock"),
        (Flock(), {"play": {"scenarios": 4}}, "scenarios"),
        (Flock(), {"loss": "mmd"}, "loss"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(game: DiffusionGame, options: dict[str, Any], named: str) -> None:
    """Catches a training that would go wrong without a word."""
    with pytest.raises(InputError, match=named):
        play_of(game, **options).check()


def test_a_game_without_choice_is_refused() -> None:
    """Catches a training of agents who choose nothing."""
    game = Flock()
    game.control = None
    with pytest.raises(InputError, match="choose nothing"):
        play_of(game).check()


@pytest.mark.parametrize("interaction", ["emission", "density"])
@pytest.mark.parametrize("sides", [("reflecting", "reflecting"), ("periodic", "periodic"), ("absorbing", "open")])
def test_every_kind_of_side_and_field_is_played(sides: tuple[str, str], interaction: str) -> None:
    """Catches kinds of box and field that break, NaN, and places outside; the loss must go down in a few steps of training."""
    game = Flock(sides, interaction)
    dynamics = play_of(game, steps=12, batch=64)
    dynamics.check()
    dynamics.prepare()
    losses = np.array(dynamics.history.losses)
    assert np.isfinite(losses).all()
    assert losses[-4:].mean() < losses[:4].mean()
    state = dynamics.init()
    for interval in dynamics.problem.clock.intervals():
        state = dynamics.advance(state, interval)
    seen = dynamics.observe(state)
    assert np.isfinite(seen["mean"]).all()
    if sides[0] == "absorbing":
        assert seen["absorbed"].sum() > 0
        assert state.places[state.inside < 0.5].numpy() == pytest.approx(-2.0)
    elif sides[0] == "periodic":
        assert -2.0 <= state.places.min() <= state.places.max() <= 2.0


def test_a_training_that_was_cut_short_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches flows or sums of flows that a checkpoint does not hold."""
    options = {"steps": 8, "checkpoint_every": 3, "play": {"frequencies": 2, "flow_every": 2}}
    whole = play_of(Flock(("reflecting", "absorbing")), **options)
    whole.prepare()
    cut = play_of(Flock(("reflecting", "absorbing")), tmp_path, **options)
    loss = cut.training.loss

    def stop(step: int, generator: torch.Generator) -> torch.Tensor:
        if step == 7:
            raise KeyboardInterrupt
        return loss(step, generator)

    monkeypatch.setattr(type(cut.training), "loss", lambda self, step, generator: stop(step, generator))
    with pytest.raises(KeyboardInterrupt):
        cut.prepare()
    monkeypatch.undo()
    again = play_of(Flock(("reflecting", "absorbing")), tmp_path, **options)
    again.prepare()
    for one, other in zip(whole.training.network.weights, again.training.network.weights, strict=True):
        assert torch.equal(one, other)
    assert whole.history.losses == again.history.losses


def test_a_state_is_packed_and_unpacked() -> None:
    """Catches a run that goes on from a checkpoint with other particles."""
    dynamics = play_of(Flock(("absorbing", "open")))
    dynamics.prepare()
    first, second = dynamics.problem.clock.intervals()
    state = dynamics.advance(dynamics.init(), first)
    copied = dynamics.unpack(dynamics.pack(state))
    one, other = dynamics.advance(state, second), dynamics.advance(copied, second)
    assert torch.equal(one.places, other.places)
    assert torch.equal(one.left_at, other.left_at)


def test_a_table_is_the_network_and_moves_with_the_mean() -> None:
    """Catches a table of other places or times than the network's, and one that is not relative to the mean of contacts."""
    play = {"sees": ("time", "state", "field"), "frequencies": 2}
    dynamics = play_of(Interbank(InterbankOptions(start={"point": 1.0})), play=play)  # type: ignore[arg-type]
    dynamics.prepare()
    policy = dynamics.policy()
    assert policy.uses_field
    places, row = np.linspace(-0.5, 2.5, 7)[:, None], np.zeros(7, np.int64)
    choose = dynamics.training.network.over([0.3])
    with torch.no_grad():
        given = torch.from_numpy(places).expand(2, 7, 1)
        expected = choose(0.3, given, torch.ones(2, 7, 1, dtype=torch.float64))[dynamics.best_seed].numpy()
    found = policy.control(0.3, row, places, np.ones((7, 1)))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert found.std() > 0
    np.testing.assert_allclose(policy.control(0.3, row, places + 2.0, np.full((7, 1), 3.0)), found, atol=1e-12)


def test_a_policy_that_sees_a_field_is_played_by_the_network_itself() -> None:
    """Catches a table that forgets the field, and shapes that agents use: [batch, N, axis] with a field for each."""
    dynamics = play_of(Flock(), play={"sees": ("time", "state", "field"), "frequencies": 2}, steps=12)
    dynamics.prepare()
    policy = dynamics.policy()
    assert isinstance(policy, NeuralPolicy)
    places = np.zeros((2, 3, 1))
    near, far = (policy.control(0.0, np.zeros(3, np.int64), places, np.full((2, 3, 1), mean)) for mean in (0.0, 1.0))
    assert near.shape == (2, 3, 1)
    assert (np.abs(far - near) > 1e-6).all()
    with pytest.raises(InputError, match="looks at the field"):
        policy.control(0.0, np.zeros(3, np.int64), places, None)


def test_nothing_is_said_of_what_a_blind_policy_could_save() -> None:
    """Catches an exploitability that leaves out the common noise that a policy cannot see."""
    for sees, known in ((("time", "state"), False), (("time", "state", "field"), True)):
        play = {"sees": sees, "frequencies": 2, "scenarios": 4}
        dynamics = play_of(Interbank(InterbankOptions(correlation=0.6)), play=play)
        dynamics.prepare()
        assert (dynamics.plays() is not None) is known
        assert ("exploitability_of_seed" in dynamics.summary(dynamics.init())) is known


def test_agents_play_what_was_trained() -> None:
    """Catches a policy that agents cannot take up, by the way that scenarios write it, and a summary with other names."""
    scenario = mesocosm.parse(
        """
        mesocosm: 1
        name: played
        seed: 1
        time: {end: 1, save_every: 0.5}
        population: {size: 40}
        graph: {kind: complete}
        game: {kind: meeting, scheduled: 0.5, sigma: 0.5, start: {point: -0.5}}
        dynamics:
          play: {kind: neural_sde, play: {frequencies: 2}, seeds: 2, steps: 4, batch: 32, width: 4, paths: 50}
          agents: {kind: agent_based, replicates: 2, policy: {from: play}}
        """
    )
    problem = mesocosm.build(scenario)
    found = mesocosm.simulate(problem, mesocosm.makers_of(scenario))
    played = found["play"].variables
    assert played["start_time"].values.shape == (2,)
    assert played["value"].values.shape == (2,)
    assert {"value_error", "residual", "exploitability", "exploitability_of_seed", "converged"} <= set(played)
    assert float(played["exploitability"].values) == pytest.approx(
        played["exploitability_of_seed"].values.min(), rel=1e-6
    )
    assert np.isfinite(found["agents"].array("mean")).all()


def test_places_start_where_the_game_says() -> None:
    """Catches explorers among the particles that are observed or that make the flow."""
    game = Flock(("open", "open"))
    game.start = Point((0.5,))
    training = play_of(game).training
    draws = training.draws(80, 0.25)
    start, members = draws.start(torch.Generator().manual_seed(1)), draws.members
    assert members is not None
    assert (start[:, members > 0] == 0.5).all()
    assert (start[:, members == 0] != 0.5).all()
    assert members.mean() == pytest.approx(0.75)
    game.start = Normal((0.5,), (0.1,))
    assert float(play_of(game).init().places.mean()) == pytest.approx(0.5, abs=0.1)
