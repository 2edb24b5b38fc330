"""The Carleman matrix known by what it does: Kronecker words contracted mode by mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_instance
from qdescent.carleman.lifting.assembly import Polynomials, letter_polynomials, terms_in_units
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.linalg.operator import LinearOperator
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap

WORD_LIMIT = 10**9  # of N letters: 8 GB a vector, and several are held

Blocks = list[np.ndarray]  # block m: q^m numbers, as a vector


@dataclass(frozen=True, kw_only=True, eq=False)
class LiftedOperator(LinearOperator):
    """A of a lifted map (or C of a lifted equation) without its entries, and the way into its space
    and back.

    Args:
        offset: b, (D,).
        coordinates: the monomials that z holds.
    """

    offset: Tensor = field(repr=False)
    coordinates: Coordinates

    def __post_init__(self) -> None:
        super().__post_init__()
        check_instance("coordinates", self.coordinates, Coordinates)
        check_tensor("offset", self.offset, (self.shape[0],))

    def step(self, z: Tensor) -> Tensor:
        """A z + b, (D,) -> (D,): a step of a map, the derivative of an equation."""
        check_tensor("z", z, (self.shape[1],), finite=False)
        return self @ z + self.offset

    def lift(self, u: Tensor) -> Tensor:
        """z(u): the monomials of u, (n,) -> (D,)."""
        return self.coordinates.lift(u)

    def project(self, z: Tensor) -> Tensor:
        """u, the monomials of degree 1: (D,) -> (n,)."""
        return self.coordinates.project(z)


def carleman_operator(
    f: PolynomialMap | PolynomialField,
    order: int,
    form: str = "homogenised",
    symmetric: bool = False,
    scale: float = 1.0,
) -> LiftedOperator:
    """The matrix of `carleman_linearize` as an operator: F_{k_1} (x) ... (x) F_{k_j} applied one
    factor at a time.

    With T_0^m = z_m and T_p^m = sum_{k>=1} (I^{(x)p} (x) F_k (x) I^{(x)m}) T_{p-1}^{m+k}, the map's
    words without F_0 are T_j^0; F_0 is then inserted at every choice of positions.

    Args:
        f: the map or field (a field's forcing is left out: its constant part F_0 counts).
        order: N, at least 1.
        form: "homogenised" or "plain", as of `carleman_linearize`.
        symmetric: vectors in compressed coordinates; the contraction itself runs on full Kronecker
            powers.
        scale: gamma, as of `carleman_linearize`.

    Returns:
        LiftedOperator (D, D), with adjoint.

    Raises:
        ArgumentError: more than 1e9 words of N letters.

    Cost: about N^2 / 2 contractions with each F_k, each on at most q^N numbers; memory a few
        vectors of q^N numbers
    (q = n, or n + 1 homogenised) where the matrix has up to q^N times the N-th power of a row's
    entries.

    Example:
        >>> f = PolynomialMap([torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([[0.125]])])
        >>> carleman_operator(f, order=2, form="plain").to_dense().tolist()
        [[0.5, 0.125], [0.0, 0.25]]
    """
    check_instance("f", f, PolynomialMap, PolynomialField)
    coordinates = Coordinates(f.size, order, form, symmetric, scale)
    full = Coordinates(f.size, order, form)
    if full.letters**full.order > WORD_LIMIT:
        raise argument_error(
            "order", f"leave at most {WORD_LIMIT:.0e} words (series_descent needs none)", f"{order}"
        )
    derivation = isinstance(f, PolynomialField)
    letters = letter_polynomials(terms_in_units(f, coordinates), full, derivation)
    contraction = _Contraction(
        coordinates, letters, {k: sparse.csr_array(F.T) for k, F in letters.items()}, derivation
    )
    D = coordinates.dimension
    return LiftedOperator(
        (D, D),
        lambda z: _columnwise(lambda x: contraction.apply(x, 0.0), z),
        lambda y: _columnwise(contraction.apply_adjoint, y),
        offset=torch.from_numpy(contraction.apply(np.zeros(D), 1.0)),
        coordinates=coordinates,
    )


@dataclass(frozen=True)
class _Contraction:
    """The letters' images F_k (q, q^k), their transposes, and the coordinates of the vectors
    between which they act.
    """

    coordinates: Coordinates
    letters: Polynomials
    transposed: Polynomials
    derivation: bool

    def apply(self, z: np.ndarray, constant: float) -> np.ndarray:
        """A z + constant b."""
        blocks = self._open(z, constant)
        return self._close(self._derive(blocks) if self.derivation else self._substitute(blocks))

    def apply_adjoint(self, y: np.ndarray) -> np.ndarray:
        """A^T y: the same contractions backwards."""
        c = self.coordinates
        blocks = [np.zeros(1)]
        for j in range(1, c.order + 1):
            block = np.zeros(c.letters**j)
            block[self._kept[j]] = y[c.starts[j] : c.starts[j + 1]]
            blocks.append(block)
        back = self._derive_adjoint(blocks) if self.derivation else self._substitute_adjoint(blocks)
        parts = []
        for j in range(1, c.order + 1):
            block = back[j]
            if c.symmetric:
                block = np.bincount(self._sorted[j], weights=block, minlength=c.count(j))
            parts.append(block[c.constants :])
        return np.concatenate(parts)

    def _open(self, z: np.ndarray, constant: float) -> Blocks:
        """Full blocks, with the constants in their places."""
        c = self.coordinates
        blocks = [np.full(1, 0.0 if c.constants else constant)]
        for j in range(1, c.order + 1):
            block = np.concatenate(
                [np.full(c.constants, constant), z[c.starts[j] : c.starts[j + 1]]]
            )
            blocks.append(block[self._sorted[j]] if c.symmetric else block)
        return blocks

    def _close(self, blocks: Blocks) -> np.ndarray:
        c = self.coordinates
        return np.concatenate([blocks[j][self._kept[j]] for j in range(1, c.order + 1)])

    @cached_property
    def _kept(self) -> list[slice | np.ndarray]:
        """Which words of block j are unknowns."""
        c = self.coordinates
        blocks = range(c.order + 1)
        return (
            [c.positions(j).numpy() for j in blocks]
            if c.symmetric
            else [slice(c.constants, None) for _ in blocks]
        )

    @cached_property
    def _sorted(self) -> list[np.ndarray]:
        """The number of each word's multiset, (q^j,), for each block j."""
        c, numbers = self.coordinates, [np.zeros(1, dtype=np.int64)]
        for j in range(1, c.order + 1):
            digits = np.unravel_index(np.arange(c.letters**j), (c.letters,) * j)
            numbers.append(c.rank([digit.astype(c.index_type) for digit in digits]))
        return numbers

    def _substitute(self, blocks: Blocks) -> Blocks:
        """The map: every letter of every word replaced by its image."""
        N = self.coordinates.order
        here, done = list(blocks), [blocks[0]]  # here[m]: p letters replaced, m to come
        for p in range(N):
            after = [np.zeros(self.coordinates.letters ** (p + 1 + m)) for m in range(N - p)]
            for m, target in enumerate(after):
                for k, F in self.letters.items():
                    if k >= 1 and m + k <= N - p:
                        target += _contract(F, here[m + k], p, self.coordinates.letters)
            here = after
            done.append(here[0])
        return self._insert(done)

    def _insert(self, words: Blocks) -> Blocks:
        """F_0 put in at any positions of words W_0: W_{p+1}^m = (I^{(x)p} (x) F_0 (x) I^{(x)m})
        W_p^m + W_p^{m+1}.
        """
        if 0 not in self.letters:
            return words
        N, q, found, here = (
            self.coordinates.order,
            self.coordinates.letters,
            [words[0]],
            list(words),
        )
        for p in range(N):
            here = [here[m + 1] + _contract(self.letters[0], here[m], p, q) for m in range(N - p)]
            found.append(here[0])
        return found

    def _substitute_adjoint(self, blocks: Blocks) -> Blocks:
        N, q = self.coordinates.order, self.coordinates.letters
        done = self._insert_adjoint(blocks)
        here = [done[N]]
        for p in range(N - 1, -1, -1):
            before = [np.zeros(q ** (p + m)) for m in range(N - p + 1)]
            before[0] += done[p]
            for m, source in enumerate(here):
                for k, F in self.transposed.items():
                    if k >= 1 and m + k <= N - p:
                        before[m + k] += _contract(F, source, p, q)
            here = before
        return here

    def _insert_adjoint(self, blocks: Blocks) -> Blocks:
        if 0 not in self.letters:
            return blocks
        N, q = self.coordinates.order, self.coordinates.letters
        here = [blocks[N]]
        for p in range(N - 1, -1, -1):
            before = [np.zeros(q ** (p + m)) for m in range(N - p + 1)]
            before[0] += blocks[p]
            for m, source in enumerate(here):
                before[m + 1] += source
                before[m] += _contract(self.transposed[0], source, p, q)
            here = before
        return here

    def _derive(self, blocks: Blocks) -> Blocks:
        """The equation: one letter at a time."""
        N, q = self.coordinates.order, self.coordinates.letters
        found = [np.zeros(q**j) for j in range(N + 1)]
        for j in range(1, N + 1):
            for k, F in self.letters.items():
                if j - 1 + k <= N:
                    for p in range(j):
                        found[j] += _contract(F, blocks[j - 1 + k], p, q)
        return found

    def _derive_adjoint(self, blocks: Blocks) -> Blocks:
        N, q = self.coordinates.order, self.coordinates.letters
        found = [np.zeros(q**j) for j in range(N + 1)]
        for j in range(1, N + 1):
            for k, F in self.transposed.items():
                if j - 1 + k <= N:
                    for p in range(j):
                        found[j - 1 + k] += _contract(F, blocks[j], p, q)
        return found


def _contract(F: sparse.csr_array, x: np.ndarray, p: int, q: int) -> np.ndarray:
    """(I^{(x)p} (x) F (x) I) x, as many letters behind F as x has left."""
    middle = x.reshape(q**p, F.shape[1], -1)
    if p == 0:
        return (F @ middle[0]).ravel()
    if middle.shape[2] == 1:
        return np.ascontiguousarray((F @ np.ascontiguousarray(middle[:, :, 0].T)).T).ravel()
    gathered = np.ascontiguousarray(middle.transpose(1, 0, 2)).reshape(F.shape[1], -1)
    return np.ascontiguousarray(
        (F @ gathered).reshape(F.shape[0], q**p, -1).transpose(1, 0, 2)
    ).ravel()


def _columnwise(apply: Callable[[np.ndarray], np.ndarray], block: Tensor) -> Tensor:
    columns = block.detach().cpu().double().numpy()
    return torch.from_numpy(
        np.stack([apply(np.ascontiguousarray(column)) for column in columns.T], axis=1)
    )
