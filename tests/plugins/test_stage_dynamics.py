"""Agents and mean field of stage games: rounds, streams, tables of unlike groups, rules to learn by, and refusals.

Would catch a round that is played twice or not at all, memory that is shared between replicates, groups that play with the
size or capacity of another, predictors that trust the wrong one, and options that are silently ignored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import Context, Dynamics, InputError, Streams, Trajectories
from mesocosm_agents.stage import clustered_error, held_out_gains
from mesocosm_games.el_farol import ElFarol
from mesocosm_games.predictors import FAMILY, Logit, Predictors, guesses
from mesocosm_games.stage_options import ElFarolOptions, LogitOptions, PredictorOptions

FAROL = "{kind: el_farol, form: repeated, capacity: 0.6}"
MEETING = "{kind: meeting, form: static, scheduled: 12, sigma: 0.5, quorum: 0.8}"


def scenario_of(game: str, dynamics: str, size: int = 10, end: int = 4, graph: str = "{kind: complete}") -> Any:
    return mesocosm.parse(
        f"{{mesocosm: 1, name: stage, seed: 8, time: {{end: {end}, save_every: 1}}, population: {{size: {size}}}, "
        f"graph: {graph}, game: {game}, dynamics: {dynamics}}}"
    )


def run(game: str, dynamics: str, **options: Any) -> dict[str, Trajectories]:
    scenario = scenario_of(game, dynamics, **options)
    return dict(mesocosm.simulate(mesocosm.build(scenario), mesocosm.makers_of(scenario)))


def single(game: str, dynamics: str, **options: Any) -> Trajectories:
    return run(game, f"{{it: {dynamics}}}", **options)["it"]


def made(game: str, dynamics: str, **options: Any) -> Dynamics:
    scenario = scenario_of(game, f"{{it: {dynamics}}}", **options)
    problem = mesocosm.build(scenario)
    return mesocosm.makers_of(scenario)["it"](problem, Context("it", Streams(8, "it")))


def test_every_save_holds_one_round() -> None:
    """The running mean is that of the rounds seen, and the cost that of the same nights: 1 per visitor where there is room."""
    found = single(FAROL, "{kind: agent_based, replicates: 3, policy: n_player}", end=30)
    attendance = found.array("attendance")
    assert attendance.shape == (3, 31)
    assert len(np.unique(attendance)) > 3
    np.testing.assert_allclose(
        found.array("attendance_so_far"), attendance.cumsum(axis=1) / np.arange(1, 32), rtol=1e-12
    )
    np.testing.assert_allclose(found.array("imbalance"), np.abs(attendance - 0.6), atol=1e-12)
    going = np.where(attendance <= 0.6 + 1e-9, 1.0, 0.0)
    cost = -(attendance * going + (1 - attendance) * 0.5).mean(axis=1)
    np.testing.assert_allclose(found.array("cost"), cost, rtol=1e-12)


@pytest.mark.parametrize("policy", ["n_player", "predictors", "logit"])
def test_a_replicate_does_not_depend_on_the_others(policy: str) -> None:
    """The same seed gives the same rounds, whether replicates run beside it or not, and all replicates differ."""
    few, many = (
        single(FAROL, f"{{kind: agent_based, replicates: {count}, policy: {policy}}}", size=30, end=20).array(
            "attendance"
        )
        for count in (2, 5)
    )
    np.testing.assert_array_equal(few, many[:2])
    assert len(np.unique(many, axis=0)) == 5


@pytest.mark.parametrize(
    ("game", "dynamics"),
    [
        (FAROL, "{kind: agent_based, replicates: 3, policy: predictors}"),
        (FAROL, "{kind: agent_based, replicates: 3, policy: logit}"),
        (FAROL, "{kind: classical_mfg, policy: logit}"),
        (MEETING, "{kind: agent_based, replicates: 2, policy: gradient_flow}"),
        (MEETING, "{kind: agent_based, replicates: 2, policy: mean_field}"),
    ],
)
def test_a_packed_state_goes_on_the_same(game: str, dynamics: str) -> None:
    """Resumed is uninterrupted, bit for bit; and a state is not changed by advancing from it."""
    model = made(game, dynamics, end=6)
    model.check()
    model.prepare()
    intervals = list(model.problem.clock.intervals())
    state = model.init()
    for interval in intervals[:3]:
        state = model.advance(state, interval)
    packed = model.pack(state)
    assert packed is not None
    other = made(game, dynamics, end=6)
    resumed = other.unpack({name: values.copy() for name, values in packed.items()})
    for interval in intervals[3:]:
        state, resumed = model.advance(state, interval), other.advance(resumed, interval)
    for name, values in model.observe(state).items():
        np.testing.assert_array_equal(values, other.observe(resumed)[name])
    assert repr(model.summary(state)) == repr(other.summary(resumed))
    again = model.unpack(packed)
    assert int(np.asarray(packed["count"])) == again.count == 4


def test_policies_travel() -> None:
    """Agents play what the mean field found, a constant, or nothing in particular."""
    found = run(
        MEETING,
        "{nash: {kind: classical_mfg}, agents: {kind: agent_based, replicates: 2, policy: {from: nash}}, "
        "fixed: {kind: agent_based, replicates: 2, policy: {constant: 11}}, "
        "idle: {kind: agent_based, replicates: 2}}",
    )
    assert (found["agents"].array("action") == found["nash"].array("action")[0, 0]).all()
    assert (found["fixed"].array("action") == 11).all()
    assert (found["idle"].array("action") == 12).all()
    assert "deviation_gain" not in found["idle"].variables
    names = {name for name in found["nash"].variables if found["nash"].variables[name].dims == ("replicate", "time")}
    assert names <= set(found["agents"].variables)


def test_a_policy_is_kept_in_a_file(tmp_path: Path) -> None:
    """The equilibrium of a run is played by another."""
    file = tmp_path / "s.yaml"
    text = (
        "mesocosm: 1\nname: stage\nseed: 3\ntime: {end: 1, save_every: 1}\npopulation: {size: 10}\n"
        f"graph: {{kind: complete}}\ngame: {MEETING}\ndynamics:\n  it: "
    )
    file.write_text(text + "{kind: classical_mfg}\n")
    folder = mesocosm.run(file, tmp_path / "runs", report=False).folder
    assert folder is not None
    file.write_text(
        text + f"{{kind: agent_based, replicates: 2, policy: {{file: {folder / 'policies' / 'it.npz'}}}}}\n"
    )
    action = mesocosm.run(file, tmp_path / "runs", report=False)["it"].action
    assert action.values == pytest.approx(12.1266735516, abs=1e-9)


GROUPS = "session,round,num_players,capacity\na,1,4,1\na,2,4,3\nb,1,7,7\nb,2,7,7\nc,5,2,0\n"


@pytest.fixture
def groups(tmp_path: Path) -> str:
    file = tmp_path / "groups.csv"
    file.write_text(GROUPS)
    return f"{{kind: el_farol, form: repeated, groups: {{file: {file}}}}}"


def test_each_replicate_is_a_group(groups: str) -> None:
    """Sizes, capacities by round (the last one stays), and the equilibrium probability are those of the group."""
    found = single(groups, "{kind: agent_based, replicates: 6, policy: n_player}", size=7, end=9)
    attendance, probability = found.array("attendance"), found.array("equilibrium_probability")
    for row, size in zip(attendance, (4, 7, 2) * 2, strict=True):
        np.testing.assert_allclose(row * size, np.round(row * size), atol=1e-12)
    assert (attendance[1] == 1).all()
    assert (attendance[2] == 0).all()
    # P(Bin(3, p) <= 0) = 1/2 and P(Bin(3, p) <= 2) = 1/2
    action = found.array("action")
    assert probability[:3] == pytest.approx([1 - 0.5 ** (1 / 3), 1.0, 0.0])
    assert action[0, 0] == pytest.approx(1 - 0.5 ** (1 / 3))
    assert action[0, 1:] == pytest.approx([0.5 ** (1 / 3)] * 9)
    held = np.array([0.25] + [0.75] * 9)
    np.testing.assert_allclose(found.array("imbalance")[0], np.abs(attendance[0] - held), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GROUPS.replace("c,5,2,0", "c,5,2,3"), "capacity 3 for 2 people"),
        (GROUPS.replace("a,2,4,3", "a,3,4,3"), "2 comes next"),
        (GROUPS.replace("a,2,4,3", "a,2,5,3"), "keeps its size"),
        (GROUPS.replace("b,1,7,7", "b,one,7,7"), "round 'one'"),
        (GROUPS.replace("capacity", "places"), "column 'capacity' is missing"),
        ("session,round,num_players,capacity\n", "no rows"),
    ],
)
def test_a_faulty_file_of_groups_names_its_line(tmp_path: Path, text: str, words: str) -> None:
    """A wrong row is not played."""
    file = tmp_path / "groups.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        mesocosm.build(scenario_of(f"{{kind: el_farol, groups: {{file: {file}}}}}", "{it: {kind: agent_based}}"))
    assert "groups.csv" in str(caught.value)


def test_groups_need_room_and_no_contacts(groups: str) -> None:
    """More players than agents, a graph, or an infinite population: each is refused with the reason."""
    with pytest.raises(InputError, match="up to 7 players, and 6 agents"):
        single(groups, "{kind: agent_based}", size=6)
    with pytest.raises(InputError, match="kind: complete"):
        single(groups, "{kind: agent_based}", size=9, graph="{kind: erdos_renyi, mean_degree: 3}")
    with pytest.raises(InputError, match="one infinite population"):
        single(groups, "{kind: classical_mfg}", size=7)


@pytest.mark.parametrize(
    ("game", "dynamics", "words"),
    [
        (FAROL, "{kind: agent_based, step: 0.5}", "step"),
        (FAROL, "{kind: agent_based, engine: mesa}", "engine"),
        (FAROL, "{kind: classical_mfg, closure: degree}", "closure"),
        (FAROL, "{kind: agent_based, policy: {constant: 1.5}}", "between 0 and 1"),
        (FAROL, "{kind: classical_mfg, policy: gradient_flow}", "n_player, mean_field, predictors, logit"),
        ("{kind: el_farol}", "{kind: agent_based, policy: predictors}", "none, n_player, mean_field"),
        ("{kind: el_farol, logit: {rate: 0.5}}", "{kind: agent_based}", "needs form: repeated"),
        ("{kind: el_farol, payoffs: {home: 2}}", "{kind: agent_based}", "uncrowded > home > crowded"),
        ("{kind: meeting, scheduled: 1}", "{kind: agent_based}", "needs start"),
        (MEETING.replace("}", ", start: {point: -1}}"), "{kind: agent_based}", "leave start out"),
    ],
)
def test_what_means_nothing_is_refused(game: str, dynamics: str, words: str) -> None:
    """An option that would be ignored, or a policy that the game does not know, stops before anything runs."""
    with pytest.raises(InputError, match=words):
        single(game, dynamics)


def test_guesses_of_the_family() -> None:
    """Each predictor by its definition, on a history that is no line; trends by numpy's least squares."""
    history = np.array([0.9, 0.2, 0.4, 0.7, 0.1, 0.3, 0.5, 0.6])
    found = dict(zip(FAMILY, guesses(history), strict=True))
    assert len(found) == 30
    for lag in range(1, 9):
        assert found[f"cycle {lag}"] == pytest.approx(history[lag - 1])
        assert found[f"mirror {lag}"] == pytest.approx(1 - history[lag - 1])
    for length in range(2, 9):
        assert found[f"mean {length}"] == pytest.approx(history[:length].mean())
        line = np.polynomial.Polynomial.fit(-np.arange(length), history[:length], 1)
        assert found[f"trend {length}"] == pytest.approx(float(np.clip(line(1.0), 0, 1)))


