"""The coupling of a segment of order 2, letter by letter."""

from __future__ import annotations

import attrs

from qdescent.quantum.encodings.tables import TableEncoding
from qdescent.quantum.gates.multiplexed import ColourPermutation
from qdescent.quantum.gates.selected_preparation import SelectedPreparation
from qdescent.quantum.gates.steps import Layout, Step
from qdescent.quantum.gates.table_lookup import TableLoad
from qdescent.quantum.tables.balanced import LetterTables


@attrs.frozen
class LetterCoupling(TableEncoding):
    """<f| at order 0 and F_2 at order 1, both over a norm of moduli: |o, j, k> to |o, i, 0>.

    At order 0 the preparation of f is undone on the second letter. At order 1 a colour is prepared
    by the first letter, the letter permuted, the second letter cleared by what colour and letter
    say it must have been, and the colour undone by the letter written. Where it was another one it
    is not cleared, and what reads the other register as 0 drops it.

    Args:
        tables: from `letter_tables`.
        loader: of all its tables.

    Registers: system (order, letter, other: l bits each of these two), ancilla (the colour).

    Cost: tables of n s_2 entries, s_2 the most that F_2 has for a row or a first letter.

    References:
        Weights: Childs, arXiv:0810.0312, section 3.
    """

    tables: LetterTables

    def layout(self) -> Layout:
        """Order, two letters; the colour."""
        bits = self.tables.tails.bits
        return {
            "system": {"order": 1, "letter": bits, "other": bits},
            "ancilla": {"colour": self.tables.letters.prepare.bitsize},
        }

    def steps(self) -> list[Step]:
        """Never under a control: the order is one."""
        letters, loader = self.tables.letters, self.loader
        read, colour = ("order", "letter"), ("colour",)
        start, first, last = (
            SelectedPreparation(tree, loader=loader)
            for tree in (self.tables.start, letters.prepare, letters.unprepare)
        )
        return [
            (start.adjoint(), {"selection": ("order",), "state": ("other",)}),
            (first, {"selection": read, "state": colour}),
            (ColourPermutation(letters.permutations, loader), {"colour": colour, "index": read}),
            (
                TableLoad(self.tables.tails, loader),
                {"selection0": colour, "selection1": read, "target": ("other",)},
            ),
            (last.adjoint(), {"selection": read, "state": colour}),
        ]
