"""Errors: what cannot be right stops the run, and a problem that cannot be run is refused before it."""

from __future__ import annotations

from mesocosm import ContactGraph, InputError, MesocosmError
from mesocosm.testing.applies import THE_GAME
from mesocosm.testing.check import ConformanceError, rule
from mesocosm.testing.problems import Faulty, empty, epidemic, pairs, problem, ring
from mesocosm.testing.subject import DynamicsSubject


@rule("errors", applies=THE_GAME)
def stops_at_a_rate_that_is_not_a_number(subject: DynamicsSubject) -> None:
    """A game with an intensity of NaN, from the middle of the run on, ends with an error."""
    _must_stop(subject, float("nan"))


@rule("errors", applies=THE_GAME)
def stops_at_a_negative_rate(subject: DynamicsSubject) -> None:
    """A game with a negative intensity, from the middle of the run on, ends with an error."""
    _must_stop(subject, -0.2)


def _must_stop(subject: DynamicsSubject, value: float) -> None:
    try:
        found = subject.run(problem(ring(60, 3), Faulty(value, since=2.5), name="faulty"))
    except MesocosmError:
        return
    raise ConformanceError(
        f"ran a game whose recovery has the intensity {value:g} from time 2.5 on, to a share in R of "
        f"{float(found.array('occupancy')[0, -1, 2]):.4g}",
        rule="an intensity is finite and not negative",
        hint="raise mesocosm.DynamicsError with the transition, the time and the value",
    )


@rule("errors")
def refuses_with_an_input_error(subject: DynamicsSubject) -> None:
    """A problem that it cannot run is refused in `check`, with `InputError` and nothing else."""
    odd = (
        problem(ContactGraph.complete(40), epidemic(), name="complete"),
        problem(empty(40), epidemic(), name="empty"),
        problem(pairs(20, 0.5), epidemic(), name="weighted"),
        problem(ring(40, 3), epidemic(effort=True), name="effort"),
        problem(ring(40, 3), epidemic(), name="one long interval", save_every=6.0),
        problem(ring(40, 3), epidemic(), name="uneven intervals", save_every=0.75),
        problem(pairs(20), epidemic(), (1.0, 0.0, 0.0), name="groups", groups={"first": (0.0, 1.0, 0.0)}),
        problem(ring(40, 3), epidemic(), (0.0, 0.0, 1.0), name="nobody left"),
    )
    for posed in odd:
        try:
            subject.unchecked(posed).check()
        except InputError:
            continue
        except Exception as error:
            raise ConformanceError(f"check raises {type(error).__name__}: {error}, for '{posed.name}'") from error


RULES = (stops_at_a_rate_that_is_not_a_number, stops_at_a_negative_rate, refuses_with_an_input_error)
