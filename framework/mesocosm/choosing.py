"""What a scenario's option `policy` means for a game: `none`, a name, `{constant: value}`, or `{file: ...}`."""

from __future__ import annotations

from mesocosm.diffusion import DiffusionGame
from mesocosm.discrete import DiscretePolicy, DiscreteTimeGame
from mesocosm.errors import InputError, suggestion
from mesocosm.feedback import GradientFlow, GridPolicy, Unmoved
from mesocosm.game import FiniteStateGame, Game
from mesocosm.options import ConstantControl, PolicyFile
from mesocosm.policy import ConstantPolicy, Policy, TabulatedPolicy, constant_control, no_control, require_control
from mesocosm.policy_file import load_policy
from mesocosm.stage import StageGame

NEUTRAL, MYOPIC = "none", "gradient_flow"


def choose_policy(
    option: str | ConstantControl | PolicyFile, game: Game, size: int, horizon: float, *, where: str = "policy"
) -> Policy:
    """The policy that an option names, for a population of `size` that plays until `horizon`.

    Errors: `InputError`, for what the game cannot play.
    """
    if isinstance(option, PolicyFile):
        return _fitting(load_policy(option.file), game, f"{where}, file {option.file}")
    if isinstance(option, ConstantControl):
        return _constant(game, option.constant)
    if option == NEUTRAL:
        return _neutral(game)
    known = dict(game.policies(size, horizon))
    if option == MYOPIC and isinstance(game, DiffusionGame) and game.control is not None:
        return GradientFlow(game)
    if option not in known:
        names = [NEUTRAL, *known, *([MYOPIC] if isinstance(game, DiffusionGame) and game.control else [])]
        raise InputError(
            f"policy '{option}'",
            where=where,
            rule=f"for this game: {', '.join(names)}, {{constant: value}}, {{from: label}} or {{file: path}}",
            hint=suggestion(option, names),
        )
    return known[option]


def _neutral(game: Game) -> Policy:
    if isinstance(game, FiniteStateGame):
        return no_control(game)
    control = game.control if isinstance(game, (DiffusionGame, StageGame)) else None
    neutral = control.neutral if control else 0.0
    return Unmoved(neutral) if isinstance(game, DiffusionGame) else ConstantPolicy.of(neutral)


def _constant(game: Game, value: float) -> Policy:
    if isinstance(game, FiniteStateGame):
        return constant_control(game, value)
    control = require_control(game)
    control.check(value)
    return Unmoved(value) if isinstance(game, DiffusionGame) else ConstantPolicy.of(value)


def _fitting(policy: Policy, game: Game, where: str) -> Policy:
    """A policy from a file; an error where it is for another kind of game, or another number of states or axes."""
    if isinstance(game, FiniteStateGame):
        count = len(game.states)
        if isinstance(policy, ConstantPolicy) and len(policy.by_state) == count:
            return policy
        if isinstance(policy, TabulatedPolicy) and policy.values.shape[-1] == count:
            return policy
        wanted = f"a table over the {count} states {', '.join(game.states)}"
    elif isinstance(game, DiffusionGame):
        if isinstance(policy, Unmoved) or (isinstance(policy, GridPolicy) and len(policy.nodes) == len(game.axes)):
            return policy
        wanted = f"a table over places on {len(game.axes)} {'axis' if len(game.axes) == 1 else 'axes'}"
    elif isinstance(game, DiscreteTimeGame):
        if isinstance(policy, DiscretePolicy) and policy.probabilities.shape[1:] == (
            len(game.states),
            len(game.actions),
        ):
            return policy
        wanted = f"probabilities of {len(game.actions)} actions in {len(game.states)} states"
    else:
        if isinstance(policy, ConstantPolicy) and len(policy.by_state) == 1:
            return policy
        wanted = "one action"
    raise InputError(f"a {type(policy).__name__}", where=where, rule=f"for this game a policy is {wanted}")
