"""Doors for what trainers hand around: rows of Hugging Face, data modules of Lightning, batches
with their labels; stand-ins everywhere, the real ones where installed.
"""

import sys

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from qdescent._checks import ArgumentError
from qdescent.experiment.data_sources import load_data
from qdescent.experiment.train.pipeline import run_training
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.workspace import create_workspace


class Rows:
    """As `datasets.Dataset` has it: a row by number, columns by a list of numbers."""

    def __init__(self, columns):
        self.columns, self.column_names = columns, list(columns)

    def __len__(self):
        return len(next(iter(self.columns.values())))

    def __getitem__(self, place):
        if isinstance(place, int):
            return {name: values[place] for name, values in self.columns.items()}
        return {name: [values[i] for i in place] for name, values in self.columns.items()}


class Module:
    """As `lightning.LightningDataModule` has it, made ready in its order."""

    def __init__(self, loader=None):
        self.calls, self.loader = [], loader

    def prepare_data(self):
        self.calls.append("prepare")

    def setup(self, stage):
        self.calls.append(stage)

    def train_dataloader(self):
        assert self.calls == ["prepare", "fit"]
        return self.loader or DataLoader(TensorDataset(*numbers()), batch_size=4, shuffle=True)


class Reader(nn.Module):
    """Takes a dict's entry, and labels where there are any, as models of Hugging Face do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(5, 3)

    def forward(self, inputs, labels=None):
        logits = self.head(inputs).tanh()
        found = {"logits": logits}
        if labels is not None:
            found["loss"] = nn.functional.cross_entropy(logits, labels)
        return found


def numbers():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(60, 5, generator=g)
    return x, (x @ torch.randn(5, 3, generator=g)).argmax(1)


def columns():
    x, y = numbers()
    return {"text": ["word"] * len(x), "inputs": x.tolist(), "label": y.tolist()}


MODULE = """
from test_trainer_sources import Module, Reader, Rows, columns, numbers

def reader(): return Reader()
def own_loss(outputs, batch): return outputs["loss"]
def rows(): return Rows(columns())
def module(): return Module()
def lone():
    x, y = numbers()
    return {"inputs": x, "labels": y}
def splits(): return {"train": Rows(columns()), "test": Rows(columns())}
def ragged(): return Rows({"inputs": [[1.0], [1.0, 2.0]], "label": [0, 1]})
def several(): return Module([1, 2])
"""


@pytest.fixture(scope="module", autouse=True)
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    (folder / "doors_of_mine.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "test_trainer_sources", sys.modules[__name__])
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


def test_rows_of_hugging_face_are_columns_the_network_takes():
    inputs, labels, total = load_data("doors_of_mine:rows", 20, 3, Reader(), "cross_entropy")
    x, y = numbers()
    places = [int((x == row).all(1).nonzero()) for row in inputs["inputs"]]
    assert (set(inputs), total, len(set(places))) == ({"inputs"}, 60, 20)
    assert torch.equal(labels, y[places])
    both, same, _ = load_data("doors_of_mine:rows", 20, 3, Reader(), "doors_of_mine:own_loss")
    assert set(both) == set(same) == {"inputs", "label"}  # a loss of one's own takes the batch


def test_a_data_module_is_made_ready_and_its_loaders_samples_are_drawn():
    inputs, labels, total = load_data("doors_of_mine:module", 10, 0, None, "cross_entropy")
    x, y = numbers()
    places = [int((x == row).all(1).nonzero()) for row in inputs]
    assert total == 60
    assert torch.equal(labels, y[places])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("splits", r"must be one split \(return dataset\['train'\]\), but is .*'train', 'test'"),
        ("ragged", r"must hold numbers in rows of one length in its column 'inputs' \(pad token"),
        ("several", r"must have one DataLoader for training \(return that loader"),
    ],
)
def test_what_is_no_set_of_samples_is_one_sentence(name, sentence):
    with pytest.raises(ArgumentError, match=f"^Argument `data` {sentence}"):
        load_data(f"doors_of_mine:{name}", 4, 0, Reader(), "cross_entropy")


def trained(folder, network, data, **values):
    settings = TrainSettings(
        network, data, held_out=0.2, batch=16, segment=2, rounds=1, density=0.5, epochs=0,
        learning_rate=0.05, **values,
    )  # fmt: skip
    return run_training(create_workspace(folder, settings)).rows


def test_all_of_them_train_to_the_same_loss(project):
    """The same network, samples and draws, with labels apart and within the batch."""
    found = [
        trained(project / name, "doors_of_mine:reader", f"doors_of_mine:{data}", loss=loss)
        for name, data, loss in (
            ("rows", "rows", "cross_entropy"),
            ("own", "lone", "doors_of_mine:own_loss"),
        )
    ]
    losses = [rows["train/sparse_loss"].value for rows in found]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert "train/hybrid_test_accuracy" in found[0]
    assert "train/hybrid_test_accuracy" not in found[1]  # what is a label, only the loss knows


REAL = """
import torch
from torch import nn
from test_trainer_sources import columns, numbers

def rows():
    import datasets
    return datasets.Dataset.from_dict(columns())

def splits():
    import datasets
    return datasets.DatasetDict({"train": rows()})

def batches():
    import transformers
    from test_trainer_sources import Reader
    given = transformers.TrainingArguments(
        output_dir="out", per_device_train_batch_size=8, use_cpu=True, report_to="none"
    )
    return transformers.Trainer(Reader(), given, train_dataset=rows()).get_train_dataloader()

def network():
    import lightning.pytorch as lightning

    class Training(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.network = nn.Linear(5, 3)

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    return Training()

def module():
    import lightning.pytorch as lightning

    class Data(lightning.LightningDataModule):
        def setup(self, stage):
            self.samples = torch.utils.data.TensorDataset(*numbers())

        def train_dataloader(self):
            return torch.utils.data.DataLoader(self.samples, batch_size=8)

    return Data()
"""


@pytest.fixture(scope="module")
def real(project):
    (project / "real_doors.py").write_text(REAL)


@pytest.mark.slow
def test_datasets_itself(project, real):
    pytest.importorskip("datasets", reason="datasets is optional; a stand-in is above")
    through = trained(project / "real-rows", "doors_of_mine:reader", "real_doors:rows")
    assert len(through["train/hybrid_loss"].value) == 3
    with pytest.raises(ArgumentError, match="must be one split"):
        load_data("real_doors:splits", 4, 0, Reader(), "cross_entropy")


@pytest.mark.slow
def test_batches_of_the_trainer_itself(project, real):
    for package in ("datasets", "transformers", "accelerate"):
        pytest.importorskip(package, reason="optional; stand-ins are above")
    through = trained(project / "real-trainer", "doors_of_mine:reader", "real_doors:batches")
    assert len(through["train/hybrid_loss"].value) == 3


@pytest.mark.slow
def test_lightning_itself_with_its_checkpoint(project, real):
    lightning = pytest.importorskip("lightning.pytorch", reason="optional; a stand-in is above")
    import real_doors

    module = real_doors.network()
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=project / "lightning",
    )  # fmt: skip
    trainer.fit(module, real_doors.module())
    trainer.save_checkpoint(project / "trained.ckpt")
    through = trained(
        project / "real-lightning", "real_doors:network", "real_doors:module",
        weights="trained.ckpt",
    )  # fmt: skip
    from qdescent.report.files import read_weights

    kept = read_weights(project / "real-lightning" / "weights.safetensors")
    start = kept["pruned/network.weight"]
    there = start != 0
    assert torch.equal(start[there], module.network.weight.detach()[there])
    assert len(through["train/hybrid_loss"].value) == 3
