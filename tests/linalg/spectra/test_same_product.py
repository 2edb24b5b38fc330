"""Operators that add noise, drift or change what they are given have no spectrum; those that only
round otherwise have one.
"""

from dataclasses import replace

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.linalg.operator import LinearOperator, as_operator
from qdescent.linalg.spectra.deflation import extreme_eigenpairs
from qdescent.linalg.spectra.density import spectral_density
from qdescent.linalg.spectra.lanczos import lanczos
from qdescent.linalg.spectra.same_product import first_product
from qdescent.linalg.spectra.sparsity import row_sparsity

N = 60
DIAGONAL = torch.linspace(0.1, 1, N, dtype=torch.float64)[:, None]
TAKERS = {
    "density": lambda operator: spectral_density(operator, steps=12, probes=2),
    "deflated": lambda operator: spectral_density(operator, steps=12, probes=2, deflate=2),
    "pairs": lambda operator: extreme_eigenpairs(operator, 2, steps=20),
    "rows": lambda operator: row_sparsity(operator, 9),
}


class Counted:
    """A diagonal matrix whose products are counted, and changed by the count."""

    def __init__(self, change=lambda product, count: product, dtype=torch.float64):
        self.count, self.change = 0, change
        self.operator = LinearOperator((N, N), self.apply, self.apply, dtype)

    def apply(self, block):
        self.count += block.shape[1]
        return self.change(DIAGONAL.to(block) * block, self.count)


def noisy(share):
    generator = torch.Generator().manual_seed(0)

    def change(product, count):
        noise = torch.randn(product.shape, generator=generator, dtype=torch.float64).to(product)
        return product + share * noise * product.norm(dim=0) / N**0.5

    return change


