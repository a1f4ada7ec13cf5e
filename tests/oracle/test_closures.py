"""Mean-field closures against reference numbers that an independent script computed, and against closed forms."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import poisson

from mesocosm import ContactGraph, InputError, Problem, Trajectories, simulate
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.edge_based import EdgeBased
from mesocosm_mfg.options import ClassicalMFGOptions, EdgeBasedOptions

RATES = {"beta": 0.03, "gamma": 0.1}
Make = Callable[..., Problem]


def classical(problem: Problem, **options: object) -> Trajectories:
    return simulate(problem, {"mean": ClassicalMFG.bind(ClassicalMFGOptions(**options))})["mean"]


def edge_based(problem: Problem, degrees: str = "law") -> Trajectories:
    return simulate(problem, {"edge": EdgeBased.bind(EdgeBasedOptions(degrees=degrees))})["edge"]


@pytest.mark.parametrize(
    ("closure", "peak", "final"), [("homogeneous", 0.30381, 0.93932), ("degree", 0.30736, 0.91272)]
)
def test_node_closures_on_poisson_degrees(
    make_problem: Make, poisson_10: ContactGraph, closure: str, peak: float, final: float
) -> None:
    """Catches a wrong mixing matrix, field or rate: peak I and final R of SIR, mean degree 10, to 1e-5."""
    found = classical(make_problem("sir", RATES, poisson_10, save_every=0.1), closure=closure, degrees="law")
    occupancy = found.array("occupancy")[0]
    assert occupancy[:, 1].max() == pytest.approx(peak, abs=1e-5)
    assert occupancy[-1, 2] == pytest.approx(final, abs=1e-5)


def test_edge_based_on_poisson_degrees(make_problem: Make, poisson_10: ContactGraph) -> None:
    """Catches a wrong edge-based equation: peak I and its time, final R, to 1e-5."""
    found = edge_based(make_problem("sir", RATES, poisson_10, save_every=0.1))
    occupancy = found.array("occupancy")[0]
    assert occupancy[:, 1].max() == pytest.approx(0.25180, abs=1e-5)
    assert found.times[occupancy[:, 1].argmax()] == pytest.approx(29.1, abs=0.05)
    assert occupancy[-1, 2] == pytest.approx(0.86333, abs=1e-5)


@pytest.mark.parametrize("transmissibility", [0.25, 0.5, 1.0])
def test_edge_based_final_size_solves_its_equation(
    make_problem: Make, law_graph: Callable[..., ContactGraph], transmissibility: float
) -> None:
    """Catches a wrong limit: with Poisson(6) degrees, A = 1 - (1-rho) exp(-6 T (1 - s)), s the escape probability."""
    degrees = np.arange(80)
    shares = poisson.pmf(degrees, 6)
    graph, gamma, infected = law_graph(degrees, shares / shares.sum()), 1.0, 1e-4
    beta = transmissibility
    found = edge_based(make_problem("sir", {"beta": beta, "gamma": gamma}, graph, infected=infected, end=200))
    passed = beta / (beta + gamma)
    theta = 0.5
    for _ in range(10_000):
        theta = 1 - passed + passed * (1 - infected) * np.exp(-6 * (1 - theta))
    expected = 1 - (1 - infected) * np.exp(-6 * (1 - theta))
    assert found.array("final_size")[0] == pytest.approx(expected, rel=1e-6)


def test_attack_rates_of_another_package(
    make_problem: Make, law_graph: Callable[..., ContactGraph], data_folder: Path
) -> None:
    """Catches a wrong limit of edge_based: attack rates of configuration graphs by EoN, few infected at the start, to 1e-3."""
    laws = {
        "poisson6": (np.arange(80), poisson.pmf(np.arange(80), 6)),
        "regular6": (np.array([6]), np.ones(1)),
    }
    with (data_folder / "anchors" / "eon_attack_rates.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["degree_distribution"] in laws]
    assert len(rows) >= 8
    for row in rows:
        expected = float(row["attack_rate"])
        degrees, shares = laws[row["degree_distribution"]]
        rates = {"beta": float(row["tau"]), "gamma": float(row["gamma"])}
        graph = law_graph(degrees, shares / shares.sum())
        problem = make_problem("sir", rates, graph, infected=1e-6, end=400, save_every=10)
        assert edge_based(problem).array("final_size")[0] == pytest.approx(expected, abs=1e-3), row


def test_curves_of_another_package(
    make_problem: Make, law_graph: Callable[..., ContactGraph], data_folder: Path
) -> None:
    """Catches an error anywhere along the curves: EoN's deterministic SIR curves, to 2e-5 in every share at every time."""
    curves: dict[str, list[list[float]]] = {}
    with (data_folder / "anchors" / "eon_deterministic_curves.csv").open() as file:
        for row in csv.DictReader(file):
            shares = [float(row[name] or "nan") / 1000 for name in ("S", "I", "R")]
            curves.setdefault(row["model"], []).append(shares)
    graph = law_graph(np.array([6]), np.ones(1))
    problem = make_problem("sir", {"beta": 0.3, "gamma": 1.0}, graph, infected=0.01, end=20, save_every=0.5)
    homogeneous = classical(problem, degrees="law").array("occupancy")[0]
    assert np.abs(homogeneous - np.array(curves["sir_homogeneous_meanfield"])).max() < 2e-5
    edges = [name for name in curves if name.startswith("sir_ebcm") and "regular" in name]
    assert edges, sorted(curves)
    for name in edges:
        assert np.abs(edge_based(problem).array("occupancy")[0] - np.array(curves[name])).max() < 2e-5


