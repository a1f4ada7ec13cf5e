"""Devices: the same answer on each that a dynamics names, results on the host, and no memory kept."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace

import numpy as np

from mesocosm import DeviceError, resolve_device
from mesocosm.testing.applies import complete_record
from mesocosm.testing.check import ConformanceError, NotApplicable, rule
from mesocosm.testing.problems import basic
from mesocosm.testing.statistics import require_equal_means
from mesocosm.testing.subject import DynamicsSubject, observations

KINDS = ("cpu", "cuda", "mps")


@rule("device")
def names_devices_that_exist(subject: DynamicsSubject) -> None:
    """`devices` has kinds of device, the CPU among them."""
    named = subject.cls.devices
    if "cpu" not in named or not set(named) <= set(KINDS):
        raise ConformanceError(f"devices is {named!r}", rule=f"some of {', '.join(KINDS)}, and always cpu")


@rule("device")
def observes_on_the_host(subject: DynamicsSubject) -> None:
    """What is observed, summed up and packed are NumPy arrays: `observe` is the only crossing from the device."""
    dynamics = subject.make(basic("host"))
    state = dynamics.init()
    for name, values in {**dynamics.observe(state), **(dynamics.pack(state) or {})}.items():
        if not isinstance(values, np.ndarray):
            kind = f"{type(values).__module__}.{type(values).__name__}"
            raise ConformanceError(f"'{name}' is a {kind}", rule="a numpy.ndarray", hint="copy it to the host")


@rule("device")
def frees_device_memory(subject: DynamicsSubject) -> None:
    """A run leaves no tensors of torch behind, on any device."""
    for _ in observations(subject.make(basic("tensors", seed=1))):
        pass
    before = _tensor_bytes()
    for _ in observations(subject.make(basic("tensors", seed=2))):
        pass
    after = _tensor_bytes()
    for device, count in after.items():
        if count > before.get(device, 0):
            raise ConformanceError(
                f"{count - before.get(device, 0)} bytes of tensors stay on {device} after a run",
                hint="keep tensors in the state or the instance, in nothing global",
            )


def _tensor_bytes() -> dict[str, int]:
    """Bytes of all live tensors by device; nothing where torch is not loaded."""
    gc.collect()
    torch = sys.modules.get("torch")
    found: dict[str, int] = {}
    for item in gc.get_objects() if torch else ():
        # By type, and not by isinstance: objects may answer for their class with code of their own.
        if issubclass(type(item), torch.Tensor):  # type: ignore[union-attr]
            name = str(item.device)
            found[name] = found.get(name, 0) + item.numel() * item.element_size()
    return found


@rule(
    "device",
    detects="an error of 15 % in all rates on one device (with replicates that are random draws of 60 agents)",
    applies=complete_record,
)
def every_device_gives_the_same(subject: DynamicsSubject) -> None:
    """On each device that it names and this machine has, the answer is that of the CPU: in law, or to 1e-4."""
    there = []
    for kind in subject.cls.devices:
        try:
            there += [resolve_device(kind)] if kind != "cpu" else []
        except DeviceError:
            continue
    if not there:
        raise NotApplicable("it names no device but the CPU that this machine has")
    posed = replace(basic("devices"), precision="float32")
    first = subject.sample(posed, 200)
    for device in there:
        second = subject.sample(replace(posed, device=device, seed=posed.seed + 1000), 200)
        if subject.cls.stochastic:
            require_equal_means(first[:, 1:], second[:, 1:], f"a share on the CPU, against one on {device.name},")
        elif np.abs(first - second).max() > 1e-4:
            raise ConformanceError(f"a share on {device.name} is off by {np.abs(first - second).max():.2g}")


RULES = (names_devices_that_exist, observes_on_the_host, frees_device_memory, every_device_gives_the_same)
