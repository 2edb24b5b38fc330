"""The same for what real networks are made of: attention, recurrent layers, embeddings, transposed
convolutions, norms, scattering.
"""

import math

import torch
import torch.nn.functional as F
from learning.taylor.rule_cases import B4, LABELS, Case, even, fixed, log_sum

from qdescent.learning.taylor.rules.shapes import LIKE

CONSTANT = frozenset(LIKE)  # no series: tested by itself
ROWS = torch.tensor([[2, 0, 2], [1, 2, 0]])
# the first of two rows, three quarters of the way from the first of three columns to the second
GRID = torch.tensor([[[[-1 / 6, -0.5]]]], dtype=torch.float64)
CHOICE = torch.tensor([[True, False, True, True], [False, True, True, False]])
CAUSAL = torch.ones(3, 3, dtype=torch.bool).tril()
PADDED = torch.tensor([[True, True, False], [False, False, False]])[:, None]  # one sees nothing
_VF = torch._VF


def softmax_by_hand(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)


def attention(q, k, v, bias, seen):
    """softmax(q k^T / sqrt(d) + bias) v over what is seen; zero where nothing is."""
    e = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + bias).exp() * seen
    return e / (e.sum(-1, keepdim=True) + (~seen.any(-1, keepdim=True))) @ v


def gates(x, h, w, u, b, c, n):
    return ((x @ w.T + b) + (h @ u.T + c)).chunk(n, -1)


