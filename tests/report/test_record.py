"""What a run leaves on disk comes back as it was, or is refused with one sentence."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.report import files
from qdescent.report import record as disk
from qdescent.report.record import Record
from qdescent.report.reservation import refuse_whole
from qdescent.report.state import save_state, saved_stages
from qdescent.rows.collection import MissingRowError


def a_row(name="a/b", value=1.0, **fields):
    return Row(name, value, "1", Evidence.EXACT, "a test", **fields)


def test_a_record_comes_back_to_the_last_digit(record, tmp_path):
    odd = a_row(
        "odd/values", [0.1 + 0.2, float("inf"), 5e-324, -0.0], error=[1e-300, 0.0, 0.0, 0.0]
    )
    written = replace(record, rows=(*record.rows, odd))
    path = disk.write_record(written, tmp_path / "runs" / "x")
    assert path.name == "run.json"
    assert disk.read_record(path) == disk.read_record(path.parent) == written
    assert json.loads(path.read_text())["format"] == "qdescent-run/1"


def test_a_clock_never_becomes_a_row(record, tmp_path):
    timings: dict[str, float] = {}
    for _ in range(2):
        with disk.stopwatch(timings, "stage"):
            pass
    slower = replace(record, timings=timings)
    assert timings["stage"] > 0
    assert slower.rows == record.rows
    assert slower.timings != record.timings


def test_rows_are_looked_up_by_name(record):
    assert record.rows["network/kept"].value == 10_603
    assert "network/kept" in record.rows
    assert "network/keep" not in record.rows
    assert {row.name for row in record.rows.section("readout/")} == {
        "readout/error_by_round", "readout/expected_error_by_round", "readout/shots",
    }  # fmt: skip
    with pytest.raises(MissingRowError, match=r"is 'network/keep' \(near it: network/kept"):
        record.rows["network/keep"]


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"rows": (0.5,)}, "without evidence is an error"),
        ({"rows": (a_row(), a_row())}, "every name once, but is given 'a/b' twice"),
        ({"config": {"device": torch.device("cpu")}}, "`config` must hold JSON types only"),
        ({"config": {"rate": float("nan")}}, "`config` must hold JSON types only"),
        ({"name": ""}, "`name` must be a text"),
        ({"seed": -1}, "`seed` must be an integer"),
    ],
)
def test_a_record_refuses(fields, match):
    good = {"name": "x", "config": {}, "seed": 0, "versions": {}, "rows": ()}
    with pytest.raises(ArgumentError, match=match):
        Record(**{**good, **fields})


def test_a_row_holds_nothing_that_json_cannot_hold():
    with pytest.raises(
        ArgumentError, match="`value` must be a number, a text, .*, but is a tensor of shape"
    ):
        a_row(value=torch.ones(2))


@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, -2])
def test_a_truncated_record_is_refused(record, tmp_path, keep):
    path = disk.write_record(record, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(
        ArgumentError, match=r"must be a whole qdescent-run/1 file, but is '.*', which is not JSON"
    ):
        disk.read_record(path)


def planted(change):
    """A good file with one thing wrong."""
    row = {
        "name": "a/b",
        "value": 1.0,
        "unit": "1",
        "evidence": "exact",
        "source": "s",
        "error": None,
    }
    content = {
        "format": "qdescent-run/1",
        "name": "x",
        "seed": 0,
        "config": {},
        "versions": {},
        "timings": {},
        "rows": [row],
    }
    change(content, row)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[1, 2]", "has the format 'list'"),
        (
            planted(lambda file, row: file.update(format="qdescent-run/9")),
            "has the format 'qdescent-run/9'",
        ),
        (planted(lambda file, row: file.pop("seed")), "has no 'seed'"),
        (planted(lambda file, row: file.update(rows={})), "'rows' that is not a list"),
        (planted(lambda file, row: file["rows"].append(3)), "row 1 has no name"),
        (planted(lambda file, row: row.pop("evidence")), "row 'a/b': .*must hold 'evidence'"),
        (
            planted(lambda file, row: row.update(evidence="guessed")),
            "'guessed' is not a valid Evidence",
        ),
        (planted(lambda file, row: row.update(evidence=["exact"])), "row 'a/b'"),
        (planted(lambda file, row: row.update(source="")), "say where 'a/b' comes from"),
        (
            planted(lambda file, row: row.update(value={"a": 1})),
            "row 'a/b': .*must be those of a row",
        ),
        (
            planted(lambda file, row: row.update(value=["<script>"])),
            "row 'a/b': .*must be those of a row",
        ),
        (
            planted(lambda file, row: row.update(error="much")),
            "row 'a/b': .*must be those of a row",
        ),
        (planted(lambda file, row: row.update(unit=4)), "row 'a/b': .*must be those of a row"),
        ("[" * 100_000, "is not JSON"),
        ('{"format": ' + "9" * 5000 + "}", "is not JSON"),
        ("\ud800", "is not JSON"),
    ],
)
def test_a_hostile_record_is_refused_with_one_sentence(tmp_path, text, match):
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ArgumentError, match=match):
        disk.read_record(path)


def test_the_planted_file_is_good_when_nothing_is_wrong(tmp_path):
    (tmp_path / "run.json").write_text(planted(lambda file, row: None))
    assert disk.read_record(tmp_path).rows["a/b"].value == 1.0


def test_no_file_is_an_argument_error(tmp_path):
    with pytest.raises(ArgumentError, match="where there is none"):
        disk.read_record(tmp_path / "nothing.json")
    with pytest.raises(ArgumentError, match="where there is none"):
        files.read_weights(tmp_path / "nothing.safetensors")


def test_only_a_directory_with_its_record_is_whole(record, tmp_path, monkeypatch):
    files.write_weights(tmp_path / disk.WEIGHTS_FILE, {"w": torch.ones(2)})
    save_state(tmp_path, "dense", {}, {}, {})
    assert not disk.is_complete(tmp_path)
    with monkeypatch.context() as patch:  # the machine stops between the write and the rename
        patch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            disk.write_record(record, tmp_path)
    assert not disk.is_complete(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "weights.safetensors"]
    for half in (b"", b'{"format": "qdescent-run/1", "rows": [', b"[]", b"3", b"\x00" * 8):
        (tmp_path / "run.json").write_bytes(half)  # as a copy on a full disk leaves it
        assert not disk.is_complete(tmp_path)
        refuse_whole(tmp_path, "run")  # tidies only what is whole
        assert saved_stages(tmp_path)
    disk.write_record(record, tmp_path)
    assert disk.is_complete(tmp_path)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = files.write_weights(tmp_path / "w.safetensors", {"w": torch.zeros(3)})
    monkeypatch.setattr(files, "raw_bytes", lambda tensor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        files.write_weights(path, {"w": torch.ones(3)})
    assert files.read_weights(path)["w"].tolist() == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [path]


def test_weights_come_back_exactly_even_when_they_share_memory(tmp_path):
    flat = torch.randn(6, dtype=torch.float64, requires_grad=True)
    tensors = {
        "flat": flat,
        "view": flat[:4].view(2, 2).T,
        "mask": flat > 0,
        "empty": torch.empty(0),
    }
    found = files.read_weights(files.write_weights(tmp_path / "w.safetensors", tensors))
    assert found.keys() == tensors.keys()
    (tmp_path / "plain").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert all(
        torch.equal(found[name], tensors[name]) and found[name].dtype == tensors[name].dtype
        for name in found
    )


@pytest.mark.parametrize("damage", ["truncated", "header only", "empty", "pickle", "torch"])
def test_damaged_weights_are_refused(tmp_path, damage):
    path = files.write_weights(tmp_path / "w.safetensors", {"w": torch.ones(100)})
    content = path.read_bytes()
    if damage == "torch":
        torch.save({"w": torch.ones(2)}, path)
    else:
        path.write_bytes(
            {
                "truncated": content[:-8],
                "header only": content[:20],
                "empty": b"",
                "pickle": pickle.dumps([1]),
            }[damage]
        )
    with pytest.raises(
        ArgumentError, match=r"`path` must be a whole safetensors file .* cannot be used"
    ):
        files.read_weights(path)


def test_versions_name_the_packages_behind_the_numbers():
    versions = disk.installed_versions()
    assert versions["torch"] == torch.__version__ or versions["torch"] in torch.__version__
    assert {"python", "qdescent", "numpy", "qualtran"} <= versions.keys()
