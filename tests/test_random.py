"""One seed, many generators that know nothing of each other."""

import hashlib

import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent._random import derived_seed, named_generator, named_numpy_generator


def test_seed_is_the_published_hash():
    """A run of today must be repeatable tomorrow: the derivation is pinned."""
    digest = hashlib.sha256(b"(7, 'shots', 3)").hexdigest()
    assert derived_seed(7, "shots", 3) == int(digest[:16], 16) >> 1


def test_a_draw_depends_on_its_name_alone():
    first = torch.rand(5, generator=named_generator(0, "probes"))
    torch.rand(100, generator=named_generator(0, "shots"))
    torch.manual_seed(99)
    assert torch.equal(first, torch.rand(5, generator=named_generator(0, "probes")))
    for other in [
        named_generator(1, "probes"),
        named_generator(0, "probes", 0),
        named_generator(0, "probe"),
        named_generator(0, "pro/bes"),
        named_generator(0, "probes", "0"),
    ]:
        assert not torch.equal(first, torch.rand(5, generator=other))


def test_numpy_generator_repeats():
    draws = [named_numpy_generator(3, "a", i).random(4) for i in (0, 0, 1)]
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2]).all()


def test_global_state_stays():
    before = torch.random.get_rng_state()
    named_generator(0, "x").seed()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("seed", [-1, 1.5, "0", None])
def test_a_seed_is_a_natural_number(seed):
    with pytest.raises(ArgumentError, match="Argument `seed` must be an integer of at least 0"):
        derived_seed(seed, "x")