def lstm_cell(x, h, c, w, u, b, d):
    i, f, g, o = gates(x, h, w, u, b, d, 4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_cell(x, h, w, u, b, d):
    r, z, n = (x @ w.T + b).chunk(3, -1)
    s, y, m = (h @ u.T + d).chunk(3, -1)
    n = torch.tanh(n + torch.sigmoid(r + s) * m)
    z = torch.sigmoid(z + y)
    return (1 - z) * n + z * h


def rnn_cell(x, h, w, u, b, d):
    return torch.tanh(x @ w.T + b + h @ u.T + d)


def over_time(cell):
    """Both directions of one layer, (time, batch, features), from a state of zeros."""

    def run(x, *weights):
        sides = []
        for own, times in ((weights[:4], range(len(x))), (weights[4:], range(len(x) - 1, -1, -1))):
            h, found = x.new_zeros(x.shape[1], own[1].shape[1]), {}
            for t in times:
                h = cell(x[t], h, *own)
                found[t] = h
            sides.append(torch.stack([found[t] for t in sorted(found)]))
        return torch.cat(sides, -1)

    return run


def fused(function):
    """PyTorch's layer of both directions, without dropout."""
    return lambda x, *weights: function(
        x, x.new_zeros(2, x.shape[1], weights[1].shape[1]), weights, True, 1, 0.0, False, True,
        False,
    )[0]  # fmt: skip


def lstm(x, *weights):
    """Two layers from given states, batch first; output and both last states in one row."""
    h = x.new_ones(2, len(x), 2) * 0.3
    y, hn, cn = _VF.lstm(x, (h, -h), weights, True, 2, 0.0, False, False, True)
    return torch.cat([y.flatten(), hn.flatten(), cn.flatten()])


def lstm_by_hand(x, *weights):
    ends = []
    for own in (weights[:4], weights[4:]):
        h = c = x.new_ones(len(x), 2) * 0.3
        c, outputs = -c, []
        for t in range(x.shape[1]):
            h, c = lstm_cell(x[:, t], h, c, *own)
            outputs.append(h)
        x = torch.stack(outputs, 1)
        ends.append((h, c))
    h, c = (torch.stack(part) for part in zip(*ends, strict=True))
    return torch.cat([x.flatten(), h.flatten(), c.flatten()])


LENGTHS, SIZES = torch.tensor([3, 1]), torch.tensor([2, 1, 1])


def packed(x):
    return _VF._pack_padded_sequence(x, LENGTHS, True)[0]


def padded(x):
    return _VF._pad_packed_sequence(x, SIZES, True, 0.5, 4)[0]


def with_row(x, y):
    """x with another row; of a Jet and of a tensor that torch.func follows."""
    if isinstance(x, torch.Tensor):
        return torch.cat([x[:1], y[None], x[2:]])
    x = x * 1.0
    x[1] = y
    return x


MORE_CASES = {
    "addcmul": Case(lambda x, y, z: torch.addcmul(x, y, z, value=0.3), "ab ab b"),
    "lerp": Case(lambda x, y: torch.lerp(x, y, 0.3), "ab ab"),
    "outer": Case(torch.outer, "a b"),
    "addmv": Case(torch.addmv, "a ab b"),
    "einsum": Case(lambda x, y, z: torch.einsum("iab,jb,jc->iac", x, y, z), "2ab 3b 3c"),
    "log_sigmoid": Case(F.logsigmoid, "ab", lambda x: -torch.log1p(torch.exp(-x))),
    "mish": Case(F.mish, "ab", lambda x: x * torch.tanh(torch.log1p(torch.exp(x)))),
    "glu": Case(lambda x: F.glu(x, 1), "a4", lambda x: x[:, :2] * torch.sigmoid(x[:, 2:])),
    "dropout1d": Case(lambda x: F.dropout1d(x, 0.5, training=False), "abc"),
    "dropout3d": Case(lambda x: F.dropout3d(x, 0.5, training=False), "abc22"),
    "conv3d": Case(lambda x, w, b: F.conv3d(x, w, b, stride=2, padding=1), "1a343 ba222 b"),
    "conv_transpose1d": Case(
        lambda x, w, b: F.conv_transpose1d(x, w, b, 2, 1, 1, 1, 2), "a3c 3b3 b"),
    "conv_transpose2d": Case(
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 1), (1, 0), groups=2), "a433 4322 6"),
    "conv_transpose3d": Case(lambda x, w, b: F.conv_transpose3d(x, w, b, 2), "1a222 ab222 b"),
    "where": Case(lambda x, y: torch.where(CHOICE, x, y) + torch.where(CHOICE, x[:1], 2.0),
                  "24 4"),
    "masked_fill": Case(
        lambda x: x.masked_fill(CHOICE, -math.inf).softmax(1) + x.masked_fill(CHOICE, 0.5), "24",
        lambda x: (
            x.exp() * ~CHOICE / (x.exp() * ~CHOICE).sum(1, keepdim=True)
            + x * ~CHOICE + 0.5 * CHOICE
        ),
    ),
    "setitem": Case(with_row, "3b b"),
    "scatter": Case(lambda x, y: torch.scatter(x, 1, ROWS, y) + x.scatter(1, ROWS[:, :1], 0.5),
                    "24 23"),
    "scatter_add": Case(lambda x, y: x.scatter_add(1, ROWS, y), "24 23"),
    "index_add": Case(lambda x, y: x.index_add(0, ROWS[0], y), "3b 3b"),
    "index_copy": Case(lambda x, y: torch.index_copy(x, 0, ROWS[1], y), "4b 3b"),
    "slice_scatter": Case(lambda x, y: torch.slice_scatter(x, y, 1, 1, 4, 2), "a5 a2"),
    "select_scatter": Case(lambda x, y: torch.select_scatter(x, y, 1, 2), "a4 a"),
    "embedding": Case(lambda w: F.embedding(ROWS, w) * fixed(w)[:2, None, :1], "3b"),
    "_pack_padded_sequence": Case(packed, "23b", lambda x: torch.cat([x[:, 0], x[0, 1:]])),
    "_pad_packed_sequence": Case(
        padded, "4b",
        lambda x: torch.cat([
            torch.stack([x[0], x[2], x[3], 0 * x[0] + 0.5]),
            torch.stack([x[1], *[0 * x[0] + 0.5] * 3]),
        ]).reshape(2, 4, -1),
    ),
    "tensor_split": Case(lambda x: x.tensor_split(2, 1)[1] + x.tensor_split([1, 3], 1)[1], "a5"),
    "broadcast_tensors": Case(lambda x, y: torch.stack(torch.broadcast_tensors(x, y)), "a1 b"),
    "expand_as": Case(lambda x, y: x.expand_as(y) + fixed(x).expand_as(y) * y, "b ab"),
    "view_as": Case(lambda x, y: x.view_as(y) * y, "ab ab"),
    "reshape_as": Case(lambda x: x.reshape_as(torch.zeros(x.numel())), "ab"),
    "type_as": Case(lambda x, y: x.type_as(y) * y, "ab ab"),
    "avg_pool3d": Case(lambda x: F.avg_pool3d(x, 2), "ab222"),
    "adaptive_avg_pool3d": Case(lambda x: F.adaptive_avg_pool3d(x, 1), "ab222"),
    "broadcast_to": Case(lambda x: x.broadcast_to(2, *x.shape), "ab"),
    "tile": Case(lambda x: x.tile(2, 3), "ab"),
    "flip": Case(lambda x: x.flip(0), "ab"),
    "diagonal": Case(lambda x: x.diagonal(dim1=0, dim2=2), "3b3"),
    "tril": Case(torch.tril, "ab"),
    "triu": Case(lambda x: x.triu(1), "ab"),
    "t": Case(lambda x: x.t(), "ab"),
    "repeat_interleave": Case(lambda x: x.repeat_interleave(2, 1), "ab"),
    "gather": Case(lambda x: x.gather(1, ROWS), "23"),
    "index_select": Case(lambda x: x.index_select(0, ROWS[0]), "3b"),
    "take_along_dim": Case(lambda x: torch.take_along_dim(x, ROWS, 1), "23"),
    "float": Case(lambda x: (x.float() * 0).double() + x, "ab", lambda x: 1.0 * x),
    "double": Case(lambda x: x.double(), "ab"),
    "type": Case(lambda x: x.type(torch.float64), "ab"),
    "im2col": Case(lambda x: F.unfold(x, 2, padding=1), "ab33"),
    "col2im": Case(lambda x: F.fold(x, (3, 3), 2), "a44"),
    "pixel_shuffle": Case(lambda x: F.pixel_shuffle(x, 2), "a4b2"),
    "pixel_unshuffle": Case(lambda x: F.pixel_unshuffle(x, 2), "ab24"),
    "channel_shuffle": Case(
        lambda x: F.channel_shuffle(x, 2), "a4b2",
        lambda x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2),
    ),
    "upsample_nearest1d": Case(lambda x: F.interpolate(x, scale_factor=2), "ab3"),
    "upsample_nearest2d": Case(lambda x: F.interpolate(x, size=(3, 5)), "ab32"),
    "upsample_nearest3d": Case(lambda x: F.interpolate(x, scale_factor=2), "1b212"),
    "upsample_linear1d": Case(lambda x: F.interpolate(x, scale_factor=2, mode="linear"), "ab3"),
    "upsample_bilinear2d": Case(lambda x: F.interpolate(x, size=(4, 3), mode="bilinear"), "ab22"),
    "upsample_bicubic2d": Case(lambda x: F.interpolate(x, size=(4, 3), mode="bicubic"), "ab22"),
    "upsample_trilinear3d": Case(
        lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), "1b222"),
    "rms_norm": Case(
        lambda x, w: F.rms_norm(x, w.shape, w, 1e-5), "ab3 b3",
        lambda x, w: x / ((x * x).mean((1, 2), keepdim=True) + 1e-5).sqrt() * w,
    ),
    "_weight_norm": Case(
        lambda v, g: torch._weight_norm(v, g, 0), "a3b a11",
        lambda v, g: v / (v * v).sum((1, 2), keepdim=True).sqrt() * g, above=0.5,
    ),
    "vdot": Case(torch.vdot, "b b"),
    "instance_norm": Case(
        lambda x, w, b: F.instance_norm(x, None, None, w, b), "a2c3 2 2",
        lambda x, w, b: even(x, 2, 3) * w[:, None, None] + b[:, None, None],
    ),
    "var": Case(lambda x: x.var(1) + torch.var(x, dim=1, correction=0), "a3"),
    "std": Case(lambda x: torch.std(x, (0, 1), keepdim=True) + x.std(), "3b2",
                lambda x: x.var((0, 1), keepdim=True).sqrt() + x.var().sqrt()),
    "var_mean": Case(lambda x: sum(torch.var_mean(x, 1, keepdim=True)), "a3",
                     lambda x: x.var(1, keepdim=True) + x.mean(1, keepdim=True)),
    "linalg_vector_norm": Case(
        lambda x: x.norm(dim=1) + torch.linalg.vector_norm(x, 4, 1), "ab",
        lambda x: (x**2).sum(1).sqrt() + (x**4).sum(1) ** 0.25, above=0.5,
    ),
    "linalg_norm": Case(torch.linalg.norm, "ab", lambda x: (x**2).sum().sqrt(), above=0.5),
    "normalize": Case(lambda x: F.normalize(x, dim=-1), "a3",
                      lambda x: x / (x * x).sum(-1, keepdim=True).sqrt(), above=0.5),
    "cosine_similarity": Case(
        lambda x, y: F.cosine_similarity(x, y, dim=1), "a3 a3",
        lambda x, y: (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt(), above=0.5,
    ),
    "scaled_dot_product_attention": Case(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), "a3b a3b a3c",
        lambda q, k, v: attention(q, k, v, 0.0, CAUSAL),
    ),
    "lstm": Case(lstm, "3ab 8b 82 8 8 82 82 8 8", lstm_by_hand),
    "gru": Case(fused(_VF.gru), "3ab 6b 62 6 6 6b 62 6 6", over_time(gru_cell)),
    "rnn_tanh": Case(fused(_VF.rnn_tanh), "3ab 2b 22 2 2 2b 22 2 2", over_time(rnn_cell)),
    "lstm_cell": Case(lambda x, h, c, *w: torch.cat(_VF.lstm_cell(x, (h, c), *w)),
                      "ab a2 a2 8b 82 8 8", lambda *all_: torch.cat(lstm_cell(*all_))),
    "gru_cell": Case(_VF.gru_cell, "ab a2 6b 62 6 6", gru_cell),
    "rnn_tanh_cell": Case(_VF.rnn_tanh_cell, "ab a2 2b 22 2 2", rnn_cell),
    "softmin": Case(lambda x: F.softmin(x, dim=-1), "a3", lambda x: softmax_by_hand(-x)),
    "binary_cross_entropy_with_logits": Case(
        lambda x: F.binary_cross_entropy_with_logits(
            x, fixed(x).sigmoid(), B4.abs(), pos_weight=2 * B4.abs()), "a4",
        lambda x: (
            (fixed(x).sigmoid() * 2 * B4.abs() * torch.log1p((-x).exp())
             + (1 - fixed(x).sigmoid()) * torch.log1p(x.exp())) * B4.abs()
        ).mean(),
    ),
    "embedding_bag": Case(lambda w: F.embedding_bag(ROWS, w), "3b", lambda w: w[ROWS].mean(1)),
    "grid_sampler": Case(lambda x: F.grid_sample(x, GRID, align_corners=False), "1a23",
                         lambda x: 0.25 * x[..., :1, :1] + 0.75 * x[..., :1, 1:2]),
    "cdist": Case(torch.cdist, "ab cb", lambda x, y: ((x[:, None] - y) ** 2).sum(-1).sqrt()),
    "soft_margin_loss": Case(
        lambda x: F.soft_margin_loss(x, fixed(x).sign()), "a4",
        lambda x: torch.log1p((-x * fixed(x).sign()).exp()).mean()),
    "gaussian_nll_loss": Case(
        lambda x, v: F.gaussian_nll_loss(x, fixed(x), v.exp()), "a4 a4",
        lambda x, v: ((x - fixed(x)) ** 2 * (-v).exp() + v).mean() / 2),
    "binary_cross_entropy": Case(
        lambda x: F.binary_cross_entropy(x.sigmoid(), fixed(x).sigmoid(), reduction="sum"), "a4",
        lambda x: (torch.log1p(x.exp()) - x * fixed(x).sigmoid()).sum(),
    ),
}  # fmt: skip
TARGETS = torch.tensor([[[0, 3], [1, -100]], [[2, 2], [-100, 0]]])


