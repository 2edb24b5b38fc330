"""The parts of `examples/minilm_hybrid.py` on a stand-in of some hundred weights."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

import qdescent as qd

PATH = Path(__file__).parent.parent / "examples" / "minilm_hybrid.py"
WIDTH, CLASSES = 8, 3


@pytest.fixture
def minilm():
    spec = importlib.util.spec_from_file_location("minilm_hybrid", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class StandIn(nn.Module):
    """An embedding, a norm and a layer; states first, as encoders answer."""

    def __init__(self):
        super().__init__()
        self.words, self.norm = nn.Embedding(13, WIDTH), nn.LayerNorm(WIDTH)
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, input_ids, attention_mask):
        states = self.norm(self.words(input_ids))
        return (states + gelu(self.layer(states)),)


def bert():
    """The same kind of network as MiniLM, tiny."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=13, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8, attn_implementation="eager",
    )  # fmt: skip
    return transformers.BertModel(config, add_pooling_layer=False)


def problem(minilm, encoder):
    """A class is told by one of its words, among words that tell nothing."""
    torch.manual_seed(0)
    labels = torch.arange(96) % CLASSES
    words = torch.randint(4, 13, (96, 5))
    words[:, 1] = 1 + labels
    mask = torch.ones_like(words)
    mask[::3, 4] = 0
    words[::3, 4] = 0  # padding
    texts = minilm.Texts(
        {"input_ids": words, "attention_mask": mask}, labels, *torch.randperm(96).chunk(2)
    )
    return minilm.Classifier(encoder(), WIDTH, CLASSES).eval(), texts


@pytest.mark.parametrize("encoder", [StandIn, pytest.param(bert, marks=pytest.mark.slow)])
def test_its_parts(minilm, encoder):
    network, texts = problem(minilm, encoder)
    batches = texts.batches(16, 0)
    minilm.tune(network, batches, 30, 1e-2)
    every = qd.ParameterSpace(network)
    assert minilm.tested(network, texts, every, every.theta) > 0.6
    mask = qd.magnitude_mask(network, 0.5, scope="layer")
    minilm.tune(network, batches, 5, 1e-3, mask)
    for name, weight in network.named_parameters():
        assert not weight[~mask.keep[name]].any(), "what was pruned stays zero"
    space = qd.ParameterSpace(network, mask)

    task = qd.Task(network, cross_entropy, next(texts.batches(16, 1)))
    eta, largest = minilm.rate_at(task, space)
    dense = qd.hessian(task, space) @ torch.eye(space.n)
    assert largest == pytest.approx(float(torch.linalg.eigvalsh(dense).abs().max()), rel=0.05)
    assert eta == pytest.approx(minilm.STABLE / largest)

    seen = []
    run = minilm.rounds(network, texts, space, eta, 6, 16, 0, seen.append)
    assert sum(each.steps for each in run.rounds) == 6
    assert len(seen) == len(run.rounds)
    assert any(each.shots for each in run.rounds), "nothing was read out"
    assert all(each.entry_share <= 0.2 + 1 / space.n for each in run.rounds if each.shots)
    moved = (run.theta - space.theta).norm()
    apart = (run.theta - run.rounds[-1].sparse.theta).norm()
    assert 0 < apart < 0.6 * moved  # a fifth of the entries, and the descent's direction


def test_the_head_of_a_batch_is_the_mean_over_what_the_mask_leaves(minilm):
    network, texts = problem(minilm, StandIn)
    inputs, _ = texts.at(torch.tensor([0]))
    whole = {name: part[:, :4] for name, part in inputs.items()}  # without its padding
    torch.testing.assert_close(network(**inputs), network(**whole))


def test_descriptions_come_from_the_archive_by_section(minilm, monkeypatch):
    records = "\n\n".join(
        f"Package: p{k}\nSection: {prefix}{section}\nDescription: text {k} of {section}"
        for k in range(4)
        for prefix, section in (("", "games"), ("contrib/", "sound"), ("", "kernel"))
    )
    answer = SimpleNamespace(stdout=records + "\n\nPackage: bare\nSection: net")
    monkeypatch.setattr(minilm.subprocess, "run", lambda *given, **named: answer)
    found = minilm.descriptions(3)
    assert [place for _, place in found] == [0, 0, 0, 1, 1, 1]
    assert found[3] == ("text 0 of sound", 1)
