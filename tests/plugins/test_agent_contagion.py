"""Contagion-like games: how they are recognised and tabulated, the list engine, and the notice that kernels are compiled."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from step_law import GAMES, TableGame, TimesRows, copies, go, play_of, ran

from mesocosm import ContactGraph
from mesocosm_agents import compiling
from mesocosm_agents.compiled import CompiledEngine
from mesocosm_agents.contagion import is_contagious, make_contagion
from mesocosm_agents.engine import Stretch
from mesocosm_agents.lists import ListEngine

ONE = [[1.0] * 4]
TRIANGLE = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
FORKED = TableGame("SIR", [go("S", "I", 1.0, "c0"), go("S", "R", 0.1)], [[0], [1], [0]])


@pytest.fixture
def play():
    """A game on triangles."""

    def build(game, rows=ONE, graph=None):
        return play_of(game, graph or copies(TRIANGLE, 30, alone=1), TimesRows(rows), 0.5)

    return build


def test_contagion_like_games_are_recognised(play):
    """Would catch competing transitions or a complete graph being taken for independent coins."""
    assert all(is_contagious(play(game)) for game in GAMES.values())
    assert not is_contagious(play(FORKED))
    assert not is_contagious(play(GAMES["sir"], graph=ContactGraph.complete(5)))


def test_intensities_are_tabulated_by_step_and_row(play):
    """Would catch a lost factor or row: S -> I at 0.8 times control, at times on both sides of a change of the control."""
    contagion = make_contagion(play(GAMES["sir"], [[1.0, 1, 1], [0.5, 1, 1]]), np.array([0.0, 2.0]))
    assert contagion.target.tolist() == [1, 2, -1]
    assert contagion.receiver.tolist() == [0]
    assert contagion.senders.tolist() == [[False, True, False]]
    assert np.allclose(contagion.contact[:, 0], [[0.8, 0.4], [0.4, 0.2]])
    assert np.allclose(contagion.leaving[0], [[0, 0], [0.5, 0.5], [0, 0]])


def test_senders_that_are_felt_alike_are_one_class(play):
    """Would catch spreaders and stiflers being tossed apart, or two receivers being thrown together."""
    contagion = make_contagion(play(GAMES["rumour"]), np.array([0.0]))
    classes = {(int(r), tuple(s.tolist())) for r, s in zip(contagion.receiver, contagion.senders, strict=True)}
    assert classes == {(0, (False, True, False)), (1, (False, True, True))}


@pytest.mark.parametrize(
    "game",
    [
        TableGame("SI", [go("S", "I", 1.0, "c0")], [[0], [-1]]),
        TableGame("SI", [go("S", "I", 1.0, "c0")], [[0], [1]], by_control=True),
    ],
    ids=["negative", "by row"],
)
def test_what_emissions_forbid_is_left_to_the_compiled_engine(play, game):
    """Would catch a negative emission or one that depends on the row being tossed as coins."""
    assert make_contagion(play(game, [[1.0, 1.0], [1.0, 0.5]]), np.array([0.0])) is None


def test_a_stretch_that_falls_back_is_the_compiled_engines(play):
    """Would catch counts that are lost in a stretch that the compiled engine takes."""
    made = play(TableGame("SI", [go("S", "I", 1.0, "c0")], [[0], [1]], by_control=True), [[1.0, 1.0], [1.0, 0.5]])
    start = np.zeros((3, 91), np.int8)
    start[:, ::3] = 1
    assert np.array_equal(ran(ListEngine(made), start, [0.0, 1.0])[0], ran(CompiledEngine(made), start, [0.0, 1.0])[0])


@pytest.mark.parametrize("name", GAMES)
def test_lists_go_on_from_states_alone(play, name):
    """Would catch a course that depends on the order of lists: a run that is cut between two saves goes on as it would."""
    engine = ListEngine(play(GAMES[name]))
    start = np.random.default_rng(1).integers(0, 2, (4, 91)).astype(np.int8)
    whole, _ = ran(engine, start, [0.0, 1.0, 2.0])
    held = engine.load(ran(engine, start, [0.0, 1.0])[0])
    engine.advance(held, np.arange(4), Stretch(1, 1.0, 2.0))
    assert np.array_equal(engine.unload(held), whole)


def test_replicates_do_not_depend_on_their_number(play):
    """Would catch random numbers that replicates share: replicate 2 alone is replicate 2 of four."""
    engine = ListEngine(play(GAMES["sis"]))
    start = np.zeros((4, 91), np.int8)
    start[:, ::3] = 1
    all_of_them, _ = ran(engine, start, [0.0, 2.0])
    held = engine.load(start[2:3])
    engine.advance(held, np.array([2]), Stretch(0, 0.0, 2.0))
    assert np.array_equal(engine.unload(held)[0], all_of_them[2])


def test_costs_are_left_sums_over_the_steps(play):
    """Would catch a cost at the wrong time or row: everyone leaves A in the first step, for certain."""
    game = TableGame("AB", [go("A", "B", 1e9)], [[0], [0]], price=[1.0, 3.0])
    _, paid = ran(ListEngine(play(game)), np.zeros((2, 91), np.int8), [0.0, 2.0])
    # Price times 2 - control; the control is 1 until time 1, then 0.5: 0.5 at price 1, then 3 x (0.5 x 1 + 1 x 1.5).
    assert np.allclose(paid, 0.5 + 3 * (0.5 + 1.5), rtol=1e-12)


@pytest.fixture
def silent(monkeypatch):
    """A process in which nothing was said yet."""
    monkeypatch.setattr(compiling._Teller, "has_spoken", False)


def kernel(module):
    """A fresh kernel that seems to come from a module."""

    def double(x):
        return x + x

    double.__module__ = module
    return numba.njit(double)


def test_compilation_is_announced_once(silent):
    """Would catch silence during the first run, and a notice for every kernel, or for those of others."""
    said = []
    with compiling.announcing_compilation(said.append):
        kernel("elsewhere.kernels")(1.0)
        assert said == []
        ours = kernel("mesocosm_agents.kernels")
        ours(1.0)
        ours(1)
        assert said == [compiling.NOTICE]
    assert ours(2.0) == 4.0


def test_kernels_that_are_cached_are_not_announced(tmp_path):
    """Would catch a notice, and seconds of compilation, in a second process on the same machine."""
    code = (
        "import numpy as np; from mesocosm_agents import compiling, random_bits\n"
        "with compiling.announcing_compilation(print):\n"
        "    random_bits.uniform(np.arange(4, dtype=np.uint64))"
    )
    found = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        )
        found.append(run.stdout.strip())
    assert found == [compiling.NOTICE, ""]
