"""Every number of docs/findings.md stands in a committed row: the sentence's note names the rows,
the file says with which settings and seed they were found. Figures come from the same files.
"""

import importlib.util
import json
import math
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from qdescent._evidence import Evidence, Row
from qdescent.experiment.estimate.pipeline import MEASURED_ROWS
from qdescent.experiment.reproduce.pipeline import run_reproduction
from qdescent.experiment.reproduce.settings import ReproduceSettings, preset
from qdescent.experiment.setting import load_settings
from qdescent.experiment.workspace import create_workspace
from qdescent.report.record import read_record

ROOT = Path(__file__).parent.parent
FINDINGS = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"(?<![\w.^-])[-−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?( ?%)?(?![\w])")
MADE_BY = re.compile(r"Matplotlib v[\d.]+")  # another release draws other bytes
NOTE = re.compile(r"\[\^([\w-]+)\]")


@cache
def record(name):
    """A record, or a benchmark's JSON with a row for each number, by its path."""
    path = ROOT / "results" / f"{name}.json"
    if path.exists():
        return read_record(path)
    content = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    rows = {
        place: Row(place, value, "1", Evidence.MEASURED, content["question"])
        for place, value in flattened(content)
    }
    return SimpleNamespace(rows=rows, config={})


def flattened(content, place=""):
    if isinstance(content, (int, float, str)):
        yield place, content
        return
    pairs = content.items() if isinstance(content, dict) else enumerate(content or ())
    for key, value in pairs:
        yield from flattened(value, f"{place}/{key}" if place else str(key))


def notes(text):
    """Note -> [(file, row names)]."""
    found = {}
    for name, body in re.findall(r"^\[\^([\w-]+)\]: (.*)$", text, re.MULTILINE):
        parts = re.split(r"\*\*([\w.-]+)\*\*: ", body)[1:]
        found[name] = [
            (file, re.findall(r"`([^`]+)`", rows))
            for file, rows in zip(parts[::2], parts[1::2], strict=True)
        ]
    return found


def body_of(text):
    """The text without notes, code, links' targets, formulas and headings."""
    text = re.sub(r"^\[\^[\w-]+\]: .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"^!\[.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "", text)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\]\([^)]*\)", "]", text)


def claims(text):
    """(sentence or line of a table, its notes), for all that hold a number."""
    for block in re.split(r"\n\s*\n", body_of(text)):
        lines = block.strip().splitlines()
        if lines and lines[0].startswith("|"):
            marks = NOTE.findall(block)
            rows = [line for line in lines if not re.fullmatch(r"[|\s:-]+", line)]
            yield from ((line, marks) for line in rows if NUMBER.search(NOTE.sub("", line)))
            continue
        for sentence in re.split(r"(?<=[.!?])((?:\[\^[\w-]+\])+)?\s+", " ".join(lines) + " "):
            if sentence and not NOTE.match(sentence):
                place = block.replace("\n", " ").find(sentence)
                after = block.replace("\n", " ")[place + len(sentence) :]
                marks = NOTE.findall(re.match(r"((?:\[\^[\w-]+\])*)", after).group())
                if NUMBER.search(sentence):
                    yield sentence, marks


def candidates(files):
    """Every number that the rows of a note hold, say in their source, or are called by."""
    for file, names in files:
        for value in record(file).config.values():
            yield from map(float, re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", str(value)))
        for name in names:
            row = record(file).rows[name]
            yield from map(float, re.findall(r"\d+\.?\d*", f"{row.name} {row.source}"))
            for part in (row.value, row.error):
                if isinstance(part, str):
                    yield from map(float, re.findall(r"\d+\.?\d*(?:e[-+]?\d+)?", part))
                elif isinstance(part, (list, tuple)):
                    yield from part
                    yield from range(len(part) + 1)
                elif part is not None:
                    yield float(part)


def stands(written, files):
    """Whether a number as it is written is one of the candidates, rounded to as many digits."""
    percent = written.endswith("%")
    digits = written.replace("−", "-").replace(",", "").rstrip(" %")
    value = float(digits)
    mantissa = digits.partition("e")[0]
    decimals = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(digits.partition("e")[2] or 0) - decimals)
    for each in candidates(files):
        for shown in (100 * each,) if percent and abs(each) <= 100 else (each, -each):
            if math.isfinite(shown) and abs(shown - value) <= 0.5001 * unit:
                return True
        if percent and not decimals and each == value:  # "99 %" in a source
            return True
    return False


