"""The Carleman matrix row by row, written straight into compressed sparse rows.

Each row is a polynomial: the image of a monomial. A map acts on the word (i, r), first letter i and
rest r, as the product f_i * (image of r); an equation as the derivation f_i * r + i * (derivative
of r). So block j follows from block j - 1 by products of sparse polynomials, cut above degree N, in
full coordinates (words concatenated) as in symmetric ones (letters sorted).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._checks import argument_error
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.polynomial_terms import Terms, rescale, to_scipy

# stored entries of A: 1.2 GB; assembly takes a few MB more, and the block of order N - 1
ENTRY_LIMIT = 100_000_000
CHUNK = 2**16  # products made at once: their dozen arrays stay in a processor's cache

Polynomials = dict[int, sparse.csr_array]  # degree m -> its part, rows x count(m)


def assemble(
    terms: Terms, coordinates: Coordinates, derivation: bool
) -> tuple[sparse.csr_array, Tensor]:
    """A and b of the lifted system, from F_0, F_1, ...

    Args:
        terms: of the map, or of the field.
        coordinates: of z.
        derivation: False: z' = A z + b steps a map; True: dz/dt = A z + b follows an equation.

    Returns:
        (A, b): (D, D) in CSR, float64, sorted and without repetition; and (D,).

    Raises:
        ArgumentError: A would have more than 1e8 entries.

    Cost: about 50 ns a product of entries, and the writing of A; memory: A itself and the rows of
        order N - 1.
    """
    letters = letter_polynomials(terms, coordinates, derivation)
    _check_before(letters, coordinates, derivation)
    D, N, first = coordinates.dimension, coordinates.order, coordinates.constants
    tail: Polynomials = {} if derivation else {0: sparse.csr_array(np.ones((1, 1)))}
    parts: list[sparse.csr_array] = []
    offset = np.zeros(D)
    for j in range(1, N):
        _check_limit(_bound(j, letters, tail, coordinates, derivation), N)
        rows = sparse.vstack(
            [part for _, part in _chunks(j, 0, letters, tail, coordinates, derivation)],
            format="csr",
        )
        offset[coordinates.starts[j] : coordinates.starts[j + 1]] = _constants(rows, D)[first:]
        parts.append(sparse.csr_array(rows[first:, :D]))
        tail = _by_degree(rows, coordinates)

    capacity = sum(part.nnz for part in parts) + _bound(N, letters, tail, coordinates, derivation)
    _check_limit(capacity, N)
    # pages that nobody writes take no memory
    data, indices = np.empty(capacity), np.empty(capacity, dtype=coordinates.index_type)
    lengths = np.zeros(D + 1, dtype=np.int64)
    row = filled = 0

    def write(part: sparse.csr_array) -> None:
        nonlocal row, filled
        end = filled + part.nnz
        data[filled:end], indices[filled:end] = part.data, part.indices
        lengths[row + 1 : row + 1 + part.shape[0]] = np.diff(part.indptr)
        row, filled = row + part.shape[0], end

    while parts:
        write(parts.pop(0))
    for start, part in _chunks(N, first, letters, tail, coordinates, derivation):
        if part.nnz and int(part.indices.max()) >= D:
            place = coordinates.starts[N] + start - first
            offset[place : place + part.shape[0]] = _constants(part, D)
            part = sparse.csr_array(part[:, :D])
        write(part)
    data.resize(filled, refcheck=False)
    indices.resize(filled, refcheck=False)
    pointers = np.cumsum(lengths).astype(coordinates.index_type)
    matrix = sparse.csr_array((data, indices, pointers), shape=(D, D))
    matrix.has_canonical_format = True
    return matrix, torch.from_numpy(offset)


def terms_in_units(f: PolynomialMap | PolynomialField, coordinates: Coordinates) -> Terms:
    """gamma^{k-1} F_k in float64, for those k that the coordinates have words for.

    Raises:
        ArgumentError: a gamma that some coefficient is too large for.
    """
    given = tuple(F.double() for F in f.coefficients[: coordinates.order + 1])
    if coordinates.scale == 1:
        return given
    terms = rescale(given, coordinates.scale)
    if not all(bool(_values(F).isfinite().all()) for F in terms):
        must = "leave every coefficient gamma^{k-1} F_k finite"
        raise argument_error("scale", must, coordinates.scale)
    return terms


def _values(F: Tensor) -> Tensor:
    return F.coalesce().values() if F.is_sparse else F


def letter_polynomials(terms: Terms, coordinates: Coordinates, derivation: bool) -> Polynomials:
    """The image of each letter: F_k on the words of k letters, (q, count(k)).

    Homogenised: w' = w (its derivative is 0) and F_0 acts on w, so that no constant term is left.
    """
    found = {k: to_scipy(F) for k, F in enumerate(terms) if k <= coordinates.order}
    n, q = coordinates.size, coordinates.letters
    if coordinates.form == "homogenised":
        one = sparse.csr_array(np.full((1, 1), 0.0 if derivation else 1.0))
        linear = sparse.block_array([[one, None], [found.pop(0), found[1]]], format="csr")
        found = {
            k: sparse.csr_array(linear) if k == 1 else _shifted(F, n, k) for k, F in found.items()
        }
    polynomials = {}
    for k, F in found.items():
        entries = sparse.coo_array(F)
        if coordinates.symmetric and k > 1:
            digits = [
                d.astype(coordinates.index_type) for d in np.unravel_index(entries.col, (q,) * k)
            ]
            entries = sparse.coo_array(
                (entries.data, (entries.row, coordinates.rank(digits))),
                shape=(q, coordinates.count(k)),
            )
        rows = sparse.csr_array(entries)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        if rows.nnz:
            polynomials[k] = rows
    return polynomials


def _shifted(F: sparse.csr_array, n: int, k: int) -> sparse.csr_array:
    """F_k on the letters u_i, among the letters (w, u)."""
    entries = sparse.coo_array(F)
    columns = np.ravel_multi_index(
        tuple(digit + 1 for digit in np.unravel_index(entries.col, (n,) * k)), (n + 1,) * k
    )
    return sparse.csr_array((entries.data, (entries.row + 1, columns)), shape=(n + 1, (n + 1) ** k))


def _factors(
    j: int, letters: Polynomials, tail: Polynomials, coordinates: Coordinates, derivation: bool
) -> list[tuple[Polynomials, Polynomials]]:
    """The pairs (polynomials by first letter, polynomials by rest) whose products are the rows of
    block j.
    """
    if not derivation:
        return [(letters, tail)]
    stay, rest = (
        sparse.eye_array(size, format="csr")
        for size in (coordinates.letters, coordinates.count(j - 1))
    )
    return [(letters, {j - 1: rest}), ({1: stay}, tail)]


def _chunks(
    j: int,
    first_row: int,
    letters: Polynomials,
    tail: Polynomials,
    coordinates: Coordinates,
    derivation: bool,
) -> Iterator[tuple[int, sparse.csr_array]]:
    """(first row, rows) of block j, piece by piece; columns: the D unknowns, then the constant word
    of each degree.
    """
    D, N, rows = coordinates.dimension, coordinates.order, coordinates.count(j)
    factors = _factors(j, letters, tail, coordinates, derivation)
    a_row = max(1.0, _pairs(j, factors, coordinates) / rows)
    length = max(1, int(CHUNK / a_row))
    for start in range(first_row, rows, length):
        head, rest = coordinates.split(j, np.arange(start, min(start + length, rows)))
        part: sparse.csr_array | None = None
        for heads, tails in factors:
            for k, F in heads.items():
                for m, P in tails.items():
                    if k + m <= N:
                        term = _products(F, P, head, rest, k, m, coordinates)
                        part = term if part is None else part + term
        if part is None:
            part = sparse.csr_array((len(head), D + N + 1))
        part.eliminate_zeros()
        yield start, part


def _products(
    F: sparse.csr_array,
    P: sparse.csr_array,
    head: np.ndarray,
    rest: np.ndarray,
    k: int,
    m: int,
    coordinates: Coordinates,
) -> sparse.csr_array:
    """All products of an entry of F[head] with one of P[rest], row by row; equal words added up."""
    index = coordinates.index_type
    lengths = np.diff(F.indptr)[head]
    row, ours = np.repeat(np.arange(len(head)), lengths), _ranges(F.indptr[head], lengths)
    below = rest[row]
    starts = P.indptr[below]
    lengths = P.indptr[below + 1] - starts
    theirs = _ranges(starts, lengths)
    word = coordinates.multiply(
        np.repeat(F.indices[ours].astype(index, copy=False), lengths),
        k,
        P.indices[theirs].astype(index, copy=False),
        m,
    )
    value = np.repeat(F.data[ours], lengths) * P.data[theirs]
    ends = np.cumsum(np.bincount(row, weights=lengths, minlength=len(head))).astype(index)
    shape = (len(head), coordinates.dimension + coordinates.order + 1)
    part = sparse.csr_array(
        (value, _column(word, k + m, coordinates), np.concatenate([[0], ends], dtype=index)),
        shape=shape,
    )
    part.sum_duplicates()
    return part


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... (lengths[0] of them), starts[1], ..."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(starts - (ends - lengths), lengths)


def _column(word: np.ndarray, degree: int, coordinates: Coordinates) -> np.ndarray:
    """The column of a word of `degree` letters; constants stand after all unknowns."""
    D = coordinates.dimension
    if degree == 0:
        return np.full_like(word, D)
    column = word + coordinates.index_type(coordinates.starts[degree] - coordinates.constants)
    return (
        np.where(word == 0, coordinates.index_type(D + degree), column)
        if coordinates.constants
        else column
    )


def _constants(rows: sparse.csr_array, D: int) -> np.ndarray:
    """What the constant words contribute to each row."""
    return np.asarray(rows[:, D:].sum(axis=1)).ravel()


def _by_degree(rows: sparse.csr_array, coordinates: Coordinates) -> Polynomials:
    """The rows of a block, cut by degree, each part on all words of its degree."""
    D, first, found = coordinates.dimension, coordinates.constants, {}
    for m in range(coordinates.order + 1):
        pieces = [] if m == 0 else [rows[:, coordinates.starts[m] : coordinates.starts[m + 1]]]
        if m == 0 or first:
            pieces.insert(0, rows[:, D + m : D + m + 1])
        part = sparse.csr_array(sparse.hstack(pieces, format="csr"))
        if part.nnz:
            found[m] = part
    return found


def _pairs(j: int, factors: list[tuple[Polynomials, Polynomials]], coordinates: Coordinates) -> int:
    """How many products `_chunks` makes for block j."""
    return sum(
        int(np.diff(F.indptr) @ (P.nnz - P.indptr[coordinates.tails(j)].astype(np.int64)))
        for heads, tails in factors
        for k, F in heads.items()
        for m, P in tails.items()
        if k + m <= coordinates.order
    )


def _bound(
    j: int, letters: Polynomials, tail: Polynomials, coordinates: Coordinates, derivation: bool
) -> int:
    """A bound on the entries of block j: as many as products, or as places."""
    pairs = _pairs(j, _factors(j, letters, tail, coordinates, derivation), coordinates)
    return min(pairs, coordinates.count(j) * (coordinates.dimension + coordinates.order + 1))


def _check_before(letters: Polynomials, coordinates: Coordinates, derivation: bool) -> None:
    """Count the entries of all blocks before any is built: the same recursion on numbers.

    Symmetric, about j! products of a row are equal words: what is refused here is far too large,
    and each block is counted again, from the block before it, when its turn comes.
    """
    N, q, counts = coordinates.order, coordinates.letters, {k: F.nnz for k, F in letters.items()}
    row: dict[int, int] = {} if derivation else {0: 1}
    total = 0.0
    for j in range(1, N + 1):
        pairs = [(counts, {j - 1: q ** (j - 1)}), ({1: q}, row)] if derivation else [(counts, row)]
        longer: dict[int, int] = {}
        for heads, tails in pairs:
            for k, count in heads.items():
                for m, rest in tails.items():
                    if k + m <= N:
                        longer[k + m] = longer.get(k + m, 0) + count * rest
        row, rows = longer, coordinates.count(j)
        equal = math.factorial(j) if coordinates.symmetric else 1
        total += sum(
            min(products * rows / q**j / equal, rows * coordinates.count(m))
            for m, products in row.items()
        )
    _check_limit(total, N)


def _check_limit(entries: float, order: int) -> None:
    if entries > ENTRY_LIMIT:
        raise argument_error(
            "order",
            f"leave the explicit matrix at most {ENTRY_LIMIT:.0e} entries (carleman_operator and"
            " series_descent need no matrix)",
            f"{order}: {entries:.1e} entries",
        )
