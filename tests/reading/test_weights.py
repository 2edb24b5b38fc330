"""Checkpoints that claim more than they hold, run code or lose parts are refused; folders of
Hugging Face are read.
"""

import json
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.experiment.sources import load_mask, load_weights
from qdescent.reading.checkpoint import CheckpointError, walk
from qdescent.reading.tensors import read_safetensors


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


def shifted() -> dict[str, torch.Tensor]:
    return {name: tensor + 1 for name, tensor in network().state_dict().items()}


def holds(found: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_both_formats_of_torch_save_are_read(tmp_path, zipped, dtype):
    state = {name: tensor.to(dtype) for name, tensor in shifted().items()}
    content = {
        "state_dict": OrderedDict(state), "epoch": 3, "lr": 0.1, "size": torch.Size([2]),
        "device": torch.device("cpu"),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0), "half": torch.ones(2)[1:]}},
                      "kind": torch.float32},
    }  # fmt: skip
    torch.save(content, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    found = network()
    load_weights(found, tmp_path / "w.pt")
    assert holds(found, {name: tensor.float() for name, tensor in state.items()})


def test_views_parameters_and_shared_storages_are_read(tmp_path):
    state = shifted()
    whole = torch.arange(24.0).reshape(4, 6)
    state["0.weight"] = whole.t()[:3]  # not contiguous
    state["0.bias"] = whole[0, :3]  # of the same storage
    state["2.bias"] = nn.Parameter(state["2.bias"])
    torch.save(state, tmp_path / "w.pt")
    found = network()
    load_weights(found, tmp_path / "w.pt")
    assert holds(found, state)


def rebuilt(tmp_path, change):
    """A checkpoint whose pickle was changed by hand."""
    torch.save(shifted(), tmp_path / "good.pt")
    with (
        zipfile.ZipFile(tmp_path / "good.pt") as old,
        zipfile.ZipFile(tmp_path / "w.pt", "w") as new,
    ):
        for member in old.infolist():
            part = old.read(member)
            new.writestr(
                member.filename, change(part) if member.filename.endswith("data.pkl") else part
            )
    return tmp_path / "w.pt"


def test_the_hand_made_checkpoint_is_good_where_nothing_is_changed(tmp_path):
    found = network()
    load_weights(found, rebuilt(tmp_path, lambda part: part))
    assert holds(found, shifted())


@pytest.mark.parametrize(
    "change",
    [
        # a shape of terabytes
        lambda part: part.replace(b"K\x03K\x04\x86", b"J\xff\xff\xff\x7fK\x04\x86", 1),
        lambda part: part.replace(b"K\x0ct", b"J\xff\xff\xff\x7ft", 1),  # a storage of terabytes
        # strides beyond the storage
        lambda part: part.replace(b"K\x04K\x01\x86", b"K\x7fK\x01\x86", 1),
        # numbers of twice the length
        lambda part: part.replace(b"FloatStorage", b"DoubleStorage", 1),
        lambda part: part.replace(b"_rebuild_tensor_v2", b"_rebuild_meta_tensor_no_storage", 1),
        lambda part: part.replace(b"ctorch._utils\n_rebuild_tensor_v2", b"cos\nsystem", 1),
        lambda part: part[:-1],
        lambda part: part[: len(part) // 2],
        lambda part: b"",
        lambda part: b"\x80\x02" + b")" + b"\x85" * 100_000 + b".",  # a tuple in a tuple in a tuple
        # the same as a key: to hash it ends the process
        lambda part: b"\x80\x02}" + b")" + b"\x85" * 100_000 + b"Ns.",
        lambda part: b"\x80\x02" + b"}0" * 500_000 + b".",
        lambda part: b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",  # memory for nothing
    ],
    ids=range(13),
)
def test_a_pickle_that_claims_too_much_is_refused(tmp_path, change):
    with pytest.raises(
        ArgumentError, match="`weights` must be a safetensors file, or a checkpoint"
    ):
        load_weights(network(), rebuilt(tmp_path, change))


def test_packed_and_scripted_archives_are_refused(tmp_path):
    torch.save(shifted(), tmp_path / "good.pt")
    with (
        zipfile.ZipFile(tmp_path / "good.pt") as old,
        zipfile.ZipFile(tmp_path / "w.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(ArgumentError, match="is packed"):
        load_weights(network(), tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "good.pt", "a") as archive:
        archive.writestr("good/constants.pkl", b"")
    with pytest.raises(ArgumentError, match="TorchScript"):
        load_weights(network(), tmp_path / "good.pt")


def test_a_memo_of_four_billion_places_takes_one():
    assert walk(b"\x80\x02}r\xff\xff\xff\xff.") == ({}, 9)


def test_a_pickle_is_walked_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    for protocol in range(6):
        with pytest.raises(CheckpointError, match="pickled code"):
            walk(pickle.dumps({"w": Bomb()}, protocol=protocol))
    assert not (tmp_path / "ran").exists()


def test_imaginary_parts_and_nan_are_not_lost(tmp_path):
    state = shifted()
    save_file({**state, "0.bias": state["0.bias"].to(torch.complex64)}, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="complex at '0.bias', where the network is real"):
        load_weights(network(), tmp_path / "w.safetensors")
    save_file({**state, "0.bias": state["0.bias"] * torch.nan}, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="`weights 0.bias` must be finite"):
        load_weights(network(), tmp_path / "w.safetensors")


def test_types_that_cannot_be_computed_with_are_refused_at_the_door(tmp_path):
    bits, sparse = torch.zeros(3, dtype=torch.uint8), torch.eye(3).to_sparse()
    for number, value in enumerate(
        (bits.view(torch.float4_e2m1fn_x2), sparse, torch.zeros(3, dtype=torch.bits8))
    ):
        torch.save({"0.bias": value}, tmp_path / "w.pt")
        with pytest.raises(ArgumentError, match="numbers, but is .* at '0.bias'|damaged|code"):
            load_weights(network(), tmp_path / "w.pt")
        if not number:
            save_file({"0.bias": value}, tmp_path / "w.safetensors")
            with pytest.raises(ArgumentError, match="which holds torch.float4_e2m1fn_x2 at '0.bi"):
                load_weights(network(), tmp_path / "w.safetensors")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16])
def test_pruned_weights_of_any_type_are_taken_over(dtype, tmp_path):
    """PyTorch multiplies some types by no mask: they are the network's own before that."""
    state = {name: torch.ones_like(tensor) for name, tensor in network().state_dict().items()}
    state["0.weight_orig"] = (2 * state.pop("0.weight")).to(dtype)
    state["0.weight_mask"] = torch.eye(3, 4)
    save_file(state, tmp_path / "w.safetensors")
    found = network()
    assert (
        load_weights(found, tmp_path / "w.safetensors").kept == 3 + 3 + 6 + 2
    )  # of 12, the biases whole
    assert found.state_dict()["0.weight"].tolist() == (2 * torch.eye(3, 4)).tolist()


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint16, torch.int64])
@pytest.mark.parametrize("name", ["0.weight", "0.weight_orig"])
def test_integers_in_the_place_of_weights_are_refused(dtype, name, tmp_path):
    state = network().state_dict()
    state[name] = torch.ones(3, 4).to(dtype)
    if name == "0.weight_orig":
        state["0.weight_mask"] = torch.ones(3, 4)
        del state["0.weight"]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=r"integers \(u?int\d+\) at '0.weight', as quantised"):
        load_weights(network(), tmp_path / "w.safetensors")


