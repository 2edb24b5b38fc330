"""The registers in which the words of a history stand, and how wide they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WordRegisters:
    """Step, degree (of the word, less 1), and a slot for each of N letters.

    Args:
        size: n, of the letters u_1, ..., u_n besides w.
        order: N.
        steps: T.
        padding: p.

    Example:
        >>> words = WordRegisters(size=7, order=2, steps=3, padding=0)
        >>> words.step_bits, words.degree_bits, words.letter_bits, words.system_bits
        (2, 1, 3, 9)
    """

    size: int
    order: int
    steps: int
    padding: int

    @property
    def step_bits(self) -> int:
        """Of the register of t = 0 ... T + p."""
        return (self.steps + self.padding).bit_length()

    @property
    def degree_bits(self) -> int:
        """Of the register of m - 1 = 0 ... N - 1."""
        return (self.order - 1).bit_length()

    @property
    def letter_bits(self) -> int:
        """l, of a slot: letter 0 is w, letter i is u_i."""
        return self.size.bit_length()

    @property
    def system_bits(self) -> int:
        """Step, degree and slots."""
        return self.step_bits + self.degree_bits + self.order * self.letter_bits
