"""The run folder is the truth: manifest, scenario, events, checkpoints and results of one run.

    <name>-<id>/  manifest.json             status, versions, plugins, seed, device, times, peak memory
                  scenario.yaml             as it was written
                  scenario.resolved.json    with every default
                  events.jsonl              what happened when, one JSON object a line
                  results.nc, report.html   once the run is done
                  files/<label>/            what a dynamics keeps, such as weights
                  policies/<label>.npz      the policy that a dynamics found, to be played elsewhere
                  checkpoints/<label>.nc    finished dynamics, while the run goes on

Every file but events.jsonl is written to a temporary name, flushed to disk and renamed: under its final name a file is whole.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from mesocosm.errors import InputError, StoreError

PACKAGES = (
    "mesocosm",
    "numpy",
    "scipy",
    "networkx",
    "torch",
    "torchsde",
    "mesa",
    "numba",
    "xarray",
    "h5netcdf",
    "pluggy",
)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its final name never shows half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"cannot be written: {error}", where=str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @classmethod
    def create(
        cls, parent: Path, name: str, text: str, resolved: Mapping[str, Any], manifest: Mapping[str, Any]
    ) -> RunFolder:
        """A new folder `<name>-<time>-<random>` under `parent`, with status `running`; it is named last, when it is whole."""
        now = datetime.now(UTC)
        identity = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        path = parent / f"{name}-{identity}"
        folder = cls(parent / f".{path.name}.tmp")
        try:
            (folder.path / "checkpoints").mkdir(parents=True)
        except OSError as error:
            raise InputError(
                f"cannot make the run folder: {error}", where=str(path), hint="choose another --out"
            ) from None
        write_atomically(folder.path / "scenario.yaml", text.encode())
        write_atomically(folder.path / "scenario.resolved.json", _json(resolved))
        folder.write_manifest(
            {
                "name": name,
                "id": identity,
                "status": "running",
                "process": _process(),
                "created": now.isoformat(timespec="seconds"),
                **manifest,
                "dynamics": {},
            }
        )
        os.replace(folder.path, path)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run folder; `InputError` where there is none."""
        if not (path / "manifest.json").is_file():
            raise InputError(
                f"no run folder at '{path}'", rule="a run folder has a manifest.json", hint="mesocosm runs lists them"
            )
        return cls(path)

    def manifest(self) -> dict[str, Any]:
        """The manifest. A run whose process is gone reads `killed`, not `running`."""
        try:
            content: dict[str, Any] = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot be read: {error}", where=str(self.path / "manifest.json")) from error
        if content.get("status") == "running" and not _alive(content["process"]):
            content["status"] = "killed"
        return content

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest as a whole."""
        write_atomically(self.path / "manifest.json", _json(manifest))

    def reopen(self) -> None:
        """Let this process go on with the run."""
        self.update(status="running", process=_process())

    def update(self, **changes: Any) -> None:
        """Change some entries of the manifest."""
        self.write_manifest({**self.manifest(), **changes})

    def update_dynamics(self, label: str, **changes: Any) -> None:
        """Change some entries of one dynamics in the manifest."""
        manifest = self.manifest()
        dynamics = manifest.setdefault("dynamics", {})
        dynamics[label] = {**dynamics.get(label, {}), **changes}
        self.write_manifest(manifest)

    def event(self, name: str, **values: Any) -> None:
        """Append one line to events.jsonl."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": name, **values}
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def files(self, label: str) -> Path:
        """The folder where one dynamics may keep files."""
        path = self.path / "files" / label
        path.mkdir(parents=True, exist_ok=True)
        return path

    def keep_policy(self, label: str, content: bytes) -> None:
        """Keep the policy that one dynamics found, as `policies/<label>.npz`."""
        path = self.path / "policies" / f"{label}.npz"
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content)

    def checkpoint(self, label: str) -> Path:
        """Where the trajectories of a finished dynamics are kept while the run goes on."""
        return self.path / "checkpoints" / f"{label}.nc"

    def tidy(self) -> None:
        """Remove what only a run under way needs: the checkpoints, and folders in which nothing was kept."""
        for file in (self.path / "checkpoints").glob("*"):
            file.unlink()
        for empty in (self.path / "checkpoints", *(self.path / "files").glob("*"), self.path / "files"):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide results; what is not installed is left out."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory() -> int | None:
    """Largest resident memory of this process so far, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _process() -> dict[str, Any]:
    """This process: its number, and when it started, since numbers are used again."""
    return {"pid": os.getpid(), "started": _started(os.getpid())}


def _alive(process: Mapping[str, Any]) -> bool:
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return bool(_started(process["pid"]) == process["started"])


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; -1 once it has ended, None where the system does not say."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if state in "ZX" else int(rest[18])


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n").encode()
