"""The reference of the conformance kit: every rule, what it holds a component to, and the fault that it is known to find."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from docstrings import escape

from mesocosm import FOLLOWS
from mesocosm.testing.check import Rule
from mesocosm.testing.dynamics_kit import DYNAMICS_RULES
from mesocosm.testing.entry import ENTRY_RULES
from mesocosm.testing.games import DIFFUSION_GAME_RULES, GAME_RULES
from mesocosm.testing.graphs import GRAPH_RULES
from mesocosm.testing.strategies import STRATEGY_RULES

Rules = Iterable[Rule[Any]]

GROUPS = {
    "entry": "How it is announced, what it imports, what its options accept.",
    "shapes": "What it observes, and in which shape.",
    "seeds": "The named streams of the context decide every random number, and nothing else does.",
    "purity": "It changes nothing that it was given, shares nothing with others, and leaves nothing behind.",
    "invariants": "Shares are shares, agents are whole, and who is in an absorbing state stays there.",
    "graph": "Infection goes along contacts, in proportion to their weights; numbers of nodes mean nothing.",
    "limits": "Cases in which the answer is known without any dynamics ([oracles](../mathematics.md#conformance)).",
    "restart": "A state is all that there is to go on from, and where it was saved does not matter.",
    "device": "The same answer on each device that it names, results on the host, and no memory kept.",
    "errors": "What cannot be right stops the run, and a problem that cannot be run is refused before it.",
    "policy": "Agents play the policy that they are given, and one that is offered can be played and valued.",
}
"""What the rules of a group have in common."""


def rules_reference() -> str:
    """All rules: of every component, of dynamics by group, of games by kind, of builders of contact graphs, of strategies."""
    parts = ["## Every component", GROUPS["entry"], table(ENTRY_RULES), "## Dynamics"]
    for group, rules in itertools.groupby(_own(DYNAMICS_RULES), key=lambda rule: rule.group):
        parts += [f"### Dynamics: {group}", GROUPS[group], table(rules, of_dynamics=True)]
    parts += ["## Games", table(_own(GAME_RULES)), "## Diffusion games", table(_own(DIFFUSION_GAME_RULES))]
    parts += ["## Contact graphs", table(_own(GRAPH_RULES)), "## Strategies", table(_own(STRATEGY_RULES))]
    return "\n\n".join(parts) + "\n"


def _own(rules: Rules) -> Iterator[Rule[Any]]:
    """Those of a kind that are not those of every component."""
    return (rule for rule in rules if rule not in ENTRY_RULES)


def table(rules: Rules, *, of_dynamics: bool = False) -> str:
    """One line for each rule; for dynamics, with what it must be for the rule to say anything."""
    lines = ["| check | what must hold |", "|---|---|"]
    for rule in rules:
        parts = [rule.text, f"Detects {rule.detects}." if rule.detects else "", _only(rule) if of_dynamics else ""]
        text = "<br>".join(escape(part) for part in parts if part).replace("|", "\\|")
        lines.append(f"| {_code(rule.name)} | {text} |")
    return "\n".join(lines)


def _code(name: str) -> str:
    """A long name as code, which may be broken between its words."""
    return f'<code class="literal">{name.replace("_", "_<wbr>")}</code>'


def _only(rule: Rule[Any]) -> str:
    """For which dynamics a rule says something, in words; '' for all."""
    found = conditions(rule)
    return f"Only for: {'; '.join(found)}." if found else ""


def conditions(rule: Rule[Any]) -> list[str]:
    """What a dynamics must declare for a rule to say something about it; asked of dynamics that differ in one thing."""
    followed = [f"`{each}`" for each in FOLLOWS if not rule.applies(_declaring(follows=each))]
    found = [f"follows {' or '.join(followed)}"] if len(followed) < len(FOLLOWS) else []
    kind = followed[0].strip("`") if followed else "contacts"
    if rule.applies(_declaring(follows=kind, stochastic=False)):
        found.append("stochastic")
    if rule.applies(_declaring(follows=kind, partial=True)):
        found.append("not partial")
    found += [f"has the option `{name}`" for name in ("policy", "step") if rule.applies(_declaring(kind, without=name))]
    return found


def _declaring(follows: str, *, stochastic: bool = True, partial: bool = False, without: str = "") -> Any:
    """As much of a dynamics under test as conditions look at."""
    cls = SimpleNamespace(follows=follows, stochastic=stochastic, partial=partial)
    return SimpleNamespace(cls=cls, has=lambda name: name != without)
