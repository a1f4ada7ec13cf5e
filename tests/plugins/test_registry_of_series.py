"""Public series by name: from a folder, or made from downloads; a server of this machine stands in for the others."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mesocosm import DataError
from mesocosm_data.fetching import fetch
from mesocosm_data.public_series import Series
from mesocosm_data.registry import SERIES, series_named
from mesocosm_data.upstream import Long, Part, Wide


class Server:
    """Answers with the bytes in `files`; `broken` ones end early; counts what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path in outer.broken else content)

            def log_message(self, *arguments: Any) -> None:
                """Nothing on the error stream."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No folder of public data, and a cache of its own."""
    monkeypatch.delenv("MESOCOSM_DATA", raising=False)
    monkeypatch.setenv("MESOCOSM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


UPSTREAM = b"Day,Cases\n2020/1/9,3\n2020/1/10,\n2020/1/11,5\n"
OURS = b"date,new\n2020-01-09,3\n2020-01-10,\n2020-01-11,5\n"


def series(url: str, content: bytes = OURS) -> Series:
    return Series(
        name="town", title="cases in a town", credit="the town", licence="CC0", file="town/cases.csv",
        sha256=hashlib.sha256(content).hexdigest(), columns={"date": "day", "new": "persons per day"},
        parts=(Long(url, "%Y/%m/%d", date_column="Day", columns={"Cases": "new"}),),
    )  # fmt: skip


def test_the_folder_comes_first_and_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a folder that is passed over, and a file in it that was changed."""
    monkeypatch.setenv("MESOCOSM_DATA", str(tmp_path))
    file = tmp_path / "town" / "cases.csv"
    file.parent.mkdir()
    file.write_bytes(OURS)
    assert series("http://127.0.0.1:9/never").find() == file
    file.write_bytes(OURS.replace(b"5", b"6"))
    with pytest.raises(DataError) as caught:
        series("http://127.0.0.1:9/never").find()
    message = str(caught.value)
    assert hashlib.sha256(OURS).hexdigest() in message
    assert hashlib.sha256(OURS.replace(b"5", b"6")).hexdigest() in message
    assert caught.value.where == str(file)


def test_a_download_is_made_once_and_verified(server: Server, away: Path) -> None:
    """Catches a table that is laid out wrongly, a copy that is downloaded again, and a verified one that is warned about."""
    server.files["/cases.csv"] = UPSTREAM
    file = series(f"{server.address}/cases.csv").find()
    assert file.read_bytes() == OURS
    assert file == away / "series" / "cases.csv"
    assert series(f"{server.address}/cases.csv").find() == file
    assert server.asked == ["/cases.csv"]


def test_a_table_that_is_not_the_known_one_is_used_with_a_warning(server: Server) -> None:
    """Catches numbers that differ from the documented ones without a word."""
    server.files["/cases.csv"] = UPSTREAM.replace(b",3", b",4")
    with pytest.warns(UserWarning, match=r"'town'.*not verified"):
        file = series(f"{server.address}/cases.csv").find()
    assert b"2020-01-09,4" in file.read_bytes()


def test_a_later_download_must_be_the_first_one(server: Server, away: Path) -> None:
    """Catches a source that changes, and a copy that rots, both without a word."""
    url = f"{server.address}/cases.csv"
    server.files["/cases.csv"] = UPSTREAM
    folder = away / "downloads"
    assert fetch(url, folder) == UPSTREAM
    (copy,) = (path for path in folder.iterdir() if path.suffix == ".csv")
    first, other = (hashlib.sha256(content).hexdigest() for content in (UPSTREAM, b"rotten"))
    copy.write_bytes(b"rotten")
    with pytest.raises(DataError, match=f"{other}.*{first}.*delete both") as caught:
        fetch(url, folder)
    assert caught.value.where == str(copy)
    copy.unlink()
    server.files["/cases.csv"] = b"rotten"
    with pytest.raises(DataError, match=f"{other}.*{first}.*if the new one is right") as caught:
        fetch(url, folder)
    assert caught.value.where == url
    assert not copy.exists()


def test_two_files_of_one_name_are_kept_apart(server: Server, away: Path) -> None:
    """Catches a cache that goes by the last part of an address."""
    server.files |= {"/a/cases.csv": b"a", "/b/cases.csv": b"b"}
    assert [fetch(f"{server.address}/{each}/cases.csv", away) for each in "ab"] == [b"a", b"b"]


@pytest.mark.parametrize("fault", ["missing", "truncated", "refused"])
def test_a_download_that_fails_says_what_to_do(
    server: Server, away: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    """Catches half a file that is kept, and an error that names neither the series, nor the address, nor a way out."""
    url = f"{server.address}/cases.csv"
    if fault == "truncated":
        server.files["/cases.csv"] = UPSTREAM * 1000
        server.broken.add("/cases.csv")
    if fault == "refused":
        server.http.server_close()
    words = {"missing": "404", "truncated": "broke off", "refused": "no connection"}[fault]
    monkeypatch.setenv("MESOCOSM_DATA", str(tmp_path))
    with pytest.raises(DataError, match=words) as caught:
        series(url).find()
    message = str(caught.value)
    for part in ("series 'town' (cases in a town)", url, f"{tmp_path}, has no town/cases.csv", "set MESOCOSM_DATA"):
        assert part in message
    assert not [path for path in away.rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_named(server: Server, away: Path) -> None:
    """Catches a traceback of the operating system, and one that hides the folder."""
    server.files["/cases.csv"] = UPSTREAM
    away.mkdir()
    (away / "series").write_text("in the way")
    with pytest.raises(DataError, match=r"series.cases\.csv: cannot be written.*set MESOCOSM_CACHE"):
        series(f"{server.address}/cases.csv").find()
    (away / "downloads").rename(away / "elsewhere")
    (away / "downloads").write_text("in the way")
    with pytest.raises(DataError, match=r"'town'.*not downloaded.*downloads"):
        series(f"{server.address}/cases.csv").find()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Tag,Cases\n2020/1/9,3\n", "column 'Day' is missing"),
        (b"Day,Cases\n9 Jan,3\n", "date '9 Jan'"),
        (b"Day,Cases\n2020/1/9,few\n", "'few'"),
        (b"<html>moved</html>", "is missing"),
        (b"\xff\xfe", "no text"),
    ],
)
def test_a_download_that_is_something_else_is_refused(server: Server, content: bytes, words: str) -> None:
    """Catches a page or a new layout that becomes an empty or wrong table."""
    server.files["/cases.csv"] = content
    with pytest.raises(DataError, match=words):
        series(f"{server.address}/cases.csv").find()


@pytest.mark.parametrize("name", [each.name for each in SERIES if each.parts])
def test_downloads_make_the_known_table_byte_for_byte(name: str, data_folder: Path, server: Server) -> None:
    """Catches a column, a place, a date or a sum that is taken wrongly from the layout of a source.

    The files of the source are laid out again from the table, with rows and columns beside those that are wanted.
    """
    known = series_named(name)
    content = (data_folder / known.file).read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    parts = []
    for number, part in enumerate(known.parts):
        address = f"/{number}/{part.url.rpartition('/')[2]}"
        server.files[address] = laid_out(part, rows).encode()
        parts.append(replace(part, url=server.address + address))
    assert replace(known, parts=tuple(parts)).find().read_bytes() == content


def laid_out(part: Part, rows: list[dict[str, str]]) -> str:
    """The file of a source that holds these rows of our table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if isinstance(part, Long):
        extra = [] if "" in part.columns else ["Hokkaido"]
        writer.writerow([part.date_column, *(theirs or "values" for theirs in part.columns), *extra])
        for row in rows:
            cells = [row[ours] for ours in part.columns.values()]
            day = date.fromisoformat(row["date"])
            if any(cells):
                writer.writerow([day.strftime(part.dates), *cells, *(["7"] if extra else [])])
        return out.getvalue()
    assert isinstance(part, Wide)
    days = sorted({row["date"] for row in rows if row[part.column]})
    names = ["a", "b", "c", "d", "e", "f", "g"][: part.first_date]
    at, only = 1, list(part.only)
    names[at] = part.place_column
    names[2 : 2 + len(only)] = only
    written = [date.fromisoformat(day).strftime(part.dates) for day in days]
    beyond = [] if part.until == date.max else [date(2023, 1, 1).strftime(part.dates)]
    writer.writerow([*names, *written, *beyond])
    cells = {(row["iso3"], row["date"]): row[part.column] for row in rows}
    for theirs, ours in {**part.places, "Atlantis": "ATL"}.items():
        values = [float(cells.get((ours, day), "2")) for day in days]
        shares = [[value - 1 for value in values], [1.0] * len(values)] if not only else [values]
        for share in shares:  # a country in two provinces
            head = [theirs if name == part.place_column else part.only.get(name, "") for name in names]
            writer.writerow(
                [*head, *(f"{value:g}" if value != int(value) else int(value) for value in share), *[9] * len(beyond)]
            )
        if only:
            head = [theirs if name == part.place_column else "STATE_TOTAL" if name in only else "" for name in names]
            writer.writerow([*head, *[1] * (len(days) + len(beyond))])
    return out.getvalue()
