"""Downloading a file once, and keeping the sum of its bytes beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from mesocosm import DataError

TIMEOUT = 30.0
"""Seconds without an answer after which a server is given up."""
CHUNK = 1 << 16
"""Bytes that are written at once."""


def cache_folder() -> Path:
    """Where downloads are kept: MESOCOSM_CACHE, or else the folder for caches of this user."""
    chosen = os.environ.get("MESOCOSM_CACHE")
    if chosen:
        return Path(chosen)
    import pooch

    return Path(pooch.os_cache("mesocosm"))


def sha256(content: bytes) -> str:
    """The sum of some bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def fetch(url: str, folder: Path) -> bytes:
    """The bytes of a file: the copy in a folder, or else a download, which is left there with its sum.

    The sum of the first download stays, `NAME.sha256`: a copy that has changed, or a later download that differs, is refused.
    `DataError` for that and for a download that fails.
    """
    file = folder / f"{sha256(url.encode())[:8]}-{url.rpartition('/')[2]}"
    kept = file.with_name(f"{file.name}.sha256")
    fresh = not file.exists()
    if fresh:
        _download(url, file)
    content = file.read_bytes()
    found = sha256(content)
    if not kept.exists():
        kept.write_text(f"{found}\n", encoding="ascii")
    expected = kept.read_text(encoding="ascii").strip()
    if found != expected:
        if fresh:
            file.unlink()
        raise DataError(
            f"sha256 {found}",
            where=url if fresh else str(file),
            rule=f"the first download had {expected}, kept in {kept}",
            hint="if the new one is right, delete that file" if fresh else "delete both files to download it again",
        )
    return content


def _download(url: str, file: Path) -> None:
    """`DataError` where the server is not there, does not have it, or sends a part of it; nothing is left behind then."""
    import pooch
    import requests

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # it would print what the sum is, which is kept anyway
    try:
        pooch.retrieve(url, known_hash=None, fname=file.name, path=file.parent, downloader=_stream)
    except requests.exceptions.HTTPError as error:
        answer = error.response
        reason = f"the server answers {answer.status_code} {answer.reason}" if answer is not None else str(error)
    except requests.exceptions.ChunkedEncodingError:
        reason = "the download broke off"
    except requests.exceptions.Timeout:
        reason = f"no answer in {TIMEOUT:g} seconds"
    except requests.exceptions.ConnectionError:
        reason = "no connection: is there a network?"
    except OSError as error:
        reason = str(error)
    else:
        return
    finally:
        logger.setLevel(level)
    raise DataError(f"not downloaded; {reason}", where=url)


def _stream(url: str, output_file: str, pooch: object) -> None:
    """Write what a server sends to a file, with a bar on a terminal. In place of pooch's own, which leaves sockets open."""
    import requests

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with (
        requests.get(url, stream=True, timeout=TIMEOUT) as response,
        Path(output_file).open("wb") as out,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        response.raise_for_status()
        size = response.headers.get("content-length")
        task = progress.add_task(url.rpartition("/")[2], total=int(size) if size else None)
        for chunk in response.iter_content(CHUNK):
            out.write(chunk)
            progress.update(task, advance=len(chunk))
