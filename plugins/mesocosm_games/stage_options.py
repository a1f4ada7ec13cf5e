"""Options of `el_farol`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mesocosm import DataPath, Options


class PayoffOptions(Options):
    """What a night is worth, in any unit: uncrowded > home > crowded."""

    uncrowded: float = Field(default=1.0, description="G: at the bar, with no more people than it holds")
    home: float = Field(default=0.5, description="S: at home")
    crowded: float = Field(default=0.0, description="B: at the bar, with more people than it holds")

    @model_validator(mode="after")
    def _ordered(self) -> PayoffOptions:
        if not self.uncrowded > self.home > self.crowded:
            raise ValueError(
                f"uncrowded {self.uncrowded:g}, home {self.home:g}, crowded {self.crowded:g}; "
                "there is a dilemma only where uncrowded > home > crowded"
            )
        return self


class PredictorOptions(Options):
    """Arthur's agents, each with a bag of predictors of attendance, of which it trusts the one that was best so far."""

    bag: int = Field(default=6, ge=1, le=30, description="predictors in each bag, drawn from the family of 30")
    memory: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="weight of the past in the error of a predictor; the last error has the rest",
    )


class LogitOptions(Options):
    """Agents that learn how likely the bar is uncrowded, and go with a probability that rises with what they expect."""

    sensitivity: float = Field(
        default=10.0, gt=0, description="beta: go with probability logistic(beta * (expected payoff of going - home))"
    )
    rate: float = Field(
        default=0.1, gt=0, le=1, description="share of the last round in the belief that the bar is uncrowded"
    )


class GroupsOptions(Options):
    """Groups of people from a CSV file, each with its own size and with a capacity in every round."""

    file: DataPath = Field(description="CSV file with a header row, and one row for each round of each group")
    group: str = Field(default="session", description="column: which group")
    round: str = Field(default="round", description="column: which round; the lowest of a group is played at time 0")
    size: str = Field(default="num_players", description="column: people in the group")
    capacity: str = Field(default="capacity", description="column: how many people the bar holds in that round")


class ElFarolOptions(Options):
    """Go to the bar, or stay at home."""

    form: Literal["one_shot", "repeated"] = Field(
        default="one_shot",
        description="one_shot: every round is a game of its own; repeated: agents remember, "
        "which adds the policies predictors and logit",
    )
    capacity: float = Field(
        default=0.6, gt=0, lt=1, description="the share of the population that the bar holds; in people, rounded down"
    )
    payoffs: PayoffOptions = Field(default_factory=PayoffOptions, description="what a night is worth")
    groups: GroupsOptions | None = Field(
        default=None,
        description="replicate r plays with the size and the capacities of group r (mod their number), on a complete graph",
    )
    predictors: PredictorOptions = Field(
        default_factory=PredictorOptions, description="of the policy predictors (form: repeated)"
    )
    logit: LogitOptions = Field(default_factory=LogitOptions, description="of the policy logit (form: repeated)")

    @model_validator(mode="after")
    def _consistent(self) -> ElFarolOptions:
        given = self.changed
        if self.groups is not None and "capacity" in given:
            raise ValueError("capacity: each group has its own; leave it out, or leave groups out")
        for name in ("predictors", "logit"):
            if self.form == "one_shot" and name in given:
                raise ValueError(f"{name}: needs form: repeated")
        return self
