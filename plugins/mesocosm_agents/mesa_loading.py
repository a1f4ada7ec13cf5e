"""Importing Mesa without what it does to a program: it sets the start method of `multiprocessing` for everyone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def start_method_kept() -> Iterator[None]:
    """Put the start method back that there was before."""
    method = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(method, force=True)
