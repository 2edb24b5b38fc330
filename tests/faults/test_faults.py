"""Killed or out of space at any event of the file system, a bit flipped, two at once: `--resume`
ends in the same bits.

`make test` tries points that change with the date; `make test-all` every one.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import fault_jobs as jobs
import numpy as np
import pytest
from fault_injection import Fault, in_child, start

from qdescent.experiment.run import training as comparison
from qdescent.report.record import is_complete
from qdescent.report.state import saved_stages

TODAY = random.Random(date.today().toordinal())
RESUMABLE = ["run", "spectrum", "train"]
JOBS = [*RESUMABLE, "circuit"]
PIECES = 8  # of the exhaustive tests
FLIP_EVERY = 512  # bytes
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """job -> (what an undisturbed run leaves, its events); all in a folder of its own, with
    everything imported.
    """
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("faults")
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setattr(sys, "argv", sys.argv)
        (folder / "tiny_project.py").write_text(jobs.MODULE)
        np.savez(folder / "map.npz", **jobs.MAP)
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        data = comparison.load_fashion_mnist(None)
        few = replace(data, test_images=data.test_images[:40], test_labels=data.test_labels[:40])
        patch.setattr(comparison, "load_fashion_mnist", lambda data_root: few)
        found = {}
        for job in JOBS:
            # here, so that every child finds everything imported
            with pytest.raises(SystemExit) as end:
                jobs.begin(job, folder / f"first-{job}")()
            assert not end.value.code
            place = folder / f"whole-{job}"
            code, output, events = in_child(jobs.begin(job, place), Fault(place))
            assert code == 0, output
            found[job] = jobs.left(place), events
        for number, handler in handlers.items():  # the command line took them over
            signal.signal(number, handler)
        yield found


def after(job: str, out: Path, expected: dict) -> str:
    """What was still to do after the fault, done: "whole", "resumed" or "begun anew"; it must end
    as if nothing had happened.
    """
    said = ""
    if is_complete(out):
        said = "whole"
        again = jobs.begin(job, out) if job == "circuit" else jobs.resume(job, out)
        _, output, _ = ended(again, 2)
        assert ("does not exist yet" if job == "circuit" else "which has ended already") in output
    elif saved_stages(out):
        said = "resumed"
        ended(jobs.resume(job, out), 0)
    else:
        said = "begun anew"
        if job != "circuit":
            _, output, _ = ended(jobs.resume(job, out), 2)
            assert "where none was started (give the command without --resume)" in output
        ended(jobs.begin(job, out), 0)
    left = jobs.left(out)
    assert left.keys() == expected.keys()
    assert left == expected
    return said


def ended(work, expected: int) -> tuple:
    found = in_child(work)
    assert found[0] == expected, found[1]
    assert "Traceback" not in found[1]
    return found


def struck(whole, job: str, kind: str, at: int, out: Path) -> str:
    """One fault, and what came after it."""
    expected, _ = whole[job]
    shutil.rmtree(out, ignore_errors=True)
    code, output, _ = in_child(jobs.begin(job, out), Fault(out, kind, at))
    assert "Traceback" not in output
    if kind == "full":
        assert code == 2 or is_complete(out), output
        if code:
            assert ("All the same it is whole" in output) == is_complete(out)
            assert output.count("must be a directory that can be written") == 1
            assert "No space left on device" in output
            assert ("--resume" in output) == bool(saved_stages(out))
    else:
        assert code == -9, output
    return after(job, out, expected)


def points(whole, job: str, kind: str) -> list[int]:
    """The events at which a fault of this kind can strike: only a write can be torn."""
    names = enumerate(whole[job][1], 1)
    return [at for at, name in names if kind != "tear" or name.startswith("write_file")]


def event(whole, job: str, fraction: float, kind: str = "kill") -> int:
    found = points(whole, job, kind)
    return found[int(fraction * len(found))]


POINTS = [
    ("run", "kill"),
    ("spectrum", "kill"),
    ("train", "kill"),
    (TODAY.choice(JOBS), "full"),
]
POINTS.append((TODAY.choice(JOBS), "tear"))


@pytest.mark.parametrize(
    ("job", "kind", "fraction"), [(*point, round(TODAY.random(), 4)) for point in POINTS]
)
def test_a_fault_at_todays_points(whole, tmp_path, job, kind, fraction):
    at = event(whole, job, fraction, kind)
    print(f"{job}: {kind} at event {at} of {len(whole[job][1])}")
    struck(whole, job, kind, at, tmp_path / "o")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.parametrize("kind", ["kill", "tear", "full"])
@pytest.mark.parametrize("job", JOBS)
def test_a_fault_at_every_event(whole, tmp_path, job, kind, piece):
    chosen = [at for at in points(whole, job, kind) if at % PIECES == piece]
    ends = [struck(whole, job, kind, at, tmp_path / "o") for at in chosen]
    counts = {end: ends.count(end) for end in sorted(set(ends))}
    print(f"{job}: {len(whole[job][1])} events; {kind} at {len(chosen)}, {counts}, lost 0")


def unfinished(whole, job: str, out: Path) -> None:
    """A run that was killed just before its record was written: every stage is saved."""
    events = whole[job][1]
    last = max(
        i for i, name in enumerate(events, 1) if name.startswith("replace") and "run.json" in name
    )
    assert in_child(jobs.begin(job, out), Fault(out, "kill", last))[0] == -9
    assert len(saved_stages(out)) == {"run": 6, "spectrum": 4, "train": 4}[job]


def flipped(whole, job: str, out: Path, pristine: Path, path: Path, place: int, bit: int) -> str:
    """`--resume` after one bit was flipped: refused with the file's name, or the same end."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(pristine, out)
    victim = out / "state" / path.name
    content = bytearray(victim.read_bytes())
    content[place] ^= 1 << bit
    victim.write_bytes(content)
    code, output, _ = in_child(jobs.resume(job, out))
    assert "Traceback" not in output
    if code == 0:
        assert jobs.left(out) == whole[job][0]
        return "the same"
    assert code == 2, output
    assert path.name in output.replace("\n", "")
    return "refused"


