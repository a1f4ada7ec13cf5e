"""What must not change while a component is at work: shared random generators, and whatever it was given."""

from __future__ import annotations

import dataclasses
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


def global_states() -> dict[str, Any]:
    """States of the generators that a process shares: of `random`, of NumPy, and of torch where it is loaded."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    found: dict[str, Any] = {"random": random.getstate(), "numpy.random": (kind, np.asarray(keys).tobytes(), *rest)}
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = bytes(torch.get_rng_state().numpy())
    return found


@contextmanager
def poisoned(seed: int) -> Iterator[None]:
    """The shared generators at a state that depends on `seed`; afterwards they are where they were."""
    torch: Any = sys.modules.get("torch")
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    before_torch = None if torch is None else torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(before_torch)


def frozen(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Something to compare a value with later: all that is inside it, arrays to the last bit."""
    if id(value) in seen:
        return "itself"
    inside = seen | {id(value)}
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, repr(value.tolist()) if value.dtype.hasobject else value.tobytes()
    if isinstance(value, Mapping):
        return [(repr(key), frozen(item, inside)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [frozen(item, inside) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    parameters = getattr(type(value), "__dataclass_params__", None)
    if parameters is not None and parameters.frozen:
        # What it remembers for itself beside its fields, such as the degrees of a graph, does not count.
        return [(field.name, frozen(getattr(value, field.name), inside)) for field in dataclasses.fields(value)]
    if callable(value) or not hasattr(value, "__dict__"):
        return value if isinstance(value, str | bytes | int | float | complex | None) else repr(value)
    own = {name: item for name, item in vars(type(value)).items() if not (callable(item) or name.startswith("__"))}
    return type(value).__name__, frozen(vars(value), inside), frozen(own, inside)
