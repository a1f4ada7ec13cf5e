"""A public series: what it is, whose, and where it is read from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mesocosm import DataError
from mesocosm_data.upstream import Part, table_of


@dataclass(frozen=True)
class Series:
    """A public table with a name.

    Attributes
    ----------
    name: what scenarios write.
    title: what it is, with place and time.
    credit: who made it, to be cited.
    licence: as stated by the source.
    file: its name under MESOCOSM_DATA.
    sha256: sum of the bytes of that file.
    columns: what each column means, with its unit.
    parts: public files that it can be made from; none where none is known, and then `elsewhere` says where it comes from.
    places: places of a table with a column `iso3`, in order.
    decimals: columns that are written with a decimal point.
    """

    name: str
    title: str
    credit: str
    licence: str
    file: str
    sha256: str
    columns: Mapping[str, str]
    parts: tuple[Part, ...] = ()
    elsewhere: str = ""
    places: tuple[str, ...] = ()
    decimals: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The columns but date and place."""
        return tuple(name for name in self.columns if name not in ("date", "iso3"))

    def local(self) -> Path | None:
        """Its file under MESOCOSM_DATA, where that is set and has it."""
        folder = os.environ.get("MESOCOSM_DATA")
        file = Path(folder) / self.file if folder else None
        return file if file and file.is_file() else None

    def find(self) -> Path:
        """Its file: the one under MESOCOSM_DATA, or else one made from downloads, which are kept (see `fetching`).

        `DataError` where a sum is wrong, where nothing can be downloaded, or where there is nothing to download. A warning
        where what was downloaded is not the table whose sum the registry knows.
        """
        from mesocosm_data.fetching import sha256

        file = self.local()
        if file is None:
            return self._made()
        found = sha256(file.read_bytes())
        if found != self.sha256:
            raise DataError(
                f"sha256 {found}",
                where=str(file),
                rule=f"series '{self.name}' has {self.sha256}",
                hint="replace the file, or name it as 'file: data:...' to read it as it is",
            )
        return file

    def _made(self) -> Path:
        """The table, made of downloads."""
        if not self.parts:
            raise self._missing(f"no public CSV file is known; it comes from {self.elsewhere}")
        from mesocosm_data.fetching import cache_folder, fetch, sha256

        folder = cache_folder()
        try:
            contents = [(part, fetch(part.url, folder / "downloads")) for part in self.parts]
        except DataError as error:
            if "not downloaded" not in error.what:
                raise
            raise self._missing(f"{error.what}, {error.where}") from error
        try:
            texts = [(part, content.decode("utf-8-sig")) for part, content in contents]
        except UnicodeDecodeError as error:
            raise DataError(f"a download is no text ({error})", where=f"series '{self.name}'") from error
        table = table_of(texts, self.values, self.places, self.decimals).encode()
        if sha256(table) != self.sha256:
            warnings.warn(
                f"series '{self.name}': what was downloaded has sha256 {sha256(table)}, not {self.sha256} as the registry "
                "knows it: it is not verified, and numbers may differ from those in the documentation",
                stacklevel=3,
            )
        return _keep(table, folder / "series" / Path(self.file).name)

    def _missing(self, why: str) -> DataError:
        folder = os.environ.get("MESOCOSM_DATA")
        place = f"MESOCOSM_DATA, {folder}, has no {self.file}" if folder else "MESOCOSM_DATA is not set"
        return DataError(
            f"not here ({place}); {why}",
            where=f"series '{self.name}' ({self.title})",
            hint=f"set MESOCOSM_DATA to a folder that has {self.file}",
        )


def _keep(content: bytes, file: Path) -> Path:
    """A file with this content; another run may read it meanwhile, so that it is never half there."""
    try:
        if not file.is_file() or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f"{file.name}.{os.getpid()}")
            draft.write_bytes(content)
            draft.replace(file)
    except OSError as error:
        raise DataError(
            f"cannot be written ({error.strerror})", where=str(file), hint="set MESOCOSM_CACHE to a folder that can be"
        ) from error
    return file