def test_masks_and_weights_of_prune_that_would_be_broadcast_are_refused(tmp_path):
    state = shifted()
    weight = state.pop("0.weight")
    torch.save(
        {**state, "0.weight_orig": weight, "0.weight_mask": torch.ones(3, 1)}, tmp_path / "w.pt"
    )
    with pytest.raises(ArgumentError, match=r"of shape \(3, 1\) at '0.weight'"):
        load_weights(network(), tmp_path / "w.pt")


@pytest.fixture
def folder(tmp_path):
    """Weights in two files with their index, as Hugging Face's libraries write them."""
    names = sorted(shifted())
    for number, part in enumerate((names[:2], names[2:])):
        save_file(
            {name: shifted()[name] for name in part}, tmp_path / f"model-{number}.safetensors"
        )
    places = {
        name: f"model-{number}.safetensors"
        for number, part in enumerate((names[:2], names[2:]))
        for name in part
    }
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places})
    )
    return tmp_path


def test_a_folder_of_hugging_face_is_read_whole_in_parts_and_as_a_checkpoint(
    folder, tmp_path_factory
):
    found = network()
    load_weights(found, folder)
    assert holds(found, shifted())
    for name, write in (("model.safetensors", save_file), ("pytorch_model.bin", torch.save)):
        other = tmp_path_factory.mktemp("hf")
        write(shifted(), other / name)
        found = network()
        load_weights(found, other)
        assert holds(found, shifted())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "has no `weight_map`"),
        ('{"weight_map": {}}', "has no `weight_map`"),
        ('{"weight_map": {"0.bias": 3}}', "has no `weight_map`"),
        ('{"weight_map": {"0.bias": "../x.safetensors"}}', "no file of that folder"),
        ('{"weight_map": {"0.bias": "/etc/passwd"}}', "no file of that folder"),
        (
            '{"weight_map": {"0.bias": "gone.safetensors"}}',
            "gone.safetensors', where there is none",
        ),
        (
            '{"weight_map": {"0.bias": "model-1.safetensors"}}',
            "'0.bias' is not in 'model-1.safetensors'",
        ),
        (
            '{"weight_map": {"0.bias": "model-0.safetensors"}}',
            "without '0.weight', which the network has",
        ),
        ("[" * 100_000, "is not JSON \\(nested too deep\\)"),
        ("{", "is not JSON"),
    ],
)
def test_an_index_that_does_not_fit_is_named(folder, text, sentence):
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ArgumentError, match=f"`weights` must .*{sentence}"):
        load_weights(network(), folder)