@pytest.mark.parametrize("job", [TODAY.choice(RESUMABLE)])
def test_a_bit_flipped_today(whole, tmp_path, job):
    unfinished(whole, job, tmp_path / "pristine")
    path = TODAY.choice(saved_stages(tmp_path / "pristine"))
    place, bit = TODAY.randrange(path.stat().st_size), TODAY.randrange(8)
    print(f"{job}: bit {bit} of byte {place} of {path.name}")
    flipped(whole, job, tmp_path / "o", tmp_path / "pristine", path, place, bit)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.parametrize("job", RESUMABLE)
def test_a_bit_flipped_in_every_block(whole, tmp_path, job, piece):
    pristine = tmp_path / "pristine"
    unfinished(whole, job, pristine)
    blocks = [
        (path, block)
        for path in saved_stages(pristine)
        for block in range(0, path.stat().st_size, FLIP_EVERY)
    ]
    ends = []
    for path, block in blocks[piece::PIECES]:
        place = min(block + TODAY.randrange(FLIP_EVERY), path.stat().st_size - 1)
        bit = TODAY.randrange(8)
        ends.append(flipped(whole, job, tmp_path / "o", pristine, path, place, bit))
    print(
        f"{job}: {len(ends)} blocks, {ends.count('refused')} refused, {ends.count('the same')}"
        " ended the same"
    )
    # a flip in the white space of a header changes nothing
    assert ends.count("refused") >= len(ends) / 2


@pytest.mark.parametrize("job", [TODAY.choice(JOBS)])
def test_two_in_one_directory_today(whole, tmp_path, job):
    two_in_one(whole, tmp_path / "o", job)


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_two_in_one_directory(whole, tmp_path, job):
    two_in_one(whole, tmp_path / "o", job)


def two_in_one(whole, out: Path, job: str) -> None:
    ends = [child.end() for child in [start(jobs.begin(job, out)) for _ in range(2)]]
    assert sorted(code for code, _, _ in ends) == [0, 2], ends
    loser = next(output for code, output, _ in ends if code)
    assert (
        "is being worked on by" in loser or "must be a directory that does not exist yet" in loser
    )
    assert "Traceback" not in loser
    if job != "circuit":
        assert jobs.left(out) == whole[job][0]


