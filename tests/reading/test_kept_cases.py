"""Inputs that once ended in a traceback, a hang or gigabytes, read again: each ends in a result or
in one sentence.
"""

import resource
import time
from pathlib import Path

import pytest

pytest.importorskip("PIL.Image")
import readers

CASES = sorted((Path(__file__).parent / "cases").iterdir())


def reader_of(name: str) -> str:
    """`fuzz-map-IndexError-...`: the second word is the reader."""
    return name.split("-")[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_kept_case_ends_in_a_result_or_a_sentence(case, tmp_path):
    start, memory = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    readers.outcome(reader_of(case.name), tmp_path, case.read_bytes())
    assert time.perf_counter() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 1 << 20  # KiB, so a GiB


@pytest.mark.parametrize(
    "reader", ["toml", "map", "data", "images", "checkpoint", "weights", "mask", "index"]
)
def test_every_reader_refuses_what_it_does_not_know(reader, tmp_path):
    for content in (b"", b"\0" * 64, b"PK\x03\x04", b"\x80\x02.", b"[[[[", bytes(range(256))):
        assert reader == "toml" or readers.outcome(reader, tmp_path, content) != "result"
