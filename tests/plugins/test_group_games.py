"""Groups with parameters of their own, and contact matrices, in every dynamics: the same law, the same records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesocosm
from mesocosm import FiniteStateGame, GroupedGame, InputError, Policy, Streams, Trajectories, no_control
from mesocosm_agents.compiled import CompiledEngine, make_schedule
from mesocosm_agents.contacts import Graphs
from mesocosm_agents.engine import Engine, Play, Stretch
from mesocosm_agents.exact import ExactEngine
from mesocosm_agents.lists import ListEngine
from mesocosm_agents.tensors import TensorEngine
from mesocosm_agents.vectorised import VectorisedEngine
from mesocosm_agents.words import WordEngine
from mesocosm_games.epidemics import SIR

BLOCKS = "{kind: blocks, sizes: [120, 80], names: [a, b], mean_degrees: [[6, 4], [6, 3]]}"
MATRIX = "{kind: contact_matrix, groups: {b: 80, a: 120}, contacts: {a: {a: 6, b: 4}, b: {a: 6, b: 3}}}"
EFFORT = "effort: {cost: 1, infection_cost: 2}"


def scenario(
    graph: str,
    dynamics: str,
    *,
    groups: str = "",
    game: str = "gamma: 0.1",
    end: float = 20,
    size: str = "",
    beta: float = 0.04,
) -> mesocosm.Scenario:
    own = f", groups: {{{groups}}}" if groups else ""
    return mesocosm.parse(
        f"mesocosm: 1\nname: groups\nseed: 5\ntime: {{end: {end}, save_every: 1}}\n"
        f"population: {{initial: {{I: 0.05}}{own}{size}}}\ngraph: {graph}\n"
        f"game: {{kind: sir, beta: {beta}, {game}}}\ndynamics: {{{dynamics}}}\n"
    )


def run(*args: Any, **more: Any) -> dict[str, Trajectories]:
    chosen = scenario(*args, **more)
    return mesocosm.simulate(mesocosm.build(chosen), mesocosm.makers_of(chosen))


@pytest.mark.parametrize("closure", ["homogeneous", "degree", "group", "individual"])
def test_groups_that_do_not_differ_are_the_plain_game_in_mean_field(closure: str) -> None:
    """Catches states of groups that do not add up: Nash equilibrium, value and exploitability as without groups."""
    dynamics = f"nash: {{kind: classical_mfg, closure: {closure}}}"
    more = {"game": f"gamma: 0.1, {EFFORT}", "end": 10}
    plain = run(BLOCKS, dynamics, **more)["nash"]
    same = run(BLOCKS, dynamics, groups="a: {game: {gamma: 0.1}}", **more)["nash"]
    for name in ("occupancy", "control", "final_size", "value"):
        assert same.array(name) == pytest.approx(plain.array(name), abs=1e-10), name
    assert same.coordinates["state"] == ("S", "I", "R")
    if closure == "group":
        assert same.array("group_occupancy") == pytest.approx(plain.array("group_occupancy"), abs=1e-10)


def test_groups_that_do_not_differ_are_the_plain_game_agent_by_agent() -> None:
    """Catches any difference in the law: with the same random numbers every agent is in the same plain state, always."""
    held = []
    for groups in ("", "a: {game: {gamma: 0.1}}"):
        chosen = scenario(BLOCKS, "m: {kind: classical_mfg}", groups=groups, game=f"gamma: 0.1, {EFFORT}")
        sample = play(chosen)
        engine = VectorisedEngine(sample)
        states = engine.load(np.stack([sample.graphs.initial_states(number, sample.streams) for number in range(3)]))
        cost = [engine.advance(states, np.arange(3), Stretch(index, float(index), index + 1.0)) for index in range(20)]
        held.append((states % 3, np.sum(cost, axis=0)))
    assert np.array_equal(held[0][0], held[1][0])
    assert held[0][1] == pytest.approx(held[1][1], abs=1e-12)


def test_proportional_mixing_is_the_complete_graph() -> None:
    """Catches contacts that are not shared among the agents of a group: C[g, h] = c N_h / N is everyone's mean times c."""
    dynamics = "mean_field: {kind: classical_mfg}"
    proportional = "{kind: contact_matrix, groups: {a: 150, b: 50}, contacts: [[9, 3], [9, 3]]}"
    mixed = run(proportional, dynamics)["mean_field"]
    whole = run("{kind: complete}", dynamics, size=", size: 200", beta=12 * 0.04)["mean_field"]
    assert mixed.array("occupancy") == pytest.approx(whole.array("occupancy"), abs=1e-12)


