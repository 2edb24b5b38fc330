"""One directory, one process: reserved by mkdir, locked while in use, free again after a kill."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.report.files import write_document, write_weights
from qdescent.report.record import Record, write_record
from qdescent.report.reservation import discard, held, is_vacant, next_directory
from qdescent.report.state import is_stage, save_state
from qdescent.rows.collection import Rows

HOLDER = """
import sys, time
from pathlib import Path
from qdescent.report.reservation import held
with held(Path(sys.argv[1]), new=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_numbers_go_up_and_no_directory_is_given_twice(tmp_path):
    assert [next_directory(tmp_path / "runs").name for _ in range(3)] == [
        "run-001",
        "run-002",
        "run-003",
    ]
    assert all(path.is_dir() for path in (tmp_path / "runs").iterdir())


def test_a_directory_in_use_is_refused_and_its_process_named(tmp_path):
    for new in (True, False):
        with (
            held(tmp_path / "o", new),
            pytest.raises(
                ArgumentError,
                match=(
                    r"`out` must be a directory that no process works on.*being worked on by"
                    rf" process {os.getpid()} on"
                ),
            ),
        ):
            held(tmp_path / "o", new).__enter__()
    assert not (tmp_path / "o").exists()  # nothing was saved


def test_a_dead_process_holds_nothing(tmp_path):
    call = [sys.executable, "-c", HOLDER, str(tmp_path / "o")]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ArgumentError, match=f"by process {process.pid} on"):
        held(tmp_path / "o", new=True).__enter__()
    process.kill()
    process.wait()
    process.stdout.close()
    assert is_vacant(tmp_path / "o")
    with held(tmp_path / "o", new=True):
        save_state(tmp_path / "o", "dense", {}, {}, {})
    with pytest.raises(
        ArgumentError, match=r"must be a directory that does not exist yet.*give --resume to go on"
    ):
        held(tmp_path / "o", new=True).__enter__()
    with held(tmp_path / "o", new=False):
        pass


@pytest.mark.parametrize(
    "names", [["photos/cat.png"], ["state/mine.txt"], ["notes.txt", "state/"], ["run.json"]]
)
def test_what_is_not_ours_is_not_touched(tmp_path, names):
    for name in names:
        path = tmp_path / "o" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    assert not is_vacant(tmp_path / "o")
    for new in (True, False):
        with pytest.raises(ArgumentError, match="`out` must be a directory"):
            held(tmp_path / "o", new).__enter__()
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ends", ["well", "without a saved stage", "forgotten"])
def test_what_the_user_puts_beside_the_states_stays(tmp_path, ends):
    """Notes, a folder, weights that are no stage: in the middle of a run."""
    place = tmp_path / "o"
    with held(place, new=True):
        if ends != "without a saved stage":
            save_state(place, "settings", {}, {}, {})
        (place / "state" / "notes.txt").write_text("mine")
        (place / "state" / "backup").mkdir()
        write_weights(place / "state" / "model.safetensors", {"w": torch.ones(2)})
        (place / "state" / "cut.safetensors").write_bytes(b"\xff" * 9)
        if ends == "well":
            write_record(Record("o", {}, 0, {}, Rows([]), {}), place)
        if ends == "forgotten":
            discard(place)
    left = {path.name for path in (place / "state").iterdir()} - {"lock"}
    assert left == {"notes.txt", "backup", "model.safetensors", "cut.safetensors"}
    with pytest.raises(ArgumentError, match="`out` must be a directory"):
        held(place, new=True).__enter__()
    assert {path.name for path in (place / "state").iterdir()} - {"lock"} == left


def test_a_damaged_stage_is_known_as_ours(tmp_path):
    path = save_state(tmp_path, "a", {}, {"x": torch.ones(9)}, {})
    assert is_stage(path)
    path.write_bytes(path.read_bytes()[:-5])  # the header says whose it is
    assert is_stage(path)
    path.write_bytes(path.read_bytes()[:50])
    assert not is_stage(path)
    os.mkfifo(tmp_path / "b.safetensors")
    assert not is_stage(tmp_path / "b.safetensors")


def test_a_link_in_the_place_of_the_state_or_of_the_lock_is_not_followed(tmp_path):
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "gold.safetensors").touch()
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "state").symlink_to(treasure)
    for new in (True, False):
        with pytest.raises(ArgumentError, match="`out` must hold a folder 'state' of its own"):
            held(tmp_path / "o", new=new).__enter__()
    (tmp_path / "p" / "state").mkdir(parents=True)
    (tmp_path / "p" / "state" / "lock").symlink_to(treasure / "gold.safetensors")
    with pytest.raises(OSError, match="lock"):
        held(tmp_path / "p", new=True).__enter__()
    assert (treasure / "gold.safetensors").read_bytes() == b""


@pytest.mark.parametrize(
    "left",
    [[], ["state"], ["state/lock"], ["state/lock", "circuit.html"], [".a.0123456789abcdef.tmp"]],
)
def test_what_a_kill_left_before_anything_was_saved_is_free(tmp_path, left):
    for name in left:
        path = tmp_path / "o" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name == "state" else path.touch()
    assert is_vacant(tmp_path / "o")
    with held(tmp_path / "o", new=True):
        assert not list((tmp_path / "o").glob("*.tmp"))


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    import errno
    import fcntl

    def none(*given):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(
        ArgumentError,
        match=r"`out` must be on a file system that can lock files.*No locks available",
    ):
        held(tmp_path / "o", new=True).__enter__()


def test_a_directory_that_cannot_be_written_is_an_os_error(tmp_path, monkeypatch):
    def refused(*given, **named):
        raise PermissionError(13, "Permission denied", "state")

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(PermissionError):
        held(tmp_path / "o", new=True).__enter__()


def test_a_run_whose_directory_was_moved_leaves_another_run_in_its_place_alone(tmp_path):
    place, moved = tmp_path / "run", tmp_path / "moved"
    with held(place, new=True):
        write_document(place / "state" / "first.txt", "of the first")
        place.rename(moved)
        (place / "state").mkdir(parents=True)  # another process begins
        (place / "state" / "lock").touch()
        write_document(tmp_path / "elsewhere.txt", "in no run's directory")
        with pytest.raises(ArgumentError, match="`out` must stay where it is while a run works in"):
            write_document(place / "run.json", "{}")
    assert [x.name for x in place.rglob("*")] == ["state", "lock"]
    assert (moved / "state" / "first.txt").read_text() == "of the first"


def test_a_run_whose_directory_was_removed_writes_it_again(tmp_path):
    place = tmp_path / "run"
    with held(place, new=True):
        shutil.rmtree(place)
        write_document(place / "page.html", "all the same")
    assert (place / "page.html").read_text() == "all the same"
