"""The tables of a history matrix, from F_0, F_1, ... alone: what each slot of a word does, and
which words a step is made of.

A word of m letters stands in N slots. One step of the homogenised map is a sum over patterns (k_1,
..., k_j): group i of k_i letters becomes one letter by G_{k_i}. Where a group begins the slot has
the role k_i, elsewhere the role 0: the roles of all slots spell the pattern. The first slot's role
says, besides, whether the step stays or moves on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from qdescent._arrays import Ints
from qdescent._checks import argument_error, check_integer, check_sequence
from qdescent.linalg.polynomial_map import PolynomialMap
from qdescent.quantum.tables.angles import SelectedTree, selected_tree
from qdescent.quantum.tables.by_value import ByValue
from qdescent.quantum.tables.history_slots import SlotTables, letter_map, slot_tables
from qdescent.quantum.tables.lookup import MOST_BITS, LookUpTable
from qdescent.quantum.tables.permutations import PermutationTable
from qdescent.quantum.tables.weights import balance, balance_error, schur_bound
from qdescent.quantum.tables.word_registers import WordRegisters

MOST_ORDER, MOST_STEPS = 32, 2**20  # a table would have more than 2^24 entries long before


@dataclass(frozen=True, eq=False)
class WordTables(ByValue):
    """Which roles take a word (step t, degree m) where, and with which weights.

    Args:
        alpha: the normalisation of M: the norm of the matrix of the patterns' normalisations.
        error: a bound on ||M - alpha <0|U|0>||_2: what these weights miss, and the patterns' own
            errors.
        prepare: of the roles, selected by step and degree.
        unprepare: of the roles, selected by the step and degree that are reached.
        shift: step -> step + 1 for those roles of the first slot that move on, (roles, steps).
        degrees: what to add (bitwise) to the degree, for every combination of roles; None at order
            1.
        starts: the slot at which group i begins, for every combination of roles, (N, combinations);
            i where there is none.
    """

    alpha: float
    error: float
    prepare: SelectedTree
    unprepare: SelectedTree
    shift: PermutationTable
    degrees: LookUpTable | None = field(repr=False)
    starts: Ints = field(repr=False)


@dataclass(frozen=True, eq=False)
class HistoryTables(ByValue, WordRegisters):
    """The tables of M = I - sum_t |t+1><t| (x) A_t on registers: step, degree (of the word, less
    1), N slots of a letter each.

    Args:
        size: n.
        order: N.
        steps: T.
        padding: p.
        changing: the slots' tables are selected by the step (SGD).
        words: of step and degree.
        slots: of each slot.
        role_bits: of each slot's role.
    """

    changing: bool
    words: WordTables
    slots: tuple[SlotTables, ...]
    role_bits: tuple[int, ...]

    @property
    def alpha(self) -> float:
        """The normalisation of M."""
        return self.words.alpha

    @property
    def error(self) -> float:
        """A bound on ||M - alpha <0|U|0>||_2 from the quantised angles."""
        return self.words.error

    @property
    def bits(self) -> int:
        """b, of every angle."""
        return self.words.prepare.levels[0].bits

    @property
    def basis_states(self) -> Ints:
        """The index of the system's basis state of each unknown of `history_system` (full
        homogenised coordinates), ((T + p + 1) D,).
        """
        N, q, bits = self.order, self.size + 1, self.letter_bits
        words = []
        for m in range(1, N + 1):
            # the word w ... w is a constant, not an unknown
            digits = np.unravel_index(np.arange(1, q**m), (q,) * m)
            word = np.full(q**m - 1, m - 1)
            for p in range(N):
                word = (word << bits) + (digits[p] if p < m else 0)
            words.append(word)
        step = np.arange(self.steps + self.padding + 1) << (self.system_bits - self.step_bits)
        return (step[:, None] + np.concatenate(words)).reshape(-1)


def history_tables(
    maps: PolynomialMap | Sequence[PolynomialMap],
    order: int,
    steps: int | None = None,
    padding: int = 0,
    *,
    bits: int,
) -> HistoryTables:
    """The tables of the history matrix of order-N Carleman steps, homogenised, in full coordinates.

    Args:
        maps: one for every step (gradient descent), or one a step (SGD: the slots' tables get an
            axis of T steps).
        order: N.
        steps: T; None: one for each map of a sequence.
        padding: p, copies of the end.
        bits: b, bits of an angle.

    Returns:
        HistoryTables: each slot holds colours x (n + 1) values for each k, as many colours as the
        maximum degree of G_k (the most entries of a row or a first letter); the roles' tables hold
        a value for each step, degree and combination of roles.

    Raises:
        ArgumentError: maps of unlike size, or a table of more than 2^24 entries.

    Cost: the colouring and balancing of G_1, ..., G_K for each slot and different map, and of (T +
        p + 1) N words.

    Example:
        >>> import torch
        >>> f = PolynomialMap([torch.tensor([0.5, 1.0]), torch.diag(torch.tensor([0.5, 0.75]))])
        >>> tables = history_tables(f, order=1, steps=3, bits=16)
        >>> tables.system_bits, round(tables.alpha, 4)
        (4, 1.65)
    """
    order = check_integer("order", order, 1, MOST_ORDER)
    padding = check_integer("padding", padding, 0, MOST_STEPS)
    bits = check_integer("bits", bits, 1, MOST_BITS)
    sequence = _one_a_step(maps, steps)
    T, n = len(sequence), sequence[0].size
    changing = not isinstance(maps, PolynomialMap)
    K = min(order, max(f.degree for f in sequence))
    different = sequence if changing else sequence[:1]
    letters = [[letter_map(f, k, constant=order > 1) for k in range(1, K + 1)] for f in different]
    step_bits = (T + padding).bit_length() if changing else 0
    role_bits = [
        max(1, (min(K, order - p) + int(p == 0 and padding > 0)).bit_length()) for p in range(order)
    ]
    while True:
        slots = tuple(
            slot_tables(
                [each[: order - p] for each in letters],
                n.bit_length(),
                step_bits,
                role_bits[p],
                bits,
            )
            for p in range(order)
        )
        words = _word_tables(slots, role_bits, T, padding, K, bits)
        if words is not None:
            return HistoryTables(n, order, T, padding, changing, words, slots, tuple(role_bits))
        # one more combination of roles, that is not used, is room for what must be wasted
        role_bits[0] += 1


def _one_a_step(
    maps: PolynomialMap | Sequence[PolynomialMap], steps: int | None
) -> list[PolynomialMap]:
    if isinstance(maps, PolynomialMap):
        if steps is None:
            raise argument_error("steps", "be given where one map serves every step", "None")
        return [maps] * check_integer("steps", steps, 1, MOST_STEPS)
    sequence = list(
        check_sequence("maps", maps, PolynomialMap, called="a PolynomialMap, or one for each step")
    )
    if not sequence or steps not in (None, len(sequence)):
        raise argument_error(
            "maps", "hold one map for each of the steps", f"{len(sequence)} for {steps} steps"
        )
    if any(f.size != sequence[0].size for f in sequence):
        raise argument_error("maps", "have the same number of variables at every step", "a mixture")
    return sequence


def _patterns(order: int, largest: int) -> Iterator[tuple[int, ...]]:
    """All (k_1, ..., k_j) of parts up to `largest`, of sum up to `order`."""
    for k in range(1, min(order, largest) + 1):
        yield (k,)
        for rest in _patterns(order - k, largest):
            yield (k, *rest)


def _word_tables(
    slots: Sequence[SlotTables], role_bits: Sequence[int], T: int, padding: int, K: int, bits: int
) -> WordTables | None:
    """None where the combinations of roles leave no room for the waste (see `balance`)."""
    # 1. the step that each role of the first slot leads to: role 0 stays, G_1 ... G_K move on, and
    #    with padding one more role moves on, too
    order, behind = len(slots), sum(role_bits[1:])
    combinations, steps, degrees = (
        2 ** sum(role_bits),
        2 ** (T + padding).bit_length(),
        2 ** (order - 1).bit_length(),
    )
    shift = np.tile(np.arange(steps), (2 ** role_bits[0], 1))
    shift[1 : K + 1 + int(padding > 0)] = (np.arange(steps) + 1) % steps
    # 2. for each combination of roles what it does to the degree, and where its groups begin; for
    #    each step and degree its weight and the error of its blocks
    added, starts = (
        np.zeros(combinations, dtype=np.int64),
        np.tile(np.arange(order)[:, None], combinations),
    )
    values, errors = (
        np.zeros((combinations, steps, degrees)),
        np.zeros((combinations, steps, degrees)),
    )
    values[0, : T + padding + 1, :order] = 1  # the identity of M: nothing moves
    if padding:  # the role after the last G_k: the word stays, the step moves on
        values[K + 1 << behind, T : T + padding, :order] = -1
    # 3. each pattern of group sizes is one combination: m letters become j, by a tensor product of
    #    the slots' encodings, whose alphas multiply
    for pattern in _patterns(order, K):
        begins = np.cumsum((0, *pattern[:-1])).tolist()
        combination = 0
        for p, width in enumerate(role_bits):
            combination = (combination << width) + (pattern[begins.index(p)] if p in begins else 0)
        m, j = sum(pattern), len(pattern)
        groups = list(zip(begins, pattern, strict=True))
        alpha = np.prod([slots[p].alpha[:T, k] for p, k in groups], axis=0)
        # prod (alpha_i + epsilon_i) - prod alpha_i: the tensor product of encodings, each off by
        # epsilon_i
        error = (
            np.prod([slots[p].alpha[:T, k] + slots[p].error[:T, k] for p, k in groups], axis=0)
            - alpha
        )
        values[combination, :T, m - 1], errors[combination, :T, m - 1] = -alpha, error
        added[combination] = (m - 1) ^ (j - 1)
        starts[:j, combination] = begins
    # 4. the basis state that a combination leads each (step, degree) to: a permutation for each
    step = shift[np.arange(combinations) >> behind]
    degree = np.arange(degrees) ^ added[:, None]
    targets = (step[:, :, None] * degrees + degree[:, None, :]).reshape(combinations, -1)
    values, errors = values.reshape(combinations, -1), errors.reshape(combinations, -1)
    # 5. the matrix of these normalisations, encoded by balanced weights, and what quantising misses
    weights = balance(targets, values)
    if weights is None:
        return None
    prepare, unprepare = selected_tree(weights.right, bits), selected_tree(weights.left, bits)
    missed = balance_error(targets, values, weights.alpha, prepare.prepared, unprepare.prepared)
    inherited = balance_error(targets, errors, 0.0, prepare.prepared, unprepare.prepared)
    shifts = PermutationTable(shift, np.argsort(shift, axis=1))
    degree_table = LookUpTable(added, (order - 1).bit_length()) if order > 1 else None
    return WordTables(
        weights.alpha,
        schur_bound(missed + inherited),
        prepare,
        unprepare,
        shifts,
        degree_table,
        starts,
    )