def spatial(x):
    """Cross-entropy of each place by hand, where it counts."""
    counted = TARGETS >= 0
    chosen = x.movedim(1, -1).gather(-1, TARGETS.clamp(0)[..., None])[..., 0]
    return (log_sum(x) - chosen) * counted


MORE_VARIANTS = {
    "attention with padding": Case(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, PADDED), "23b 23b 23c",
        lambda q, k, v: attention(q, k, v, 0.0, PADDED.expand(2, 3, 3)),
    ),
    "attention with a learned bias": Case(
        lambda q, k, v, bias: F.scaled_dot_product_attention(q, k, v, bias, scale=0.7),
        "a3b a3b a3c 33",
        lambda q, k, v, bias: (
            softmax_by_hand(0.7 * q @ k.transpose(-1, -2) + bias) @ v
        ),
    ),
    "attention with minus infinity added": Case(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, torch.zeros(3, 3).double().masked_fill(~CAUSAL, -math.inf)), "a3b a3b a3c",
        lambda q, k, v: attention(q, k, v, 0.0, CAUSAL),
    ),
    "attention of grouped queries": Case(
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True), "a43b a23b",
        lambda q, k: attention(q, *[torch.stack([k, k], 2).flatten(1, 2)] * 2, 0.0,
                               torch.ones(3, 3, dtype=torch.bool)),
    ),
    "rotary positions": Case(
        lambda x: x * B4 + torch.cat((-x[..., 2:], x[..., :2]), -1) * B4.flip(0), "ab4"),
    "tied embedding": Case(lambda w: F.embedding(ROWS, w) @ w.T, "3b"),
    "padding row of an embedding": Case(
        lambda w: F.embedding(torch.tensor([2, 1]), w, padding_idx=0) ** 2, "3b"),
    "convolution with one place more at the end": Case(
        lambda x, w: F.conv2d(x, w, padding="same", dilation=(1, 2)), "1a34 ba23"),
    "reflected": Case(lambda x: F.pad(x, (1, 1), mode="reflect"), "ab3"),
    "cross-entropy of places": Case(
        lambda x: F.cross_entropy(x, TARGETS, reduction="none"), "2422", spatial),
    "mean cross-entropy of places": Case(
        lambda x: F.cross_entropy(x, TARGETS), "2422", lambda x: spatial(x).sum() / 6),
    "smoothed cross-entropy with class weights": Case(
        lambda x: F.cross_entropy(x, LABELS[:2], B4.abs(), label_smoothing=0.2), "24",
        lambda x: -(
            (x - log_sum(x)[:, None]) * B4.abs()
            * (0.8 * F.one_hot(LABELS[:2], 4).double() + 0.05)
        ).sum() / B4.abs()[LABELS[:2]].sum(),
    ),
    "weighted sums of a table's rows": Case(
        lambda w: F.embedding_bag(ROWS, w, mode="sum", per_sample_weights=B4[:3].expand(2, 3)),
        "3b", lambda w: (w[ROWS] * B4[:3, None]).sum(1)),
    "bags of several lengths": Case(
        lambda w: F.embedding_bag(ROWS[0], w, torch.tensor([0, 2]), mode="sum", padding_idx=0),
        "3b", lambda w: torch.stack([w[2], w[2]])),
    "one variance for a row": Case(
        lambda x, v: F.gaussian_nll_loss(x, fixed(x), v.exp(), full=True, reduction="sum"), "a4 a",
        lambda x, v: ((x - fixed(x)) ** 2 * (-v).exp()[:, None] + v[:, None]
                      + math.log(2 * math.pi)).sum() / 2),
    "over a count": Case(lambda x: x.sum() / (LABELS >= 1).sum(), "ab",
                         lambda x: x.sum() / 2),
    "dots for axes": Case(lambda x, y: torch.einsum("...ij,kj->...ik", x, y), "2ab cb"),
    "sums of one operand": Case(lambda x, y: torch.einsum("ij,kl->il", x, y), "ab bc"),
    "a choice by an index": Case(lambda x: x[ROWS[0], :, None][..., 0] + x[[0, 1, 2]], "3b"),
    "a choice by a mask": Case(lambda x: x[CHOICE], "24"),
    "two to the power": Case(lambda x: 2.0**x + torch.pow(3.0, x), "ab",
                             lambda x: (math.log(2) * x).exp() + (math.log(3) * x).exp()),
}  # fmt: skip
# without a rule: each by nested derivatives of its own, dearer with each order
ALONE = {
    "a grid of two": Case(
        lambda x, y: sum(torch.meshgrid(x, y, indexing="ij")), "a b",
        lambda x, y: x[:, None] + y),
    "arc tangent": Case(torch.atan, "ab"),
    "both a variable": Case(lambda x, y: torch.pow(x, y), "ab ab",
                            lambda x, y: (y * x.log()).exp(), above=0.5),
    "two outputs": Case(lambda x: sum(torch.std_mean(x, 1)), "a3",
                        lambda x: x.var(1).sqrt() + x.mean(1)),
}  # fmt: skip
