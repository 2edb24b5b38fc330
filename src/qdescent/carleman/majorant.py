"""The scalar majorant of a map: one number for each ||F_k||, which bounds kappa of the history
system at any n.

For f(u) = F_0 + F_1 u + F_2 u (x) u + ... let f^(z) = ||F_0|| + ||F_1|| z + ||F_2|| z^2 + ..., with
spectral norms of the unfoldings. A block of the lifted A between two words is a Kronecker product
of F_k's, so that its norm is at most the entry of A^ between the words of f^; M^-1 is a sum of
products of such blocks, so ||M^-1|| <= ||M^^-1||, and M^ has the size of the words, not of n.
docs/mathematics.md has the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, product

import numpy as np
import torch

from qdescent._arrays import Floats
from qdescent._checks import check_instance, check_integer
from qdescent.carleman.inverse_norm import (
    Kernel,
    convolved,
    inverse_norm_bound,
    transformed,
)
from qdescent.carleman.truncation.norms import coefficient_norm
from qdescent.linalg.map_norms import MOST_STEPS, MapNorms
from qdescent.linalg.polynomial_map import PolynomialMap

LARGEST = 1e100  # beyond it squares overflow
ORDER_LIMIT = 6  # 120 words
MOST_ENTRIES = 2**16  # of what a letter has of a word
MOST_WORD_STEPS = 1_000  # some seconds at order 4


def norms_of(f: PolynomialMap, steps: int | None = None, order: int = 1) -> MapNorms:
    """The norms of an explicit map, with those of the powers of F_1, of what they make of F_0, and
    of what a letter has of longer words, up to `steps`.

    Args:
        f: the map.
        steps: T; None: ||F_1||^d stands for ||F_1^d||.
        order: N, letters of the longest word, as far as n^{N+1} is at most 65,536 and for at most
            1,000 steps.

    Cost: N 2^N contractions of F_k for each step.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.3, 0.4]), torch.diag(torch.tensor([0.5, 0.25]))])
        >>> found = norms_of(f)
        >>> round(found.constant, 6), found.linear, found.higher
        (0.5, 0.5, ())
    """
    f = on_cpu(f)
    constant, linear, *higher = (coefficient_norm(F) for F in f.coefficients)
    powers = drift = words = None
    if steps is not None:
        powers, drift = zip(*_powers_of(f, steps), strict=True)
        order = check_integer("order", order, 1, ORDER_LIMIT)
        while order > 1 and f.size ** (order + 1) > MOST_ENTRIES:
            order -= 1
        if order > 1:
            words = _word_norms(f, min(steps, MOST_WORD_STEPS), order)
    return MapNorms(
        constant=constant,
        linear=linear,
        higher=tuple(higher),
        powers=powers,
        drift=drift,
        words=words,
    )


def on_cpu(f: PolynomialMap) -> PolynomialMap:
    """The map where NumPy reads it."""
    if f.coefficients[0].device.type == "cpu":
        return f
    return PolynomialMap([F.cpu() for F in f.coefficients])


def _powers_of(f: PolynomialMap, steps: int) -> Iterator[tuple[float, float]]:
    """||F_1^t|| and ||sum_{s<t} F_1^s F_0||, t = 0 ... T."""
    F0, F1 = (F.to_dense().double() for F in f.coefficients[:2])
    F0 = F0.reshape(-1)
    power, moved = torch.eye(len(F1), dtype=F1.dtype, device="cpu"), torch.zeros_like(F0)
    for _ in range(steps + 1):
        yield (
            float(torch.linalg.matrix_norm(power, 2)),
            float(torch.linalg.vector_norm(moved)),
        )
        power, moved = F1 @ power, F0 + F1 @ moved


def _word_norms(f: PolynomialMap, steps: int, order: int) -> tuple[tuple[float, ...], ...]:
    """||G_t^x|| for every word x of 2 to N letters, t = 0 ... T, where u_t = sum_x G_t^x x.

    G_{t+1}^x = F_0 [x = w] + F_1 G_t^x + sum_k F_k sum_{x = x_1...x_k} G_t^{x_1} (x) ... (x)
    G_t^{x_k}: matrices with n rows and a column for each value of the letters u.
    """
    n = f.size
    F0, F1, *higher = (
        F.to_dense().double().numpy().reshape((n,) * k)
        for k, F in enumerate(f.coefficients[: order + 1], 1)
    )
    words = [word for j in range(1, order + 1) for word in product((0, 1), repeat=j)]
    images = {word: np.zeros((n, n ** sum(word))) for word in words}
    images[(1,)] = np.eye(n)
    grams: list[Floats] = []
    for _ in range(steps + 1):
        with np.errstate(all="ignore"):
            gram = np.stack([images[word] @ images[word].T for word in words[2:]])
        if not np.isfinite(gram).all():  # it diverges: what is known up to here is enough
            break
        grams.append(gram)
        moved = {word: F1 @ image for word, image in images.items()}
        moved[(0,)] += F0[:, None]
        for word in words[2:]:
            for k, F in enumerate(higher, 2):
                for parts in _splits(word, k):
                    image = F
                    for part in parts:  # its second axis is the next letter that is replaced
                        image = np.tensordot(image, images[part], (1, 0))
                    moved[word] += image.reshape(n, -1)
        images = moved
    squares = np.linalg.eigvalsh(np.stack(grams))[..., -1]
    return tuple(map(tuple, np.sqrt(np.maximum(squares, 0.0)).T.tolist()))


Word = tuple[int, ...]  # letters: 0 for w, 1 for u


def _letter_series(norms: MapNorms, order: int, steps: int) -> dict[Word, Floats]:
    """Bounds g_t^x, t = 0 ... T, on what a letter u, t steps later, has of the word x now.

    By variation of constants, u_t = F_1^t u_0 + sum_{s<t} F_1^{t-1-s} (F_0 w + F_2 u_s (x) u_s +
    ...), so that

        g_t^x = ||F_1^t|| [x = u] + sum_{s<t} ||F_1^{t-1-s}|| (||F_0|| [x = w] + sum_k ||F_k||
        sum_{x = x_1...x_k} g_s^{x_1} ... g_s^{x_k})

    where every x_i is shorter than x: word by word, each a convolution. For x = w it is
    ||sum_s F_1^s F_0||; what is known of a word stands for its sum.
    """
    powers = norms.power_bounds(steps)
    kernels = [norm * powers[:steps] for norm in norms.higher]
    found: dict[Word, Floats] = {}
    for length in range(1, order + 1):
        for word in product((0, 1), repeat=length):
            if word == (0,):
                found[word] = norms.drift_bounds(steps)
                continue
            found[word] = np.zeros(steps + 1)
            for k, kernel in enumerate(kernels, 2):
                driven = np.zeros(steps)
                for parts in _splits(word, k):
                    driven += np.prod([found[part][:steps] for part in parts], axis=0)
                found[word][1:] += convolved(kernel, driven)
            if word == (1,):
                found[word] += powers
            known = norms.of_word(word)[: steps + 1]
            np.minimum(found[word][: len(known)], known, out=found[word][: len(known)])
    return found


def _splits(word: Word, parts: int) -> Iterator[tuple[Word, ...]]:
    """Every way to cut a word into so many parts, none of them empty."""
    for cuts in combinations(range(1, len(word)), parts - 1):
        ends = (0, *cuts, len(word))
        yield tuple(word[a:b] for a, b in pairwise(ends))


def _words(order: int) -> list[Word]:
    """Words of up to N letters, at least one of them u."""
    return [word for j in range(1, order + 1) for word in product((0, 1), repeat=j) if any(word)]


def _word_powers(norms: MapNorms, order: int, steps: int) -> Floats:
    """Bounds on the blocks of A^t between words, (T + 1, words, words): target, then source; words
    with a letter u only.
    """
    letters = _letter_series(norms, order, steps)
    words = _words(order)
    one = np.ones(steps + 1)
    blocks = np.zeros((steps + 1, len(words), len(words)))
    for row, target in enumerate(words):
        for column, source in enumerate(words):
            if len(source) < len(target):
                continue
            for parts in _splits(source, len(target)):
                if all(letter or part == (0,) for letter, part in zip(target, parts, strict=True)):
                    images = [
                        letters[part] if letter else one
                        for letter, part in zip(target, parts, strict=True)
                    ]
                    blocks[:, row, column] += np.prod(images, axis=0)
    return blocks


@dataclass(frozen=True, eq=False)
class Majorant:
    """Bounds on the blocks of A^t between words, t = 0 ... T, in some unit.

    Args:
        blocks: (T + 1, words, words): target, then source.
        letters: how many letters u each word has, (words,).
    """

    blocks: Floats
    letters: Floats

    @cached_property
    def _peaks(self) -> Floats:
        return self.blocks.max(0)

    @cached_property
    def _kernel(self) -> Kernel:
        """Transforms over the steps of the blocks that are not 0, each relative to its peak."""
        return [
            (row, column, transformed(self.blocks[:, row, column] / self._peaks[row, column]))
            for row, column in np.argwhere(self._peaks > 0)
        ]

    @property
    def overflows(self) -> bool:
        """Whether kappa does in every unit: blocks between words of as many letters u do."""
        alike = self.letters[None, :] == self.letters[:, None]
        return not bool((self._peaks[alike] <= LARGEST).all())

    def kappa(
        self, padding: int, unit: float = 1.0, dull: Callable[[float], bool] = lambda least: False
    ) -> float:
        """`history_kappa_bound` with p copies in a unit so many times as large; inf on overflow.

        A block from a word with a letters u to one with b of them takes the factor unit^{a-b}.

        Args:
            padding: p.
            unit: relative to that of the blocks.
            dull: says of a number that is no more than kappa whether kappa is of interest; where
                it is not, infinity is returned, soon.
        """
        steps, words = len(self.blocks) - 1, len(self.letters)
        with np.errstate(all="ignore"):
            factors = unit ** (self.letters[None, :] - self.letters[:, None])
            peaks = self._peaks * factors
            if not np.isfinite(peaks).all() or peaks.max() > LARGEST:
                return float("inf")
            first = self.blocks[1] * factors
            norm = 1 + max(float(np.linalg.norm(first, 2)), 1.0 if padding else 0.0)
            kernel = [(row, column, peaks[row, column] * entry)
                      for row, column, entry in self._kernel]  # fmt: skip
            return norm * inverse_norm_bound(
                kernel, steps, words, padding, lambda least: dull(norm * least)
            )


def majorant(norms: MapNorms, order: int, steps: int) -> Majorant:
    """The majorant of a map with these norms."""
    steps = check_integer("steps", steps, 1, MOST_STEPS)
    order = check_integer("order", order, 1, ORDER_LIMIT)
    with np.errstate(all="ignore"):
        blocks = _word_powers(norms, order, steps)
    return Majorant(blocks, np.array([float(sum(word)) for word in _words(order)]))


def history_kappa_bound(
    norms: MapNorms, order: int, steps: int, padding: int = 0, scale: float = 1.0
) -> float:
    """kappa(M) <= (1 + max(||A^||, 1 if p)) ||M^^-1|| of the homogenised order-N history system in
    u/scale, at any n.

    In full coordinates. In symmetric ones, monomials of weight 1, kappa is at most so many times as
    large as a word of N letters has orders, N! or fewer: 1.85 times was the most that was seen.

    Args:
        norms: norms of the map's coefficients.
        order: N.
        steps: T.
        padding: p.
        scale: gamma.

    Returns:
        The bound on ||M|| ||M^-1||; infinite where it overflows.

    Cost: some tens of passes over (2^{N+1} - N - 2)(T + p + 1) numbers: .1 s at N = 3, T = 10^4.

    References:
        docs/mathematics.md, "The majorant"; the bound on the spectral radius is Collatz's and
        Wielandt's.

    Example:
        >>> round(history_kappa_bound(MapNorms(constant=0.1, linear=0.5), order=1, steps=100), 6)
        3.0
    """
    check_instance("norms", norms, MapNorms)
    padding = check_integer("padding", padding, 0, MOST_STEPS)
    return majorant(norms.scaled(scale), order, steps).kappa(padding)
