"""The block-encoding of a history matrix, composed of what single letters, words and steps do: no table of the lifted matrix."""

from __future__ import annotations

import attrs
from qualtran import Bloq, BloqBuilder, QAny, Signature, SoquetT
from qualtran.bloqs.block_encoding import BlockEncoding
from qualtran.bloqs.data_loading.qrom import QROM
from qualtran.bloqs.reflections.prepare_identity import PrepareIdentity
from qualtran.bloqs.state_preparation.black_box_prepare import BlackBoxPrepare
from qualtran.resource_counting import BloqCountDictT, SympySymbolAllocator

from qdescent.quantum.access import Ints
from qdescent.quantum.history_tables import HistoryTables
from qdescent.quantum.loaders import ColourPermutation
from qdescent.quantum.selected_preparation import PatternFlip, SelectedPreparation, SelectedSwap
from qdescent.quantum.wiring import Layout, Step, add_steps, counted, inverse


@attrs.frozen
class HistoryEncoding(BlockEncoding):
    """U with <0|U|0> = M/alpha (M^T/alpha for the adjoint) on the places of the unknowns, M = I - sum_t |t+1><t| (x) A_t.

    A word of m letters is replaced letter by letter: roles of the slots are prepared (by step and degree), each slot's colour is
    prepared (by role and letter), the letter permuted, the letters that must follow it cleared; then step and degree move on, the
    preparations are undone by what stands there now, and what was not a word is flagged. The constant words are flagged, too.
    On all other basis states the block is a matrix of its own, not coupled to M.

    Args:
        tables: of the letters, and of the words of each step.
        is_adjoint: the inverse circuit, which encodes M^T.

    Registers: system (step, degree, N slots), ancilla (roles, colours, one flag for the constants and one for each slot but the
        first).

    Cost: for each slot four QROM loads a colour bit over (colours x letters) values, six of a letter; nothing grows with the lifted
        dimension.

    References:
        Weights: Childs, arXiv:0810.0312, section 3; sparse access: Gilyen, Su, Low, Wiebe, arXiv:1806.01838, lemma 48.

    Example:
        >>> import torch
        >>> from qdescent.linalg.polynomial_map import PolynomialMap
        >>> from qdescent.quantum.history_tables import history_tables
        >>> f = PolynomialMap([torch.tensor([0.1]), torch.tensor([[0.5]]), torch.tensor([[0.25]])])
        >>> encoding = HistoryEncoding(history_tables(f, order=2, steps=3, bits=16))
        >>> encoding.system_bitsize, encoding.ancilla_bitsize
        (5, 7)
    """

    tables: HistoryTables
    is_adjoint: bool = False

    @property
    def alpha(self) -> float:
        """The normalisation: the spectral norm of the matrix of normalisations of all words' images."""
        return self.tables.alpha

    @property
    def epsilon(self) -> float:
        """A bound on ||M - alpha <0|U|0>||_2, derived from the quantised angles."""
        return self.tables.words.error

    @property
    def places(self) -> Ints:
        """The system's basis state of each unknown of the history system."""
        return self.tables.places

    @property
    def system_bitsize(self) -> int:
        """Step, degree, slots."""
        return self.tables.system_bits

    @property
    def ancilla_bitsize(self) -> int:
        """Roles, colours, flags."""
        return sum(self._layout["ancilla"].values())

    @property
    def resource_bitsize(self) -> int:
        """None: every register that a loader fills is emptied inside."""
        return 0

    @property
    def signal_state(self) -> BlackBoxPrepare:
        """|0> on the ancilla."""
        return BlackBoxPrepare(PrepareIdentity.from_bitsizes([self.ancilla_bitsize]))

    @property
    def signature(self) -> Signature:
        """system, ancilla."""
        return Signature.build_from_dtypes(system=QAny(self.system_bitsize), ancilla=QAny(self.ancilla_bitsize))

    def adjoint(self) -> HistoryEncoding:
        """The block-encoding of the transpose."""
        return HistoryEncoding(self.tables, not self.is_adjoint)

    @property
    def _slots(self) -> range:
        return range(self.tables.order)

    @property
    def _layout(self) -> Layout:
        tables = self.tables
        system = {"step": tables.step_bits, "degree": tables.degree_bits} | {f"letter{p}": tables.letter_bits for p in self._slots}
        ancilla = {f"role{p}": tables.role_bits[p] for p in self._slots}
        ancilla |= {f"colour{p}": tables.slots[p].colour_bits for p in self._slots}
        if tables.order > 1:
            ancilla["constant"] = 1
        ancilla |= {f"blank{p}": 1 for p in self._slots[1:]}
        return {"system": system, "ancilla": ancilla}

    def _steps(self) -> list[Step]:
        """The circuit, first step first."""
        tables, words = self.tables, self.tables.words
        steps: list[Step] = []
        letters, roles = tuple(f"letter{p}" for p in self._slots), tuple(f"role{p}" for p in self._slots)

        def add(bloq: Bloq, **wires: tuple[str, ...]) -> None:
            steps.append((bloq, wires))

        if tables.order > 1:
            add(PatternFlip((0,) * (tables.order * tables.letter_bits)), register=letters, mark=("constant",))
        add(SelectedPreparation(words.prepare), selection=("step", "degree"), state=roles)
        for p, slot in enumerate(tables.slots):
            chosen = (*(("step",) if tables.changing else ()), roles[p])
            colour, letter = (f"colour{p}",), (letters[p],)
            add(SelectedPreparation(slot.prepare), selection=chosen + letter, state=colour)
            add(ColourPermutation(slot.letters), colour=chosen + colour, index=letter)
            if slot.tails is not None:
                tails = _exclusive_or(slot.tails, slot.tail_slots * tables.letter_bits)
                behind = letters[p + 1 : p + 1 + slot.tail_slots]
                add(tails, selection=chosen + colour + letter, target0_=behind)
            add(SelectedPreparation(slot.unprepare).adjoint(), selection=chosen + letter, state=colour)
        for i in self._slots[1:]:  # the letters written stand where their groups began: move them together
            for p in self._slots[i + 1 :]:
                swap = SelectedSwap(tuple((words.starts[i] == p).tolist()), tables.letter_bits)
                add(swap, selection=roles, x=(letters[i],), y=(letters[p],))
        add(ColourPermutation(words.shift), colour=(roles[0],), index=("step",))
        if tables.degree_bits:
            add(_exclusive_or(words.degrees, tables.degree_bits), selection=roles, target0_=("degree",))
        for p in self._slots[1:]:  # a slot behind the word must be blank
            for degree in range(p):
                bits = tuple(degree >> i & 1 for i in reversed(range(tables.degree_bits)))
                add(PatternFlip(bits), register=("degree",), mark=(f"blank{p}",))
                add(PatternFlip(bits + (0,) * tables.letter_bits), register=("degree", letters[p]), mark=(f"blank{p}",))
        add(SelectedPreparation(words.unprepare).adjoint(), selection=("step", "degree"), state=roles)
        return inverse(steps) if self.is_adjoint else steps

    def build_composite_bloq(self, bb: BloqBuilder, **soqs: SoquetT) -> dict[str, SoquetT]:
        """Every step on the wires that it names."""
        return add_steps(bb, soqs, self._layout, self._steps())

    def build_call_graph(self, ssa: SympySymbolAllocator) -> BloqCountDictT:
        """Each step once."""
        return counted(self._steps())


def _exclusive_or(data: Ints, bits: int) -> QROM:
    """|s>|x> -> |s>|x xor data_s>: its own inverse."""
    return QROM.build_from_data(data, target_bitsizes=(bits,))