@pytest.mark.slow
@pytest.mark.parametrize("job", RESUMABLE)
def test_two_that_resume_one_and_two_that_take_the_next_directory(whole, tmp_path, job):
    out = tmp_path / "o"
    in_child(jobs.begin(job, out), Fault(out, "kill", event(whole, job, 0.5)))
    ends = [child.end() for child in [start(jobs.resume(job, out)) for _ in range(2)]]
    assert sorted(code for code, _, _ in ends) == [0, 2], ends
    assert jobs.left(out) == whole[job][0]
    ends = [child.end() for child in [start(jobs.begin(job, None)) for _ in range(3)]]
    assert [code for code, _, _ in ends] == [0, 0, 0], ends
    places = {"run": "runs", "spectrum": "runs/spectra", "train": "runs/trainings"}
    parent = Path(places[job])
    made = sorted(path for path in parent.glob("run-*"))
    assert [path.name for path in made] == ["run-001", "run-002", "run-003"]
    assert all(jobs.left(path) == whole[job][0] for path in made)


def test_a_planted_fault_is_found(whole, tmp_path, monkeypatch):
    """Were a state's checksum not compared, the comparison with the undisturbed run would tell."""
    unfinished(whole, "run", tmp_path / "o")
    path = tmp_path / "o" / "state" / "classical.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 64  # in the exponent of a weight
    path.write_bytes(content)
    from qdescent.report import state

    monkeypatch.setattr(state, "fingerprint", lambda *parts: AnyText())
    in_child(jobs.resume("run", tmp_path / "o"))
    assert is_complete(tmp_path / "o")
    assert jobs.left(tmp_path / "o") != whole["run"][0]
    assert os.getpid()  # the fault lives in the child and in this test alone


class AnyText(str):
    """Equal to every text."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def signalled(whole, job: str, number: int, at: int, out: Path) -> None:
    """One signal that comes while something is saved already, and something is still to do."""

    def work() -> None:
        signal.signal(number, signal.SIG_DFL)  # a job in the background may have to ignore it
        jobs.begin(job, out)()

    code, output, _ = in_child(work, Fault(out, "signal", at, number))
    assert code == 128 + number, output
    assert "Traceback" not in output
    words = job if job == "run" else f"{job} tiny_project:network --data tiny_project:data"
    said = f"Stopped. Nothing that was saved is lost: qdescent {words} --resume --out {out}"
    assert said in output.replace("\n", " ")
    assert after(job, out, whole[job][0]) == "resumed"


def between(whole, job: str) -> range:
    """The events after the first state of `job` and before the last one."""
    saved = [at for at, event in enumerate(whole[job][1], 1) if event.startswith("replace .")]
    return range(saved[0] + 1, saved[-1] + 1)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_in_words_and_is_resumed(whole, tmp_path, number):
    at = TODAY.choice(between(whole, "spectrum"))
    signalled(whole, "spectrum", number, at, tmp_path / "o")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("piece", range(PIECES))
@pytest.mark.parametrize("job", RESUMABLE)
def test_a_signal_at_every_event(whole, tmp_path, job, piece):
    chosen = between(whole, job)[piece::PIECES]
    for at in chosen:
        signalled(whole, job, SIGNALS[at % len(SIGNALS)], at, tmp_path / f"o{at}")
    print(f"{job}: a signal at {len(chosen)} of its events, lost 0")


def test_ctrl_c_during_the_imports_is_quiet(tmp_path):
    call = [sys.executable, "-m", "qdescent", "circuit", "a.npz", "--out", str(tmp_path / "o")]
    process = subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    maps = Path(f"/proc/{process.pid}/maps")
    if not maps.exists():
        pytest.skip("no /proc to see what is imported")
    while "libtorch_python" not in maps.read_text() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    "names", [["random", "json", "logging", "numpy", "torch", "string", "rich"]]
)
def test_files_beside_the_user_hide_no_library(names, tmp_path):
    """`python -m` puts the working directory first, before the package's own first import."""
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the user's own {name}')")
    path = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    call = [sys.executable, "-m", "qdescent", "price_of_nothing"]
    result = subprocess.run(
        call, capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env={**os.environ, "PYTHONPATH": path}
    )  # fmt: skip
    assert "price_of_nothing" in result.stderr  # the command line itself has answered
    assert "the user's own" not in result.stdout + result.stderr