def mean_and_error(found: Trajectories, save: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean over replicates of the shares of each group at a save, [group, state], and its standard error."""
    shares = found.array("group_occupancy")[:, save]
    return shares.mean(axis=0), shares.std(axis=0, ddof=1) / np.sqrt(len(shares))


LARGE = "{kind: contact_matrix, groups: {b: 16000, a: 24000}, contacts: {a: {a: 6, b: 4}, b: {a: 6, b: 3}}}"
OWN = "b: {game: {gamma: 0.3}, initial: {I: 0.01}}"


def test_many_agents_are_as_the_mean_field() -> None:
    """Catches weights of pairs that are transposed or off by N / N_g, and gammas that are exchanged: within 4 standard errors.

    Chance alone fails it in 1 of 1,000 seeds (12 numbers, 0.2 % of a share allowed for the 1/N bias and the step). Its power:
    an error of 3 % in one entry of the matrix moves the shares by ten standard errors.
    """
    found = run(
        LARGE,
        "agents: {kind: agent_based, replicates: 24, engine: step, step: 0.05}, exact: {kind: classical_mfg, step: 0.1}",
        groups=OWN,
    )
    for save in (10, 20):
        mean, error = mean_and_error(found["agents"], save)
        expected = found["exact"].array("group_occupancy")[0, save]
        assert (np.abs(mean - expected) < 4 * error + 0.002).all()
        assert error.max() < 0.003


def test_readable_agents_are_as_compiled_ones() -> None:
    """Catches an engine in which agents of a contact matrix meet others: mesa writes out every pair.

    4 combined standard errors, 12 numbers: chance fails it in 1 of 1,000 seeds. Contacts of the other group move a share by 7
    standard errors, exchanged recovery rates by 13.
    """
    small = "{kind: contact_matrix, groups: {b: 12, a: 36}, contacts: {a: {a: 2, b: 4}, b: {a: 12, b: 1}}}"
    found = run(
        small,
        "mesa: {kind: agent_based, replicates: 20, engine: mesa, step: 0.5}, "
        "step: {kind: agent_based, replicates: 400, engine: step, step: 0.5}",
        groups="a: {initial: {I: 0.25}}, b: {initial: {I: 0.25}, game: {gamma: 0.3}}",
        end=4,
    )
    first, second = (mean_and_error(found[label], 4) for label in ("mesa", "step"))
    assert (np.abs(first[0] - second[0]) < 4 * np.hypot(first[1], second[1])).all()


def play(chosen: mesocosm.Scenario, policy: Policy | None = None) -> Play:
    problem = mesocosm.build(chosen)
    game = problem.finite_game
    policy = policy or no_control(game)
    return Play(game, policy, Graphs(problem, policy, False), Streams(1, "test"), 0.1)


@pytest.mark.parametrize(
    ("graph", "engines"),
    [
        (BLOCKS, (VectorisedEngine, CompiledEngine, ListEngine, WordEngine, ExactEngine)),
        (MATRIX, (VectorisedEngine, CompiledEngine, ExactEngine)),
    ],
)
def test_engines_have_the_same_law(graph: str, engines: tuple[Callable[[Play], Engine], ...]) -> None:
    """Catches an engine that reads the state of another group: who is left in S by time 5, in each group, within 4 errors.

    60 replicates of each engine: chance fails it in 1 of 1,000 seeds. With the infection rate of the other group a share
    would be 8 errors off.
    """
    sample = play(scenario(graph, "m: {kind: classical_mfg}", groups="b: {game: {beta: 0.08}}"))
    starts = np.stack([sample.graphs.initial_states(number, sample.streams) for number in range(60)])
    seen = []
    for engine in (*(make(sample) for make in engines), TensorEngine(sample, "cpu", "float64")):
        held = engine.load(starts)
        for index in range(5):
            engine.advance(held, np.arange(60), Stretch(index, float(index), index + 1.0))
        seen.append(engine.occupancy(held)[:, [0, 3]])
    for other in seen[1:]:
        gap = other.mean(axis=0) - seen[0].mean(axis=0)
        errors = np.sqrt((seen[0].var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / 60)
        assert (np.abs(gap) < 4 * errors).all()


class Nuisance(SIR):
    """SIR in which it costs to be near the infected."""

    def running_cost(self, t: float, state: Any, field: Any, control: Any) -> Any:
        return field[..., 0] + 0.0 * control


@pytest.mark.parametrize(("kind", "needs_field"), [(SIR, False), (Nuisance, True)])
def test_a_cost_is_a_table_unless_it_looks_at_the_field(kind: type[FiniteStateGame], needs_field: bool) -> None:
    """Catches costs of a contact matrix that are computed agent by agent (20 times slower), or read without a field."""
    chosen = scenario(MATRIX, "m: {kind: classical_mfg}", game=f"gamma: 0.1, {EFFORT}")
    sample = play(chosen)
    options = sample.game.plain.options  # type: ignore[attr-defined]
    game = GroupedGame(kind(options), dict.fromkeys(("a", "b"), kind(options)), np.ones((2, 2)))
    _, needed = make_schedule(Play(game, sample.policy, sample.graphs, sample.streams, 0.1), np.array([0.0, 0.1]))
    assert needed is needs_field


def test_a_policy_of_groups_travels() -> None:
    """Catches a group that plays another group's policy: agents choose at each save what Nash chooses for their group."""
    found = run(
        MATRIX,
        "nash: {kind: classical_mfg}, agents: {kind: agent_based, replicates: 4, policy: {from: nash}, deviations: 8}",
        groups="b: {game: {effort.infection_cost: 8}}",
        game=f"gamma: 0.1, {EFFORT}",
    )
    nash, agents = (found[label].array("group_control")[:, :, :, 0] for label in ("nash", "agents"))
    assert agents == pytest.approx(np.repeat(nash, 4, axis=0), abs=1e-9)
    assert (nash[0, 3:15, 1] < nash[0, 3:15, 0] - 0.02).all()
    assert abs(float(found["nash"].array("exploitability"))) < 1e-6
    gain, error = (float(found["agents"].array(name)) for name in ("deviation_gain", "deviation_gain_error"))
    assert gain < 4 * error + 0.05


def test_a_run_compares_plain_states(tmp_path: Path) -> None:
    """Catches expanded states in the results, an attack rate that is missing, and a report that cannot be written."""
    chosen = scenario(
        MATRIX,
        "agents: {kind: agent_based, replicates: 4}, mean_field: {kind: classical_mfg}",
        groups="b: {game: {gamma: 0.3}}",
    )
    results = mesocosm.run(chosen, tmp_path)
    assert mesocosm.load(results.folder / "scenario.resolved.json").digest() == chosen.digest()
    again = mesocosm.open_results(results.folder / "results.nc")
    rows = {(row.observable, row.measure) for row in again.rows()}
    assert ("occupancy.S", "attack_rate") in rows
    assert {name for name, _ in rows} == {"occupancy.S", "occupancy.I", "occupancy.R"}
    assert list(again.trajectories()["agents"].coordinates["group"]) == ["a", "b"]


def test_given_data_keep_their_plain_states(tmp_path: Path) -> None:
    """Catches data that cannot be compared with a game of groups."""
    (tmp_path / "data.csv").write_text("".join(["i\n", *(f"{2 * number}\n" for number in range(21))]))
    found = run(
        MATRIX,
        f"data: {{kind: table, file: {tmp_path / 'data.csv'}, observable: occupancy.I, column: i}}, "
        "mean_field: {kind: classical_mfg}",
        groups="b: {game: {gamma: 0.3}}",
    )
    assert found["data"].array("occupancy").shape == (1, 21, 3)
    assert found["data"].array("occupancy")[0, 20, 1] == pytest.approx(0.2)


@pytest.mark.parametrize(
    "dynamics", ["{kind: edge_based}", "{kind: neural_sde, learn: {from: other}, seeds: 1, steps: 2}"]
)
def test_what_cannot_express_groups_says_so(dynamics: str) -> None:
    """Catches a closure, or a learned model, that would take the states of groups for one epidemic."""
    chosen = scenario(MATRIX, f"other: {{kind: agent_based}}, this: {dynamics}", groups="b: {game: {gamma: 0.3}}")
    with pytest.raises(
        InputError, match=r"(EdgeBased|FiniteLearning) cannot express groups with parameters of their own"
    ):
        mesocosm.simulate(mesocosm.build(chosen), mesocosm.makers_of(chosen))


def test_policy_networks_learn_a_policy_for_every_group() -> None:
    """Catches a network whose groups share a control, or are valued with the costs of another.

    200 training steps leave 6e-5 of a cost of 4 to be gained, and controls within 0.01 of those of Nash; agents who make no
    effort could gain 2.9.
    """
    found = run(
        MATRIX,
        "nash: {kind: classical_mfg}, "
        "neural: {kind: neural_sde, play: {}, seeds: 1, steps: 200, check_every: 100, width: 16, depth: 1, step: 1}",
        groups="b: {game: {effort.infection_cost: 8}}",
        game=f"gamma: 0.1, {EFFORT}",
        end=10,
    )
    neural, nash = found["neural"], found["nash"]
    assert float(neural.array("exploitability_of_seed")[0]) < 1e-3 * float(neural.array("value")[0])
    gap = np.abs(neural.array("group_control")[:, :, :, 0] - nash.array("group_control")[:, :, :, 0])
    assert gap.max() < 0.03
