"""A sample of what `make fuzz` does for as long as it is let: changed files of every kind, each a
result or a sentence.
"""

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "tools" / "fuzz"
INPUTS = 60  # of each reader


def module(name: str):
    spec = importlib.util.spec_from_file_location(f"fuzz_{name.strip('_')}", FUZZ / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def fuzz():
    pytest.importorskip("PIL.Image")
    return module("readers"), module("__main__")


@pytest.mark.parametrize("reader", module("__main__").NAMES)
def test_changed_files_end_in_a_result_or_a_sentence(reader, fuzz, tmp_path):
    readers, driver = fuzz
    draw = random.Random(reader)
    assert any(
        readers.outcome(reader, tmp_path, seed) == "result" for seed in readers.seeds(reader)
    )
    for _ in range(INPUTS):
        content = driver.changed(draw.choice(readers.seeds(reader)), draw, readers.inside)
        readers.outcome(reader, tmp_path, content)


def test_every_reader_has_its_name(fuzz):
    readers, driver = fuzz
    assert tuple(readers.READERS) == driver.NAMES


def test_a_reader_that_fails_is_found(fuzz, tmp_path):
    _, driver = fuzz

    def planted(reader: str, folder: Path, content: bytes) -> str:
        if b"[[" in content:
            raise IndexError("planted")
        return "result"

    (tmp_path / "failures").mkdir()
    (tmp_path / "counts").mkdir()
    trial = driver.Trial("toml", tmp_path, planted, tmp_path)
    for content in (b"a = 1", b"a = [[", b"a = [[["):
        trial(content)
    trial.end()
    kept = [path for path in (tmp_path / "failures").iterdir() if path.suffix != ".txt"]
    assert [path.read_bytes() for path in kept] == [b"a = [["]
    assert json.loads((tmp_path / "counts" / "toml.json").read_text())["inputs"] == 3


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