def test_agents_trust_what_was_best_in_their_bag() -> None:
    """In a world of period 2, who holds the cycle of 2 comes to trust it, and goes in the quiet nights only."""
    game = ElFarol(ElFarolOptions(form="repeated", predictors=PredictorOptions(bag=2, memory=0.5)))
    rule, random = Predictors(game), np.random.default_rng(1)
    _, errors, _ = rule.begin(random, 10)
    cycling, averaging = ("cycle 1", "cycle 2"), ("mean 2", "cycle 1")
    bags = np.array([[FAMILY.index(name) for name in bag] for bag in [cycling] * 5 + [averaging] * 5])
    memory = (np.array([0.9, 0.1] * 4), errors, bags.astype(float))
    nothing = np.zeros((10, 1))
    for night in range(12):
        memory = rule.learn(random, memory, np.zeros(10), nothing, np.array([0.1 if night % 2 == 0 else 0.9]))
    assert memory[0][0] == 0.9
    # cycle 2 expects 0.1; the mean of the last two, 0.5, is nearer the truth than the last one, 0.9.
    assert rule.act(random, memory, 10).tolist() == [1.0] * 10
    memory = rule.learn(random, memory, np.zeros(10), nothing, np.array([0.1]))
    assert rule.act(random, memory, 10).tolist() == [0.0] * 5 + [1.0] * 5


