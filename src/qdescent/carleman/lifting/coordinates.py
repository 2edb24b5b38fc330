"""Which monomials a lifted vector holds, and in which order: the words of 1 to N letters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from qdescent._array_checks import check_tensor
from qdescent._checks import argument_error, check_boolean, check_choice, check_field, check_integer
from qdescent.linalg.polynomial_terms import check_scale

MOST_LETTERS = 1000  # beyond it even a single variable's monomials are no numbers any more


@dataclass(frozen=True)
class Coordinates:
    """The coordinates of z = (z_1, ..., z_N), z_j the monomials of j letters.

    Letters are u_1 ... u_n (plain) or w, u_1, ..., u_n with w = 1 (homogenised, the word w ... w of
    each block left out: a known constant). Full coordinates have one unknown for each word, in the
    order of `torch.kron`. Symmetric (compressed) ones have one for each multiset of letters, the
    sorted words of the full ones in the same order; the value is that of the full one.

    In the units u = gamma u~ the monomials are those of u~; `lift` takes u and `project` gives u.

    Args:
        size: n.
        order: N.
        form: "homogenised" or "plain".
        symmetric: compressed coordinates.
        scale: gamma > 0, with monomials of N letters that are still numbers.

    Example:
        >>> [Coordinates(16, 4, "plain", symmetric).dimension for symmetric in (False, True)]
        [69904, 4844]
    """

    size: int
    order: int
    form: str
    symmetric: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_field(self, "size", check_integer, 1, 2**62)
        check_field(self, "order", check_integer, 1, MOST_LETTERS)
        check_field(self, "form", check_choice, ["homogenised", "plain"])
        check_field(self, "symmetric", check_boolean)
        object.__setattr__(self, "scale", check_scale("scale", self.scale, self.order))
        if self.dimension >= 2**62:
            raise argument_error(
                "order",
                "leave fewer than 2^62 unknowns (series_descent needs none of them)",
                self.order,
            )

    @property
    def constants(self) -> int:
        """How many words of each block are known constants: 1 (the first, w ... w) or 0."""
        return int(self.form == "homogenised")

    @property
    def letters(self) -> int:
        """q, the letters: n or n + 1."""
        return self.size + self.constants

    def count(self, j: int) -> int:
        """Words of j letters, the constant among them: q^j, or C(q + j - 1, j) symmetric."""
        return math.comb(self.letters + j - 1, j) if self.symmetric else self.letters**j

    @cached_property
    def starts(self) -> list[int]:
        """Where block j begins in z, at place j; place 0 is not used. The last is D."""
        starts = [0, 0]
        for j in range(1, self.order + 1):
            starts.append(starts[-1] + self.count(j) - self.constants)
        return starts

    @property
    def dimension(self) -> int:
        """D, the number of unknowns."""
        return self.starts[-1]

    @cached_property
    def index_type(self) -> type[np.signedinteger]:
        """32 bits where every word of N letters has a number below 2^31: half the memory and time
        of an index.
        """
        return (
            np.int32
            if max(self.letters**self.order, self.dimension + self.order) < 2**31
            else np.int64
        )

    def tails(self, j: int) -> np.ndarray:
        """For each first letter i: the first word of j - 1 letters that may follow it (all later
        ones may, too), (q,).
        """
        return self._first_letters[j][0]

    def split(self, j: int, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First letter, and number of the word of the other j - 1 letters, for words of j letters
        given by number.
        """
        tails, begins = self._first_letters[j]
        first = np.searchsorted(begins, words, side="right") - 1
        return first, (tails - begins)[first] + words

    @cached_property
    def _first_letters(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """At place j, for each first letter: `tails`, and the number of words of j letters before
        those that begin with it.
        """
        q, found = self.letters, [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
        for j in range(1, self.order + 1):
            rest = self.count(j - 1)
            later = [math.comb(q - i + j - 2, j - 1) if self.symmetric else rest for i in range(q)]
            follow = np.array(later, dtype=np.int64)
            found.append((rest - follow, np.cumsum(follow) - follow))
        return found

    @cached_property
    def _shifts(self) -> list[np.ndarray]:
        """The number of a sorted word i_1 <= ... <= i_m is the sum of shifts[m - p + 1][i_p]."""
        return [(begins - tails).astype(self.index_type) for tails, begins in self._first_letters]

    @cached_property
    def _digit_tables(self) -> list[np.ndarray]:
        """Letters of every sorted word of j letters, (j, count(j)), for j < N (made as they are
        asked for: see `_digits`).
        """
        return [np.zeros((0, 1), dtype=self.index_type)]

    def _digits(self, words: np.ndarray, j: int) -> list[np.ndarray]:
        if j == 1:
            return [words]
        while len(self._digit_tables) <= j:
            length = len(self._digit_tables)
            first, rest = self.split(length, np.arange(self.count(length)))
            self._digit_tables.append(
                np.concatenate(
                    [first[None].astype(self.index_type), self._digit_tables[-1][:, rest]]
                )
            )
        return list(self._digit_tables[j][:, words])

    def rank(self, digits: list[np.ndarray]) -> np.ndarray:
        """The number of the word with these letters, one array a position; symmetric: sorted."""
        if not self.symmetric:
            number = (
                np.zeros_like(digits[0], dtype=self.index_type)
                if digits
                else np.zeros(1, dtype=self.index_type)
            )
            for digit in digits:
                number = number * self.letters + digit
            return number
        length, digits = len(digits), list(digits)
        for end in range(length - 1, 0, -1):  # a sorting network: minima and maxima of whole arrays
            for p in range(end):
                digits[p], digits[p + 1] = (
                    np.minimum(digits[p], digits[p + 1]),
                    np.maximum(digits[p], digits[p + 1]),
                )
        number = self._shifts[length][digits[0]]
        for p in range(1, length):
            number = number + self._shifts[length - p][digits[p]]
        return number

    def multiply(self, a: np.ndarray, k: int, b: np.ndarray, m: int) -> np.ndarray:
        """The numbers of the words ab, a of k letters and b of m."""
        if not self.symmetric:
            return a * self.index_type(self.letters**m) + b
        if k == 0 or m == 0:
            return a if m == 0 else b
        return self.rank([*self._digits(a, k), *self._digits(b, m)])

    def positions(self, j: int) -> Tensor:
        """The Kronecker positions, among q^j, of the unknowns of block j, in increasing order."""
        if j == 0:
            return torch.zeros(0, dtype=torch.int64, device="cpu")
        if not self.symmetric:
            return torch.arange(self.constants, self.letters**j, device="cpu")
        position = np.zeros(1, dtype=np.int64)
        for length in range(1, j + 1):
            first, rest = self.split(length, np.arange(self.count(length)))
            position = first * self.letters ** (length - 1) + position[rest]
        return torch.from_numpy(position[self.constants :])

    def lift(self, u: Tensor) -> Tensor:
        """z(u): the monomials of u / gamma, (n,) -> (D,)."""
        check_tensor("u", u, (self.size,), finite=False)
        letters = torch.cat([u.new_ones(self.constants), u / self.scale])
        block, blocks = u.new_ones(1), []
        for j in range(1, self.order + 1):
            if self.symmetric:
                first, rest = (
                    torch.from_numpy(part) for part in self.split(j, np.arange(self.count(j)))
                )
                block = letters[first] * block[rest]
            else:
                block = torch.kron(letters, block)
            blocks.append(block[self.constants :])
        return torch.cat(blocks)

    def project(self, z: Tensor) -> Tensor:
        """u, gamma times the monomials of degree 1: (D,) -> (n,)."""
        check_tensor("z", z, (self.dimension,), finite=False)
        return self.scale * z[: self.size]
