"""What the tests of callbacks share: a network that a careless look would disturb, stand-ins for
Lightning and Hugging Face, and the real trainers with their own output turned off.
"""

import sys
import types

import torch
import torch.nn.functional as F
from torch import nn


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def disturbable_network():
    """BatchNorm, dropout and GELU on images of 6 x 6."""
    network = nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False),
        nn.BatchNorm2d(3),
        nn.GELU(),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(48, 3),
    )
    with torch.no_grad():
        for i, w in enumerate(network.parameters()):
            w.copy_(0.3 * random(i, *w.shape))
    return network


class Base:
    """Stands for lightning.pytorch.Callback and transformers.TrainerCallback."""


def stand_in(monkeypatch, package, **names):
    """A module with tiny classes in the place of a package that is not installed here."""
    module = types.ModuleType(package)
    vars(module).update(names)
    for parent in (package.rpartition(".")[0], package):
        if parent:
            monkeypatch.setitem(sys.modules, parent, module)


def fit_by_lightning(lightning, network, batches, folder, *callbacks, momentum=0.0, **settings):
    """One epoch of SGD by a real Trainer; the module, whose `network` is trained."""

    class Training(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x)

        def training_step(self, batch, index):
            return F.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.05, momentum=momentum)

    torch.manual_seed(0)
    module = Training()
    lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks),
        default_root_dir=folder, **settings,
    ).fit(module, torch.utils.data.DataLoader(batches, batch_size=None))  # fmt: skip
    return module


def train_by_transformers(transformers, model, samples, folder, *callbacks):
    """Three updates by a real Trainer; the model."""
    torch.manual_seed(0)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=3, per_device_train_batch_size=4, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True, logging_strategy="no",
        learning_rate=0.05, seed=0,
    )  # fmt: skip
    transformers.Trainer(
        model=model, args=arguments, train_dataset=samples, callbacks=list(callbacks)
    ).train()
    return model
