"""What the classes that play share: one replicate for each seed, and the place of an option in messages."""

from __future__ import annotations

from mesocosm_neural.dynamics import NeuralSDE
from mesocosm_neural.play.options import PlayOptions


class Playing(NeuralSDE):
    """A policy trained for each seed by deep fictitious play; replicates are seeds."""

    @property
    def replicates(self) -> int:
        return self.options.seeds

    @property
    def play(self) -> PlayOptions:
        """How it is played."""
        assert self.options.play is not None
        return self.options.play

    def where(self, option: str) -> str:
        """An option, for messages."""
        return f"dynamics '{self.context.label}', option {option}"
