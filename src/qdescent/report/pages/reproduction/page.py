"""`write_reproduction(record, path)`: the page of `qdescent reproduce`: the answers, and the
authors' figures with ours beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from qdescent._checks import check_instance, check_path
from qdescent.report.pages.page import all_rows, glossary, provenance, section, write_page
from qdescent.report.pages.panel import BLUE, GREEN, GREY, ORANGE, PURPLE, Panel, figure, line, take
from qdescent.report.pages.plots import density_plot
from qdescent.report.pages.reproduction.answers import (
    FIRST,
    answers,
    rule_in_words,
    rules,
    spectrum_steps,
)
from qdescent.report.pages.spectrum_page import GLOSSARY
from qdescent.report.pages.tables import badge
from qdescent.report.record import Record
from qdescent.rows import names
from qdescent.rows.collection import MissingRowError
from qdescent.rows.numbers import number, percent

# E(t) as decoded from the figure "Error bound" of the draft of Liu et al. (2024); its eta is not
# known
THEIRS = {
    0: 0.99883, 2: 0.99764, 6: 0.99691, 10: 0.99719, 16: 0.99846, 20: 1.00040, 24: 1.00353,
    28: 1.00727,
}  # fmt: skip
# test accuracy after 90 % pruning of their network on CIFAR-100
THEIR_ACCURACY = {0: 0.021, 6: 0.058, 12: 0.231, 18: 0.498, 24: 0.586, 48: 0.632, 60: 0.644}
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)
LEAD = (
    "Liu et al. (Nature Communications 15, 434, 2024) prune a trained network, train it on, and"
    " read from a proxy of the Hessian's spectrum that the first steps after pruning suit a"
    " quantum computer. This page repeats their protocol and sets beside the proxy what it cannot"
    " show: how far the linearised descent is from true descent, step by step."
)
PROXY = (
    "Their figures, ours beside them",
    "E(t) is the mean of |1 − ηλ|ᵗ over the modes. They count pruned weights as modes that stand"
    " still, which brings it near 1 whatever the others do.",
)
TRUTH = (
    "What the proxy cannot show",
    "The distance between the order-N Carleman solution and true descent from the same weights, on"
    " the same batch, relative to the way descent has gone.",
)


def write_reproduction(record: Record, path: str | Path) -> Path:
    """Write the page as one self-contained HTML file.

    Args:
        record: the rows of `qdescent reproduce`; what needs rows that it lacks is left out.
        path: the file to write, at once.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> path = write_reproduction(
        ...     Record("empty", {}, 0, {}, ()), Path(tempfile.mkdtemp()) / "reproduction.html"
        ... )
        >>> "left out" in path.read_text(encoding="utf-8")
        True
    """
    check_instance("record", record, Record)
    path = check_path("path", path)
    plots: dict[str, Any] = {}
    theirs: tuple[Callable[[Record], Panel], ...] = (proxy_panel, spectra_panel, accuracy_panel)
    body = [
        _header(record),
        section(record, "proxy", PROXY, theirs, plots),
        section(record, "truth", TRUTH, (truncation_panel,), plots),
        all_rows(record),
        provenance(record),
        glossary(GLOSSARY),
    ]
    return write_page(path, f"qdescent reproduce: {record.name}", body, plots)


def _header(record: Record) -> str:
    parts = "".join(
        f"<dt>{escape(answer.question)}</dt><dd>{escape(answer.text)}"
        f" {' '.join(map(badge, sorted({row.evidence for row in answer.rows})))}</dd>"
        for answer in answers(record)
    )
    refused = "".join(
        f"<li><code>{escape(row.name.removeprefix(names.REFUSED))}</code>: {escape(str(row.value))}"
        for row in record.rows.section(names.REFUSED)
    )
    without = f"<p>Not measured, as it has no meaning on this network:</p><ul>{refused}</ul>"
    return f"""<h1>Is there an early stage for a quantum computer?</h1>
