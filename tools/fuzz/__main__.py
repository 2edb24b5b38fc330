"""Every reader of the package, given bytes: each input ends in a result or in one sentence, or it
is kept as a failure.

    python tools/fuzz --seconds 600                          every reader, its share of the time
    python tools/fuzz --seconds 60 --readers map toml        these two

atheris, where it is installed (`pip install -e '.[fuzz]'`), guides the bytes by the code that they
reach; elsewhere valid files and the kept cases are changed blindly. FOLDER (build/fuzz) holds the
corpus, the failures and the counts of all calls so far. An input that takes more than 10 seconds,
or 2 GiB more than the program itself, is a failure, too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SECONDS, MEMORY = 10, 2 << 30  # what an input may take
LONGEST = 8192  # bytes of an input
GUIDED = [  # whose branches guide atheris: the readers, and what they call that is Python
    "qdescent.reading", "qdescent.experiment", "qdescent.report", "qdescent.learning.datasets",
    "zipfile", "tomllib", "json", "pickletools", "numpy.lib", "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
]  # fmt: skip
NAMES = (
    "toml", "map", "data", "images", "checkpoint", "weights", "mask", "index", "idx", "gzip",
    "read_weights", "state",
    "resume", "resume_spectrum", "record",
)  # fmt: skip


def main() -> int:
    """Share the time among the readers; the exit code is 1 where an input failed."""
    options = _options()
    if options.worker:
        _work(options)
        return 0
    share = options.seconds / len(options.readers)
    for reader in options.readers:
        start = time.monotonic()
        # again where an input ended the process
        while (left := int(share - (time.monotonic() - start))) > 0:
            if _counts(options.folder, reader)["inputs"] >= options.inputs or not _run(
                options, reader, left
            ):
                break
        counts = _counts(options.folder, reader)
        rate = counts["inputs"] / max(counts["seconds"], 1)
        print(f"{reader}: {counts['inputs']:,} inputs, {rate:,.0f} a second", flush=True)
    failures = sorted(
        path for path in (options.folder / "failures").glob("*") if path.suffix != ".txt"
    )
    for failure in failures:
        print(f"failed: {failure}")
    return 1 if failures else 0


def _run(options: Any, reader: str, seconds: int) -> bool:
    """One process that fuzzes one reader; False where it does not start."""
    log, running = options.folder / f"{reader}.log", options.folder / f"{reader}.running"
    running.unlink(missing_ok=True)
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as work,
        log.open("w") as out,
    ):
        command = [
            sys.executable,
            str(Path(__file__).parent),
            "--worker",
            reader,
            "--work",
            work,
            "--seconds",
            str(seconds),
        ]
        command += [
            "--folder",
            str(options.folder),
            "--seed",
            str(options.seed or time.time_ns() % 2**31),
        ]
        command += ["--inputs", str(options.inputs), *(["--blind"] if options.blind else [])]
        try:
            ended = subprocess.run(
                command, stdout=out, stderr=out, check=False, timeout=seconds + 120
            ).returncode
        except subprocess.TimeoutExpired:
            ended = -1
    if ended and not running.exists():
        print(f"{reader}: the worker does not start, see {log}")
        return False
    if ended:
        name = f"fuzz-{reader}-Ended-{hashlib.sha256(running.read_bytes()).hexdigest()[:8]}"
        running.rename(options.folder / "failures" / name)
    return True


def _options() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--readers", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"))
    parser.add_argument(
        "--inputs", type=int, default=10**9, help="a reader that had as many is left out"
    )
    parser.add_argument(
        "--blind", action="store_true", help="without atheris: less clever, many times faster"
    )
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--worker", choices=NAMES, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    for part in ("failures", "counts"):
        (options.folder / part).mkdir(parents=True, exist_ok=True)
    return options


def _counts(folder: Path, reader: str) -> dict[str, float]:
    path = folder / "counts" / f"{reader}.json"
    return (
        json.loads(path.read_text())
        if path.exists()
        else {"inputs": 0, "seconds": 0.0, "sentences": 0}
    )


class Trial:
    """One reader under fire: it counts, keeps what failed, and goes on."""

    def __init__(
        self, reader: str, folder: Path, outcome: Callable[[str, Path, bytes], str], work: Path
    ) -> None:
        self.reader, self.folder, self.outcome, self.work = reader, folder, outcome, work
        self.counts, self.last = _counts(folder, reader), time.monotonic()
        self.running = folder / f"{reader}.running"
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def __call__(self, content: bytes) -> None:
        self.running.write_bytes(content)  # stays where the input ends the process
        # of this process: others may have the machine
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            ended = self.outcome(self.reader, self.work, content)
            self.counts["sentences"] += ended != "result"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._keep(content, error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if memory - self.memory > MEMORY >> 10:
            self._keep(content, MemoryError(f"{memory - self.memory} KiB"))
        self.memory = max(self.memory, memory)
        self.counts["inputs"] += 1
        if self.counts["inputs"] % 500 == 0:
            self.save()

    def save(self) -> None:
        """Write the counts down."""
        now = time.monotonic()
        self.counts["seconds"], self.last = self.counts["seconds"] + now - self.last, now
        path = self.folder / "counts" / f"{self.reader}.json"
        path.with_suffix(".new").write_text(json.dumps(self.counts))
        os.replace(path.with_suffix(".new"), path)

    def end(self) -> None:
        """Leave nothing that looks like an input that ended the process."""
        self.save()
        self.running.unlink(missing_ok=True)

    def _keep(self, content: bytes, error: BaseException) -> None:
        """One input of each kind: exception, and the package's line where it came from."""
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/qdescent/" in frame.filename]
        place = f"{Path(ours[-1].filename).name}_{ours[-1].lineno}" if ours else "readers"
        path = self.folder / "failures" / f"fuzz-{self.reader}-{type(error).__name__}-{place}"
        if not path.exists():
            path.write_bytes(content)
            path.with_name(path.name + ".txt").write_text(
                "".join(traceback.format_exception(error))[-4000:]
            )