CHANGES = {
    "noise": noisy(0.05),
    "little noise": noisy(1e-4),
    "drift": lambda product, count: product * (1 + 1e-3 * count),
    "late drift": lambda product, count: product * (1 + 0.02 * (count > 8)),
    "another matrix each time": lambda product, count: product.roll(count, 0),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("change", CHANGES)
def test_an_operator_that_changes_is_refused(taker, change):
    with pytest.raises(ArgumentError, match="same product for the same|be symmetric"):
        TAKERS[taker](Counted(CHANGES[change]).operator)


@pytest.mark.parametrize("taker", ["density", "deflated", "rows"])
@pytest.mark.parametrize(
    "change",
    [
        lambda product, _: product * torch.linspace(1, 2, product.shape[1], dtype=torch.float64),
        lambda product, _: product.flip(1),
        lambda product, _: product.mean(1, keepdim=True).expand_as(product),
        lambda product, _: product * (1 + 0.01 * (torch.arange(product.shape[1]) > 0)),
        lambda product, _: product / product.shape[1],
    ],
)
def test_columns_of_a_block_that_are_treated_unlike_each_other_are_refused(taker, change):
    with pytest.raises(ArgumentError, match="alone or in a block|be symmetric"):
        TAKERS[taker](Counted(change).operator)


def test_half_precision_inside_rounds_and_is_no_noise():
    operator = LinearOperator(
        (N, N), lambda x: (DIAGONAL.bfloat16() * x.bfloat16()).float(), dtype=torch.float32
    )
    for name in ("density", "deflated", "rows"):
        TAKERS[name](operator)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_is_no_noise(dtype):
    kind = torch.finfo(dtype).eps
    for taker in TAKERS.values():
        taker(Counted(noisy(20 * kind), dtype).operator)


def test_a_block_changed_in_place_is_refused():
    for change in (lambda x: x.mul_(DIAGONAL), lambda x: x.clone() + 0 * x.add_(1)):
        operator = LinearOperator((N, N), change, change)
        with pytest.raises(ArgumentError, match="`apply` must leave the block that it is given"):
            spectral_density(operator, steps=3, probes=1)
    with torch.inference_mode():  # whose tensors count no changes
        assert spectral_density(Counted().operator, steps=3, probes=1).size == N


def test_two_products_are_made_again():
    counted = Counted()
    seen = []
    spectral_density(counted.operator, steps=12, probes=3, on_step=lambda s: seen.append(s))
    assert counted.count == 12 * 3 + 2
    resumed = Counted()
    again = spectral_density(resumed.operator, steps=12, probes=3, state=seen[6])
    assert resumed.count == 5 * 3 + 3  # one sees that the state is this operator's
    assert torch.equal(again.nodes, spectral_density(Counted().operator, 12, 3).nodes)
    whole = Counted()
    spectral_density(whole.operator, steps=12, probes=3, state=seen[-1])
    assert whole.count == 1
    rows = Counted()
    row_sparsity(rows.operator, 9)
    assert rows.count == 10


def test_a_product_is_read_off_the_recurrence():
    """Also after a probe has ended; without the vector before the last, it is another."""
    counted, states = Counted(), []
    vectors = torch.ones(N, 2, dtype=torch.float64)
    vectors[1:, 0] = 0  # ends after one step
    lanczos(counted.operator, vectors, 4, on_step=states.append)
    for before, after in zip([None, *states], states, strict=False):
        found = first_product(before, after)
        assert float(found.vector.norm()) == pytest.approx(1)
        torch.testing.assert_close(found.product, counted.operator @ found.vector)
    forgotten = first_product(replace(states[1], beta=0 * states[1].beta), states[2])
    with pytest.raises(ArgumentError, match="two products of one vector"):
        forgotten.compare(counted.operator @ forgotten.vector)


def test_what_is_known_to_be_steady_is_not_made_again():
    counted = Counted()
    spectral_density(counted.operator, steps=12, probes=2)
    assert counted.count == 26
    counted.count = 0
    steady = replace(counted.operator, steady=True)
    spectral_density(steady, steps=12, probes=2)
    assert counted.count == 24


def test_what_was_kept_of_another_operator_is_refused():
    """A state, rows and eigenpairs, each gone on with on its own matrix and on another."""
    states, rows = [], []
    other = torch.diag(torch.linspace(5, 9, N, dtype=torch.float64))
    dense = torch.ones(N, N, dtype=torch.float64) + other
    own = Counted().operator
    pairs = extreme_eigenpairs(own, 3)
    thrice, shorter = replace(pairs, values=3 * pairs.values), 0.9 * pairs.vectors
    spectral_density(own, 8, 3, on_step=states.append, deflate=pairs)
    row_sparsity(own, 9, on_rows=rows.append)
    bare = []
    spectral_density(own, 8, 3, on_step=bare.append)
    move = own.apply
    shifted = replace(own, apply=lambda block: move(block) + block, steady=True)
    single = own.apply(torch.eye(N, dtype=torch.float64)).float()
    kept = states[4]
    whole = spectral_density(own, 8, 3, state=kept, deflate=pairs)
    assert torch.equal(whole.nodes, spectral_density(own, 8, 3, deflate=pairs).nodes)
    assert row_sparsity(own, 9, state=rows[0]).mean_above == row_sparsity(own, 9).mean_above
    for operator, settings, sentence in (
        (other, {"state": kept}, "`state` must be of this operator"),
        # the same Krylov space, and an operator of which no product is made again
        (shifted, {"state": bare[4]}, "`state` must be of this operator"),
        (own, {"state": kept, "probes": 2}, "`state` must be of 2 probes"),
        (own, {"state": kept, "steps": 3}, "at most 3 steps"),
        (single, {"state": bare[4]}, r"`state` must hold torch\.float32 vectors of length"),
        (other[:9, :9], {"state": bare[4]}, "`state` must hold torch.float64 vectors of length 9"),
        (other, {"deflate": pairs}, "`deflate` must hold eigenpairs of this operator"),
        (own, {"deflate": thrice}, "`deflate` must hold eigenpairs of this operator"),
        (own, {"deflate": replace(pairs, vectors=shorter)}, "`deflate` must hold orthonormal"),
        (other[:9, :9], {"deflate": pairs}, "`deflate` must hold .* vectors of length 9"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            spectral_density(operator, **{"steps": 8, "probes": 3} | settings)
    with pytest.raises(ArgumentError, match="`state` must be of this operator"):
        row_sparsity(dense, 9, state=rows[0])


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_of_another_seed_or_other_vectors_is_refused(dtype, check):
    """The start of a finished or unfinished run is the state's: another one is not dropped."""
    A = torch.diag(DIAGONAL[:, 0]).to(dtype)
    vectors = torch.randn(N, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))
    swapped, nudged = vectors.flip(1), vectors.clone()
    nudged[N - 1, 1] += 0.1  # one entry of one probe
    drawn, own = [], []
    whole = spectral_density(A, 6, 2, seed=3, on_step=drawn.append)
    given = spectral_density(A, 6, 2, vectors=vectors, on_step=own.append)
    for k in (0, 2, 5):
        again = spectral_density(A, 6, 2, seed=3, state=drawn[k], check=check)
        assert torch.equal(again.nodes, whole.nodes)
        scaled = {"vectors": 4 * vectors, "state": own[k], "check": check}
        assert torch.equal(spectral_density(A, 6, 2, **scaled).nodes, given.nodes)
        for state, start, sentence in (
            (
                drawn[k],
                {"seed": 5},
                "`seed` must be as for `state`, and so must `deflate`, but is 5: its",
            ),
            (own[k], {"seed": 3}, "`seed` must be as for `state`"),
            (drawn[k], {"vectors": vectors}, "`vectors` must be as for `state`"),
            (own[k], {"vectors": swapped}, "`vectors` must be as for `state`"),
            (own[k], {"vectors": nudged}, "`vectors` must be as for `state`"),
            (own[k], {"vectors": -vectors}, "`vectors` must be as for `state`"),
        ):
            with pytest.raises(ArgumentError, match=sentence):
                spectral_density(A, 6, 2, **start, state=state, check=check)
    with pytest.raises(ArgumentError, match="`state`, and so must `deflate`|`state` must be of"):
        spectral_density(A, 6, 2, seed=3, state=drawn[2], deflate=2, check=check)
    start = lanczos(as_operator(A), vectors, 6, own[2])
    assert torch.equal(start.alpha, own[5].alpha)
    with pytest.raises(ArgumentError, match="`vectors` must be those that `state` began with"):
        lanczos(as_operator(A), swapped, 6, own[2])
