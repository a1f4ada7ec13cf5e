"""Compute devices by name: cpu, cuda, cuda:1, mps, auto. Nothing heavy is imported, and nothing falls back silently.

Whether a GPU is there is asked of the driver, not of a deep-learning library, so `validate` stays light. A library that
was built without support for the device is found out by the dynamics that uses it, which raises `DeviceError`.
"""

from __future__ import annotations

import ctypes
import platform
import re
from dataclasses import dataclass
from importlib import metadata

from mesocosm.errors import DeviceError

_PATTERN = re.compile(r"cpu|cuda(?::(\d+))?|mps")


@dataclass(frozen=True)
class Device:
    """A device that is there: `name` is cpu, cuda:N or mps; `requested` is what the scenario said."""

    name: str
    requested: str

    @property
    def kind(self) -> str:
        """The part before the number: cpu, cuda or mps."""
        return self.name.split(":")[0]


def resolve_device(requested: str) -> Device:
    """Find the device named in a scenario.

    `auto` takes the first CUDA device, else MPS, else the CPU; the choice is in the result. A device that is named and
    not there raises `DeviceError`: a run never falls back to another one.
    """
    if requested == "auto":
        if cuda_device_count() > 0 and _torch_build() != "cpu":
            return Device("cuda:0", requested)
        return Device("mps" if _has_mps() else "cpu", requested)
    match = _PATTERN.fullmatch(requested)
    if match is None:
        raise DeviceError(f"'{requested}' is not a device", where="device", rule="one of cpu, cuda, cuda:N, mps, auto")
    if requested.startswith("cuda"):
        index, count = int(match.group(1) or 0), cuda_device_count()
        if index >= count:
            raise DeviceError(
                f"'{requested}' asked for, but this machine has {count} CUDA device{'' if count == 1 else 's'}",
                where="device",
                rule="a named device must be there: nothing falls back silently",
                hint="use 'cpu' or 'auto', or run where there is one",
            )
        return Device(f"cuda:{index}", requested)
    if requested == "mps" and not _has_mps():
        raise DeviceError(
            "'mps' asked for, but this is not an Apple silicon machine", where="device", hint="use 'cpu' or 'auto'"
        )
    return Device(requested, requested)


def cuda_device_count() -> int:
    """Number of CUDA devices that the driver reports; 0 without a driver."""
    for library in ("libcuda.so.1", "nvcuda.dll"):
        try:
            driver = ctypes.CDLL(library)
        except OSError:
            continue
        count = ctypes.c_int(0)
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0


def _has_mps() -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _torch_build() -> str:
    """The local part of torch's version (`cpu`, `cu126`, or '' where it has none or is absent)."""
    try:
        return metadata.version("torch").partition("+")[2]
    except metadata.PackageNotFoundError:
        return ""
