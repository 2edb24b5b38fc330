"""What a user names is loaded, or refused in one sentence; a pickle is never run."""

import math
import pickle
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune

from qdescent._checks import ArgumentError
from qdescent.experiment.data_sources import check_fit, load_data
from qdescent.experiment.image_folder import images_of_folder
from qdescent.experiment.sources import (
    load_loss,
    load_mask,
    load_network,
    load_weights,
    named_function,
)
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.learning.task import Task

MODULE = """
import torch
from torch import nn
number = 3
def build(width=3, activation="gelu"):
    middle = nn.GELU() if activation == "gelu" else nn.ReLU()
    return nn.Sequential(nn.Linear(2, width), middle, nn.Dropout(), nn.Linear(width, 2))
def tied():
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[1].weight = network[0].weight
    return network
def broken():
    raise RuntimeError("no weights here")
def pair():
    return torch.ones(5, 2), [0, 1, 0, 1, 1]
def lone():
    return torch.ones(5, 2)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "named_by_user.py").write_text(MODULE)
    (tmp_path / "half_module.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "named_by_user", raising=False)
    return tmp_path


def test_network_by_name_with_arguments_in_evaluation_mode():
    network = load_network("named_by_user:build", ["width=4", "activation=relu"])
    assert network[0].out_features == 4
    assert isinstance(network[1], nn.ReLU)
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("build", [], "`network` must be written as package.module:function, but is 'build'"),
        (
            "no_such_thing:build",
            [],
            (
                "must name a module that can be imported, but is 'no_such_thing:build'.*No module"
                " named"
            ),
        ),
        (
            "half_module:build",
            [],
            "must name a module that can be imported.*not_installed_anywhere",
        ),
        (
            "named_by_user:biuld",
            [],
            r"must name a function of named_by_user.*not there \(did you mean 'build'\?\)",
        ),
        ("named_by_user:number", [], "must name a function, but is 'named_by_user:number', a int"),
        (
            "named_by_user:broken",
            [],
            r"can be called.*RuntimeError in '.*named_by_user.py', line 13: no weights here",
        ),
        ("named_by_user:pair", [], "must be a function that returns a torch.nn.Module.*tuple"),
        (
            "named_by_user:build",
            ["width"],
            "`arguments` must be written as key=value, but is 'width'",
        ),
        (
            "named_by_user:build",
            ["depth=3"],
            "`arguments` must be those of build\\(width=3, .*named_by_user.py', line 5, .*depth",
        ),
        (
            "named_by_user:build",
            ["width=3", "width=4"],
            "`arguments` must give each argument once, but is with two of 'width'",
        ),
    ],
)
def test_a_network_that_cannot_be_made_is_named(name, arguments, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        load_network(name, arguments)


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_weights_from_safetensors_and_from_a_checkpoint_without_code(tmp_path):
    source, target = load_network("named_by_user:build"), load_network("named_by_user:build")
    state = {name: tensor + 1 for name, tensor in source.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": tensor for name, tensor in state.items()}},
        tmp_path / "w.pt",
    )
    for file in ("w.safetensors", "w.pt"):
        network = load_network("named_by_user:build")
        assert load_weights(network, tmp_path / file) is None
        assert all(
            torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items()
        )
    assert not torch.equal(target[0].weight, state["0.weight"])


def test_pickled_code_is_refused_and_not_run(tmp_path):
    torch.save({"w": Bomb(str(tmp_path / "ran"))}, tmp_path / "bomb.pt")
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(Bomb(str(tmp_path / "ran")), protocol=2))
    for file in ("bomb.pt", "bomb.pkl"):
        with pytest.raises(ArgumentError, match=r"without running code.*which holds pickled code"):
            load_weights(load_network("named_by_user:build"), tmp_path / file)
    np.savez(
        tmp_path / "bomb.npz",
        inputs=np.array([Bomb(str(tmp_path / "ran"))], dtype=object),
        targets=np.zeros(1),
    )
    with pytest.raises(ArgumentError, match="whole .npz file of numbers"):
        load_data(str(tmp_path / "bomb.npz"), 4)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda state: state.pop("3.bias"),
            "must fit the network, but is without '3.bias', which the network has",
        ),
        (
            lambda state: state.update(head=torch.ones(1)),
            "must fit the network, but is with 'head', which the network has not",
        ),
        (
            lambda state: state.update({"0.weight": torch.ones(5, 2)}),
            r"of shape \(5, 2\) at '0.weight', where the network has \(3, 2\)",
        ),
    ],
)
def test_weights_that_do_not_fit_name_the_first(change, sentence, tmp_path):
    network = load_network("named_by_user:build")
    state = dict(network.state_dict())
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match=sentence):
        load_weights(network, tmp_path / "w.safetensors")


def test_damaged_or_absent_weights(tmp_path):
    network = load_network("named_by_user:build")
    save_file(dict(network.state_dict()), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-7])
    with pytest.raises(
        ArgumentError, match="`weights` must be a safetensors file.*which is damaged"
    ):
        load_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(
        ArgumentError, match="`weights` must be a safetensors file.*where there is none"
    ):
        load_weights(network, tmp_path / "absent.safetensors")
    torch.save({"best": 0.3}, tmp_path / "w.pt")
    with pytest.raises(ArgumentError, match="something other than named tensors"):
        load_weights(network, tmp_path / "w.pt")


WEIGHTS, AVERAGE = {"weight": torch.ones(2, 3)}, {"weight": torch.full((2, 3), 2.0)}
COUNTERS = {
    "epoch": 3,
    "optimizer": {"state": {0: {"exp_avg": torch.zeros(2, 3)}}},
    "optimizer_ema": {"weight": torch.zeros(2, 3)},
    "scaler": {"scale": torch.ones(())},
}


@pytest.mark.parametrize(
    ("content", "key", "found"),
    [
        ({"model": WEIGHTS, **COUNTERS}, "", 1),
        ({"net": WEIGHTS, **COUNTERS}, "", 1),  # the only one, whatever its name
        ({"model": {"state_dict": WEIGHTS, "step": 7}}, "", 1),
        ({"model": WEIGHTS, "state_dict": dict(WEIGHTS)}, "", 1),  # the same twice
        ({"model": WEIGHTS, "ema": AVERAGE}, "ema", 2),
        ({"model": WEIGHTS, "ema": AVERAGE}, "model", 1),
        ({"state_dict": WEIGHTS, "ema": {"state_dict": AVERAGE}}, "ema.state_dict", 2),
        ({"model": WEIGHTS, "optimizer_ema": AVERAGE}, "optimizer_ema", 2),  # who asks knows
        ({"model": WEIGHTS, "ema": AVERAGE}, "", "'model', 'ema': weights_key chooses one"),
        ({"state_dict": WEIGHTS, "model_ema": AVERAGE}, "", "several weights, 'state_dict', 'mod"),
        ({"state_dict": WEIGHTS, "state_dict_ema": {}}, "", 1),
        ({"model": WEIGHTS, "ema": {"shadow": AVERAGE}}, "", 1),  # no names in a usual place
        ({"model": WEIGHTS, "ema": AVERAGE}, "emma", "no weights at 'emma' ('model', 'ema')"),
        ({"epoch": 3}, "ema", "no weights at 'ema' (nor elsewhere)"),
        (WEIGHTS, "ema", "is itself the weights, without an entry 'ema'"),
        (COUNTERS, "", "something other than named tensors"),
        ({"weight": torch.ones(2, 3), "epoch": 3}, "", "something other than named tensors"),
    ],
)
def test_of_several_weights_in_a_checkpoint_one_is_asked_for(content, key, found, tmp_path):
    network = nn.Linear(3, 2, bias=False)
    torch.save(content, tmp_path / "w.pt")
    if isinstance(found, int):
        load_weights(network, tmp_path / "w.pt", key)
        assert (network.weight == found).all()
        return
    with pytest.raises(ArgumentError) as refused:
        load_weights(network, tmp_path / "w.pt", key)
    assert found in str(refused.value)


def test_an_average_of_pytorch_is_read_and_what_has_no_entries_takes_no_key(tmp_path):
    network = nn.Linear(3, 2)
    average = torch.optim.swa_utils.AveragedModel(network)
    average.update_parameters(network)
    other = nn.Linear(3, 2)
    torch.save({"model": other.state_dict(), "swa": average.state_dict()}, tmp_path / "w.pt")
    load_weights(other, tmp_path / "w.pt", "swa")
    assert torch.equal(other.weight, network.weight)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    for path in (tmp_path / "w.safetensors", tmp_path):
        with pytest.raises(ArgumentError, match="`weights_key` must be left out"):
            load_weights(other, path, "swa")
    with pytest.raises(ArgumentError, match="`weights` must be given where weights_key is"):
        SpectrumSettings("a:b", "c.npz", weights_key="ema")


def test_tied_weights_may_stand_once_in_the_file(tmp_path):
    network = load_network("named_by_user:tied")
    save_file({"0.weight": torch.full((2, 2), 3.0)}, tmp_path / "w.safetensors")
    load_weights(network, tmp_path / "w.safetensors")
    assert network[1].weight.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_masks_of_torch_prune_are_taken_over_even_where_a_kept_weight_is_zero(tmp_path):
    pruned = load_network("named_by_user:build")
    prune.l1_unstructured(pruned[0], "weight", amount=4)
    with torch.no_grad():
        pruned[0].weight_orig[pruned[0].weight_mask.bool()] = 0.0
    torch.save(pruned.state_dict(), tmp_path / "w.pt")
    network = load_network("named_by_user:build")
    mask = load_weights(network, tmp_path / "w.pt")
    assert torch.equal(mask.keep["0.weight"], pruned[0].weight_mask.bool())
    assert torch.equal(network[3].weight, pruned[3].weight)
    assert mask.total - mask.kept == 4


def test_a_network_that_is_itself_pruned_takes_such_weights_as_they_are(tmp_path):
    pruned, again = load_network("named_by_user:build"), load_network("named_by_user:build")
    for network, amount in ((pruned, 4), (again, 1)):
        prune.l1_unstructured(network[0], "weight", amount=amount)
    torch.save(pruned.state_dict(), tmp_path / "w.pt")
    assert load_weights(again, tmp_path / "w.pt") is None
    mask, origin = load_mask(again, None)
    assert torch.equal(mask.keep["0.weight_orig"], pruned[0].weight_mask.bool())
    assert "torch.nn.utils.prune" in origin


def test_which_weights_are_kept(tmp_path):
    network = load_network("named_by_user:build")
    assert load_mask(network, None)[0].density == 1
    with torch.no_grad():
        network[0].weight[0, 0] = 0.0
        network[0].bias.zero_()  # a bias at 0 is an initial value, nothing that was pruned
    mask, origin = load_mask(network, None)
    # no mask says that the zero was pruned
    assert (mask.total - mask.kept, origin) == (0, "all that are trained")
    mask, origin = load_mask(network, Path("nonzero"))
    assert (mask.total - mask.kept, "not exactly 0" in origin) == (1, True)
    save_file({"3.weight": torch.tensor([[1, 0, 0], [0, 0, 0]])}, tmp_path / "m.safetensors")
    assert load_mask(network, tmp_path / "m.safetensors")[0].keep["3.weight"].sum() == 1
    with pytest.raises(
        ArgumentError, match="`density` must be left out where a mask is given, but is 0.5"
    ):
        SpectrumSettings("a:b", "c.npz", mask="m.safetensors", density=0.5)
    save_file({"2.weight": torch.ones(2)}, tmp_path / "m.safetensors")
    with pytest.raises(
        ArgumentError,
        match="`mask` must fit the network.*at '2.weight', no parameter of the network",
    ):
        load_mask(network, tmp_path / "m.safetensors")
    save_file(
        {name: torch.zeros_like(weight) for name, weight in network.named_parameters()},
        tmp_path / "m.safetensors",
    )
    with pytest.raises(ArgumentError, match="`mask` must keep at least one weight, but is empty"):
        load_mask(network, tmp_path / "m.safetensors")


@pytest.mark.parametrize("more", ["sample_weight", "attention_mask", "Inputs", "labels"])
def test_an_array_beside_the_pair_is_refused_by_name(tmp_path, more):
    arrays = {"inputs": np.ones((6, 2)), "targets": np.arange(6), more: np.zeros(6)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ArgumentError, match=f"hold nothing beside `inputs` and `targets`.*{more}"):
        load_data(str(tmp_path / "a.npz"), 4)


def test_data_that_end_the_program_are_refused_and_a_batch_may_be_huge(tmp_path, monkeypatch):
    (tmp_path / "leaving.py").write_text("import sys\ndef data(): sys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ArgumentError, match=r"can be called.*SystemExit in '.*leaving.py', line 2: 0"
    ):
        load_data("leaving:data", 4)
    np.savez(tmp_path / "a.npz", inputs=np.ones((6, 2)), targets=np.arange(6))
    assert len(load_data(str(tmp_path / "a.npz"), 10**20)[0]) == 6


def test_weights_in_the_place_of_a_mask_are_refused(tmp_path):
    save_file({"weight": torch.tensor([[0.0, 1, 1], [1, 0.5, 1]])}, tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="`mask weight` must hold 0 and 1 alone"):
        load_mask(nn.Linear(3, 2), tmp_path / "m.safetensors")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_mask_without_numbers_is_refused(tmp_path, value):
    save_file({"weight": torch.full((2, 3), value)}, tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="`mask weight` must be finite"):
        load_mask(nn.Linear(3, 2), tmp_path / "m.safetensors")


def test_a_mask_of_prune_that_is_no_mask_is_refused(tmp_path):
    parts = {"weight_orig": torch.ones(2, 3), "weight_mask": torch.full((2, 3), 0.5)}
    save_file(parts | {"bias": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(ArgumentError, match="hold only 0 and 1 in weight_mask"):
        load_weights(nn.Linear(3, 2), tmp_path / "w.safetensors")


def test_npz_with_both_pairs_of_names_and_bytes_as_images(tmp_path):
    rng = np.random.default_rng(0)
    pixels, labels = (
        rng.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8),
        np.arange(6, dtype=np.uint8),
    )
    np.savez(tmp_path / "a.npz", images=pixels, labels=labels)
    images, found, total = load_data(str(tmp_path / "a.npz"), 4, seed=1)
    assert (images.shape, total, found.dtype) == ((4, 3, 4, 5), 6, torch.int64)
    assert np.allclose(images.numpy(), pixels[found.numpy()].transpose(0, 3, 1, 2) / 255)
    np.savez(tmp_path / "b.npz", inputs=pixels[..., 0], targets=rng.random((6, 2)))
    images, found, _ = load_data(str(tmp_path / "b.npz"), 100)
    assert (images.shape, found.dtype) == ((6, 1, 4, 5), torch.float64)


def test_a_draw_depends_on_the_seed_alone():
    first = load_data("named_by_user:pair", 3, seed=1)
    assert torch.equal(first[1], load_data("named_by_user:pair", 3, seed=1)[1])
    assert len(first[0]) == 3


def test_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    for label, name in enumerate(("ant", "bee")):
        (tmp_path / "set" / name).mkdir(parents=True)
        image.fromarray(pixels[label]).save(tmp_path / "set" / name / "x.png")
    images, labels, total = load_data(str(tmp_path / "set"), 10)
    assert (labels.tolist(), total) == ([0, 1], 2)
    assert np.allclose(images.numpy(), pixels.transpose(0, 3, 1, 2) / 255)
    image.fromarray(pixels[0, :2]).save(tmp_path / "set" / "bee" / "y.png")
    with pytest.raises(ArgumentError, match="`data` must hold images of one size"):
        load_data(str(tmp_path / "set"), 10)
    (tmp_path / "set" / "bee" / "y.png").write_bytes(b"\x89PNG")
    with pytest.raises(ArgumentError, match="must hold whole images.*y.png"):
        load_data(str(tmp_path / "set"), 10)


def test_a_folder_without_pillow_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "set" / "ant").mkdir(parents=True)
    (tmp_path / "set" / "ant" / "x.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        ArgumentError, match=r"where Pillow is not installed \(pip install pillow\)"
    ):
        load_data(str(tmp_path / "set"), 10)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (
            {"x": [1.0], "y": [1.0]},
            "must hold `inputs` and `targets`, or `images` and `labels`.*which holds 'x', 'y'",
        ),
        (
            {"inputs": [[1.0]] * 3, "targets": [0, 1]},
            r"inputs, targets\) of one length.*\(3, 1\) and \(2,\)",
        ),
        (
            {"inputs": [[1.0], [np.nan]], "targets": [0, 1]},
            r"`data inputs` must be finite.*first at \(1, 0\)",
        ),
    ],
)
def test_arrays_that_do_not_fit(arrays, sentence, tmp_path):
    np.savez(tmp_path / "d.npz", **{name: np.array(values) for name, values in arrays.items()})
    with pytest.raises(ArgumentError, match=sentence):
        load_data(str(tmp_path / "d.npz"), 4)


def test_other_data_that_cannot_be_used(tmp_path):
    np.savez(tmp_path / "d.npz", inputs=np.ones(900))
    (tmp_path / "d.npz").write_bytes((tmp_path / "d.npz").read_bytes()[:400])
    for name, sentence in (
        (str(tmp_path / "d.npz"), "must be a whole .npz file of numbers"),
        ("absent.npz", "must be a whole .npz file.*where there is none"),
        ("absent", "must be an .npz file, a folder of images or module:function"),
        (str(tmp_path), "must be a folder with PNG or JPEG files in one subfolder a class"),
        ("named_by_user:lone", r"must be a function that returns \(inputs, targets\).*Tensor"),
    ):
        with pytest.raises(ArgumentError, match=f"`data` {sentence}"):
            load_data(name, 4)


def test_data_that_network_or_loss_cannot_take():
    network = load_network("named_by_user:build")
    x = torch.ones(3, 2)
    for name, inputs, targets, sentence in (
        (
            "cross_entropy",
            torch.ones(3, 7),
            torch.tensor([0, 1, 0]),
            r"`data` must fit the network.*input shape \(7,\)",
        ),
        (
            "cross_entropy",
            x,
            torch.tensor([0, 1, 2]),
            r"`data` must have labels in \[0, 2\), as many as .*but is with 2",
        ),
        (
            "cross_entropy",
            x,
            torch.tensor([0, -100, 1]),
            r"`data` must have labels in \[0, 2\).*but is with -100",
        ),
        (
            "cross_entropy",
            x,
            torch.tensor([[0], [1], [1]]),
            r"`data` must have class labels of shape \(3,\)",
        ),
        (
            "cross_entropy",
            x,
            torch.ones(3),
            r"must have class labels \(integers: targets.long\(\)\), or probabilities of shape"
            r" \(3, 2\), for cross_entropy, but is with floating-point numbers of shape \(3,\)",
        ),
        # would be broadcast
        (
            "mse",
            x,
            torch.ones(3, 1),
            r"`data` must have targets of the outputs' shape, \(3, 2\), for mse",
        ),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            check_fit(network, name, load_loss(name), inputs, targets)
    with pytest.raises(ArgumentError, match="`network` must return a tensor"):
        check_fit(nn.LSTM(2, 2), "mse", load_loss("mse"), x, x)
    with pytest.raises(
        ArgumentError,
        match=r"`loss` must take the network's outputs and the targets.*named_by_user:pair",
    ):
        check_fit(network, "named_by_user:pair", load_loss("named_by_user:pair"), x, x)
    with pytest.raises(
        ArgumentError, match="`loss` must be one of 'cross_entropy', 'mse', but is 'hinge'"
    ):
        load_loss("hinge")
    check_fit(network, "cross_entropy", load_loss("cross_entropy"), x, torch.tensor([0, 1, 1]))
    assert named_function("loss", "torch.nn.functional:l1_loss") is nn.functional.l1_loss


def test_hidden_folders_are_no_classes_and_a_root_of_parts_is_not_one(tmp_path):
    image = pytest.importorskip("PIL.Image")

    def draw(*files):
        for k, file in enumerate(files):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            image.new("L", (4, 4), 9 * k).save(tmp_path / file, format="PNG")

    draw(
        "a/ant/1.PNG",
        "a/ant/sub/2.JPG",
        "a/bee/.3.png",
        "a/bee/4.jpeg",
        "a/.git/5.png",
        "a/__MACOSX/bee/6.png",
        "a/7.png",
    )
    (tmp_path / "a" / "read.me").write_text("beside the folders")
    images, labels, total = load_data(str(tmp_path / "a"), 10)
    assert (labels.tolist(), total) == ([0, 0, 1], 3)
    assert (images[:, 0, 0, 0] * 255).round().tolist() == [0, 9, 27]
    draw(
        "b/train/ant/1.png",
        "b/train/bee/1.png",
        "b/test/ant/1.png",
        "c/train/1.png",
        "d/Train/ant/1.png",
        "d/extra/1.png",
    )
    draw(
        "e/set/ant/1.png",
        "e/set/bee/1.png",
        "f/train/1.png",
        "f/plane/1.png",
        "g/ant/1.png",
        "g/ant.png/1.png",
    )
    (tmp_path / "g" / "bat").mkdir()
    (tmp_path / "h" / ".hidden").mkdir(parents=True)
    for name, sentence in (
        (
            "b",
            (
                r"one subfolder a class \(give one part, such as .*b/train.*\), but is .*which"
                r" holds parts of a data set: test, train"
            ),
        ),
        ("c", "which holds parts of a data set: train"),
        ("d", r"such as .*d/Train.*which holds parts of a data set: Train"),
        ("e", r"one subfolder a class \(give .*e/set.*where all images lie below 'set'"),
        (
            "g",
            (
                r"in every class folder \(an empty one would shift the labels: remove it\), but is"
                r" .*without any in 'bat'"
            ),
        ),
        ("h", "one subfolder a class, but is .*without any"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            load_data(str(tmp_path / name), 4)
    assert load_data(str(tmp_path / "f"), 4)[1].tolist() == [0, 1]  # a train is a vehicle, too
    assert load_data(str(tmp_path / "b" / "train"), 4)[1].tolist() == [0, 1]


def test_bytes_are_token_ids_where_the_network_looks_them_up(tmp_path):
    ids = np.array([[0, 1], [2, 3], [3, 0]], dtype=np.uint8)
    np.savez(tmp_path / "t.npz", inputs=ids, targets=np.array([0, 1, 1], dtype=np.int32))
    tokens = nn.Sequential(nn.Embedding(4, 2), nn.Flatten(), nn.Linear(4, 2))
    inputs, targets, _ = load_data(str(tmp_path / "t.npz"), 9, network=tokens)
    assert (inputs.tolist(), targets.dtype) == (ids.tolist(), torch.int64)
    assert Task(tokens, nn.functional.cross_entropy, (inputs, targets)).data[0].dtype == torch.int64
    pixels, _, _ = load_data(str(tmp_path / "t.npz"), 9, network=nn.Linear(2, 2))
    assert np.allclose(pixels.numpy(), ids / 255)
    np.savez(tmp_path / "i.npz", inputs=np.full((2, 3, 4, 4), 51, np.uint8), targets=[0, 1])

    class Patches(nn.Module):  # images, and an embedding of positions
        def __init__(self):
            super().__init__()
            self.places, self.layer = nn.Embedding(3, 16), nn.Linear(16, 2)

        def forward(self, x):
            return self.layer(x.flatten(2) + self.places.weight).mean(1)

    assert load_data(str(tmp_path / "i.npz"), 9, network=Patches())[
        0
    ].unique().tolist() == pytest.approx([0.2])


def test_dicts_datasets_and_loaders_by_name(tmp_path, module, monkeypatch):
    (module / "named_by_user.py").write_text(
        MODULE
        + """