def test_individual_closure_is_the_quenched_ode(make_problem: Make) -> None:
    """Catches a transposed or dropped adjacency: on a star with weights, against scipy's own solution, to 1e-6."""
    graph = ContactGraph.from_edges(4, [0, 0, 0], [1, 2, 3], weights=[1.0, 2.0, 0.5])
    problem = make_problem("sir", {"beta": 0.4, "gamma": 0.2}, graph, infected=0.1, end=20)
    found = classical(problem, closure="individual").array("occupancy")[0]
    adjacency = graph.adjacency.toarray()

    def slope(t: float, flat: np.ndarray) -> np.ndarray:
        s, i, _ = flat.reshape(3, 4)
        new = 0.4 * s * (adjacency @ i)
        return np.concatenate([-new, new - 0.2 * i, 0.2 * i])

    start = np.concatenate([np.full(4, 0.9), np.full(4, 0.1), np.zeros(4)])
    solution = solve_ivp(slope, (0, 20), start, t_eval=problem.clock.times, rtol=1e-10, atol=1e-12)
    expected = solution.y.reshape(3, 4, -1).mean(axis=1).T
    assert np.abs(found - expected).max() < 1e-6


def test_group_closure_with_groups_that_never_meet(make_problem: Make) -> None:
    """Catches mixing between groups that have no contact: an infection-free component stays free of it."""
    graph = ContactGraph.from_edges(6, [0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3], attributes={"group": list("aaabbb")})
    problem = make_problem("sir", {"beta": 0.5, "gamma": 0.1}, graph, end=30)
    population = type(problem.population)(6, np.array([1.0, 0.0, 0.0]), {"a": np.array([0.9, 0.1, 0.0])})
    problem = type(problem)(**{**problem.__dict__, "population": population})
    groups = classical(problem, closure="group").array("group_occupancy")[0]
    assert groups[:, 1, 0] == pytest.approx(1.0, abs=1e-12)
    assert groups[-1, 0, 0] < 0.5


def test_sis_reaches_its_endemic_share(make_problem: Make) -> None:
    """Catches a wrong return flow: 1 - gamma/beta on a complete graph, to 1e-8."""
    problem = make_problem("sis", {"beta": 0.5, "gamma": 0.2}, ContactGraph.complete(100), end=300)
    assert classical(problem).array("occupancy")[0, -1, 1] == pytest.approx(0.6, abs=1e-8)


def test_seir_final_size(make_problem: Make) -> None:
    """Catches a wrong exposed state: log S(inf)/S(0) = -R0 (1 - S(inf)), whatever sigma, to 1e-6."""
    rates = {"beta": 0.5, "gamma": 0.2, "sigma": 0.3}
    found = classical(make_problem("seir", rates, ContactGraph.complete(100), infected=0.01, end=600))
    final = found.array("occupancy")[0, -1, 0]
    assert np.log(final / 0.99) == pytest.approx(-2.5 * (1 - final), abs=1e-6)


def test_time_step_is_of_order_four(make_problem: Make) -> None:
    """Catches a Runge-Kutta stage at the wrong time: the error falls by 16 when the step is halved (slope 3.8 to 4.2)."""
    problem = make_problem("sir", {"beta": 0.8, "gamma": 0.3}, ContactGraph.complete(100), end=20)
    ends = [classical(problem, step=step).array("occupancy")[0, 10, 1] for step in (1.0, 0.5, 0.25, 1 / 64)]
    errors = np.abs(np.array(ends[:3]) - ends[3])
    slopes = np.log2(errors[:-1] / errors[1:])
    assert ((slopes > 3.7) & (slopes < 4.3)).all(), slopes


def test_edge_based_refuses_what_it_is_not_for(make_problem: Make, poisson_10: ContactGraph) -> None:
    """Catches a silent wrong answer for SIS, complete and weighted graphs."""
    weighted = ContactGraph.from_edges(3, [0, 1], [1, 2], weights=[1.0, 2.0])
    cases = [
        (make_problem("sis", RATES, poisson_10), "law"),
        (make_problem("sir", RATES, ContactGraph.complete(10)), "graph"),
        (make_problem("sir", RATES, weighted), "graph"),
    ]
    for problem, degrees in cases:
        with pytest.raises(InputError, match="edge_based"):
            edge_based(problem, degrees)
