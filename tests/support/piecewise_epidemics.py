"""SIR on matrices that change, by scipy: an independent reference for closures that change in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.integrate import solve_ivp

from mesocosm import ContactGraph, GraphRecord, Problem, Trajectories, simulate
from mesocosm_mfg.classical import ClassicalMFG
from mesocosm_mfg.options import ClassicalMFGOptions

BETA, GAMMA, INFECTED = 0.3, 0.1, 0.01
TIGHT = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}


def solved(problem: Problem, **options: object) -> Trajectories:
    return simulate(problem, {"mfg": ClassicalMFG.bind(ClassicalMFGOptions(**options))})["mfg"]


def sir(matrix: np.ndarray, beta: float, y0: np.ndarray, times: np.ndarray, gamma: float = GAMMA) -> np.ndarray:
    """Shares [time, node, (S, I, R)] of S_i' = -beta S_i (A I)_i, from y0 [node, 3], by scipy."""

    def slope(t: float, y: np.ndarray) -> np.ndarray:
        s, i, _ = y.reshape(-1, 3).T
        new, cured = beta * s * (matrix @ i), gamma * i
        return np.stack([-new, new - cured, cured], axis=1).ravel()

    found = solve_ivp(slope, (times[0], times[-1]), y0.ravel(), t_eval=times, **TIGHT)
    return found.y.T.reshape(len(times), -1, 3)


def joined(*parts: tuple[np.ndarray, float, np.ndarray], start: np.ndarray) -> np.ndarray:
    """`sir` piece after piece, each (matrix, beta, times), where one ends at the first time of the next; all saves."""
    rows, y = [start[None]], start
    for matrix, beta, times in parts:
        found = sir(matrix, beta, y, times)
        rows.append(found[1:])
        y = found[-1]
    return np.concatenate(rows)


def start_of(size: int, infected: float = INFECTED) -> np.ndarray:
    return np.tile([1 - infected, infected, 0.0], (size, 1))


def changing(average: ContactGraph, graphs: list[ContactGraph], times: list[float]) -> ContactGraph:
    """A graph whose piece k is graph k; the record is played again and again."""
    record = GraphRecord(times, list(range(len(graphs))), graphs.__getitem__, loop=True, afterwards=0)
    return replace(average, changes=record)
