"""The game that training starts from: that of the scenario with other parameters."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from mesocosm import FiniteStateGame, InputError, Options


def start_game(game: FiniteStateGame, parameters: dict[str, float]) -> FiniteStateGame:
    """The game with other parameters: rebuilt from its `options`. `InputError` for an option that it does not have."""
    if not parameters:
        return game
    options = getattr(game, "options", None)
    if not isinstance(options, Options):
        raise InputError(f"game {type(game).__name__} keeps no options", where="parameters", rule="leave them out")
    known = tuple(type(options).model_fields)
    for name in parameters:
        if name not in known:
            raise InputError(
                f"game {type(game).__name__} has no option '{name}'",
                where="parameters",
                rule=f"it has: {', '.join(known)}",
            )
    try:
        changed = type(options).model_validate({**vars(options), **parameters})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(str(part) for part in fault["loc"])
        raise InputError(f"{fault['input']!r}: {fault['msg']}", where=f"parameters.{name}") from error
    rebuild: Any = type(game)
    result: FiniteStateGame = rebuild(changed)
    return result
