"""Processes that run replicates of a foreign model side by side, and what they answer.

Each is a fresh Python that imports `mesa_worker` and nothing of the program that started it: no `__main__` is run again, and a
model finds no generator, thread or warning filter but its own. A numerical library that it uses has one thread.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

from mesocosm_agents.mesa_messages import Answer, Job, Progress, Recipe

_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import pickle, sys; "
    "sys.path[:] = pickle.load(sys.stdin.buffer); from mesocosm_agents.mesa_worker import serve; serve(sys.stdin.buffer)"
)
"""Ctrl-C reaches every process of a terminal; the program itself ends its workers."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")

_PATIENCE = 1.0
"""Seconds for a look at whether Ctrl-C was pressed, on systems where waiting hides it."""


class LostError(Exception):
    """A process ended before its replicate did: the number of the replicate, and how the process ended."""

    def __init__(self, replicate: int, code: int) -> None:
        self.replicate, self.code = replicate, code
        super().__init__(replicate, code)


def processors() -> int:
    """Processors that this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers(recipe: Recipe, jobs: Iterator[Job], workers: int) -> Generator[Answer, None, None]:
    """What `workers` processes say of all jobs, as it comes; every process has ended when this does.

    Raises `LostError` where a process ends too early. `jobs` is asked for the next one when a process is free.
    """
    heard: queue.Queue[tuple[_Worker, Any]] = queue.Queue()
    crew = [_Worker(recipe, heard) for _ in range(workers)]
    try:
        busy = sum(worker.begin(jobs) for worker in crew)
        while busy:
            worker, message = _next(heard)
            if message is None:
                raise LostError(worker.replicate, worker.process.wait())
            yield message
            if not isinstance(message, Progress):
                busy -= not worker.begin(jobs)
    finally:
        for worker in crew:
            worker.end()


def _next(heard: queue.Queue[Any]) -> Any:
    while True:
        try:
            return heard.get(timeout=_PATIENCE)
        except queue.Empty:
            continue


class _Worker:
    """One process, and a thread that listens to it: it puts (worker, message) into `heard`, and None when it ends."""

    def __init__(self, recipe: Recipe, heard: queue.Queue[Any]) -> None:
        environment = {**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONHASHSEED": "0"}
        self.replicate = -1
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._heard = heard
        self._say([str(path) for path in sys.path], recipe)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def begin(self, jobs: Iterator[Job]) -> bool:
        """Take the next job; False where there is none."""
        job = next(jobs, None)
        if job is not None:
            self.replicate = job.replicate
            self._say(job)
        return job is not None

    def end(self) -> None:
        """Stop the process, whatever it is doing."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self._listener.join()
        self.process.stdout.close()
        with suppress(BrokenPipeError):
            self.process.stdin.close()

    def _say(self, *messages: object) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # It has ended, which its listener tells.
            for message in messages:
                pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                self._heard.put((self, pickle.load(self.process.stdout)))
        except Exception:
            # It has ended, or what it says is no answer: then it is of no more use.
            self.process.kill()
            self._heard.put((self, None))