def _raise_timeout(number: int, frame: object) -> None:
    raise TimeoutError


def _work(options: Any) -> None:
    """Fuzz one reader in this process."""
    guide: Any = None
    if find_spec("atheris") and not options.blind:
        import atheris as guide  # an optional tool
    with guide.instrument_imports(include=GUIDED) if guide else nullcontext():
        sys.path.insert(0, str(Path(__file__).parent))
        import readers
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _raise_timeout)
    trial = Trial(options.worker, options.folder, readers.outcome, options.work)
    end = time.monotonic() + options.seconds

    def enough() -> bool:
        return time.monotonic() > end or trial.counts["inputs"] >= options.inputs

    if guide:
        _guided(guide, trial, readers, enough, options.seed)
    draw = random.Random(options.seed)
    while not enough():
        trial(changed(draw.choice(readers.seeds(options.worker)), draw, readers.inside))
    trial.end()


def _guided(guide: Any, trial: Trial, readers: Any, enough: Callable[[], bool], seed: int) -> None:
    """Fuzz with atheris; the process ends here, for libFuzzer does not come back."""
    corpus = trial.folder / "corpus" / trial.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for content in readers.seeds(trial.reader):
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)

    def mutated(content: bytes, longest: int, number: int) -> bytes:
        draw = random.Random(number)
        if draw.random() < 0.5:
            return guide.Mutate(content, longest)
        found = readers.inside(
            content,
            lambda part: guide.Mutate(part, max(longest, len(part) + 64)),
            draw.getrandbits(16),
        )
        return found[:longest]

    def one(content: bytes) -> None:
        trial(content)
        if enough():
            trial.end()
            os._exit(0)

    arguments = [
        f"-max_len={LONGEST}",
        f"-seed={seed % 2**31 or 1}",
        "-timeout=0",
        "-handle_alrm=0",
        "-rss_limit_mb=6000",
    ]
    guide.Setup([sys.argv[0], *arguments, str(corpus)], one, custom_mutator=mutated)
    guide.Fuzz()


def changed(content: bytes, draw: random.Random, inside: Callable[..., bytes]) -> bytes:
    """A valid file with some bytes changed, moved, doubled or cut, in or outside its packing."""

    def mutate(part: bytes) -> bytes:
        found = bytearray(part)
        for _ in range(draw.randint(1, 4)):
            place, length = draw.randrange(len(found) + 1), draw.choice((1, 1, 2, 4, 8, 32))
            match draw.randrange(7):
                case 0:
                    found[place : place + length] = draw.randbytes(length)
                case 1:
                    found[place:place] = draw.randbytes(length)
                case 2:
                    del found[place : place + length]
                case 3:
                    found[place : place + length] = (
                        draw.choice((b"\xff", b"\0", b"\x7f", b"9", b"[", b"\x1b", b"-")) * length
                    )
                case 4:
                    start = draw.randrange(len(found) + 1)
                    found[place:place] = found[start : start + length * 4]
                case 5 if place < len(found):
                    found[place] ^= 1 << draw.randrange(8)
                case _:
                    found = found[: max(1, place)] if draw.random() < 0.1 else found
        return bytes(found)

    return mutate(content) if draw.random() < 0.4 else inside(content, mutate, draw.getrandbits(16))


if __name__ == "__main__":
    sys.exit(main())
