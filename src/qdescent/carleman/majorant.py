"""The scalar majorant of a map: one number for each ||F_k||, which bounds kappa of the history
system at any n.

For f(u) = F_0 + F_1 u + F_2 u (x) u + ... let f^(z) = ||F_0|| + ||F_1|| z + ||F_2|| z^2 + ..., with
spectral norms of the unfoldings. A block of the lifted A between two words is a Kronecker product
of F_k's, so that its norm is at most the entry of A^ between the words of f^; M^-1 is a sum of
products of such blocks, so ||M^-1|| <= ||M^^-1||, and M^ has the size of the words, not of n.
docs/mathematics.md has the proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
import torch
from scipy.fft import irfft, next_fast_len, rfft
from torch import Tensor

from qdescent._arrays import Floats
from qdescent._checks import check_instance, check_integer
from qdescent.carleman.truncation.norms import coefficient_norm
from qdescent.linalg.map_norms import MOST_STEPS, MapNorms
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import to_scipy

PRECISE = 1.01  # how far the bound on the largest singular value may lie above what was seen of it
MOST_ROUNDS = 200
# of the largest entry: an entry that is smaller may be raised, and rounding stays far below it
FLOOR = 1e-9
LARGEST = 1e100  # beyond it squares overflow
FFT_ROUNDING = 1e-13  # of the largest entry: above the error of a convolution by transforms
ORDER_LIMIT = 6  # 120 words


def norms_of(f: PolynomialMap, steps: int | None = None) -> MapNorms:
    """The norms of an explicit map, with those of the powers of F_1, and of what they make of F_0,
    F_2, ..., up to `steps`.

    Args:
        f: the map.
        steps: T; None: ||F_1||^d stands for ||F_1^d||.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.3, 0.4]), torch.diag(torch.tensor([0.5, 0.25]))])
        >>> found = norms_of(f)
        >>> round(found.constant, 6), found.linear, found.higher
        (0.5, 0.5, ())
    """
    constant, linear, *higher = (coefficient_norm(F) for F in f.coefficients)
    powers = drift = carried = None
    if steps is not None:
        powers, drift, *rows = zip(*_powers_of(f, steps), strict=True)
        carried = tuple(rows)
    return MapNorms(
        constant=constant,
        linear=linear,
        higher=tuple(higher),
        powers=powers,
        drift=drift,
        carried=carried,
    )


def _powers_of(f: PolynomialMap, steps: int) -> Iterator[tuple[float, ...]]:
    """||F_1^t||, ||sum_{s<t} F_1^s F_0||, ||F_1^t F_2||, ||F_1^t F_3||, ..., t = 0 ... T."""
    F0, F1 = (F.to_dense().double() for F in f.coefficients[:2])
    F0, roots = F0.reshape(-1), [_square_root(F) for F in f.coefficients[2:]]
    power, moved = torch.eye(len(F1), dtype=F1.dtype), torch.zeros_like(F0)
    for _ in range(steps + 1):
        norm, *others = (
            float(torch.linalg.matrix_norm(each, 2))
            for each in (power, *(power @ root for root in roots))
        )
        yield norm, float(torch.linalg.vector_norm(moved)), *others
        power, moved = F1 @ power, F0 + F1 @ moved


def _square_root(F: Tensor) -> Tensor:
    """An n x n matrix R with R R^T = F F^T: ||A F|| = ||A R|| for every A."""
    rows = to_scipy(F)
    size = float(abs(rows).max()) if rows.nnz else 0.0
    if size == 0:
        return torch.zeros(F.shape[0], F.shape[0], dtype=torch.float64)
    values, vectors = np.linalg.eigh(((rows / size) @ (rows / size).T).toarray())
    return torch.from_numpy(size * vectors * np.sqrt(np.maximum(values, 0.0)))


Word = tuple[int, ...]  # letters: 0 for w, 1 for u


def _letter_series(norms: MapNorms, order: int, steps: int) -> dict[Word, Floats]:
    """Bounds g_t^x, t = 0 ... T, on what a letter u, t steps later, has of the word x now.

    By variation of constants, u_t = F_1^t u_0 + sum_{s<t} F_1^{t-1-s} (F_0 w + F_2 u_s (x) u_s +
    ...), so that

        g_t^x = ||F_1^t|| [x = u] + sum_{s<t} ||F_1^{t-1-s}|| (||F_0|| [x = w] + sum_k ||F_k||
        sum_{x = x_1...x_k} g_s^{x_1} ... g_s^{x_k})

    where every x_i is shorter than x: word by word, each a convolution. For x = w it is
    ||sum_s F_1^s F_0||, and ||F_1^d F_k|| stands for the product where they are known.
    """
    powers = norms.power_bounds(steps)
    kernels = [norms.carried_bounds(k, steps) for k in range(2, len(norms.higher) + 2)]
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
                found[word][1:] += _convolved(kernel, driven)
            if word == (1,):
                found[word] += powers
    return found


def _splits(word: Word, parts: int) -> Iterator[tuple[Word, ...]]:
    """Every way to cut a word into so many parts, none of them empty."""
    for cuts in combinations(range(1, len(word)), parts - 1):
        ends = (0, *cuts, len(word))
        yield tuple(word[a:b] for a, b in pairwise(ends))


def _convolved(kernel: Floats, sequence: Floats) -> Floats:
    """sum_d kernel_d sequence_{t-d}, of non-negative numbers, from above."""
    if not sequence.any():
        return np.zeros(len(sequence))
    length = next_fast_len(len(kernel) + len(sequence) - 1, real=True)
    found = irfft(rfft(kernel, length) * rfft(sequence, length), length)
    return _from_above(found[: len(sequence)])


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


def _inverse_norm_bound(blocks: Floats, padding: int) -> float:
    """||M^^-1|| from above: for a matrix B >= 0 and any x > 0, the largest (B x)_i / x_i bounds its
    spectral radius.

    B = M^^-T M^^-1, M^^-1 a convolution with the blocks over the steps, and a sum over the copies
    of the end.
    """
    steps, words = len(blocks) - 1, blocks.shape[1]
    length = next_fast_len(2 * steps + 1, real=True)
    kernel = rfft(blocks, length, axis=0)

    def solve(x: Floats) -> Floats:
        z = x.copy()
        z[: steps + 1] = _from_above(
            irfft(
                np.einsum("fij,fj->fi", kernel, rfft(x[: steps + 1], length, axis=0)),
                length,
                axis=0,
            )[: steps + 1]
        )
        z[steps:] = np.cumsum(z[steps:], axis=0)
        return z

    def solve_transposed(x: Floats) -> Floats:
        y = x.copy()
        y[steps:] = np.cumsum(x[steps:][::-1], axis=0)[::-1]
        turned = rfft(y[steps::-1], length, axis=0)
        y[: steps + 1] = _from_above(
            irfft(np.einsum("fji,fj->fi", kernel, turned), length, axis=0)[: steps + 1]
        )[::-1]
        return y

    x = np.ones((steps + padding + 1, words))
    best = np.inf
    for _ in range(MOST_ROUNDS):
        image = solve_transposed(solve(x))
        best = min(best, float((image / x).max()))
        if best <= PRECISE**2 * float((image * x).sum() / (x * x).sum()):
            break
        x = np.maximum(image / image.max(), FLOOR)
    return best**0.5


def _from_above(found: Floats) -> Floats:
    return np.maximum(found, 0.0) + FFT_ROUNDING * found.max()


@dataclass(frozen=True)
class Majorant:
    """Bounds on the blocks of A^t between words, t = 0 ... T, in some unit.

    Args:
        blocks: (T + 1, words, words): target, then source.
        letters: how many letters u each word has, (words,).
    """

    blocks: Floats
    letters: Floats

    def kappa(self, padding: int, unit: float = 1.0) -> float:
        """`history_kappa_bound` with p copies in a unit so many times as large; inf on overflow.

        A block from a word with a letters u to one with b of them takes the factor unit^{a-b}.
        """
        with np.errstate(all="ignore"):
            blocks = self.blocks * unit ** (self.letters[None, :] - self.letters[:, None])
            if not np.isfinite(blocks).all() or blocks.max() > LARGEST:
                return float("inf")
            norm = 1 + max(float(np.linalg.norm(blocks[1], 2)), 1.0 if padding else 0.0)
            return norm * _inverse_norm_bound(blocks, padding)


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
    check_integer("padding", padding, 0, MOST_STEPS)
    return majorant(norms.scaled(scale), order, steps).kappa(padding)
