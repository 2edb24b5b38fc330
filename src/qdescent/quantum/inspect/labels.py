"""What a bloq is called in a drawing and in a call tree: by itself, or as Qualtran writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qualtran import Bloq


def label(bloq: Bloq) -> str:
    """A short name; a dagger marks an inverse.

    A bloq of this package carries its `label`; any other one goes by its text, without what stands
    in brackets.

    Example:
        >>> from qualtran.bloqs.basic_gates import Hadamard, Rz
        >>> from qdescent.quantum.gates.multiplexed import PatternFlip
        >>> label(Hadamard()), label(Rz(0.25)), label(PatternFlip((0, 0)))
        ('H', 'Rz', 'is 0?')
    """
    inner = original(bloq)
    own = getattr(inner, "label", None)
    if own is None:
        return str(bloq).partition("(")[0]
    return f"{own}†" if getattr(inner, "is_adjoint", False) else own


def original(bloq: Bloq) -> Bloq:
    """The bloq itself; what is inverted, of an inverse that has no class of its own."""
    from qualtran import Adjoint

    return bloq.subbloq if isinstance(bloq, Adjoint) else bloq
