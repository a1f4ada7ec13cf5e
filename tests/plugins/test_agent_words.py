"""Random bits for kernels, and many replicates in words: layout, reproducibility, what falls back."""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy.stats import binom, kstest
from step_law import GAMES, TableGame, TimesRows, copies, go, play_of, ran

from mesocosm import ContactGraph
from mesocosm_agents.compiled import CompiledEngine
from mesocosm_agents.engine import Stretch
from mesocosm_agents.random_bits import make_coins, refill, set_chance, toss, uniform
from mesocosm_agents.words import WordEngine, pays

ONE = [[1.0] * 4]
ALPHA = 1e-6


def test_the_generator_is_the_published_one():
    """Would catch a slip in xoshiro256++: the first numbers from state (1, 2, 3, 4), as its authors' C code gives them."""
    expected = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
    state = np.array([1, 2, 3, 4], np.uint64)
    assert [uniform(state) for _ in expected] == [((number >> 11) + 1) * 2.0**-53 for number in expected]


@pytest.mark.parametrize("chance", [0.0, 1e-5, 0.0302, 0.25, 0.5, 0.9, 0.99995, 1.0])
def test_coins_show_heads_with_their_chance(chance):
    """Would catch a wrong digit or a missing rest: 6.6 million coins (a tenth near 1, where they are slow). At 0.0302 an error
    of 2 % is seen with a probability above 0.99, and cutting the chance off after ten digits is one of 3 %."""
    coins, heads, blocks = make_coins(np.random.default_rng(1)), 0, 200 if chance < 0.99 else 20
    set_chance(coins, chance)
    for _ in range(blocks):
        toss(coins)
        heads += int(np.bitwise_count(coins.words).sum())
    total = blocks * 64 * len(coins.words)
    assert binom.ppf(ALPHA, total, chance) <= heads <= binom.isf(ALPHA, total, chance)


def test_coins_are_alike_in_every_bit_and_lane():
    """Would catch a lane or a bit that is stuck: heads in each of 64 bits and of 512 words, 100 blocks at chance 0.3."""
    coins, blocks = make_coins(np.random.default_rng(2)), 100
    set_chance(coins, 0.3)
    seen = np.zeros((512, 64), np.int64)
    for _ in range(blocks):
        toss(coins)
        seen += np.unpackbits(coins.words.view(np.uint8), bitorder="little").reshape(512, 64)
    for axis, count in ((0, 512), (1, 64)):
        deviation = (seen.sum(axis=axis) - 0.3 * blocks * count) / np.sqrt(0.21 * blocks * count)
        assert np.abs(deviation).max() < 6.0


def test_waiting_times_are_exponential():
    """Would catch an error in the logarithm that is written out: 200,000 waits against the law, and their bounds."""
    coins, waits = make_coins(np.random.default_rng(3)), []
    for _ in range(400):
        refill(coins)
        waits.append(coins.waits.copy())
    drawn = np.concatenate(waits)
    assert drawn.min() >= 0.0
    assert kstest(drawn, "expon").pvalue > ALPHA
    # Waits are -log(x) of a multiple x of 2^-52: exp(-wait) must come back to one.
    x = np.exp(-drawn) * 2.0**52
    assert np.abs(x - np.round(x)).max() / 2.0**52 < 1e-15


@pytest.mark.parametrize("replicates", [1, 31, 33, 64, 65, 130])
def test_what_is_loaded_comes_back(replicates):
    """Would catch bits in the wrong place, and counts of replicates that are not there."""
    graph = copies([[0, 1], [1, 0]], 50, alone=3)
    engine = WordEngine(play_of(GAMES["seir"], graph, TimesRows(ONE), 1.0))
    states = np.random.default_rng(4).integers(0, 4, (replicates, 103)).astype(np.int8)
    held = engine.load(states)
    copied = engine.copy(held)
    assert np.array_equal(engine.unload(held), states)
    assert np.array_equal(engine.occupancy(held), [np.bincount(row, minlength=4) / 103 for row in states])
    engine.advance(copied, np.arange(replicates), Stretch(0, 0.0, 1.0))
    assert np.array_equal(engine.unload(held), states)


def test_results_do_not_depend_on_threads_nor_on_a_restart(monkeypatch):
    """Would catch random numbers that depend on scheduling, and a form that remembers more than states."""
    graph = copies([[0, 1, 1], [1, 0, 1], [1, 1, 0]], 200)
    engine = WordEngine(play_of(GAMES["seir"], graph, TimesRows(ONE), 0.5))
    start = np.zeros((150, 600), np.int8)
    start[:, ::3] = 2
    whole, _ = ran(engine, start, [0.0, 1.0, 2.0])
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    half, _ = ran(engine, start, [0.0, 1.0])
    held = engine.load(half)
    engine.advance(held, np.arange(150), Stretch(1, 1.0, 2.0))
    assert np.array_equal(engine.unload(held), whole)
    assert len({row.tobytes() for row in whole}) == 150


def test_costs_are_those_of_every_agent():
    """Would catch a cost of absent replicates, of the wrong row or at the wrong time: nobody moves, so that it is known."""
    game = TableGame("AB", [go("A", "B", 1.0, "c0")], [[0], [0]], price=[1.0, 3.0])
    graph = ContactGraph.from_edges(6, [0], [1])
    rows = [[1.0, 0.5], [0.2, 0.4]]
    states = np.random.default_rng(5).integers(0, 2, (70, 6)).astype(np.int8)
    final, paid = ran(WordEngine(play_of(game, graph, TimesRows(rows), 0.5)), states, [0.0, 2.0])
    control = np.asarray(rows)[np.arange(6) % 2, states]
    expected = (np.array([1.0, 3.0])[states] * (4.0 - control - 0.5 * control)).mean(axis=1)
    assert np.array_equal(final, states)
    assert np.allclose(paid, expected, rtol=1e-12)


def test_what_is_not_contagion_like_falls_back_in_its_stretch():
    """Would catch emissions by the sender's control that are taken for its state's: then the compiled engine takes over, and
    gives what it gives alone."""
    game = TableGame("SI", [go("S", "I", 1.0, "c0"), go("I", "S", 0.4)], [[0], [1]], by_control=True)
    graph = copies([[0, 1, 1], [1, 0, 1], [1, 1, 0]], 20)
    play = play_of(game, graph, TimesRows([[1.0, 1.0], [1.0, 0.2]]), 0.5)
    start = np.zeros((40, 60), np.int8)
    start[:, ::3] = 1
    assert np.array_equal(ran(WordEngine(play), start, [0.0, 1.0])[0], ran(CompiledEngine(play), start, [0.0, 1.0])[0])


def test_words_need_one_graph_and_several_replicates():
    """Would catch words for replicates on graphs of their own, or for a few, where they cost more."""
    play = play_of(GAMES["sis"], copies([[0, 1], [1, 0]], 5), TimesRows(ONE), 1.0)
    assert pays(play, 64)
    assert not pays(play, 2)
    play.graphs.redraw = True
    assert not pays(play, 64)