def test_a_folder_without_weights_says_what_it_needs(tmp_path):
    with pytest.raises(ArgumentError, match="a folder with model.safetensors or pytorch_model.bin"):
        load_weights(network(), tmp_path)


@pytest.mark.parametrize("name", ["w.st", "w.ckpt", "w.pt", "w.safetensors", "w", "w.bin"])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "before 1.6"])
def test_weights_are_told_by_their_first_bytes_not_by_their_name(tmp_path, kind, name):
    path, state, found = tmp_path / name, shifted(), network()
    kept = {each: tensor > 0.9 for each, tensor in state.items()}
    for content in (kept, state):
        if kind == "safetensors":
            save_file(content, path)
        else:
            torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
        if content is kept:
            assert all(
                torch.equal(load_mask(found, path)[0].keep[each], kept[each]) for each in kept
            )
    load_weights(found, path)
    assert holds(found, state)
    if kind == "safetensors":
        with pytest.raises(ArgumentError, match="a safetensors file, which has no entries"):
            load_weights(found, path, "ema")
        assert read_safetensors("path", path, "be whole")[0].keys() == state.keys()
    else:
        with pytest.raises(ArgumentError, match="it does not begin as a safetensors file does"):
            read_safetensors("path", path, "be whole")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArgumentError, match="which is damaged|which has no|is no checkpoint"):
        load_weights(found, path)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda name: f"_orig_mod.{name}",  # torch.compile
        lambda name: f"module._orig_mod.{name}",  # DataParallel of a compiled network
        lambda name: f"_orig_mod.module.{name}",
        lambda name: f"module.module.{name}",
        lambda name: name.replace("0.", "0._orig_mod."),  # a compiled part
    ],
)
def test_names_of_wrapped_and_compiled_networks_are_read(tmp_path, wrapped):
    state, found = shifted(), network()
    torch.save({wrapped(name): tensor for name, tensor in state.items()}, tmp_path / "w.pt")
    load_weights(found, tmp_path / "w.pt")
    assert holds(found, state)
    torch.save({wrapped("0.weight"): state["0.weight"] > 0.9}, tmp_path / "m.pt")
    mask, origin = load_mask(found, tmp_path / "m.pt")
    assert torch.equal(mask.keep["0.weight"], state["0.weight"] > 0.9)
    others = sum(weight.numel() for weight in found.parameters()) - mask.keep["0.weight"].numel()
    assert origin == f"the mask in m.pt; {others} weights that it does not name are kept whole"


def test_what_a_training_wrote_is_read_by_the_name_of_the_run(tmp_path):
    state, found = shifted(), network()
    runs = {"hybrid": state, "pruned": {name: 0 * x for name, x in state.items()}}
    whole = {f"{run}/{name}": x for run, each in runs.items() for name, x in each.items()}
    save_file(whole, tmp_path / "weights.safetensors")
    load_weights(found, tmp_path / "weights.safetensors", "hybrid")
    assert holds(found, state)
    for key in ("", "ema"):
        with pytest.raises(ArgumentError, match="one entry .*which holds 'hybrid', 'pruned'"):
            load_weights(found, tmp_path / "weights.safetensors", key)
    with pytest.raises(ArgumentError, match="`mask` must be a file of one network's"):
        load_mask(found, tmp_path / "weights.safetensors")


def test_a_network_that_is_compiled_takes_its_own_names(tmp_path):
    """As `torch.compile` wraps it, without its seconds."""
    compiled = nn.Module()
    compiled._orig_mod = network()
    state = {f"_orig_mod.{name}": tensor for name, tensor in shifted().items()}
    torch.save(state, tmp_path / "w.pt")
    load_weights(compiled, tmp_path / "w.pt")
    assert holds(compiled._orig_mod, shifted())
    nested = nn.Module()  # whose own name is that of a wrapper
    nested.module = network()
    for prefix in ("module.", "module.module."):
        named = {f"{prefix}{name}": tensor + len(prefix) for name, tensor in shifted().items()}
        torch.save(named, tmp_path / "w.pt")
        load_weights(nested, tmp_path / "w.pt")
        assert torch.equal(nested.module[0].bias, shifted()["0.bias"] + len(prefix))
