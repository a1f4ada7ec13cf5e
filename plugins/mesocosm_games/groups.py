"""Groups of people in a CSV file: how many they are, and how many the bar holds in each round."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mesocosm import DataError
from mesocosm_games.stage_options import GroupsOptions


@dataclass
class Group:
    """`size` people; `capacities` by round, from round 0 on."""

    size: int
    capacities: list[int] = field(default_factory=list)

    def capacity(self, round_number: int) -> int:
        """How many the bar holds in a round; after the last one in the file, as in that one."""
        return self.capacities[min(round_number, len(self.capacities) - 1)]


def read_groups(options: GroupsOptions) -> tuple[Group, ...]:
    """The groups in the order of the file. Errors: `DataError` with `file:line` for what is no such table."""
    path = options.file
    groups: dict[str, Group] = {}
    first: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            _check_columns(reader.fieldnames or (), options, path)
            for row in reader:
                where = f"{path}:{reader.line_num}"
                name = str(row[options.group])
                number, size, capacity = (
                    _whole(row[column], column, where) for column in (options.round, options.size, options.capacity)
                )
                group = groups.setdefault(name, Group(size))
                expected = first.setdefault(name, number) + len(group.capacities)
                if number != expected:
                    raise DataError(f"round {number} of group {name}", where=where, rule=f"{expected} comes next")
                if size != group.size or size < 1 or not 0 <= capacity <= size:
                    raise DataError(
                        f"capacity {capacity} for {size} people in group {name}",
                        where=where,
                        rule="a group keeps its size, and the bar holds between none and all of it",
                    )
                group.capacities.append(capacity)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a readable CSV file ({error})", where=str(path)) from error
    if not groups:
        raise DataError("no rows", where=str(path), rule="a header row and at least one row are needed")
    return tuple(groups.values())


def _check_columns(header: Sequence[str], options: GroupsOptions, path: Path) -> None:
    for column in (options.group, options.round, options.size, options.capacity):
        if column not in header:
            raise DataError(f"column '{column}' is missing", where=f"{path}:1", hint=f"columns: {', '.join(header)}")


def _whole(text: str | None, column: str, where: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        raise DataError(f"{column} '{text}'", where=where, rule="a whole number is needed") from None