def wrong(text, right=()):
    """What is claimed without a row; `right`: claims that were looked up before."""
    known = notes(text)
    faults = []
    for sentence, marks in claims(text):
        if (sentence, marks) in right:
            continue
        if not marks or any(mark not in known for mark in marks):
            faults.append(f"no note: {sentence}")
            continue
        files = [each for mark in marks for each in known[mark]]
        for found in NUMBER.finditer(NOTE.sub("", sentence)):
            if not stands(found.group(), files):
                faults.append(f"{found.group()} in {sentence}")
    return faults


def test_every_number_stands_in_a_committed_row():
    assert wrong(FINDINGS) == []
    assert len(list(claims(FINDINGS))) > 15


def test_a_planted_wrong_number_is_found():
    """Each number that is shown with three digits, changed in its last one."""
    body, mark, rest = FINDINGS.partition("## Notes")
    body = body_of(body)
    shown = [m.group() for m in NUMBER.finditer(body) if len(re.findall(r"\d", m.group())) >= 3]
    assert len(shown) > 10
    right, missed = list(claims(FINDINGS)), []
    for number in shown:
        digits = re.sub(r"[ %]", "", number)
        changed = digits[:-1] + str((int(digits[-1]) + 5) % 10)
        planted = FINDINGS.partition(mark)[0].replace(digits, changed) + mark + rest
        if not wrong(planted, right):
            missed.append(number)
    assert len(missed) <= len(shown) // 10, missed


def test_the_readme_says_what_is_found():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("**What it found so far**")[2].partition("![")[0]
    numbers = [match.group() for match in NUMBER.finditer(body_of(block))]
    assert len(numbers) > 8
    assert [each for each in numbers if each not in body_of(FINDINGS)] == []


def test_the_notes_name_rows_that_are_there():
    for files in notes(FINDINGS).values():
        assert files
        for file, names in files:
            assert names
            assert all(name in record(file).rows for name in names), (file, names)


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("results", ROOT / "tools/results/__main__.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_figures_and_means_are_made_from_the_committed_rows(made, tmp_path):
    found = made.results()
    made.draw(found, tmp_path)
    for path in tmp_path.iterdir():
        committed = ROOT / "docs" / "figures" / path.name
        assert path.name in FINDINGS
        if MADE_BY.findall(committed.read_text()) == MADE_BY.findall(path.read_text()):
            assert committed.read_text() == path.read_text(), path.name
    again = {made.AUTHORS: made.authors_record()}
    for name, seeds in made.MEANS.items():
        again[name] = made.mean_record(name, seeds, found)
    for name, expected in again.items():
        assert record(name).rows == expected.rows


def test_the_points_on_the_ledgers_map_are_committed_rows():
    files = {"CNN": "small", "7M": "7M-costs", "MiniLM": "MiniLM", "103M": "103M-costs"}
    assert [name for name, _, _ in MEASURED_ROWS] == list(files)
    for name, kept, entries in MEASURED_ROWS:
        rows = record(files[name]).rows
        assert kept == rows["network/kept"].value
        carrying = rows["sparsity/carrying_99_percent/mean"].value
        assert entries == pytest.approx(carrying, rel=1e-3)


@pytest.mark.slow
def test_a_fresh_run_of_the_smallest_configuration_is_within_the_committed_one(tmp_path):
    """As far from the committed seed as seeds are from each other, three standard deviations."""
    settings = load_settings(ReproduceSettings, preset("small"), {"measure": "spectra,truncation"})
    fresh = run_reproduction(create_workspace(tmp_path / "run", settings)).rows
    committed, spread = record("small").rows, record("small-seeds").rows
    compared = 0
    for row in spread:
        if row.name not in fresh or not isinstance(row.value, float):
            continue
        allowed = 3 * float(row.error) + 1e-6
        assert abs(fresh.number(row.name) - committed.number(row.name)) <= allowed, row.name
        compared += 1
    assert compared > 30
