"""Carleman linearisation of a polynomial map: z_{t+1} = A z_t + b on the monomials of u up to order N."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from qdescent._checks import argument_error, check_choice, check_integer, check_shape
from qdescent.linalg.polynomial_map import PolynomialMap

ENTRY_LIMIT = 50_000_000  # stored entries of A: 1.2 GB in COO, about six times that while it is assembled


@dataclass(frozen=True)
class LiftedMap:
    """The truncated linear map z -> A z + b, and the way into its space and back.

    Args:
        matrix: A, sparse COO float64, (D, D).
        offset: b, (D,): what the known constant monomials contribute at each step.
        words: for each order j = 1..N the Kronecker positions that are kept, among n^j (plain) or (n+1)^j (homogenised).
        size: n, the number of variables of the map.
        form: "homogenised" or "plain".

    `A @ z` applies A alone; `step(z)` is A z + b.
    """

    matrix: Tensor = field(repr=False)
    offset: Tensor = field(repr=False)
    words: tuple[Tensor, ...] = field(repr=False)
    size: int
    form: str

    @property
    def order(self) -> int:
        """N."""
        return len(self.words)

    @property
    def dimension(self) -> int:
        """D, the number of monomials carried along."""
        return self.matrix.shape[0]

    def __matmul__(self, z: Tensor) -> Tensor:
        return self.matrix @ z

    def step(self, z: Tensor) -> Tensor:
        """One step of the truncated dynamics, (D,) -> (D,)."""
        return self.matrix @ z + self.offset

    def to_sparse(self) -> Tensor:
        """A as a sparse COO tensor."""
        return self.matrix

    def lift(self, u: Tensor) -> Tensor:
        """z(u): the monomials of u, (n,) -> (D,)."""
        check_shape("u", u, (self.size,))
        letters = torch.cat([torch.ones(1, dtype=u.dtype, device=u.device), u]) if self.form == "homogenised" else u
        power, blocks = torch.ones(1, dtype=u.dtype, device=u.device), []
        for kept in self.words:
            power = torch.kron(power, letters)
            blocks.append(power[kept])
        return torch.cat(blocks)

    def project(self, z: Tensor) -> Tensor:
        """u, the monomials of degree 1: (D,) -> (n,)."""
        return z[: self.size]


def carleman_linearize(f: PolynomialMap, order: int, form: str = "homogenised") -> LiftedMap:
    """The order-N Carleman linearisation of the *discrete* map f (not of an ODE: I + h C of an ODE differs at O(h^2)).

    z_j = u^{(x)j}: z_j(t+1) = sum over (k_1..k_j) of (F_{k_1} (x) ... (x) F_{k_j}) z_{k_1+...+k_j}(t), degrees above N dropped.

    Args:
        f: the map, with F_0, F_1, ... explicit.
        order: N, at least 1.
        form: "homogenised": the letters are v = (w, u) with w = 1 and F_0 acting on w, so that a factor F_0 counts one degree;
        its truncation is
            the degree-N Taylor polynomial of the t-step map, which `series_descent` computes at any size. "plain", the
            literature's: the letters are u, and
            F_0 enters as an offset and below the diagonal. Both have the monomials that are constants moved into the offset:
            kept as
            unknowns they would bring the eigenvalue 1, and kappa of the history system would grow with T even for a
            contraction.

    Returns:
        LiftedMap: sum_j n^j unknowns (plain), sum_j ((n+1)^j - 1) (homogenised).

    Raises:
        ArgumentError: A would have more than 5e7 entries.

    References:
        Carleman (1932); Liu et al., PNAS 118 (2021), arXiv:2011.03185; for maps: docs/mathematics.md.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([[0.125]])])
        >>> carleman_linearize(f, order=2, form="plain").to_sparse().to_dense().tolist()
        [[0.5, 0.125], [0.0, 0.25]]
    """
    check_integer("order", order, 1)
    check_choice("form", form, ["homogenised", "plain"])
    n = f.size
    letters = f.scipy_coefficients()
    if form == "homogenised":
        letters = _with_constant_letter(letters, n)
        n += 1
    _check_entries([F.nnz for F in letters], order)

    kron_words = _kronecker_blocks(letters, order)
    kept = [np.arange(n**j) if form == "plain" else np.arange(1, n**j) for j in range(order + 1)]
    grid: list[list[sparse.csr_array]] = []
    offset = []
    for j in range(1, order + 1):
        row = [kron_words[j].get(m, sparse.csr_array((n**j, n**m)))[kept[j]] for m in range(order + 1)]
        constant = row[0] if form == "plain" else sum(block[:, [0]] for block in row[1:])
        offset.append(constant.toarray()[:, 0])
        grid.append([row[m][:, kept[m]] for m in range(1, order + 1)])
    matrix = sparse.coo_array(sparse.block_array(grid))
    matrix.eliminate_zeros()
    indices = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
    return LiftedMap(
        matrix=torch.sparse_coo_tensor(indices, torch.from_numpy(matrix.data), matrix.shape, check_invariants=True).coalesce(),
        offset=torch.from_numpy(np.concatenate(offset)),
        words=tuple(torch.from_numpy(k) for k in kept[1:]),
        size=f.size,
        form=form,
    )


def _kronecker_blocks(letters: list[sparse.csr_array], order: int) -> list[dict[int, sparse.csr_array]]:
    """blocks[j][m] = sum over k_1 + ... + k_j = m <= N of F_{k_1} (x) ... (x) F_{k_j}, of shape (n^j, n^m)."""
    blocks: list[dict[int, sparse.csr_array]] = [{0: sparse.csr_array(np.ones((1, 1)))}]
    for _ in range(order):
        row: dict[int, sparse.csr_array] = {}
        for k, F in enumerate(letters):
            for m, tail in blocks[-1].items():
                if F.nnz and k + m <= order:
                    term = sparse.csr_array(sparse.kron(F, tail, format="csr"))
                    row[k + m] = row[k + m] + term if k + m in row else term
        blocks.append(row)
    return blocks


def _with_constant_letter(letters: list[sparse.csr_array], n: int) -> list[sparse.csr_array]:
    """The map on v = (w, u): w' = w, u' = F_0 w + F_1 u + F_2 (u (x) u) + ..., which has no constant term."""
    linear = sparse.block_array([[sparse.csr_array(np.ones((1, 1))), None], [letters[0], letters[1]]], format="csr")
    homogenised = [sparse.csr_array((n + 1, 1)), sparse.csr_array(linear)]
    for k, F in enumerate(letters[2:], start=2):
        entries = sparse.coo_array(F)
        digits = np.unravel_index(entries.col, (n,) * k)
        columns = np.ravel_multi_index(tuple(digit + 1 for digit in digits), (n + 1,) * k)
        homogenised.append(sparse.csr_array((entries.data, (entries.row + 1, columns)), shape=(n + 1, (n + 1) ** k)))
    return homogenised


def _check_entries(counts: list[int], order: int) -> None:
    """Count the entries of A before building it: the same recursion on numbers instead of matrices."""
    row, total = {0: 1}, 0
    for _ in range(order):
        longer: dict[int, int] = {}
        for k, count in enumerate(counts):
            for m, tail in row.items():
                if k + m <= order:
                    longer[k + m] = longer.get(k + m, 0) + count * tail
        row = longer
        total += sum(row.values())
    if total > ENTRY_LIMIT:
        raise argument_error(
            "order",
            f"leave the explicit matrix at most {ENTRY_LIMIT:.0e} entries (series_descent needs no matrix)",
            f"{order}: {total:.1e} entries",
        )
