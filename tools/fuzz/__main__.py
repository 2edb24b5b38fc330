"""Every reader of the package, given bytes: each input ends in a result or in one sentence, or it
is kept as a failure.

    python tools/fuzz --seconds 600                          every reader, its share of the time
    python tools/fuzz --seconds 60 --readers map toml        these two

atheris, where it is installed (`pip install -e '.[fuzz]'`), guides the bytes by the code that they
reach. Elsewhere, and with --blind, valid files and the kept cases are changed, and each input that
ends in a sentence of a new form is changed further: many times faster, some thousand a second.
FOLDER (build/fuzz) holds the corpus, the failures and the counts of all calls so far. An input that
takes more than 10 seconds, or 2 GiB more than the program itself, is a failure, too.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import mmap
import os
import random
import re
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
LONGEST = 8192  # bytes of an input that atheris makes
ROOM = 16 << 20  # bytes for the input that is being read; a longer one is kept cut short
POOL = 400  # inputs that are changed further
WORDS = re.compile(
    r"'[^']*'|\"[^\"]*\"|[0-9][0-9.,e+-]*"
)  # what differs between sentences of a form
GUIDED = [  # whose branches guide atheris: the readers, and what they call that is Python
    "qdescent.reading", "qdescent.experiment", "qdescent.report", "qdescent.learning.datasets",
    "zipfile", "tomllib", "json", "pickletools", "numpy.lib", "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
]  # fmt: skip
NAMES = (
    "toml", "map", "data", "images", "checkpoint", "weights", "mask", "index", "idx", "gzip",
    "read_weights", "state",
    "resume", "resume_spectrum", "resume_train", "dense", "rounds", "pickle", "record",
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
    log = options.folder / f"{reader}.log"
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
        content = Running.read(Path(work)) if ended else None
    if ended and content is None:
        print(f"{reader}: the worker ended outside any input, see {log}")
        return False
    if content is not None:
        name = f"fuzz-{reader}-Ended-{hashlib.sha256(content).hexdigest()[:8]}"
        (options.folder / "failures" / name).write_bytes(content)
    return True


class Running:
    """The input that is being read, in memory that outlives the process: no call of the system for
    each.
    """

    def __init__(self, work: Path) -> None:
        with (work / "running").open("wb+") as file:
            file.truncate(8 + ROOM)
            self.memory = mmap.mmap(file.fileno(), 8 + ROOM)

    def begin(self, content: bytes) -> None:
        part = content[:ROOM]
        self.memory[8 : 8 + len(part)] = part
        self.memory[:8] = (len(part) + 1).to_bytes(8, "little")

    def end(self) -> None:
        self.memory[:8] = bytes(8)

    @staticmethod
    def read(work: Path) -> bytes | None:
        """What a process that is gone was reading; None: nothing."""
        try:
            memory = (work / "running").read_bytes()
        except FileNotFoundError:
            return None
        length = int.from_bytes(memory[:8], "little")
        return memory[8 : 7 + length] if length else None


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


class TooLong(BaseException):
    """Not an Exception, of which a reader would make a sentence."""


def _raise_timeout(number: int, frame: object) -> None:
    raise TooLong


class Trial:
    """One reader under fire: it counts, keeps what failed, and goes on."""

    def __init__(
        self, reader: str, folder: Path, outcome: Callable[[str, Path, bytes], str], work: Path
    ) -> None:
        self.reader, self.folder, self.outcome, self.work = reader, folder, outcome, work
        self.counts, self.last = _counts(folder, reader), time.monotonic()
        self.running = Running(work)
        self.forms: set[str] = set()
        signal.signal(signal.SIGPROF, _raise_timeout)
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def __call__(self, content: bytes) -> bool:
        """Read one input; whether it ended in a way that none before it did."""
        self.running.begin(content)  # stays where the input ends the process
        # of this process: others may have the machine
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        form = "failed"
        try:
            form = WORDS.sub("", self.outcome(self.reader, self.work, content))
            self.counts["sentences"] += form != "result"
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self._keep(content, error)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if memory > self.memory:
            if memory - self.memory > MEMORY >> 10:
                self._keep(content, MemoryError(f"{memory - self.memory} KiB"))
            self.memory = memory
        self.running.end()
        self.counts["inputs"] += 1
        if self.counts["inputs"] % 2000 == 0:
            self.save()
        is_new = form not in self.forms
        self.forms.add(form)
        return is_new

    def save(self) -> None:
        """Write the counts down."""
        now = time.monotonic()
        self.counts["seconds"], self.last = self.counts["seconds"] + now - self.last, now
        path = self.folder / "counts" / f"{self.reader}.json"
        path.with_suffix(".new").write_text(json.dumps(self.counts))
        os.replace(path.with_suffix(".new"), path)

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


def _work(options: Any) -> None:
    """Fuzz one reader in this process."""
    guide: Any = None
    if find_spec("atheris") and not options.blind:
        import atheris as guide  # an optional tool
    with guide.instrument_imports(include=GUIDED) if guide else nullcontext():
        import mutations
        import readers
    warnings.simplefilter("ignore")
    trial = Trial(options.worker, options.folder, readers.outcome, options.work)
    end = time.monotonic() + options.seconds

    def enough() -> bool:
        return time.monotonic() > end or trial.counts["inputs"] >= options.inputs

    if guide:
        _guided(guide, trial, readers.seeds(options.worker), mutations, enough, options.seed)
    gc.collect()
    gc.freeze()  # what was imported need not be looked through again and again
    draw, seeds, pool = random.Random(options.seed), readers.seeds(options.worker), []
    while not enough():
        content = draw.choice(pool) if pool and draw.random() < 0.5 else draw.choice(seeds)
        content = mutations.changed(content, draw)
        if trial(content) and len(content) <= LONGEST and len(pool) < POOL:
            pool.append(content)
    trial.save()


def _guided(
    guide: Any,
    trial: Trial,
    seeds: tuple[bytes, ...],
    mutations: Any,
    enough: Callable[[], bool],
    seed: int,
) -> None:
    """Fuzz with atheris; the process ends here, for libFuzzer does not come back."""
    corpus = trial.folder / "corpus" / trial.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for content in seeds:
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)

    def mutated(content: bytes, longest: int, number: int) -> bytes:
        draw = random.Random(number)
        kind = draw.random()
        if kind < 0.3:
            return guide.Mutate(content, longest)
        if kind < 0.6:
            return mutations.changed(content, draw)[:longest]
        found = mutations.inside(
            content,
            lambda part: guide.Mutate(part, max(longest, len(part) + 64)),
            draw.getrandbits(24),
        )
        return found[:longest]

    def one(content: bytes) -> None:
        trial(content)
        if enough():
            trial.save()
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


if __name__ == "__main__":
    sys.exit(main())