from torch.utils.data import DataLoader, TensorDataset
X, Y = torch.arange(10.0).reshape(5, 2), torch.tensor([0, 1, 0, 1, 1])
def both():
    return {"x": X, "labels": Y}
def named():
    return {"x": X, "y": X}, Y
def dataset():
    return TensorDataset(X, Y)
def loader():
    return DataLoader(TensorDataset(X, Y), batch_size=2, shuffle=True, num_workers=2)
def ragged():
    return X, [[1], [1, 2], [], [3], [4]]
def uneven():
    return {"x": X, "y": X[:2]}, Y
class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(TensorDataset(X, Y))
def stream():
    return Stream()
"""
    )
    expected = load_data("named_by_user:pair", 3, seed=1)[1]
    for name in ("dataset", "loader"):
        inputs, targets, total = load_data(f"named_by_user:{name}", 3, seed=1)
        assert (len(inputs), total) == (3, 5)
        assert torch.equal(targets, expected)
    inputs, targets, _ = load_data("named_by_user:both", 3, seed=1)
    assert torch.equal(inputs["labels"], expected)
    assert inputs.keys() == targets.keys()
    inputs, targets, _ = load_data("named_by_user:named", 3, seed=1)
    assert inputs["y"].shape == (3, 2)
    inputs, targets, _ = load_data("named_by_user:ragged", 5)
    assert targets == [[1], [1, 2], [], [3], [4]]
    for name, sentence in (
        ("uneven", "of one length.*here 5"),
        ("stream", "a Dataset with a length.*Stream"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            load_data(f"named_by_user:{name}", 3)
    np.savez(
        tmp_path / "d.npz",
        input_ids=np.ones((3, 2), int),
        attention_mask=np.ones((3, 2)),
        labels=[0, 1, 0],
    )
    inputs, targets, total = load_data(str(tmp_path / "d.npz"), 9)
    assert (sorted(inputs), targets.tolist(), total) == (
        ["attention_mask", "input_ids"],
        [0, 1, 0],
        3,
    )


def test_labels_that_cross_entropy_ignores_count_for_nothing_where_that_is_said():
    network, inputs = torch.nn.Linear(4, 3), torch.zeros(3, 4)
    fit = partial(check_fit, network, "cross_entropy", torch.nn.functional.cross_entropy, inputs)
    fit(torch.tensor([0, -100, 2]), ignored=True)
    for labels, ignored, must in (
        ([0, -100, 2], False, r"have labels in \[0, 3\)"),
        ([0, -100, 3], True, r"have labels in \[0, 3\)"),
        ([-100] * 3, True, "have a label other than -100"),
    ):
        with pytest.raises(ArgumentError, match=f"Argument `data` must {must}"):
            fit(torch.tensor(labels), ignored=ignored)


def test_an_image_in_colour_after_grey_ones_is_not_made_grey(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for kind, mode in (("a", "L"), ("b", "RGB")):
        (tmp_path / kind).mkdir()
        image.new(mode, (4, 4)).save(tmp_path / kind / "x.png")
    with pytest.raises(ArgumentError, match="all grey or all in colour .*in colour after grey"):
        images_of_folder(tmp_path, lambda count: list(range(count)))
    pixels, _, _ = images_of_folder(tmp_path, lambda count: list(range(count))[::-1])
    assert pixels.shape == (2, 4, 4, 3)  # grey is a colour


def test_a_mask_in_the_place_of_weights_is_refused(tmp_path):
    network = nn.Linear(3, 2)
    masked = {name: weight > 0 for name, weight in network.state_dict().items()}
    save_file(masked, tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="`weights` must hold numbers, but is yes or no at"):
        load_weights(network, tmp_path / "m.safetensors")
