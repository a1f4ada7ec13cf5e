"""Telling people that kernels are being compiled: it takes seconds, once on a machine, and nothing else moves meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from numba.core import event

NOTICE = "compiling step kernels, once on this machine: some seconds"
"""What is said; the result is kept beside the code, or where NUMBA_CACHE_DIR says."""


class _Teller(event.Listener):  # type: ignore[misc]
    """Says so when the first of our kernels is compiled. Numba fires the event only where it finds nothing cached."""

    has_spoken: ClassVar[bool] = False

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def on_start(self, event: Any) -> None:
        kernel = event.data["dispatcher"].py_func
        if not _Teller.has_spoken and kernel.__module__.startswith("mesocosm_agents."):
            _Teller.has_spoken = True
            self.say(NOTICE)

    def on_end(self, event: Any) -> None:
        """Nothing is said at the end."""


@contextmanager
def announcing_compilation(say: Callable[[str], None]) -> Iterator[None]:
    """Within it, `say(NOTICE)` is called before a kernel of this plugin is compiled: at most once in a process, and never
    where kernels come from the cache."""
    teller = _Teller(say)
    event.register("numba:compile", teller)
    try:
        yield
    finally:
        event.unregister("numba:compile", teller)
