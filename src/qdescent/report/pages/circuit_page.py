"""`write_circuit_page(record, drawings, path)`: the page of `qdescent circuit`, with the look and
the pieces of the main report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from qdescent._checks import check_instance, check_path
from qdescent._evidence import Row
from qdescent.quantum.inspect.call_tree import CallNode
from qdescent.quantum.inspect.drawing import Drawing
from qdescent.report.pages.call_tree_drawing import call_tree_svg
from qdescent.report.pages.circuit_drawing import circuit_svg
from qdescent.report.pages.cost_figures import circuit_panel
from qdescent.report.pages.page import all_rows, card, glossary, provenance, section, write_page
from qdescent.report.pages.panel import ORANGE, Panel, figure, fraction
from qdescent.report.pages.tables import badge, table
from qdescent.report.pages.words import SEGMENT_DRAWINGS, SEGMENT_LEAD
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.numbers import number, percent

LEAD = (
    "The steps of an iteration u ← F₀ + F₁u + F₂(u⊗u) + … are written as one linear system"
    " (Carleman linearisation, all steps at once) and solved by a quantum circuit. The circuit"
    " below is the one that was simulated and counted: three readings of one definition."
)
OPENING = (
    "What the circuit finds",
    "The circuit's answer beside the direct solution of the same system and the map itself.",
)
DRAWINGS = {
    "circuit": (
        "The whole circuit",
        (
            "The right-hand side is prepared on the system register; then queries U† and U to the"
            " matrix alternate with phases φ on the ancilla. “part” picks the real part of the"
            " polynomial. Finding ancilla = 0 and part = 0 leaves the solution on the system"
            " register. Numbers in brackets are qubits."
        ),
    ),
    "query": (
        "One query U: the block-encoding of the history matrix",
        (
            "The ancilla chooses among colours of the matrix's non-zero pattern (or, composed,"
            " among words and letters of the map): tables spread it over them by the entries'"
            " weights, each colour permutes the rows, and the spreading is undone. Where the"
            " ancilla comes back to 0, the system has been multiplied by M/α."
        ),
    ),
    "phase": (
        "One phase φ",
        (
            "A work qubit marks ancilla = 0, is turned by the angle with the sign that “part” sets,"
            " and is unmarked."
        ),
    ),
}
KERNEL_DRAWINGS = {
    "circuit": (
        "The whole circuit: a reflection about a kernel",
        (
            "The added basis vector (X) is reflected about the kernel of G by one even polynomial:"
            " queries G and G† alternate with phases φ on the ancilla, and “part” picks the real"
            " part. Finding ancilla = 0 and part = 0 leaves the solution on the system register."
            " Numbers in brackets are qubits."
        ),
    ),
    "query": (
        "One query G: the matrix, then the direction of the right-hand side projected out",
        (
            "U multiplies by the padded matrix diag(M, α/t)/α; “flip b” marks what points along the"
            " right-hand side, so that it is left out where the mark comes back to 0. The solution"
            " spans what G sends to nothing."
        ),
    ),
    "phase": DRAWINGS["phase"],
}
ESTIMATION_DRAWINGS = {
    "circuit": (
        "The whole circuit: phase estimation, a rotation, and all of it back",
        (
            "The clock is prepared in a window; each of its bits controls an evolution, every one"
            " twice as long as the one before; after a Fourier transform the clock holds an"
            " estimate of an eigenvalue of H, and the flag is turned by its inverse. The rest takes"
            " the estimate back. Finding clock, flag, ancilla, part and choice at 0 leaves the"
            " solution on the second half of the system register. Numbers in brackets are qubits."
        ),
    ),
    "query": (
        "One query U: the block-encoding of H = [[0, M], [M†, 0]], controlled by a qubit",
        DRAWINGS["query"][1].replace("M/α", "H/α"),
    ),
    "evolution": (
        "One evolution: cosine and sine of H by the same queries",
        (
            "“choice” picks the even polynomial (cosine) or the odd one (sine) by its own phases;"
            " both use the same queries U and U†. The sum is half of e^{iτH}, and one round of"
            " amplification makes it whole."
        ),
    ),
}
TREE = (
    "What the circuit is made of",
    (
        "Every line is a part and how often the whole circuit calls it; under it stand the parts"
        " that it calls itself, the costly ones first. The bar is its share of all AND and Toffoli"
        " gates; rotations are counted beside it. A kind of part is opened once. Counted over the"
        " same definition that was drawn above and simulated."
    ),
)
GLOSSARY = {
    "history matrix M": (
        "All steps of the linearised map as one linear system M Z = B; Z holds every step, and"
        " copies of the last."
    ),
    "query": "One use of the block-encoding U or of its inverse.",
    "degree": (
        "Of the polynomial that stands for 1/x on the singular values; each degree costs one query."
    ),
    "κ": "α times ‖M⁻¹‖: how far the matrix is from singular, in units of its block-encoding.",
    "success probability": (
        "The chance that the ancilla and part are found at 0, so that the system register holds the"
        " solution."
    ),
    "T gate": "The costly gate of an error-corrected machine.",
}


def write_circuit_page(
    record: Record, drawings: Mapping[str, Drawing], path: str | Path, tree: CallNode | None = None
) -> Path:
    """Write the page of a circuit as one self-contained HTML file.

    Args:
        record: the rows of `qdescent circuit`.
        drawings: "circuit", "query", "phase" or "evolution": see
            `qdescent.quantum.inspect.drawing.draw`; one that is missing is left out.
        tree: the call graph, see `qdescent.quantum.inspect.call_tree.call_tree`; None leaves it
            out.
        path: the file to write, at once.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_circuit_page(
        ...     Record("empty", {}, 0, {}, ()), {}, Path(tempfile.mkdtemp()) / "circuit.html"
        ... )
        >>> "left out" in path.read_text(encoding="utf-8")
        True
    """
    check_instance("record", record, Record)
    check_instance("drawings", drawings, Mapping, called="drawings by name")
    check_instance("tree", tree, CallNode, optional=True)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    panels: tuple[Callable[[Record], Panel], ...] = (circuit_panel, noise_panel)
    rows = record.rows.section(names.CIRCUIT).numbers
    numbers = f"<h3>Size, cost and errors</h3>{table(rows, names.CIRCUIT)}" if rows else ""
    ways = list(record.rows.section(names.WAYS))
    if ways:
        numbers += (
            "<h3>Queries of both ways at the same error, counted as products are made</h3>"
            f"{table(ways, names.WAYS)}"
        )
    models = list(record.rows.section(names.OTHER_SOLVERS))
    if models:
        numbers += (
            "<h3>Queries that other solvers would take at the same κ and"
            f" error</h3>{table(models, names.OTHER_SOLVERS)}"
        )
    body = [
        _header(record),
        _drawn(drawings, _captions(record), tree),
        section(record, "answer", OPENING, panels, plots, numbers),
        all_rows(record),
        provenance(record),
        glossary(GLOSSARY),
    ]
    return write_page(path, f"qdescent circuit: {record.name}", body, plots)


def noise_panel(record: Record) -> Panel:
    """Error of the answer against the chance of an error a query."""
    rates, errors = rows = record.rows[names.NOISE_RATES], record.rows[names.NOISE_ERRORS]
    x, y = rates.curve, errors.curve
    good = [rate for rate, error in zip(x, y, strict=True) if error <= 0.01]
    finding = (
        f"up to {number(max(good), 2)} errors a query"
        if good
        else f"below {number(min(x), 2)} errors a query"
    )
    plot = figure("chance of an error a query", "relative error of Z")
    plot.add_trace(
        go.Scatter(x=x, y=y, mode="lines+markers", line={"color": ORANGE}, hovertemplate="%{y:.3g}")
    )
    plot.update_xaxes(type="log")
    plot.update_yaxes(type="log")
    plot.update_layout(showlegend=False)
    return Panel(
        f"The answer stays within 1 % {finding}",
        "Each query may replace the whole state by noise. A circuit of Q queries survives with"
        " chance (1 − r) to the power Q; its outcome is mixed with a uniform background, which"
        " hurts the small entries of Z most.",
        rows,
        plot,
    )


def _header(record: Record) -> str:
    links = {"drawing": "Circuit", "answer": "Answer", "numbers": "All numbers", "words": "Words"}
    nav = " ".join(f'<a href="#{anchor}">{escape(text)}</a>' for anchor, text in links.items())
    verdict = ""
    if names.CIRCUIT_STATUS in record.rows:
        row = record.rows[names.CIRCUIT_STATUS]
        verdict = (
            f'<p class="verdict"><b>Outcome.</b> {escape(str(row.value))}.'
            f" {badge(row.evidence)}</p>"
        )
    return f"""<h1>Gradient steps as a quantum circuit</h1>
