"""Carleman linearisation of a polynomial map or equation: z' = A z + b, or dz/dt = C z + c, on the
monomials up to order N.
"""

from __future__ import annotations

from typing import overload

import numpy as np
import scipy.sparse as sparse
import torch

from qdescent._checks import argument_error, check_instance
from qdescent.carleman.lifting.assembly import assemble, terms_in_units
from qdescent.carleman.lifting.coordinates import Coordinates
from qdescent.carleman.lifting.lifted import Forcing, LiftedField, LiftedMap
from qdescent.linalg.polynomial_field import PolynomialField
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.linalg.tensors import real_tensor

__all__ = ["LiftedField", "LiftedMap", "carleman_linearize"]


@overload
def carleman_linearize(
    f: PolynomialMap, order: int, form: str = ..., symmetric: bool = ..., scale: float = ...
) -> LiftedMap: ...
@overload
def carleman_linearize(
    f: PolynomialField, order: int, form: str = ..., symmetric: bool = ..., scale: float = ...
) -> LiftedField: ...
def carleman_linearize(
    f: PolynomialMap | PolynomialField,
    order: int,
    form: str = "homogenised",
    symmetric: bool = False,
    scale: float = 1.0,
) -> LiftedMap | LiftedField:
    """The order-N Carleman linearisation of a discrete map, or of an equation.

    z_j = u^{(x)j}, j = 1..N, degrees above N dropped:
    map: z_j(t+1) = sum over (k_1..k_j) of (F_{k_1} (x) ... (x) F_{k_j}) z_{k_1+...+k_j}(t);
    equation: dz_j/dt = sum_k sum_{p<j} (I^{(x)p} (x) F_k (x) I^{(x)(j-1-p)}) z_{j-1+k}.
    The lifted Euler map is not an Euler step I + h C of the lifted equation: they differ at O(h^2).

    Args:
        f: the map or field, with F_0, F_1, ... explicit.
        order: N, at least 1.
        form: "homogenised": the letters are v = (w, u) with w = 1 and F_0 acting on w, so that a
            factor F_0 counts one degree; its truncation is the degree-N Taylor polynomial of the
            t-step map, which `series_descent` computes at any size. "plain", the literature's: the
            letters are u, and F_0 enters as an offset and below the diagonal. Both have the
            monomials that are constants moved into the offset: kept as unknowns they would bring
            the eigenvalue 1, and kappa of the history system would grow with T even for a
            contraction.
        symmetric: compressed coordinates, one unknown for each multiset of letters: the same
            solution with up to N! times fewer unknowns. Off by default: a quantum computer prepares
            Kronecker powers.
        scale: gamma; the monomials are those of u~ = u / gamma, whose map has gamma^{k-1} F_k.
            `lift` and `project` speak of u all the same, and the answer is the same to rounding;
            norms and kappa are not (`best_history` chooses it).

    Returns:
        LiftedMap or LiftedField: sum_j n^j unknowns (plain), sum_j ((n+1)^j - 1) (homogenised),
        sum_j C(q + j - 1, j) in symmetric coordinates (less one a block homogenised), q = n or n +
        1.

    Raises:
        ArgumentError: the matrix would have more than 1e8 entries, or one that is no number.

    References:
        Carleman (1932); Liu et al., PNAS 118 (2021), arXiv:2011.03185; for maps, and for the
        scale: docs/mathematics.md; Costa, Schleich, Morales, Berry, arXiv:2312.09518.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([[0.125]])])
        >>> carleman_linearize(f, order=2, form="plain").to_sparse().to_dense().tolist()
        [[0.5, 0.125], [0.0, 0.25]]
        >>> g = PolynomialField([torch.zeros(1), torch.tensor([[0.5]]), torch.tensor([[0.125]])])
        >>> carleman_linearize(g, order=2, form="plain").to_sparse().to_dense().tolist()
        [[0.5, 0.125], [0.0, 1.0]]
    """
    check_instance("f", f, PolynomialMap, PolynomialField)
    coordinates = Coordinates(f.size, order, form, symmetric, scale)
    derivation = isinstance(f, PolynomialField)
    with np.errstate(over="ignore", invalid="ignore"):  # said below in words
        rows, offset = assemble(terms_in_units(f, coordinates), coordinates, derivation)
    if not bool(np.isfinite(rows.data).all() and offset.isfinite().all()):
        must = f"have coefficients whose products at order {coordinates.order} float64 can hold"
        raise argument_error("f", f"{must} (another `scale` may help)", "with larger ones")
    if not isinstance(f, PolynomialField):
        return LiftedMap(rows, offset, coordinates)
    return LiftedField(rows, offset, coordinates, _forcing(f, coordinates))


def _forcing(f: PolynomialField, coordinates: Coordinates) -> Forcing | None:
    """Which entry holds which component of F_0, read off two linearisations of the forcing alone:
    by ones, and by 1, 2, ..., n.

    An entry takes the word with a letter u_i to the one without it (with w in its place): a single
    component i, as often as the word has that letter.
    """
    if f.forcing is None:
        return None
    zero = torch.zeros(f.size, f.size, dtype=torch.float64, layout=torch.sparse_coo, device="cpu")
    ramp = torch.arange(1, f.size + 1, dtype=torch.float64, device="cpu")
    (ones, ones_offset), (ramps, ramps_offset) = (
        assemble((force[:, None], zero), coordinates, derivation=True)
        for force in (torch.ones_like(ramp), ramp)
    )
    entries = sparse.coo_array(ones)
    component = np.rint(ramps.data / ones.data).astype(np.int64) - 1
    sources, source = np.unique(entries.col, return_inverse=True)
    pattern = sparse.csr_array(
        (entries.data, (entries.row, component * len(sources) + source)),
        shape=(ones.shape[0], f.size * len(sources)),
    )
    rows = np.flatnonzero(ones_offset.numpy())
    times = ones_offset.numpy()[rows]
    component = np.rint(ramps_offset.numpy()[rows] / times).astype(np.int64) - 1
    offset = sparse.csr_array((times, (rows, component)), shape=(ones.shape[0], f.size))
    force, unit = f.forcing, coordinates.scale
    return Forcing(
        lambda t: real_tensor("forcing", force(t)).double() / unit, sources, pattern, offset
    )