def test_bags_hold_no_predictor_twice() -> None:
    """A bag of 30 is the whole family; smaller ones differ between agents."""
    game = ElFarol(ElFarolOptions(form="repeated", predictors=PredictorOptions(bag=30)))
    bags = Predictors(game).begin(np.random.default_rng(3), 5)[2]
    np.testing.assert_array_equal(np.sort(bags, axis=1), np.tile(np.arange(30), (5, 1)))
    game = ElFarol(ElFarolOptions(form="repeated"))
    bags = Predictors(game).begin(np.random.default_rng(3), 50)[2]
    assert len(np.unique(np.sort(bags, axis=1), axis=0)) > 45


def test_logit_by_hand() -> None:
    """Belief 1/2 makes one indifferent; after a crowded night with rate 0.2 it is 0.4, and one goes with 1/(1+e)."""
    game = ElFarol(ElFarolOptions(form="repeated", logit=LogitOptions(sensitivity=10, rate=0.2)))
    rule, random = Logit(game), np.random.default_rng(1)
    memory = rule.begin(random, 10)
    assert rule.act(random, memory, 10) == pytest.approx(0.5)
    memory = rule.learn(random, memory, np.zeros(10), np.zeros((10, 1)), np.array([0.7]))
    assert rule.act(random, memory, 10) == pytest.approx(1 / (1 + np.e))
    assert rule.next_action(0.5, np.array([0.7])) == pytest.approx(1 / (1 + np.e))
    full = rule.learn(random, memory, np.zeros(10), np.zeros((10, 1)), np.array([0.6]))
    assert full[0] == pytest.approx(0.52)


