"""The run folder: whole files under final names, an honest status, readable events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mesocosm import InputError, StoreError
from mesocosm.store import RunFolder, peak_memory, versions, write_atomically


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", "example", "name: é\n", {"name": "é"}, {"seed": 3})


def names(path: Path) -> set[str]:
    return {item.name for item in path.iterdir()}


def test_a_new_folder(folder: RunFolder) -> None:
    """Catches a missing file or entry; the scenario is kept byte by byte."""
    assert names(folder.path) == {"manifest.json", "scenario.yaml", "scenario.resolved.json", "checkpoints"}
    assert (folder.path / "scenario.yaml").read_text(encoding="utf-8") == "name: é\n"
    assert json.loads((folder.path / "scenario.resolved.json").read_text(encoding="utf-8")) == {"name": "é"}
    manifest = folder.manifest()
    assert (manifest["name"], manifest["status"], manifest["seed"]) == ("example", "running", 3)
    assert folder.path.name == f"example-{manifest['id']}"


def test_two_runs_have_two_folders(tmp_path: Path) -> None:
    """Catches a second run in the same second writing into the folder of the first."""
    assert len({RunFolder.create(tmp_path, "x", "", {}, {}).path for _ in range(20)}) == 20


@pytest.mark.parametrize("place", ["replace", "fsync"])
def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Catches writing into the file itself: after a crash at any point it holds the old content, and nothing is left over."""
    path = tmp_path / "file.json"
    write_atomically(path, b"old")

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, place, crash)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"file.json"}


def test_a_file_reaches_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a rename before the content is on disk: after a power cut the file would be empty."""
    done: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("sync"), sync(number))[1])
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("rename"), replace(*paths))[1])
    write_atomically(tmp_path / "x", b"1")
    assert done[:2] == ["sync", "rename"]


def test_a_disk_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a bare OSError."""
    with pytest.raises(StoreError, match="cannot be written"):
        write_atomically(tmp_path / "no" / "folder" / "x", b"1")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot make the run folder.*choose another --out"):
        RunFolder.create(tmp_path / "file", "x", "", {}, {})


def test_the_status_of_a_run_whose_process_is_gone(folder: RunFolder) -> None:
    """Catches a run that reads `running` for ever after it was killed."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder.update(process={"pid": ended.pid, "started": 1})
    assert folder.manifest()["status"] == "killed"
    folder.update(status="failed")
    assert folder.manifest()["status"] == "failed"


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system does not say when a process started")
def test_a_process_number_that_was_used_again(folder: RunFolder) -> None:
    """Catches a killed run that reads `running` because another process has its number now, as after a restart."""
    process = folder.manifest()["process"]
    assert process["pid"] == os.getpid()
    folder.update(process={**process, "started": process["started"] - 1})
    assert folder.manifest()["status"] == "killed"


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="the system does not say when a process started")
def test_a_dead_process_that_nobody_waited_for(folder: RunFolder) -> None:
    """Catches a killed run that reads `running` because its parent has not asked for its exit code."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
    folder.update(process={"pid": child.pid, "started": started})
    assert folder.manifest()["status"] == "running"
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert folder.manifest()["status"] == "killed"
    child.wait()


def test_changes_of_the_manifest_keep_the_rest(folder: RunFolder) -> None:
    """Catches an update that drops other entries, or one dynamics overwriting another."""
    folder.update_dynamics("a", status="running", kind="x")
    folder.update_dynamics("b", status="running")
    folder.update_dynamics("a", status="done")
    folder.update(status="done")
    manifest = folder.manifest()
    assert manifest["dynamics"] == {"a": {"status": "done", "kind": "x"}, "b": {"status": "running"}}
    assert (manifest["seed"], manifest["status"]) == (3, "done")


def test_events_are_one_json_object_a_line(folder: RunFolder) -> None:
    """Catches a line break inside an event, and values that are no JSON."""
    folder.event("first", message="two\nlines", path=Path("x"))
    folder.event("second")
    first, second = [json.loads(line) for line in (folder.path / "events.jsonl").read_text().splitlines()]
    assert (first["event"], first["message"], first["path"], second["event"]) == ("first", "two\nlines", "x", "second")
    assert first["time"] <= second["time"]


def test_only_run_folders_open(tmp_path: Path, folder: RunFolder) -> None:
    """Catches a wrong path that is taken for a run, and a damaged manifest without its path."""
    assert RunFolder.open(folder.path).manifest()["name"] == "example"
    with pytest.raises(InputError, match="no run folder at"):
        RunFolder.open(tmp_path)
    (folder.path / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match=r"manifest\.json: cannot be read"):
        folder.manifest()


def test_files_and_checkpoints(folder: RunFolder) -> None:
    """Catches two dynamics sharing files, checkpoints that outlive a finished run, and kept files that do not."""
    assert folder.files("a") != folder.files("b")
    assert folder.files("a").is_dir()
    folder.checkpoint("a").touch()
    (folder.files("b") / "weights").touch()
    folder.tidy()
    assert "checkpoints" not in names(folder.path)
    assert names(folder.path / "files") == {"b"}


def test_versions_and_memory() -> None:
    """Catches a version that is missing from the manifest, and memory in the wrong unit."""
    assert {"python", "platform", "mesocosm", "numpy", "scipy", "xarray"} <= set(versions())
    memory = peak_memory()
    assert memory is None or 10_000_000 < memory < 100_000_000_000
