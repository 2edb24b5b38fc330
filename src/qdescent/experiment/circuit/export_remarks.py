"""What somebody needs to know to use an exported query: which matrix it encodes, in which units, on
which basis states.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch

from qdescent.carleman.history import HistorySystem
from qdescent.experiment.circuit.parts import estimates_phases
from qdescent.rows import names
from qdescent.solvers.solve import Solution

MOST_LISTED = 64  # entries of one list; the rest is counted
WIDTH = 110  # characters of a line


def export_remarks(found: Solution, system: HistorySystem, order: int, query: Any) -> list[str]:
    """Lines of comment for the program of one query.

    They say whether the block is M, the kernel's encoding or the Hermitian matrix of a phase
    estimation, alpha, what each basis state of the system register stands for, and the right-hand
    side B, which another part of the circuit prepares.

    Args:
        found: the solution, whose rows hold alpha.
        system: M Z = B.
        order: N of the linearisation.
        query: the block-encoding that is exported.
    """
    alpha, length = found.cost.number(names.ALPHA), float(torch.linalg.vector_norm(system.rhs))
    # of a solve by kernel reflection, or by phase estimation
    kernel, hermitian = names.NORM_ESTIMATE in found.cost, estimates_phases(found)
    lines = [
        f"alpha = {alpha!r}; <0|U|0> is the block on ancilla = 0 before and after.",
        f"The map is in units of gamma = {system.scale!r}: what stands below as u1, u2, ... is u /"
        " gamma, and the answer u_T is gamma times what is found.",
    ]
    if kernel:
        tau = found.cost.number(names.NORM_ESTIMATE) * alpha / length
        lines += [
            (
                "<0|U|0> = G = (I - b b^H) diag(M / alpha, 1 / tau): the kernel's encoding, not M"
                " itself."
            ),
            (
                f"tau = {tau!r}; b = (B / ||B||, 1) / sqrt 2, of one unknown more. M Z = B: G"
                " sends (Z alpha / ||B||, tau) to 0."
            ),
            (
                "system: its first qubit is 0 for the unknowns of M; 1, and the others 0, for the"
                " one that was added."
            ),
            "The other basis states with a first qubit 1 are padding.",
        ]
    elif hermitian:
        lines += [
            (
                "<0|U|0> = |1><1| (x) H / alpha, H = [[0, M], [M^T, 0]]: Hermitian, for the"
                " evolutions of a phase estimation; not M itself."
            ),
            (
                "system: its first qubit controls (where it is 0 the block is 0); its second one"
                " is 0 in the first half of H and 1 in the second: H sends (0, Z) to (B, 0)."
            ),
        ]
    else:
        lines += [
            "<0|U|0> = M / alpha, M the history matrix of M Z = B, not the kernel's encoding."
        ]
    lines += list(_indices(system, order, query, hermitian))
    values = [(place, float(value)) for place, value in enumerate(system.rhs.tolist()) if value]
    listed = ", ".join(f"B[{place}] = {value!r}" for place, value in values[:MOST_LISTED])
    rest = f", and {len(values) - MOST_LISTED} more" if len(values) > MOST_LISTED else ""
    lines.append(
        f"Right-hand side (prepared outside this program), ||B|| = {length!r}: {listed}{rest};"
        " else 0."
    )
    return [part for line in lines for part in _folded(line)]


def _indices(system: HistorySystem, order: int, query: Any, is_half: bool) -> Iterator[str]:
    """Which basis state is which unknown, and which unknown is which monomial of which step."""
    T, p, block, n = system.steps, system.padding, system.block, system.variables
    yield (
        f"Unknown k = {block} t + c, t = 0..{T + p}: z_t for t <= {T}, after that {p} further"
        f" copies of z_{T}; {system.size} unknowns."
    )
    letters = ["w", *(f"u{i}" for i in range(1, n + 1))]
    words = [
        word
        for j in range(1, order + 1)
        for word in product(letters, repeat=j)
        if set(word) != {"w"}
    ]
    listed = ", ".join(
        f"{place}: {' '.join(word)}" for place, word in enumerate(words[:MOST_LISTED])
    )
    rest = (
        f", and {len(words) - MOST_LISTED} more in this order" if len(words) > MOST_LISTED else ""
    )
    yield f"c of z_t, with w = 1 (homogenised): {listed}{rest}."
    places = query.basis_states[: system.size].tolist()
    if places == list(range(system.size)):
        register = "each half" if is_half else "the system register"
        yield (f"Basis state k of {register} is unknown k; from {system.size} on it is padding.")
        return
    shown = ", ".join(f"{k}: {place}" for k, place in enumerate(places[:MOST_LISTED]))
    rest = f", and {len(places) - MOST_LISTED} more" if len(places) > MOST_LISTED else ""
    yield (
        "Composed encoding, system = (step, degree, letters). Basis state of unknown k:"
        f" {shown}{rest}."
    )


def _folded(line: str) -> Iterator[str]:
    """The line in pieces of at most some hundred characters, cut at spaces."""
    while len(line) > WIDTH:
        cut = line.rfind(" ", 0, WIDTH)
        cut = cut if cut > 0 else WIDTH
        yield line[:cut]
        line = "  " + line[cut:].lstrip()
    yield line
