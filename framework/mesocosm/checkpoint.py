"""What a run that is stopped goes on from: dynamics that are finished, and the last state of the one that was under way.

    checkpoints/<label>.nc     what a finished dynamics recorded
    checkpoints/<label>.npz    of one under way: its packed state, the number of the save, and everything recorded so far

Nothing in them is pickled. A dynamics that does not pack its state is not kept while it is under way.
"""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mesocosm.dynamics import Dynamics, State, Trajectories
from mesocosm.errors import DynamicsError, StoreError
from mesocosm.recorder import Recorder
from mesocosm.store import RunFolder, write_atomically

Arrays = dict[str, NDArray[Any]]

STATE, RECORDED, SAVE = "state/", "recorded/", "save"


class Checkpoint:
    """Keeps one dynamics while it is under way; as a context manager, also when it is stopped. Without a folder, nothing.

    Parameters
    ----------
    seconds: wall time between two writes.
    """

    def __init__(
        self, folder: RunFolder | None, label: str, dynamics: Dynamics, recorder: Recorder, seconds: float
    ) -> None:
        self.folder, self.label, self.dynamics, self.recorder, self.seconds = folder, label, dynamics, recorder, seconds
        self.latest: tuple[int, State] | None = None
        self.written, self.written_at = -1, time.monotonic()

    @staticmethod
    def finished(folder: RunFolder | None, label: str) -> Trajectories | None:
        """What a dynamics recorded, where it is finished."""
        if folder is None or not folder.checkpoint(label).is_file():
            return None
        from mesocosm.results import open_results

        return open_results(folder.checkpoint(label)).trajectories()[label]

    def finish(self, trajectories: Trajectories) -> None:
        """Keep what was recorded in the end, in place of what was kept on the way."""
        if self.folder is None:
            return
        from mesocosm.results import Results

        Results.of({self.label: trajectories}, None, {}).save(self.folder.checkpoint(self.label))
        self._path(self.folder).unlink(missing_ok=True)

    def at(self, save: int, state: State) -> None:
        """The state at a save; written where the last one was long ago."""
        self.latest = (save, state)
        if time.monotonic() - self.written_at >= self.seconds:
            self._write()

    def restored(self) -> tuple[int, Arrays] | None:
        """Number of the save to go on from and the packed state there, with the recorder filled up to it.

        None to start at time 0. Raises `StoreError` for a file that cannot be read.
        """
        path = None if self.folder is None else self._path(self.folder)
        if path is None or not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            self.written = int(arrays[SAVE])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise StoreError(
                f"cannot be read: {error}", where=str(path), hint="delete it to start at time 0"
            ) from error
        self.recorder.arrays.update(_below(RECORDED, arrays))
        return self.written, _below(STATE, arrays)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._write()

    def _write(self) -> None:
        if self.folder is None or self.latest is None or self.latest[0] in (0, self.written):
            return
        save, state = self.latest
        packed = self.dynamics.pack(state)
        if packed is None:
            return
        content = {f"{STATE}{name}": np.asarray(values) for name, values in packed.items()}
        for name, values in content.items():
            if values.dtype.hasobject:
                raise DynamicsError(
                    f"pack gave '{name.removeprefix(STATE)}' of type {values.dtype}",
                    where=f"dynamics '{self.label}'",
                    rule="a packed state is arrays of numbers or text",
                )
        content |= {f"{RECORDED}{name}": values for name, values in self.recorder.arrays.items()}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **{SAVE: np.array(save), **content})
        write_atomically(self._path(self.folder), buffer.getvalue())
        self.written, self.written_at = save, time.monotonic()

    def _path(self, folder: RunFolder) -> Path:
        return folder.checkpoint(self.label).with_suffix(".npz")


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
