"""What the command line prints of a job that is done: a table, or `--json`."""

import csv
import errno
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent._terminal import outcome, sentences
from qdescent._terminal.outcome import Bars, print_outcome
from qdescent._terminal.sentences import ends_in_words, importing
from qdescent.cli import app
from qdescent.report.record import read_record

SOURCE = ["my_project:build_network", "--data", "my_project:load_batch"]
pytestmark = pytest.mark.usefixtures("project")


@pytest.mark.parametrize(
    "words",
    [
        ["spectrum", *SOURCE, "--steps", "3", "--rows", "2"],
        ["circuit", "map.npz", "--order", "1", "--steps", "1", "--padding", "0", "--epsilon", ".1"],
    ],
)
def test_json_alone_is_on_standard_output_and_holds_the_records_rows(words, tmp_path):
    np.savez("map.npz", F0=[0.1], F1=[[0.5]])
    result = CliRunner().invoke(app, [*words, "--json", "--out", "o"])
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert (content["command"], content["directory"]) == (words[0], "o")
    assert (tmp_path / content["page"]).is_file()
    record = read_record("o")
    assert {"Verdict", "Outcome"} & {row["label"] for row in content["rows"]}
    for row in content["rows"]:
        assert row["source"]
        if row["name"] != "proxy/total" and row["name"] in record.rows:  # there the last of a curve
            assert Row.from_json(row) == record.rows[row["name"]]
    with Path("o/rows.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == list(record.rows.names)
    assert "s  " in result.stderr  # a line a stage


def test_every_subcommand_takes_json():
    assert len(app.commands) == 6
    for name, each in app.commands.items():
        assert "--json" in {flag for given in each.params for flag in given.opts}, name


def test_a_table_has_the_numbers_and_a_sentence_each_text(capsys, tmp_path):
    rows = [
        ("kept weights", Row("a", 1234, "weights", Evidence.EXACT, "x")),
        ("Verdict", Row("b", "[red]not[/red] dissipative", "", Evidence.MEASURED, "x")),
    ]
    print_outcome("run", 61.4, rows, tmp_path / "p.html", as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("qdescent run, 61 s ")
    assert "Verdict: [red]not[/red] dissipative.\n" in said
    assert f"Page: {tmp_path / 'p.html'}" in said.replace("\n", "")
    print_outcome("run", 61.4, rows, tmp_path / "p.html", as_json=True)
    assert [row["value"] for row in json.loads(capsys.readouterr().out)["rows"]] == [
        1234,
        "[red]not[/red] dissipative",
    ]


def test_bars_speak_on_standard_error_only(capsys):
    bars = Bars()
    bars.start("Spectrum", 2)
    bars.advance()
    bars.finish("[b]done[/b]")
    assert capsys.readouterr().out == ""


def test_a_log_is_told_now_and_then_where_a_long_stage_stands(capsys, monkeypatch):
    monkeypatch.setattr(outcome, "SILENCE", 0.05)
    with Bars() as bars:
        bars.start("Rounds", 3)
        bars.advance()
        time.sleep(0.4)
    said = capsys.readouterr().err.splitlines()
    assert 1 <= len(said) <= 3  # each silence is twice as long as the one before
    assert said[0].startswith("Rounds ")
    assert said[0].endswith("so far, 1 of 3")
    monkeypatch.setattr(outcome, "SILENCE", 10.0)
    with Bars() as bars:
        bars.start("Rounds", 3)
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_that_imports_and_what_lies_between_stages_go_on(capsys, monkeypatch):
    with importing():
        assert capsys.readouterr().err == ""  # in a log a bad argument stays the only line
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with importing():
        assert capsys.readouterr().err == sentences.IMPORTING
    assert capsys.readouterr().err == "\r\x1b[K"
    monkeypatch.setattr(outcome, "error_console", Console(stderr=True, force_terminal=True))
    with Bars() as bars:
        assert [task.description for task in bars.progress.tasks] == ["Loading"]
        bars.start("Rounds", 3)
        assert [task.description for task in bars.progress.tasks] == ["Rounds"]
        bars.finish("done")
        assert [task.description for task in bars.progress.tasks] == ["Rounds", "Writing"]
    assert [task.description for task in bars.progress.tasks] == ["Rounds"]  # what stays
    assert "Loading" in capsys.readouterr().err


def test_what_a_network_prints_is_no_part_of_the_outcome(capsys):
    with Bars():
        print("of a network")
    print("the outcome")
    said = capsys.readouterr()
    assert said.out == "the outcome\n"
    assert "of a network" in said.err


def test_from_a_directory_that_was_removed_nothing_is_imported(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ArgumentError, match="still exists"), importing():
        raise AssertionError("PyTorch would end the process here")


def test_a_standard_output_that_is_full_is_not_blamed_on_the_directory(
    tmp_path, capsys, monkeypatch
):
    rows = [("kept weights", Row("a", 1234, "weights", Evidence.EXACT, "x"))]
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(outcome, "_print_outcome", raising(full))
    for as_json in (True, False):
        with pytest.raises(click.exceptions.Exit) as end:
            print_outcome("run", 1.0, rows, tmp_path / "p.html", as_json)
        assert end.value.exit_code == 2
        said = capsys.readouterr().err
        assert "Standard output cannot be written (No space left on device)." in said
        assert f"The results are whole: {tmp_path}" in said


def raising(error):
    def work(*args, **kwargs):
        raise error

    return work


@pytest.mark.parametrize("code", [0, None, 3, "text"])
def test_code_of_the_users_that_ends_the_program_is_told(code, tmp_path, capsys):
    with pytest.raises(click.exceptions.Exit) as end, ends_in_words(tmp_path / "o", "again"):
        raise SystemExit(code)
    assert end.value.exit_code == 2
    assert f"ended the program (sys.exit({code!r}))." in capsys.readouterr().err


def test_a_log_that_is_full_ends_no_measurement(monkeypatch):
    monkeypatch.setattr(outcome.error_console, "print", raising(OSError(errno.ENOSPC, "full")))
    bars = Bars()
    bars.start("stage", 1)
    bars.finish("done")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.00 GiB for an array"),
        RuntimeError("[enforce] DefaultCPUAllocator: not enough memory: allocate 48000 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_that_is_not_there_ends_in_a_sentence_with_the_way_on(error, tmp_path, capsys):
    (tmp_path / "o").mkdir()
    with pytest.raises(click.exceptions.Exit), ends_in_words(tmp_path / "o", "again"):
        raise error
    said = capsys.readouterr().err
    assert "Out of memory (" in said
    assert "were asked for). A smaller batch" in said
    assert "Nothing was saved yet" in said
    with pytest.raises(RuntimeError, match="a fault"), ends_in_words(tmp_path / "o", "again"):
        raise RuntimeError("a fault")


def test_a_directory_that_cannot_be_made_is_not_said_to_be_whole(tmp_path, capsys):
    for name, number in (("a" * 300, errno.ENAMETOOLONG), ("o", errno.EACCES)):
        with pytest.raises(click.exceptions.Exit), ends_in_words(tmp_path / name, "again"):
            raise OSError(number, os.strerror(number), name)
        assert "Nothing was begun: choose another directory" in capsys.readouterr().err
    with pytest.raises(click.exceptions.Exit), ends_in_words(tmp_path / "o", "again"):
        raise OSError(errno.ENOSPC, "No space left on device", "o")
    assert "Nothing was saved yet: give the same command again." in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_without_unicode_shows_every_number(encoding):
    """As an old cluster's or a pipe of Windows: a minus stays one, and there is no traceback."""
    code = (
        "from qdescent._terminal.streams import usable_streams; usable_streams();"
        " from rich.console import Console;"
        " Console(width=70).print('\u22123.2 \xb1 0.1 \u2192 \u2603')"
    )
    root = str(Path(outcome.__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={**os.environ, "PYTHONPATH": root, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    said = result.stdout.decode(encoding).strip()
    shown = {"ascii": "-3.2 +- 0.1 -> \\u2603", "utf-8": "−3.2 ± 0.1 → ☃"}
    assert said == shown.get(encoding, "-3.2 ± 0.1 -> \\u2603")


def test_closed_streams_and_a_terminal_of_no_width():
    """As cron and daemons start a program: the number of a closed stream goes to no other file."""
    code = (
        "import os, sys; from qdescent._terminal.streams import usable_streams; usable_streams();"
        " print('nowhere'); sys.stdout.flush();"
        " sys.exit(10 * ('COLUMNS' in os.environ) + (os.open(os.devnull, os.O_RDONLY) < 3))"
    )
    root = shlex.quote(str(Path(outcome.__file__).parents[2]))
    python = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    shell = f"COLUMNS=0 PYTHONPATH={root} {python} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", shell], check=False).returncode == 0
