"""The built pages load nothing from the network: every script, style, font and picture is beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
    "object": "data", "link": "href", "use": "href", "image": "href",
}  # fmt: skip
KEPT_LINKS = {"canonical", "next", "prev", "author", "search", "index", "copyright", "license"}
"""`link` elements with these relations point somewhere and load nothing."""

REMOTE = re.compile(r"(https?:)?//", re.IGNORECASE)
STYLE = re.compile(r"(?:url\(\s*|@import\s+)['\"]?((?:https?:)?//[^'\")\s;]+)", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.style = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attributes}
        self.style = tag == "style"
        target = values.get(LOADS.get(tag, ""), "")
        if REMOTE.match(target) and not (tag == "link" and values.get("rel", "") in KEPT_LINKS):
            self.found.append(target)
        self.found += STYLE.findall(values.get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        self.style = False

    def handle_data(self, data: str) -> None:
        if self.style:
            self.found += STYLE.findall(data)


def remote_loads(folder: Path) -> Iterator[str]:
    """`file: address` for everything that a built page or style sheet loads from the network."""
    for page in sorted(folder.rglob("*.html")):
        reader = _Loads()
        reader.feed(page.read_text(encoding="utf-8"))
        yield from (f"{page.relative_to(folder)}: {address}" for address in reader.found)
    for sheet in sorted(folder.rglob("*.css")):
        found = STYLE.findall(sheet.read_text(encoding="utf-8"))
        yield from (f"{sheet.relative_to(folder)}: {address}" for address in found)
