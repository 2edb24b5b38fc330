"""What the reference state of the signs costs: the magnitudes that were read go up again."""

from __future__ import annotations

from qdescent._checks import check_integer, check_methods
from qdescent._evidence import Evidence, Row
from qdescent.quantum.gates.loading.loader import Loader
from qdescent.quantum.gates.loading.qrom import DEFAULT_LOADER
from qdescent.quantum.readout.limits import MOST_SHOTS


def reference_rows(
    support: int, entries: int, shots: int, bits: int = 32, loader: Loader = DEFAULT_LOADER
) -> tuple[Row, ...]:
    """The price of |m> in (|0>x + |1>m)/sqrt2, which every sign shot prepares anew.

    Rotation l of a tree over k = `support` values is selected by l qubits: tables of 1, 2, 4, ...
    entries, read and cleared, k - 1 angles in all. Where not all n entries were read, exchanges
    move the values to their indices: two loads over 2^s entries of which 2 k are not 0, at most 4 k
    (1 + s - q) ANDs with s = ceil(log2 n), q = ceil(log2 k) (`SparseStatePreparation`).

    Args:
        support: k, entries that were read.
        entries: n.
        shots: S, shots that go to signs.
        bits: of an angle.
        loader: of all tables.

    Returns:
        tuple: of Row; entries, bytes and Toffoli gates of one preparation, and Toffoli gates of all
            sign shots.

    References:
        Grover, Rudolph, quant-ph/0208112; `quantum.gates.state_preparation` builds the circuit.

    Example:
        >>> for row in reference_rows(support=1000, entries=10**5, shots=10**6):
        ...     print(row.name, row.value)
        readout/reference_entries 1000
        readout/reference_bytes 6125
        readout/reference_toffoli 34008
        readout/reference_toffoli_all 34008000000
    """
    support = check_integer("support", support, 1, MOST_SHOTS)
    entries = check_integer("entries", entries, support, MOST_SHOTS)
    shots = check_integer("shots", shots, 1, MOST_SHOTS)
    bits = check_integer("bits", bits, 1, 1000)
    check_methods("loader", loader, ("read_cost", "clear_cost"), "a loader such as QROMLoader()")
    filled = max(1, (support - 1).bit_length())
    whole = max(1, (entries - 1).bit_length())
    toffoli = sum(
        loader.read_cost(2**level, bits).toffoli + loader.clear_cost(2**level, bits).toffoli
        for level in range(1, filled)
    )
    index_bits = whole if filled < whole else 0
    if index_bits:
        toffoli += 4 * support * (1 + whole - filled)
    size = -(-support * (bits + index_bits) // 8)
    source = "a rotation tree over the magnitudes that were read"
    modelled = Evidence.MODELLED
    return (
        Row("readout/reference_entries", support, "entries", Evidence.EXACT, source),
        Row(
            "readout/reference_bytes",
            size,
            "B",
            modelled,
            f"{bits} bits an angle and {index_bits} a basis-state index, sent up once a readout",
        ),
        Row(
            "readout/reference_toffoli",
            toffoli,
            "Toffoli",
            modelled,
            f"one preparation of {source}, tables by {type(loader).__name__}"
            + (", exchanges at most" if index_bits else ""),
        ),
        Row(
            "readout/reference_toffoli_all",
            toffoli * shots,
            "Toffoli",
            modelled,
            f"prepared anew for each of {shots} sign shots, beside a solve each",
        ),
    )
