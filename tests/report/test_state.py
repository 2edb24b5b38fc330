"""A saved stage comes back to the bit, or is refused in one sentence: any flipped bit, another
run's, another version's.
"""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from qdescent._checks import ArgumentError
from qdescent.report import files
from qdescent.report.state import (
    STATE_FORMAT,
    fingerprint,
    load_state,
    save_state,
    saved_stages,
    whole,
)

ORIGIN = {"settings": "abc", "threads": "2"}


def test_state_comes_back_to_the_last_digit(tmp_path):
    tensors = {"theta": torch.randn(5, dtype=torch.float64), "alive": torch.tensor([True, False])}
    extra = {"round": 3, "timings": {"dense": 0.1 + 0.2}}
    path = save_state(tmp_path, "round-3", ORIGIN, tensors, extra)
    assert path == tmp_path / "state" / "round-3.safetensors"
    assert saved_stages(tmp_path) == [path]
    state = load_state(tmp_path, "round-3", ORIGIN)
    assert state is not None
    assert all(torch.equal(state.tensors[name], tensor) for name, tensor in tensors.items())
    assert (state.extra, state.origin) == (extra, ORIGIN)
    assert load_state(tmp_path, "round-4", ORIGIN) is None
    assert load_state(tmp_path / "nowhere", "round-3") is None


def test_a_bit_flipped_in_any_byte_is_refused_or_changes_nothing(tmp_path):
    tensors = {"theta": torch.arange(4.0), "count": torch.tensor([3])}
    path = save_state(tmp_path, "dense", ORIGIN, tensors, {"epoch": 7})
    content, refused = path.read_bytes(), 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            state = load_state(tmp_path, "dense", ORIGIN)
        except ArgumentError:
            refused += 1
        else:
            assert (state.extra, state.origin) == ({"epoch": 7}, ORIGIN)
            assert all(torch.equal(state.tensors[name], tensor) for name, tensor in tensors.items())
    assert refused > 0.9 * len(content)  # the rest is white space of the header


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 40, -1])
def test_a_truncated_state_says_what_to_do(tmp_path, keep):
    path = save_state(tmp_path, "dense", ORIGIN, {"w": torch.ones(50)}, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        ArgumentError, match="delete that file and resume, and the stage is computed again"
    ):
        load_state(tmp_path, "dense", ORIGIN)


def test_a_state_of_another_run_stage_or_version_is_refused(tmp_path):
    path = save_state(tmp_path, "dense", ORIGIN, {"w": torch.ones(2)}, {})
    with pytest.raises(
        ArgumentError, match="it is of another run: its settings are not this one's"
    ):
        load_state(tmp_path, "dense", {**ORIGIN, "settings": "abd"})
    with pytest.raises(ArgumentError, match="its device are not|its device"):
        load_state(tmp_path, "dense", {**ORIGIN, "device": "cuda"})
    os.rename(path, path.with_name("emulated.safetensors"))
    with pytest.raises(ArgumentError, match="it is of the stage 'dense'"):
        load_state(tmp_path, "emulated", ORIGIN)
    files.write_weights(path, {"w": torch.ones(2)})  # whole, but not a state
    with pytest.raises(ArgumentError, match="its format is 'None'"):
        load_state(tmp_path, "dense")
    old = {"format": "qdescent-state/1", "json": json.dumps({"rows": [], "extra": {"epoch": 1}})}
    save_file({"w": torch.ones(2)}, path, old)
    with pytest.raises(
        ArgumentError,
        match="its format is 'qdescent-state/1'.*go on with the version of qdescent that began it",
    ):
        load_state(tmp_path, "dense")


@pytest.mark.parametrize("left_out", ["json", "sha256"])
@pytest.mark.parametrize(
    "text",
    [None, "", "[1]", "[" * 100_000, "\x1b[31mred\n", '{"stage": 3}', '{"extra": NaN}', "9" * 5000],
)
def test_a_crafted_header_is_refused(tmp_path, left_out, text):
    path = tmp_path / "state" / "dense.safetensors"
    path.parent.mkdir()
    header = {"format": STATE_FORMAT, "json": text or "{}", "sha256": fingerprint(text or "{}", {})}
    if text is None:
        del header[left_out]
    save_file({}, path, header)
    with pytest.raises(ArgumentError, match="`state` must be a whole safetensors file") as caught:
        load_state(tmp_path, "dense")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to zeros"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "state" / "dense.safetensors"
    path.parent.mkdir()
    {"pipe": os.mkfifo, "folder": os.mkdir, "link to zeros": lambda p: os.symlink("/dev/zero", p)}[
        kind
    ](path)
    with pytest.raises(
        ArgumentError,
        match="`state` must be a whole safetensors file .* a (named pipe|pipe|directory|device)",
    ):
        load_state(tmp_path, "dense")


def test_what_a_stage_lacks_is_one_sentence(tmp_path):
    for broken in (
        lambda: {}["alpha"],
        lambda: int("x"),
        lambda: None + 1,
        lambda: [][2],
        lambda: None.x,
        lambda: 1 / 0,
    ):
        with (
            pytest.raises(ArgumentError, match="`state` must be a whole .*dense.safetensors"),
            whole(tmp_path, "dense"),
        ):
            broken()


@pytest.mark.parametrize("stage", ["", "../run", "a/b", ".hidden", "a b"])
def test_a_stage_name_stays_in_its_folder(tmp_path, stage):
    with pytest.raises(ArgumentError, match="`stage` must be a word"):
        save_state(tmp_path, stage, {}, {}, {})


def test_a_fingerprint_sees_types_shapes_names_and_order():
    zero, texts = (
        torch.zeros(2),
        [fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint("abc")],
    )
    tensors = [
        fingerprint(zero), fingerprint(zero.double()), fingerprint(zero[None]),
        fingerprint(torch.tensor([0.0, -0.0])),
        fingerprint({"a": zero}), fingerprint({"b": zero}), fingerprint(zero, zero),
        fingerprint({"a": zero, "b": zero}),
    ]  # fmt: skip
    assert len({*texts, *tensors}) == len(texts) + len(tensors)
    assert fingerprint({"a": zero, "b": zero[:1]}) == fingerprint({"b": zero[:1], "a": zero})
