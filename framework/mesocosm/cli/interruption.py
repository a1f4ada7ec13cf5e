"""Ctrl-C. The first press stops the run where it is; a dynamics that does not stop is named, and the second press ends it.

The first press raises KeyboardInterrupt, and again at the next save if a dynamics swallowed it. After a while without an
end, a line says which dynamics of which plugin is in the way. The second press ends the program after a short grace, with
the run marked as interrupted: what was finished is kept, and `mesocosm resume` goes on from there.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from mesocosm.hooks import hookimpl
from mesocosm.registry import Registry

PATIENCE, GRACE = 3.0, 1.0
"""Seconds until a dynamics that does not stop is named, and until it is ended after the second press."""


class Interruption:
    """Listens to Ctrl-C while a run goes on; it knows through the hooks which dynamics is under way."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.origins: Mapping[str, str] = {}
        self.label = ""
        self.pressed = 0
        self.ended = threading.Event()
        self.ours, self.theirs = socket.socketpair()

    @hookimpl
    def mesocosm_run_started(self, run: Mapping[str, Any]) -> None:
        self.folder, self.origins = run["folder"], run["origins"]

    @hookimpl
    def mesocosm_phase_advanced(self, label: str) -> None:
        self.label = label
        if self.pressed:
            raise KeyboardInterrupt

    def stop(self, number: int, frame: FrameType | None) -> None:
        """The signal handler, in the main thread."""
        self.pressed += 1
        raise KeyboardInterrupt

    def watch(self) -> None:
        """In a thread of its own, since a library may keep the main thread from its signal handler: a byte is a press."""
        if not self.ours.recv(1) or self.ended.wait(PATIENCE):
            return
        click.echo(f"\n{self._who()} does not stop; press Ctrl-C again to end the program. {self._kept()}", err=True)
        if self.ours.recv(1) and not self.ended.wait(GRACE):
            self._end()

    def _end(self) -> None:
        message = f"{self._who()} did not stop at Ctrl-C, and the program was ended"
        if self.folder is not None:
            from mesocosm.store import RunFolder

            folder = RunFolder(self.folder)
            folder.event("run_interrupted", message=message)
            folder.update(status="interrupted", message=message)
        click.echo(f"interrupted: {message}", err=True)
        os._exit(130)

    def _who(self) -> str:
        return f"dynamics '{self.label}' ({self.origins.get(self.label, 'unknown')})"

    def _kept(self) -> str:
        return f"What is finished is kept; mesocosm resume {self.folder} goes on from there." if self.folder else ""


@contextmanager
def interruptible(registry: Registry) -> Iterator[None]:
    """Around a run, in the main thread."""
    listening = Interruption()
    listening.theirs.setblocking(False)
    old_handler = signal.signal(signal.SIGINT, listening.stop)
    old_descriptor = signal.set_wakeup_fd(listening.theirs.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=listening.watch, daemon=True)
    watcher.start()
    try:
        with registry.observed_by(listening, "interruption"):
            yield
    finally:
        listening.ended.set()
        signal.set_wakeup_fd(old_descriptor)
        signal.signal(signal.SIGINT, old_handler)
        listening.theirs.close()
        watcher.join()
        listening.ours.close()
