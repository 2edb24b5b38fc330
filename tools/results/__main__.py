"""Everything that is made from the committed results: the means over seeds, and the figures.

    python tools/results    # reads results/*.json; writes the means over seeds, what
    #                         the authors show, and docs/figures/*.svg

Each figure's data are rows of the files that it names; nothing is measured here.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes

from qdescent._evidence import Evidence, Row
from qdescent.report.files import write_document
from qdescent.report.pages.reproduction.page import THEIR_ACCURACY, THEIRS
from qdescent.report.record import Record, read_record, record_text
from qdescent.rows.collection import Rows

ROOT = Path(__file__).parents[2]
RESULTS, FIGURES = ROOT / "results", ROOT / "docs" / "figures"
# of each seed the files, whose rows are taken together
SEEDS = (("7M-seed-0",), ("7M-seed-1",), ("7M-seed-2",))
# what is measured, not what is set
COMPARED = ("truncation/", "window/", "dissipation/", "spectrum/", "dense/", "pruned/", "tuned/")
COMPARED += ("reupload/", "layers/", "norms/", "kappa/")
SMALL_SEEDS = (("small",), ("small-seed-1",), ("small-seed-2",))
MEANS = {"7M-seeds": SEEDS, "small-seeds": SMALL_SEEDS}
AUTHORS = "authors"
STYLES = ("-", "--", ":")  # of seeds 0, 1, 2
BLUE, ORANGE, GREEN, PURPLE, GREY = "#2f7fc1", "#d55e00", "#009e73", "#b3589a", "#858b93"


def results() -> dict[str, Record]:
    """The committed records by name, without those that are made from them."""
    found = {path.stem: read_record(path) for path in sorted(RESULTS.glob("*.json"))}
    return {name: record for name, record in found.items() if name not in (*MEANS, AUTHORS)}


def merged(found: dict[str, Record], seed: Sequence[str]) -> Rows:
    """The rows of one seed, from all files of it that are there; of a name the first."""
    rows: dict[str, Row] = {}
    for name in seed:
        for row in found[name].rows if name in found else ():
            rows.setdefault(row.name, row)
    return Rows(rows.values())


def mean_record(name: str, files: Sequence[Sequence[str]], found: dict[str, Record]) -> Record:
    """Rows that all seeds have as numbers or curves: their mean, and the standard deviation of a
    seed. Curves are cut to the shortest.
    """
    seeds = [rows for rows in (merged(found, seed) for seed in files) if len(rows)]
    rows, count = [], len(seeds)
    for row in seeds[0]:
        if not row.name.startswith(COMPARED) or not all(row.name in each for each in seeds):
            continue
        values = [each[row.name].value for each in seeds]
        source = f"mean of {count} seeds; error: standard deviation of a seed; {row.source}"
        if all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
            mean, spread = statistics.mean(values), statistics.stdev(values)
        elif all(isinstance(each, tuple) for each in values):
            length = min(map(len, values))
            columns = [[each[k] for each in values] for k in range(length)]
            mean = [statistics.mean(column) for column in columns]
            spread = [statistics.stdev(column) for column in columns]
        else:
            continue
        rows.append(Row(row.name, mean, row.unit, Evidence.MEASURED, source, spread))
    return Record(name, {}, 0, {}, Rows(rows))


def authors_record() -> Record:
    """What Liu et al. (2024) show, as read from their draft's figure and their code's output."""
    figure = "decoded from the figure `Error bound` of the draft of Liu et al. (2024)"
    run = "recorded by the experiment code of Liu et al. (2024): ResNet-32, width 64, CIFAR-100"
    facts = [
        ("proxy/step", list(THEIRS), "steps", figure),
        ("proxy/total", list(THEIRS.values()), "1", f"E(t); {figure}; its eta is not known"),
        ("tuning/step", list(THEIR_ACCURACY), "steps", run),
        ("tuning/test_accuracy", list(THEIR_ACCURACY.values()), "1", run),
        ("spectrum/step", [0, 6, 32], "steps", run),
        ("spectrum/lambda_min", [-1.14, -1.05, -1.06], "1", run),
        ("spectrum/lambda_max", [4.83, 3.97, 3.29], "1", run),
        ("spectrum/below_a_tenth", [0.00063, 0.00011], "1", f"first and last; below -0.1; {run}"),
    ]
    rows = [
        Row(name, value, unit, Evidence.MEASURED, source) for name, value, unit, source in facts
    ]
    return Record(AUTHORS, {}, 0, {}, Rows(rows))


def proxy_figure(axes: Axes, found: dict[str, Record]) -> None:
    """E(t) over all weights, ours and theirs, each by how deep it goes."""
    curves = [("7M-seed-0", "dense", "before pruning, seed 0", GREY, "-")]
    for seed, style in enumerate(STYLES):
        curves.append((f"7M-seed-{seed}", "step-0", f"right after, seed {seed}", BLUE, style))
    for name, place, label, color, style in curves:
        curve = found[name].rows[f"proxy/{place}/all"].curve
        depth = 1 - min(curve)
        scaled = [(y - 1) / depth for y in curve]
        axes.plot(scaled, style, color=color, label=f"{label}, {depth:.1e} deep")
    depth = 1 - min(THEIRS.values())
    scaled = [(y - 1) / depth for y in THEIRS.values()]
    axes.plot(list(THEIRS), scaled, "s", color=ORANGE, label=f"Liu et al., {depth:.1e} deep")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="step t", ylabel="(E(t) − 1) / depth", ylim=(-1.1, 3.6))
    axes.set(title="The proxy at η = 0.02 turns after 5 to 19 steps")


def truth_figure(axes: Axes, found: dict[str, Record]) -> None:
    """The truncation error at order 1 and 2, by seed."""
    for seed, style in zip(SEEDS, STYLES, strict=True):
        rows = merged(found, seed)
        for rate, color in (("0.1", ORANGE), ("0.02", BLUE), ("0.005", GREEN)):
            for order, width in ((1, 0.8), (2, 2.0)):
                name = f"truncation/step-0/eta-{rate}/order_{order}"
                if name not in rows:
                    continue
                curve = rows[name].curve
                label = f"η = {rate}, N = {order}" if style == "-" else None
                steps = range(1, len(curve) + 1)
                axes.semilogy(steps, curve, style, color=color, linewidth=width, label=label)
    axes.axhline(0.01, color=GREY, linewidth=0.8)
    axes.set(
        xlabel="steps K after pruning (dashes, dots: seeds 1, 2)",
        ylabel="error to true descent",
        ylim=(1e-5, 1),
    )
    axes.set(title="Order 2 leaves 1 % after 1, 3 to 7, 14 or more steps")


def accuracy_figure(axes: Axes, found: dict[str, Record]) -> None:
    """Test accuracy of sparse fine-tuning."""
    for name, label, color in (
        ("7M-relu", "7M, ReLU and frozen BatchNorm", PURPLE),
        ("103M-tuned", "103M, GELU", GREEN),
    ):
        rows = found[name].rows
        steps, curve = rows["tuning/step"].curve, rows["tuning/test_accuracy"].curve
        axes.plot(steps, curve, "o-", color=color, markersize=3, label=label)
    ends = ("pruned/test_accuracy", "tuned/test_accuracy")
    for seed in range(len(SEEDS)):
        rows = found[f"7M-seed-{seed}"].rows
        label = "7M, GELU, three seeds" if seed == 0 else None
        axes.plot([0, 200], [rows.number(end) for end in ends], "D", color=BLUE, label=label)
    axes.plot(
        list(THEIR_ACCURACY), list(THEIR_ACCURACY.values()), "s:", color=ORANGE,
        label="Liu et al., CIFAR-100",
    )  # fmt: skip
    axes.set(xlabel="steps of fine-tuning", ylabel="test accuracy")
    axes.set(title="Pruning 90 % breaks ReLU, not GELU at 7M")


def spectra_figure(axes: Axes, found: dict[str, Record]) -> None:
    """How many modes lie below each negative value, before and after pruning."""
    rows = found["7M-seed-0"].rows
    for place, label, color in (
        ("dense", "before pruning", GREY),
        ("step-0", "right after", BLUE),
        ("step-16", "16 steps later", GREEN),
        ("step-200", "200 steps later", PURPLE),
    ):
        nodes, weights = (rows[f"spectrum/{place}/{kind}"].curve for kind in ("nodes", "weights"))
        below = sorted((x, w) for x, w in zip(nodes, weights, strict=True) if x < 0)
        heights, total = [], 0.0
        for _, weight in below:
            total += weight
            heights.append(total)
        axes.step([x for x, _ in below], heights, where="post", color=color, label=label)
    axes.set(xlabel="λ", ylabel="share of modes below λ", yscale="log")
    axes.set(title="The fastest modes leave by pruning, and return")


FIGURES_MADE: dict[str, tuple[Callable[[Axes, dict[str, Record]], None], ...]] = {
    "early_window": (proxy_figure, truth_figure),
    "after_pruning": (accuracy_figure, spectra_figure),
}


def draw(found: dict[str, Record], folder: Path) -> None:
    """All figures as SVG, the same bytes each time."""
    mpl.rcParams["svg.hashsalt"] = "qdescent"
    mpl.rcParams["svg.fonttype"] = "none"
    folder.mkdir(exist_ok=True)
    for name, parts in FIGURES_MADE.items():
        drawn, axes = pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 3.6))
        for part, place in zip(parts, axes, strict=True):
            part(place, found)
            place.legend(fontsize=8, framealpha=0.9, edgecolor="none")
            place.spines[["top", "right"]].set_visible(False)
        drawn.tight_layout()
        drawn.savefig(folder / f"{name}.svg", metadata={"Date": None}, facecolor="white")
        pyplot.close(drawn)


def main() -> None:
    """Means, then figures."""
    write_document(RESULTS / f"{AUTHORS}.json", record_text(authors_record()))
    found = results()
    for name, files in MEANS.items():
        write_document(RESULTS / f"{name}.json", record_text(mean_record(name, files, found)))
    draw(found, FIGURES)


if __name__ == "__main__":
    sys.exit(main())