<p>{escape(LEAD)}</p>
<dl>{parts}</dl>
{without if refused else ""}
<p class="quiet">Run <code>{escape(record.name)}</code>, seed {record.seed}.</p>"""


def proxy_panel(record: Record) -> Panel:
    """E(t) over all and over kept weights, beside the decoded points."""
    every, kept = take(
        record, names.during(FIRST, names.PROXY_ALL), names.during(FIRST, names.PROXY_TOTAL)
    )
    plot = figure("step t", "(E(t) − 1) / depth")
    decoded = tuple(THEIRS.values())
    for curve, name, color, dash in (
        (every.curve, "all weights, as they count", BLUE, "solid"),
        (kept.curve, "kept weights", GREEN, "dash"),
    ):
        plot.add_trace(line(_by_depth(curve), name, color, dash))
    plot.add_trace(
        line(_by_depth(decoded), "theirs, decoded", ORANGE, mode="markers", x=list(THEIRS))
    )
    plot.update_yaxes(range=(-1.2, 3))
    low = min(range(len(every.curve)), key=every.curve.__getitem__)
    ends = "and stays below 1" if max(every.curve[1:]) < 1 else "and passes 1"
    depth, least = 1 - every.curve[low], 1 - min(decoded)
    return Panel(
        f"E(t) is least at step {low}, 1 − {number(depth, 3)}, {ends}",
        f"Each curve by how far it falls below 1: {number(depth, 3)} over all weights,"
        f" {number(1 - min(kept.curve), 3)} over kept ones, which pruned ones do not dilute, and"
        f" {number(least, 3)} for theirs, which turns at step 6 and passes 1 at step 20; the"
        " learning rate of that figure is not known.",
        (every, kept),
        plot,
    )


def _by_depth(curve: Sequence[float]) -> list[float]:
    """(E(t) - 1) / (1 - least E(t)): -1 at the least; E(t) - 1 itself where it never falls."""
    depth = 1 - min(curve)
    return [(value - 1) / (depth or 1) for value in curve]


def spectra_panel(record: Record) -> Panel:
    """Densities before pruning, right after and at the last step that was measured."""
    places = ["dense"] if names.during("dense", names.SPECTRUM_NODES) in record.rows else []
    steps = spectrum_steps(record)
    if not steps:
        raise MissingRowError("spectrum/step-0/nodes", ())
    places += [f"step-{step}" for step in dict.fromkeys((steps[0], steps[-1]))]
    rows, drawn = [], []
    dashes = ("dot", "solid", "dash")
    for place, color, dash in zip(places, (GREY, BLUE, GREEN), dashes, strict=False):
        nodes, weights, low = take(
            record,
            names.during(place, names.SPECTRUM_NODES),
            names.during(place, names.SPECTRUM_WEIGHTS),
            names.during(place, names.LAMBDA_MIN),
        )
        rows += [nodes, weights, low]
        drawn.append((place, nodes.curve, weights.curve, color, dash))
    plot, width = density_plot(drawn)
    lows = " → ".join(number(row.number, 3) for row in rows[2::3])
    return Panel(
        f"The least eigenvalue: {lows}",
        f"Smoothed by {number(width, 2)} for the eye. Left of 0 modes grow.",
        tuple(rows),
        plot,
    )


def accuracy_panel(record: Record) -> Panel:
    """Test accuracy of sparse fine-tuning, beside theirs."""
    steps, found = take(record, "tuning/step", "tuning/test_accuracy")
    plot = figure("step of fine-tuning", "test accuracy")
    plot.add_trace(line(found.curve, "this network", BLUE, x=steps.curve, mode="lines+markers"))
    plot.add_trace(
        line(
            list(THEIR_ACCURACY.values()), "theirs, CIFAR-100", ORANGE, "dot",
            x=list(THEIR_ACCURACY), mode="lines+markers", symbol="square",
        )
    )  # fmt: skip
    start, end = found.curve[0], found.curve[-1]
    went = "rises" if end > start else "falls" if end < start else "stays"
    lost = (
        "Theirs loses nearly all that it had learnt by pruning, and has it back in tens of steps."
    )
    if names.DENSE_ACCURACY in record.rows:
        lost = (
            f"Before pruning it was {percent(record.rows.number(names.DENSE_ACCURACY), 3)}. {lost}"
        )
    return Panel(
        f"Accuracy {went} from {percent(start, 3)} to {percent(end, 3)}",
        lost,
        (steps, found),
        plot,
    )


def truncation_panel(record: Record) -> Panel:
    """The truncation table right after pruning, log y."""
    rows = []
    plot = figure("steps K of a segment", "relative truncation error")
    for rule, color in zip(rules(record, FIRST), COLOURS, strict=False):
        for row in record.rows.section(f"truncation/{FIRST}/{rule}/order_"):
            order = row.name.rpartition("_")[2]
            dash = {"1": "dot", "2": "dash"}.get(order, "solid")
            curve = [value if value > 0 else None for value in row.curve]
            xs = list(range(1, len(curve) + 1))
            label = f"{rule_in_words(rule).removeprefix('at ')}, N = {order}"
            plot.add_trace(line(curve, label, color, dash, x=xs))
            rows.append(row)
    if not rows:
        raise MissingRowError(f"truncation/{FIRST}/", ())
    plot.update_yaxes(type="log")
    longest = max(record.rows.section(f"window/true/{FIRST}/"), key=lambda row: float(row.number))
    return Panel(
        f"Within 1 % for at most {number(longest.value)} steps",
        "A horizontal cut at 0.01 is the readout's own error: a segment that is longer is spent on"
        " an answer to another question.",
        (*rows, longest),
        plot,
    )
