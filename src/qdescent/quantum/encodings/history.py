"""The block-encoding of a history matrix, composed of what single letters, words and steps do: no
table of the lifted matrix.
"""

from __future__ import annotations

import attrs
from qualtran import Bloq

from qdescent._arrays import Complexes, Floats
from qdescent.quantum.encodings.tables import TableEncoding
from qdescent.quantum.gates.force_preparation import StatePreparation, history_preparation
from qdescent.quantum.gates.multiplexed import ColourPermutation, PatternFlip, SelectedSwap
from qdescent.quantum.gates.selected_preparation import SelectedPreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.gates.table_lookup import TableLoad
from qdescent.quantum.tables.history import HistoryTables
from qdescent.quantum.tables.word_registers import WordRegisters


@attrs.frozen
class HistoryEncoding(TableEncoding):
    """U with <0|U|0> = M/alpha (M^T/alpha for the adjoint) on the unknowns' basis states,
    M = I - sum_t |t+1><t| (x) A_t.

    A word of m letters is replaced letter by letter: roles of the slots are prepared (by step and
    degree), each slot's colour is prepared (by role and letter), the letter permuted, the letters
    that must follow it cleared; then step and degree move on, the preparations are undone by what
    stands there now, and what was not a word is flagged. The constant words are flagged, too. On
    all other basis states the block is a matrix of its own, not coupled to M.

    Args:
        tables: of the letters, and of the words of each step.
        loader: of all its tables.

    Registers: system (step, degree, N slots), ancilla (roles, colours, one flag for the constants
        and one for each slot but the first).

    Cost: for each slot four loads for each bit of the colour and three of letters, over at most
        roles x colours x letters values (times T where the maps differ); for the words four loads
        for each bit of a role, over at most (T + p + 1) N values for each combination of roles.

    References:
        Weights: Childs, arXiv:0810.0312, section 3; sparse access: Gilyen, Su, Low, Wiebe,
            arXiv:1806.01838, lemma 48.

    Example:
        >>> import torch
        >>> from qdescent.linalg.polynomial_map import PolynomialMap
        >>> from qdescent.quantum.tables.history import history_tables
        >>> f = PolynomialMap([torch.tensor([0.1]), torch.tensor([[0.5]]), torch.tensor([[0.25]])])
        >>> encoding = HistoryEncoding(history_tables(f, order=2, steps=3, bits=16))
        >>> encoding.system_bitsize, encoding.ancilla_bitsize
        (5, 7)
    """

    tables: HistoryTables

    @property
    def _slots(self) -> range:
        return range(self.tables.order)

    def prepared(self, vector: Floats | Complexes) -> StatePreparation:
        """Letter by letter, where the vector is what F_0 does from u_0 = 0."""
        tables = self.tables
        words = WordRegisters(tables.size, tables.order, tables.steps, tables.padding)
        return history_preparation(vector, words, self.angle_bits, self.loader)

    def layout(self) -> Layout:
        """The step, degree and letters; the roles, colours and flags."""
        tables = self.tables
        system = {"step": tables.step_bits, "degree": tables.degree_bits} | {
            f"letter{p}": tables.letter_bits for p in self._slots
        }
        ancilla = {f"role{p}": tables.role_bits[p] for p in self._slots}
        ancilla |= {f"colour{p}": tables.slots[p].colour_bits for p in self._slots}
        if tables.order > 1:
            ancilla["constant"] = 1
        ancilla |= {f"blank{p}": 1 for p in self._slots[1:]}
        return {"system": system, "ancilla": ancilla}

    def steps(self) -> list[Step]:
        """Controlled, the roles' preparations and the flags are: without a role all else stays as
        it is.
        """
        tables, words = self.tables, self.tables.words
        steps: list[Step] = []
        letters, roles = (
            tuple(f"letter{p}" for p in self._slots),
            tuple(f"role{p}" for p in self._slots),
        )

        def add(bloq: Bloq, **wires: tuple[str, ...]) -> None:
            steps.append((bloq, wires))

        control = ("control",) if self.is_controlled else ()
        on = (1,) * len(control)
        prepare, unprepare = (
            SelectedPreparation(tree.controlled if self.is_controlled else tree, loader=self.loader)
            for tree in (words.prepare, words.unprepare)
        )
        # 1. flag the constant words, prepare the roles
        if tables.order > 1:
            add(
                PatternFlip(on + (0,) * (tables.order * tables.letter_bits)),
                register=control + letters,
                mark=("constant",),
            )
        add(prepare, selection=(*control, "step", "degree"), state=roles)
        # 2. slot by slot what its role says: the colour, the letter, the letters that must follow
        for p, slot in enumerate(tables.slots):
            chosen = (*(("step",) if tables.changing else ()), roles[p])
            colour, letter = (f"colour{p}",), (letters[p],)
            add(
                SelectedPreparation(slot.prepare, loader=self.loader),
                selection=chosen + letter,
                state=colour,
            )
            add(ColourPermutation(slot.letters, self.loader), colour=chosen + colour, index=letter)
            if slot.spread is not None:
                add(
                    SelectedPreparation(slot.spread, loader=self.loader),
                    selection=chosen + colour,
                    state=letter,
                )
            if slot.tails is not None:
                behind = letters[p + 1 : p + 1 + slot.tail_slots]
                add(
                    TableLoad(slot.tails, self.loader),
                    selection0=chosen + colour + letter,
                    target=behind,
                )
            add(
                SelectedPreparation(slot.unprepare, loader=self.loader).adjoint(),
                selection=chosen + letter,
                state=colour,
            )
        # 3. the letters written stand where their groups began: move them together
        for i in self._slots[1:]:
            for p in self._slots[i + 1 :]:
                swap = SelectedSwap(
                    tuple((words.starts[i] == p).tolist()), tables.letter_bits, self.loader
                )
                add(swap, selection=roles, x=(letters[i],), y=(letters[p],))
        # 4. step and degree move on
        add(ColourPermutation(words.shift, self.loader), colour=(roles[0],), index=("step",))
        if words.degrees is not None:
            add(TableLoad(words.degrees, self.loader), selection0=roles, target=("degree",))
        # 5. flag what is no word (a slot behind it must be blank), and undo the roles
        for p in self._slots[1:]:
            for degree in range(p):
                bits = tuple(degree >> i & 1 for i in reversed(range(tables.degree_bits)))
                add(PatternFlip(on + bits), register=(*control, "degree"), mark=(f"blank{p}",))
                blank = on + bits + (0,) * tables.letter_bits
                add(
                    PatternFlip(blank),
                    register=(*control, "degree", letters[p]),
                    mark=(f"blank{p}",),
                )
        add(unprepare.adjoint(), selection=(*control, "step", "degree"), state=roles)
        return steps
