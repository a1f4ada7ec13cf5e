"""Conformance of a strategy of vaccination.

from mesocosm.testing import check_strategy, parametrize_with_checks, strategy_checks

check_strategy("betweenness", options={"samples": 20})

@parametrize_with_checks(strategy_checks("betweenness", options={"samples": 20}))
def test_conformance(check):
    check()
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm import ContactGraph, InputError, Options, Registry, Strategy
from mesocosm.testing.check import Check, ConformanceError, NotApplicable, Outcome, Rule, checks_of, rule, run_checks
from mesocosm.testing.component import Part, options_of
from mesocosm.testing.entry import ENTRY_RULES

__all__ = ["STRATEGY_RULES", "StrategySubject", "check_strategy", "strategy_checks"]

NODES = 60
FAULT = "it makes no strategy; see factory_is_what_its_kind_needs"


@dataclass(frozen=True)
class StrategySubject(Part):
    """A strategy with the options that it is tested with."""

    options: Options

    def make(self) -> Strategy:
        """A strategy of its own; raises `NotApplicable` where none comes of it, which is the business of one rule alone."""
        try:
            made = self.factory()(self.options.model_copy(deep=True))
        except Exception as error:
            raise NotApplicable(FAULT) from error
        if not isinstance(made, Strategy):
            raise NotApplicable(FAULT)
        return made

    def accepted(self) -> Iterator[tuple[str, ContactGraph, int]]:
        """Graphs and numbers of doses that its `check` lets pass, each with what the graph is."""
        strategy = self.make()
        for name, graph in graphs().items():
            for count in (1, NODES // 4, NODES):
                try:
                    strategy.check(graph, count)
                except InputError:
                    continue
                yield name, graph, count


def graphs() -> dict[str, ContactGraph]:
    """Graphs of `NODES` nodes, by what they are, made anew at every call."""
    generator = np.random.default_rng(3)
    source, target = np.triu_indices(NODES, 1)
    joined = generator.random(len(source)) < 0.1
    few = joined & (target < NODES // 2)
    weights = generator.uniform(0.5, 2.0, joined.sum())
    return {
        "a random graph": ContactGraph.from_edges(NODES, source[joined], target[joined]),
        "a weighted graph": ContactGraph.from_edges(NODES, source[joined], target[joined], weights),
        "a star": ContactGraph.from_edges(NODES, np.zeros(NODES - 1, np.int64), np.arange(1, NODES)),
        "a graph with lonely nodes": ContactGraph.from_edges(NODES, source[few], target[few]),
        "a complete graph": ContactGraph.complete(NODES),
    }


def _chosen(strategy: Strategy, graph: ContactGraph, count: int) -> NDArray[Any]:
    return np.asarray(strategy.choose(graph, count, np.random.default_rng(7)))


@rule("strategy")
def what_passes_its_check_can_be_chosen_from(subject: StrategySubject) -> None:
    """`check` refuses what `choose` cannot do: where it lets a graph and a number of doses pass, nodes are chosen."""
    accepted = list(subject.accepted())
    if not accepted:
        raise ConformanceError(
            "its check refuses every graph", hint="test it with options that mean something on any graph"
        )
    for name, graph, count in accepted:
        try:
            _chosen(subject.make(), graph, count)
        except Exception as error:
            raise ConformanceError(
                f"{count} nodes of {name}: {type(error).__name__}: {error}",
                hint="raise InputError in check, with the reason",
            ) from error


@rule("strategy")
def chooses_as_many_different_nodes(subject: StrategySubject) -> None:
    """It chooses as many different nodes as there are doses, as integers from 0 to N-1 of shape [count]."""
    for name, graph, count, nodes in _choices(subject):
        whole = nodes.shape == (count,) and nodes.dtype.kind in "iu"
        if not whole or len(np.unique(nodes)) != count or nodes.min() < 0 or nodes.max() >= graph.node_count:
            raise ConformanceError(f"{count} nodes of {name}: it chose {np.array2string(nodes, threshold=10)}")


@rule("strategy")
def same_generator_same_nodes(subject: StrategySubject) -> None:
    """All chance is that of the generator that it is given: generators of one seed choose the same nodes in the same order."""
    first = [nodes for *_, nodes in _choices(subject)]
    for (name, _, count, again), before in zip(_choices(subject), first, strict=True):
        if not np.array_equal(before, again):
            raise ConformanceError(
                f"{count} nodes of {name} are others the second time", hint="draw from the generator alone"
            )


@rule("strategy")
def knows_graphs_apart(subject: StrategySubject) -> None:
    """A strategy that has chosen from one graph chooses from another one as if it were the first."""
    one = subject.make()
    for name, graph, count, fresh in _choices(subject):
        try:
            used = _chosen(one, graph, count)
        except Exception as error:
            raise ConformanceError(f"{count} nodes of {name}, after other graphs: {error}") from error
        if not np.array_equal(_chosen(subject.make(), graph, count), fresh):
            raise NotApplicable("they are others each time; see same_generator_same_nodes")
        if not np.array_equal(used, fresh):
            raise ConformanceError(
                f"{count} nodes of {name} are others after it has chosen from other graphs",
                hint="what it keeps of a graph belongs to that graph",
            )


def _choices(subject: StrategySubject) -> Iterator[tuple[str, ContactGraph, int, NDArray[Any]]]:
    """What a new strategy chooses from every graph that it accepts."""
    for name, graph, count in subject.accepted():
        try:
            nodes = _chosen(subject.make(), graph, count)
        except Exception as error:
            raise NotApplicable("it cannot choose; see what_passes_its_check_can_be_chosen_from") from error
        yield name, graph, count, nodes


STRATEGY_RULES: tuple[Rule[Any], ...] = (
    *ENTRY_RULES,
    what_passes_its_check_can_be_chosen_from,
    chooses_as_many_different_nodes,
    same_generator_same_nodes,
    knows_graphs_apart,
)
"""What every strategy must do."""


def strategy_checks(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Check]:
    """The checks of one strategy.

    Parameters
    ----------
    name, options: as a scenario has them: its `kind`, and what stands beside it.
    expected_failures: name of a check -> why it is known to fail. It must fail then.
    registry: where the strategy is found; all installed plugins where it is left out.

    Raises `InputError` for a name or an option that is not there, and for an expected failure without a reason.
    """
    plugins = registry or Registry.discover()
    own = options_of(plugins, "strategy", name, options or {}, where=f"strategy '{name}'")
    return checks_of(STRATEGY_RULES, StrategySubject("strategy", name, plugins, own), expected_failures)


def check_strategy(
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    registry: Registry | None = None,
) -> list[Outcome]:
    """Run the checks of `strategy_checks`, and return how each ended. Raises one `ConformanceError` with every fault."""
    return run_checks(strategy_checks(name, options=options, expected_failures=expected_failures, registry=registry))
