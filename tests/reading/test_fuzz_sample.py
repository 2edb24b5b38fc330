"""A sample of what `make fuzz` does for as long as it is let: changed files of every kind, each a
result or a sentence.
"""

import importlib.util
import io
import json
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("PIL.Image")
import mutations
import readers

from qdescent.report.state import fingerprint

FUZZ = Path(readers.__file__).parent
INPUTS = 60  # of each reader


@pytest.fixture(scope="module")
def driver():
    spec = importlib.util.spec_from_file_location("fuzz_driver", FUZZ / "__main__.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def trial_of(driver, tmp_path, outcome):
    for name in ("failures", "counts"):
        (tmp_path / name).mkdir(exist_ok=True)
    return driver.Trial("toml", tmp_path, outcome, tmp_path)


def kept(tmp_path):
    return [path for path in (tmp_path / "failures").iterdir() if path.suffix != ".txt"]


@pytest.mark.parametrize("reader", readers.READERS)
def test_changed_files_end_in_a_result_or_a_sentence(reader, tmp_path):
    draw = random.Random(reader)
    assert any(
        readers.outcome(reader, tmp_path, seed) == "result" for seed in readers.seeds(reader)
    )
    for _ in range(INPUTS):
        content = mutations.changed(draw.choice(readers.seeds(reader)), draw)
        readers.outcome(reader, tmp_path, content)


def test_every_reader_has_its_name(driver):
    assert tuple(readers.READERS) == driver.NAMES


def test_what_guards_a_changed_part_is_right_again():
    """Read by the libraries themselves: a wrong checksum or length would end there."""
    seen = {"zip": 0, "safetensors": 0, "state": 0}
    draw = random.Random(1)
    array = next(seed for seed in readers.seeds("map") if seed[:2] == b"PK")
    weights, state = readers.seeds("weights")[0], readers.seeds("resume")[0]
    for number in range(200):
        found = mutations.inside(array, lambda part: part[::-1], number)
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            seen["zip"] += archive.testzip() is None
        found = mutations.inside(weights, lambda part: part, 2 + 3 * number)
        length = int.from_bytes(found[:8], "little")
        ends = [each["data_offsets"][1] for each in json.loads(found[8 : 8 + length]).values()]
        seen["safetensors"] += max(ends, default=0) == len(found) - 8 - length
        found = mutations.inside(state, lambda part: mutations.json_changed(part, draw), 39)
        length = int.from_bytes(found[:8], "little")
        about = json.loads(found[8 : 8 + length])["__metadata__"]
        seen["state"] += about["sha256"] == fingerprint(about["json"], {})
    assert seen == {"zip": 200, "safetensors": 200, "state": 200}


def test_a_changed_state_reaches_what_is_behind_its_checksum(tmp_path):
    draw = random.Random(2)
    said = [
        readers.outcome("resume", tmp_path, mutations.inside(
            readers.seeds("resume")[0], lambda part: mutations.json_changed(part, draw), 39
        ))
        for n in range(50)
    ]  # fmt: skip
    assert not any("checksum" in each for each in said)
    assert len(set(said)) > 10


def test_a_reader_that_fails_is_found(driver, tmp_path):
    def planted(reader: str, folder, content: bytes) -> str:
        if b"[[" in content:
            raise IndexError("planted")
        return "result"

    trial = trial_of(driver, tmp_path, planted)
    news = [trial(content) for content in (b"a = 1", b"a = 2", b"a = [[", b"a = [[[")]
    trial.save()
    assert news == [True, False, True, False]
    assert [path.read_bytes() for path in kept(tmp_path)] == [b"a = [["]
    assert json.loads((tmp_path / "counts" / "toml.json").read_text())["inputs"] == 4


def test_a_reader_that_takes_too_long_or_too_much_is_found(driver, tmp_path, monkeypatch):
    """Also where the reader makes a sentence of whatever it meets."""

    def planted(reader: str, folder, content: bytes) -> str:
        try:
            if content == b"memory":
                peak.ru_maxrss += 3 << 20
            until = time.process_time() + 5
            while content == b"time" and time.process_time() < until:
                pass
        except Exception:
            return "a sentence"
        return "result"

    monkeypatch.setattr(driver, "SECONDS", 0.2)
    peak = SimpleNamespace(ru_maxrss=100 << 10)  # KiB
    monkeypatch.setattr(driver.resource, "getrusage", lambda whose: peak)
    trial = trial_of(driver, tmp_path, planted)
    for content in (b"good", b"time", b"memory"):
        trial(content)
    assert {path.read_bytes() for path in kept(tmp_path)} == {b"time", b"memory"}


def test_an_input_that_ends_the_process_is_known(driver, tmp_path):
    running = driver.Running(tmp_path)
    assert driver.Running.read(tmp_path) is None
    for content in (b"", b"xyz", b"a" * 100):
        running.begin(content)
        assert driver.Running.read(tmp_path) == content
        running.end()
        assert driver.Running.read(tmp_path) is None


@pytest.mark.slow
def test_the_command_counts_and_goes_on(tmp_path):
    command = [
        sys.executable,
        str(FUZZ),
        "--blind",
        "--readers",
        "idx",
        "--seconds",
        "60",
        "--folder",
        str(tmp_path),
        "--seed",
        "1",
    ]
    for most in (500, 1000):
        ended = subprocess.run(
            [*command, "--inputs", str(most)], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert f"idx: {most:,} inputs" in ended.stdout
