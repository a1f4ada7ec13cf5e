"""Policies in files: what a run solved for is kept in its folder, and played elsewhere with `policy: {file: ...}`.

A file is an npz without pickle: the class of the policy by name, and its numbers.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mesocosm.discrete import DiscretePolicy
from mesocosm.errors import InputError, StoreError
from mesocosm.feedback import GridPolicy, Unmoved
from mesocosm.policy import ConstantPolicy, Policy, TabulatedPolicy

SUFFIX = ".npz"


def pack_policy(policy: Policy) -> bytes | None:
    """A policy as the content of a file; None for a kind that only the code of its plugin can make."""
    arrays: dict[str, Any]
    if isinstance(policy, TabulatedPolicy):
        arrays = {
            "times": policy.times,
            "values": policy.values,
            "closure": np.array(policy.closure),
            "types": np.array(policy.types, dtype=str),
            "degrees": policy.degrees,
            "group": np.array(policy.group),
        }
    elif isinstance(policy, GridPolicy):
        arrays = {"times": policy.times, "values": policy.values, "periods": np.array(policy.periods)}
        arrays |= {f"nodes_{number}": nodes for number, nodes in enumerate(policy.nodes)}
        arrays |= {"channel": np.array(policy.channel), "origin": np.array(policy.origin)}
    elif isinstance(policy, DiscretePolicy):
        arrays = {"times": policy.times, "probabilities": policy.probabilities}
    elif isinstance(policy, ConstantPolicy):
        arrays = {"by_state": policy.by_state}
    elif isinstance(policy, Unmoved):
        arrays = {"value": np.array(policy.value)}
    else:
        return None
    buffer = io.BytesIO()
    np.savez_compressed(buffer, kind=np.array(type(policy).__name__), **arrays)
    return buffer.getvalue()


def load_policy(path: Path) -> Policy:
    """The policy in a file. Errors: `StoreError` where it is none, or broken."""
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        return _unpack(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, InputError) as error:
        raise StoreError(
            f"no policy can be read from it: {error}",
            where=str(path),
            rule="a file that a run wrote into its folder policies/",
        ) from error


def _unpack(arrays: dict[str, Any]) -> Policy:
    kind = str(arrays["kind"])
    if kind == "TabulatedPolicy":
        return TabulatedPolicy(
            arrays["times"],
            arrays["values"],
            str(arrays["closure"]),
            tuple(str(name) for name in arrays["types"]),
            arrays["degrees"],
            str(arrays["group"]),
        )
    if kind == "GridPolicy":
        periods = tuple(float(period) for period in arrays["periods"])
        nodes = tuple(arrays[f"nodes_{number}"] for number in range(len(periods)))
        return GridPolicy(
            arrays["times"], nodes, periods, arrays["values"], int(arrays["channel"]), float(arrays["origin"])
        )
    if kind == "DiscretePolicy":
        return DiscretePolicy(arrays["times"], arrays["probabilities"])
    if kind == "ConstantPolicy":
        return ConstantPolicy(arrays["by_state"])
    if kind == "Unmoved":
        return Unmoved(float(arrays["value"]))
    raise ValueError(f"it holds a {kind}")
