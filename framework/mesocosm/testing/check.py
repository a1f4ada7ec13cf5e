"""What a check is, how it ends, and how many are run: the machinery of the conformance kit.

A `Rule` is one thing that every component of a kind must do. A `Check` is a rule applied to one component; it is called
without arguments and raises `ConformanceError` where the component breaks the rule, `NotApplicable` where the rule says
nothing about it. `run_checks` runs many and raises once, with every fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mesocosm import InputError, MesocosmError

Subject = TypeVar("Subject")

PASSED, FAILED, NOT_APPLICABLE, EXPECTED_FAILURE = "passed", "failed", "not applicable", "expected failure"


class ConformanceError(MesocosmError):
    """A component breaks a rule of the conformance kit."""


class NotApplicable(MesocosmError):  # noqa: N818  it is no error
    """A rule says nothing about a component: what it declares, or refuses, excludes it. The message says why."""


@dataclass(frozen=True)
class Rule(Generic[Subject]):
    """One thing that every component of a kind must do.

    Attributes
    ----------
    name, group: what it is called, and the group that it belongs to.
    text: what must hold, in a sentence or two.
    detects: for a statistical rule, the smallest fault that it finds with probability 0.99 or more; '' for others.
    applies: subject -> the reason why the rule says nothing about it, or ''.
    function: subject -> None; raises `ConformanceError`.
    """

    name: str
    group: str
    text: str
    detects: str
    applies: Callable[[Subject], str]
    function: Callable[[Subject], None]


def _always(subject: Any) -> str:
    return ""


def rule(
    group: str, *, detects: str = "", applies: Callable[[Any], str] = _always
) -> Callable[[Callable[[Any], None]], Rule[Any]]:
    """Makes a `Rule` of a function: its name is that of the function, its text the docstring."""

    def make(function: Callable[[Any], None]) -> Rule[Any]:
        text = " ".join((function.__doc__ or "").split())
        return Rule(function.__name__, group, text, detects, applies, function)

    return make


@dataclass(frozen=True)
class Check:
    """A rule applied to one component. Call it: it returns, or raises `ConformanceError` or `NotApplicable`.

    `expected` is the reason why it is known to fail; it must then fail, and one that passes is an error.
    """

    rule: Rule[Any]
    subject: Any
    expected: str = ""

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.name

    @property
    def group(self) -> str:
        """Group of the rule."""
        return self.rule.group

    @property
    def detects(self) -> str:
        """The smallest fault that a statistical rule finds; '' for others."""
        return self.rule.detects

    def __str__(self) -> str:
        return f"{self.group}: {self.name}"

    def __call__(self) -> None:
        try:
            self._run()
        except ConformanceError:
            if not self.expected:
                raise
            return
        if self.expected:
            raise ConformanceError(
                "passes, although it is expected to fail",
                where=self._where,
                rule=f"the reason given was: {self.expected}",
                hint="take it out of expected_failures",
            )

    def _run(self) -> None:
        reason = self.rule.applies(self.subject)
        if reason:
            raise NotApplicable(reason, where=self._where)
        try:
            self.rule.function(self.subject)
        except NotApplicable as error:
            raise NotApplicable(error.what, where=self._where, rule=error.rule) from error
        except ConformanceError as error:
            raise ConformanceError(
                error.what, where=self._where, rule=error.rule or self.rule.text.rstrip("."), hint=error.hint
            ) from error
        except Exception as error:
            what = str(error) if isinstance(error, MesocosmError) else f"{type(error).__name__}: {error}"
            raise ConformanceError(f"raised {what}", where=self._where, rule=self.rule.text.rstrip(".")) from error

    @property
    def _where(self) -> str:
        return f"{self.subject}, check {self.rule.name}"


@dataclass(frozen=True)
class Outcome:
    """How one check ended: `status` is passed, failed, not applicable or expected failure; `message` says why."""

    check: Check
    status: str
    message: str = ""


def outcome_of(check: Check) -> Outcome:
    """Run one check."""
    try:
        check()
    except NotApplicable as error:
        return Outcome(check, NOT_APPLICABLE, error.what)
    except ConformanceError as error:
        return Outcome(check, FAILED, str(error))
    if check.expected:
        return Outcome(check, EXPECTED_FAILURE, check.expected)
    return Outcome(check, PASSED)


def run_checks(checks: Iterable[Check], report: Callable[[Outcome], None] | None = None) -> list[Outcome]:
    """Run checks, and return how each ended. Raises one `ConformanceError` with every fault.

    `report` is called after each.
    """
    outcomes = []
    for check in checks:
        outcomes.append(outcome_of(check))
        if report is not None:
            report(outcomes[-1])
    failures = [outcome.message for outcome in outcomes if outcome.status == FAILED]
    if failures:
        count = f"{len(failures)} of {len(outcomes)} checks failed"
        raise ConformanceError("\n- ".join([count, *failures]))
    return outcomes


def checks_of(
    rules: Sequence[Rule[Subject]], subject: Subject, expected_failures: Mapping[str, str] | None
) -> list[Check]:
    """Every rule applied to one subject. Raises `InputError` for an expected failure without a reason or a rule."""
    expected = dict(expected_failures or {})
    names = [item.name for item in rules]
    for name, reason in expected.items():
        if name not in names:
            raise InputError(f"'{name}'", where="expected_failures", rule=f"a check; they are: {', '.join(names)}")
        if not reason.strip():
            raise InputError(f"no reason for '{name}'", where="expected_failures", rule="say why it is known to fail")
    return [Check(item, subject, expected.get(item.name, "")) for item in rules]


def parametrize_with_checks(checks: Sequence[Check]) -> Callable[[Callable[..., Any]], Any]:
    """A pytest decorator: one test for each check, which the test function receives as `check` and calls.

        from mesocosm.testing import dynamics_checks, parametrize_with_checks

        @parametrize_with_checks(dynamics_checks("gillespie"))
        def test_conformance(check):
            check()

    A check that does not apply is skipped with its reason; one that is expected to fail and passes is an error.
    """
    import pytest

    @dataclass(frozen=True)
    class Skipping(Check):
        def __call__(self) -> None:
            try:
                super().__call__()
            except NotApplicable as error:
                pytest.skip(error.what)

    wrapped = [Skipping(check.rule, check.subject, check.expected) for check in checks]
    return pytest.mark.parametrize("check", wrapped, ids=[check.name for check in checks])
