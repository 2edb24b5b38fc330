"""Two processes that share the batches make the products of one: checked with gloo on a network
with a dense twin.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from two_processes import forked

from qdescent._checks import ArgumentError
from qdescent._processes import is_first
from qdescent.learning.curvature.hessian import hessian
from qdescent.learning.parallel.operators import data_parallel, sharded
from qdescent.learning.parallel.ranks import Ranks, joined
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.task import Task
from qdescent.linalg.spectra.density import spectral_density

SIZES = (2, 5, 1)  # unequal, and an odd number: rank 0 has 3 samples, rank 1 has 5


def problem():
    """Tasks of unequal batches, and the dense Hessian of their common mean."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 2)).double()
    inputs, targets = torch.randn(sum(SIZES), 2).double(), torch.randn(sum(SIZES), 2).double()
    pairs = zip(inputs.split(SIZES), targets.split(SIZES), strict=True)
    tasks = [Task(network, nn.functional.mse_loss, pair) for pair in pairs]
    names = [name for name, _ in network.named_parameters()]
    shapes = [weight.shape for _, weight in network.named_parameters()]

    def loss(flat):
        parts = flat.split([shape.numel() for shape in shapes])
        weights = {
            name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)
        }
        return nn.functional.mse_loss(
            torch.func.functional_call(network, weights, (inputs,)), targets
        )

    flat = torch.cat([weight.detach().flatten() for weight in network.parameters()])
    return tasks, ParameterSpace(network), torch.func.hessian(loss)(flat)


def child(folder: Path) -> None:
    """What each of the two processes runs; each writes a file of its own, since lines on one shared
    pipe can run together.
    """
    tasks, space, dense = problem()
    with joined("cpu") as ranks:
        assert ranks.size == 2
        H = data_parallel(lambda mine: hessian(mine, space), ranks.deal(tasks), space, ranks)
        block = torch.randn(
            space.n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        right = float((H @ block - dense @ block).abs().max())
        # planted: the mean of the processes' means, which forgets that they have unequal numbers of
        # samples
        mine = hessian(ranks.deal(tasks), space) @ block / ranks.size
        wrong = float((ranks.total(mine.contiguous()) - dense @ block).abs().max())
        # rank 1 has nothing
        alone = data_parallel(
            lambda mine: hessian(mine, space), tasks[: 1 - ranks.rank], space, ranks
        )
        first = float((alone @ block - hessian(tasks[0], space) @ block).abs().max())
        sentence = ""
        try:
            ranks.together(
                lambda: (
                    Task(tasks[0].network, nn.functional.mse_loss, ()) if ranks.rank == 1 else None
                )
            )
        except ArgumentError as error:
            sentence = str(error)
        parts = sharded(H, ranks)
        start, stop = ranks.slice(space.n)
        assert parts.shard is not None and len(parts.shard) == stop - start < space.n  # noqa: PT018
        split = float(
            (ranks.gather(parts @ block[start:stop], space.n) - dense @ block).abs().max()
        )
        seen = spectral_density(parts, steps=5, probes=2)
        whole = spectral_density(dense, steps=5, probes=2)
        spectra = float(
            (seen.nodes - whole.nodes).abs().max() + (seen.weights - whole.weights).abs().max()
        )
        # planted: inner products of the parts alone, as if each process had a space of its own; one
        # step: at the second it is refused as not symmetric, in one process perhaps before the
        # other
        alone = replace(parts, shard=replace(parts.shard, total=lambda part: part))
        own, right_one = (spectral_density(A, steps=1, probes=2).nodes for A in (alone, dense))
        apart = float((own - right_one).abs().max())
        shards = f"{split < 1e-12} {spectra < 1e-9} {apart > 1e-3}"
        found = f"{is_first()} {right < 1e-12} {wrong > 1e-3} {first < 1e-12} {shards} {sentence}"
        (folder / f"rank{ranks.rank}").write_text(found)


def test_two_gloo_processes_make_the_dense_product(tmp_path):
    assert [code for code, _ in forked(lambda: child(tmp_path))] == [0, 0]
    must = "be (inputs, targets) of one length, at least 1 (several inputs: ((x1, x2), targets))"
    refused = f"Argument `data` must {must}, but is of 0 parts."
    found = [(tmp_path / f"rank{rank}").read_text() for rank in range(2)]
    assert found == [f"{rank} {'True ' * 6}{refused}" for rank in ("True", "False")]


def test_alone_the_operator_is_the_one_that_was_built():
    tasks, space, dense = problem()
    with joined("cpu") as ranks:
        assert ranks == Ranks()
        H = data_parallel(lambda mine: hessian(mine, space), ranks.deal(tasks), space, ranks)
    assert torch.allclose(H.to_dense(), dense, atol=1e-12)
    with pytest.raises(ArgumentError, match="of 0 parts"):
        ranks.together(lambda: Task(tasks[0].network, nn.functional.mse_loss, ()))


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ArgumentError, match="`device` must be one of 'cpu'"), joined("abacus"):
        pass
