"""Options of the contact graphs that change in time."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mesocosm import DataPath, Options
from mesocosm_graphs.options import Header, WithNodes

TimedHeader = Annotated[
    bool | Literal["auto"],
    Field(description="whether the first row names the columns. auto: it does when its first field is not a number"),
]

Loop = Annotated[
    bool | None,
    Field(description="after the record: true for the same again, and again; an error at a later time if left out"),
]


class Contacts(WithNodes):
    """A list of contacts `t,i,j` (CSV, or CSV in .gz), as SocioPatterns publishes them; ids become the attribute `id`.

    A row says that i and j met for one interval of the length `resolution`, which ended at time t.
    """

    file: DataPath = Field(
        description="contacts: the end of the interval, and two ids per row; further columns are not read"
    )
    header: TimedHeader = "auto"
    resolution: float = Field(default=20.0, gt=0, description="length of a contact's interval, in the file's time")
    seconds_per_unit: float = Field(
        gt=0,
        description="how much of the file's time is one unit of the scenario's, such as 86400 for seconds and days",
    )
    window: float | None = Field(
        default=None,
        gt=0,
        description="length of the windows in which the graph stays as it is, in the file's time, a whole number of "
        "resolutions; the weight of a contact is the share of the window in which it was on. Default: the resolution",
    )
    start: float | None = Field(
        default=None, description="time in the file at which the record begins. Default: with the first contact"
    )
    end: float | None = Field(
        default=None, description="time in the file at which the record ends. Default: with the last contact"
    )
    loop: Loop = Field(
        default=None,
        description="after the record: true for the same again, and again; false for no contacts; an error if left out "
        "and the run is longer",
    )
    gaps: Literal["keep", "skip"] = Field(
        default="keep",
        description="times without any contact, such as nights: keep them, or skip those above longest_gap",
    )
    longest_gap: float | None = Field(
        default=None,
        gt=0,
        description="with gaps: skip, the longest time without contacts that is kept, in the file's time",
    )
    simplify: bool = Field(
        default=False, description="merge rows that say the same again, and drop contacts of a node with itself"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.window is not None and not is_whole(self.window / self.resolution):
            raise ValueError(f"window {self.window:g} is not a whole number of resolutions of {self.resolution:g}")
        if self.start is not None and self.end is not None:
            if self.end <= self.start:
                raise ValueError(f"the end {self.end:g} is not after the start {self.start:g}")
            if not is_whole((self.end - self.start) / self.resolution):
                raise ValueError(f"from start to end is not a whole number of resolutions of {self.resolution:g}")
        if (self.gaps == "skip") != (self.longest_gap is not None):
            raise ValueError("gaps: skip and longest_gap belong together; give both or neither")
        return self


class Snapshot(Options):
    """`{from: time, file: path}`: the contacts from a time on; without a file, none."""

    from_: float = Field(alias="from", ge=0, description="time from which it holds, in the scenario's unit")
    file: DataPath | None = Field(default=None, description="edge list; nobody meets if left out")


class Snapshots(WithNodes):
    """Edge lists one after the other: `files`, each with its time, or one `table` of rows `t,i,j` or `t,i,j,w`.

    Rows with the same t are all contacts from time t on, until the next t; ids become the attribute `id`.
    """

    files: tuple[Snapshot, ...] | None = Field(default=None, min_length=1, description="snapshots in the order of time")
    table: DataPath | None = Field(
        default=None, description="one table for all: time, two ids, and a weight where there is a fourth column"
    )
    header: Header | TimedHeader = Field(
        default="auto",
        description="whether first rows name the columns; auto for a table: its first field is no number",
    )
    weights: bool | None = Field(
        default=None,
        description="whether the last column is the weight of a contact; yes where there is one if left out",
    )
    end: float = Field(
        gt=0, description="time at which the record ends, in the scenario's unit, after the last snapshot"
    )
    loop: Loop = Field(
        default=None,
        description="after the end: true for the same again, and again; false for the last snapshot on and on; an error if "
        "left out and the run is longer",
    )
    simplify: bool = Field(
        default=False,
        description="merge repeated and reciprocal rows of a snapshot (their weights add up) and drop self-loops",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.files is None) == (self.table is None):
            raise ValueError("give either files or table")
        times = [snapshot.from_ for snapshot in self.files or ()]
        if times and times[0] != 0:
            raise ValueError(f"the first snapshot holds from {times[0]:g}; it must hold from time 0")
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("snapshots stand in the order of time, each from a time of its own")
        if times and self.end <= times[-1]:
            raise ValueError(f"the end {self.end:g} is not after the last snapshot, from {times[-1]:g}")
        return self


def is_whole(value: float) -> bool:
    """Whether a quotient is a whole number of at least 1, but for rounding."""
    return value >= 0.5 and abs(value - round(value)) <= 1e-9 * value