<p>{escape(SEGMENT_LEAD if _is_segment(record) else LEAD)}</p>
{verdict}
<div class="cards">{"".join(_cards(record))}</div>
<p class="quiet">run <code>{escape(record.name)}</code></p>
<nav>{nav}</nav>"""


def _cards(record: Record) -> Iterable[str]:
    candidates: tuple[tuple[str, Callable[[Row], str], str], ...] = (
        (
            names.CIRCUIT + names.QUBITS,
            lambda row: number(row.value),
            "qubits in the simulated state",
        ),
        (
            names.CIRCUIT + names.LOGICAL_QUBITS,
            lambda row: number(row.value),
            "logical qubits with all work registers",
        ),
        (
            names.CIRCUIT + names.QUERIES,
            lambda row: number(row.value),
            "queries to the block-encoding",
        ),
        (names.CIRCUIT + names.T_GATES, lambda row: number(row.value), "T gates of one run"),
        (
            names.CIRCUIT + names.SUCCESS_PROBABILITY,
            lambda row: percent(row.number, 2),
            "chance that the run is kept",
        ),
        (
            names.ERROR_TO_DIRECT,
            lambda row: percent(fraction(row), 2),
            "error against the direct solution",
        ),
    )
    for name, text, label in candidates:
        if name in record.rows:
            yield card(text(record.rows[name]), label, record.rows[name].evidence)


def _is_segment(record: Record) -> bool:
    """Whether no history was solved."""
    return "circuit/inner_degree" in record.rows


def _captions(record: Record) -> dict[str, tuple[str, str]]:
    captions = dict(
        SEGMENT_DRAWINGS
        if _is_segment(record)
        else KERNEL_DRAWINGS
        if names.CIRCUIT + names.REFLECTIONS in record.rows
        else ESTIMATION_DRAWINGS
        if names.CIRCUIT + names.CLOCK_BITS in record.rows
        else DRAWINGS
    )
    if names.CIRCUIT + names.AMPLIFICATION_ROUNDS in record.rows:
        times = 2 * int(record.rows.number(names.CIRCUIT + names.AMPLIFICATION_ROUNDS)) + 1
        title, words = captions["circuit"]
        captions["circuit"] = (
            title,
            (
                f"{words} Amplitude amplification uses it {times} times, forward and backward; one"
                " is drawn."
            ),
        )
    return captions


def _drawn(
    drawings: Mapping[str, Drawing], captions: Mapping[str, tuple[str, str]], tree: CallNode | None
) -> str:
    shown = [(drawings[name], words) for name, words in captions.items() if name in drawings]
    figures = [_drawing(circuit_svg(drawing, words[0]), *words) for drawing, words in shown]
    if tree is not None:
        figures.append(_drawing(call_tree_svg(tree, TREE[0]), *TREE))
    return f'<h2 id="drawing">The circuit</h2>{"".join(figures)}' if figures else ""


def _drawing(svg: str, title: str, caption: str) -> str:
    words = f"<figcaption><p>{escape(caption)}</p></figcaption>"
    return (
        f'<figure class="drawing"><h3>{escape(title)}</h3><div'
        f' class="scroll">{svg}</div>{words}</figure>'
    )
