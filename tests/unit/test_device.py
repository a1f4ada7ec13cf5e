"""Devices by name: nothing falls back silently."""

from __future__ import annotations

import pytest

import mesocosm.device
from mesocosm import DeviceError, resolve_device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """`machine(cuda=2, mps=False, torch="")`: pretend to be on such a machine."""

    def pretend(cuda: int = 0, mps: bool = False, torch: str = "") -> None:
        monkeypatch.setattr(mesocosm.device, "cuda_device_count", lambda: cuda)
        monkeypatch.setattr(mesocosm.device, "_has_mps", lambda: mps)
        monkeypatch.setattr(mesocosm.device, "_torch_build", lambda: torch)

    return pretend


@pytest.mark.parametrize(
    ("requested", "cuda", "mps", "torch", "found"),
    [
        ("cpu", 2, False, "", "cpu"),
        ("cuda", 1, False, "cu126", "cuda:0"),
        ("cuda:1", 2, False, "", "cuda:1"),
        ("mps", 0, True, "", "mps"),
        ("auto", 1, False, "cu126", "cuda:0"),
        ("auto", 1, False, "cpu", "cpu"),
        ("auto", 0, True, "", "mps"),
        ("auto", 0, False, "", "cpu"),
    ],
)
def test_what_is_there_is_found(machine, requested: str, cuda: int, mps: bool, torch: str, found: str) -> None:
    """Catches a wrong number or preference; `auto` must not pick a GPU that torch was built without."""
    machine(cuda, mps, torch)
    device = resolve_device(requested)
    assert (device.name, device.requested, device.kind) == (found, requested, found.split(":", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("requested", "cuda", "says"),
    [
        ("cuda", 0, "this machine has 0 CUDA devices"),
        ("cuda:1", 1, "this machine has 1 CUDA device;"),
        ("mps", 0, "not an Apple silicon machine"),
        ("gpu", 1, "'gpu' is not a device"),
        ("cuda:", 1, "is not a device"),
        ("cuda:-1", 1, "is not a device"),
        ("CPU", 1, "is not a device"),
        ("", 1, "is not a device"),
    ],
)
def test_what_is_not_there_is_an_error(machine, requested: str, cuda: int, says: str) -> None:
    """Catches a fall back to the CPU."""
    machine(cuda)
    with pytest.raises(DeviceError, match=says):
        resolve_device(requested)


def test_the_driver_is_asked_without_torch() -> None:
    """Catches a driver call that crashes where there is no driver."""
    assert mesocosm.device.cuda_device_count() >= 0