def test_held_out_gains() -> None:
    """The action is chosen by the other half; the error counts replicates, not deviators."""
    own, tried = np.zeros(4), np.array([[-1.0, 5.0], [2.0, -3.0], [-1.0, 5.0], [2.0, -3.0]])
    np.testing.assert_array_equal(held_out_gains(own, tried, np.arange(4)), [-5.0, -2.0, -5.0, -2.0])
    np.testing.assert_array_equal(held_out_gains(own[:2], tried[:2], np.zeros(2, int)), [1.0, -2.0])
    gains = np.array([1.0, 3.0, 1.0, 3.0])
    assert clustered_error(gains, np.array([0, 1, 0, 1])) == pytest.approx(1.0)
    assert clustered_error(gains, np.arange(4)) == pytest.approx(gains.std(ddof=1) / 2)
    assert np.isnan(clustered_error(gains, np.zeros(4, int)))


def test_contacts_see_who_went() -> None:
    """The field is the share of contacts that went, on the graph as it stands."""
    game = ElFarol(ElFarolOptions())
    went = np.array([1.0, 0.0, 1.0, 1.0])
    graph = mesocosm.ContactGraph.from_edges(4, [0, 0, 1], [1, 2, 3])
    np.testing.assert_allclose(graph.field(game.emission(went), game.normalise)[:, 0], [0.5, 1.0, 1.0, 0.0])
    sparse = "{kind: erdos_renyi, mean_degree: 4}"
    found = single(FAROL, "{kind: agent_based, replicates: 2, policy: logit}", size=40, graph=sparse)
    assert found.array("attendance").shape == (2, 5)
