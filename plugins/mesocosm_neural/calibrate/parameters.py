"""Parameters of a game by dotted name: where they are, the range that a search keeps them in, and the game that has them.

    low, no high    theta = low + exp(raw)
    low and high    theta = low + (high - low) / (1 + exp(-raw))

so that a search over all real `raw` never leaves the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import ValidationError

from mesocosm import FiniteStateGame, InputError, Options
from mesocosm_neural.calibrate.options import ParameterOptions


class Parameters:
    """The parameters that are calibrated, in the order of `names`.

    Parameters
    ----------
    game: has `options`, from which it can be made anew, as all bundled games have. options: of every parameter, by name.
    where: for errors.

    Errors: `InputError` for a name that the game does not have, and for a start that is not inside its range.
    """

    def __init__(self, game: FiniteStateGame, options: Mapping[str, ParameterOptions], where: str) -> None:
        self.game, self.names, self.where = game, tuple(options), where
        if not isinstance(getattr(game, "options", None), Options):
            raise InputError(f"game {type(game).__name__} keeps no options", where=where, rule="none can be calibrated")
        self.starts = [self._start(name, each) for name, each in options.items()]
        self.low = torch.tensor([each.low for each in options.values()], dtype=torch.float64)
        highs = [float("inf") if each.high is None else each.high for each in options.values()]
        self.high = torch.tensor(highs, dtype=torch.float64)
        self.varies = [each.varies for each in options.values()]

    def raw(self, values: Sequence[float]) -> torch.Tensor:
        """Where values are on the axis that is searched, [parameter]."""
        theta = torch.tensor(values, dtype=torch.float64)
        above = theta - self.low
        share = above / (self.high - self.low)
        return torch.where(self.high.isinf(), above.log(), torch.logit(share))

    def natural(self, raw: torch.Tensor) -> torch.Tensor:
        """The values that a search is at: shapes [..., parameter]."""
        bounded = torch.sigmoid(raw) * torch.where(self.high.isinf(), 0.0, self.high - self.low)
        return self.low + torch.where(self.high.isinf(), raw.exp(), bounded)

    def slope(self, raw: torch.Tensor) -> torch.Tensor:
        """Derivative of `natural`, shapes [..., parameter]."""
        share = torch.sigmoid(raw)
        bounded = share * (1.0 - share) * torch.where(self.high.isinf(), 0.0, self.high - self.low)
        return torch.where(self.high.isinf(), raw.exp(), bounded)

    def rebuild(self, theta: torch.Tensor) -> FiniteStateGame:
        """The game with tensors for parameters, [parameter]; nothing is checked."""
        options = self._changed(list(theta))
        maker: Any = type(self.game)
        made: FiniteStateGame = maker(options)
        return made

    def game_with(self, values: Sequence[float]) -> FiniteStateGame:
        """The game with these parameters. `InputError` where it refuses them."""
        changed = self._changed(list(values))
        try:
            options = type(changed).model_validate(changed.model_dump())
        except ValidationError as error:
            fault = error.errors()[0]
            raise InputError(
                f"{fault['input']!r}: {fault['msg']}", where=self.where, hint="narrow its range"
            ) from error
        maker: Any = type(self.game)
        made: FiniteStateGame = maker(options)
        return made

    def _changed(self, values: Sequence[Any]) -> Options:
        options: Options = self.game.options  # type: ignore[attr-defined]
        for name, value in zip(self.names, values, strict=True):
            options = _replaced(options, name.split("."), value)
        return options

    def _start(self, name: str, options: ParameterOptions) -> float:
        where = f"{self.where}.{name}"
        value = self._found(name, where) if options.start is None else options.start
        self._found(name, where)
        high = float("inf") if options.high is None else options.high
        if not options.low < value < high:
            raise InputError(
                f"it starts at {value:g}",
                where=where,
                rule=f"inside its range, from {options.low:g} to {'infinity' if options.high is None else f'{high:g}'}",
                hint="give it another 'start', 'low' or 'high'",
            )
        return value

    def _found(self, name: str, where: str) -> float:
        holder: Any = self.game.options  # type: ignore[attr-defined]
        for part in name.split("."):
            known = sorted(type(holder).model_fields) if isinstance(holder, Options) else []
            if part not in known:
                raise InputError(
                    f"game {type(self.game).__name__} has no option '{name}'",
                    where=where,
                    rule=f"it has: {', '.join(known)}" if known else f"nothing is given that has an option '{part}'",
                )
            holder = getattr(holder, part)
        if isinstance(holder, bool) or not isinstance(holder, (int, float)):
            raise InputError(f"'{name}' is {holder!r}", where=where, rule="a number can be calibrated")
        return float(holder)


def _replaced(options: Options, path: Sequence[str], value: Any) -> Options:
    """Options with another value at a path, which is not checked: it may be a tensor."""
    inner = value if len(path) == 1 else _replaced(getattr(options, path[0]), path[1:], value)
    return options.model_copy(update={path[0]: inner})
