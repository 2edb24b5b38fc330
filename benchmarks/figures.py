"""The figures of docs/benchmarks.md, from the committed results; nothing is measured here.

python benchmarks/figures.py    # reads benchmarks/results/*.json; writes docs/figures/*.svg
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes
from protocol import RESULTS

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
COLORS = {1: "#2f7fc1", 2: "#d55e00", 3: "#009e73", 4: "#b3589a"}  # of the orders
FAMILY = "almost dissipative, ten times the coupling"
HISTORIES = {"as it stands": ":", "scaled": "-"}
WORDS = {"as it stands": "as it stands", "scaled": "best unit"}


def steps_axis(axes: Axes, last: int) -> None:
    """Ticks at powers of two."""
    shown = [each for each in (16, 32, 64, 128, 256, 512) if each <= last]
    axes.set_xticks(shown, labels=[str(each) for each in shown])
    axes.set_xticks([], minor=True)


def histories(axes: Axes, table: dict, orders: tuple[int, ...]) -> None:
    """kappa / sqrt P of the histories, and the slope of each."""
    for order in orders:
        found = table[str(order)]
        for way, style in HISTORIES.items():
            points = [
                (row["steps"], row["history"][way]["cost"])
                for row in found["rows"]
                if row["history"]
            ]
            slope = found["slopes"][way]
            label = f"history, N = {order}, {WORDS[way]}: T^{slope['slope']:.2f}"
            axes.loglog(*zip(*points, strict=True), style, color=COLORS[order], label=label)


def family_panel(axes: Axes, found: dict) -> None:
    """A family with a neutral mode and a bounded orbit."""
    histories(axes, found["maps"][FAMILY]["orders"], (1, 2, 3, 4))
    steps_axis(axes, 512)
    axes.set(xlabel="steps T", ylabel="κ / √P", title="Eigenvalues 1 and 0.6: the unit decides")


def network_panel(axes: Axes, found: dict) -> None:
    """The map of four weights of a network at the rate of its training."""
    part = next(p for p in found["network"] if (p["weights"], p["learning rate"]) == (4, 0.1))
    histories(axes, part["orders"], (1, 2))
    for order in (1, 2):
        table = part["orders"][str(order)]
        points = [(row["steps"], row["fast-forward"]["queries"]) for row in table["rows"]]
        slope = table["slopes"]["fast-forward, queries"]["slope"]
        label = f"queries, fast-forward, N = {order}: T^{slope:.2f}"
        axes.loglog(*zip(*points, strict=True), "--", color=COLORS[order], label=label)
    steps_axis(axes, 256)
    axes.set(xlabel="steps T", title="Four weights of a network, η = 0.1")


def trained(found: dict) -> list[dict]:
    """The networks of the law."""
    return [case for case in found["cases"] if case["case"] == "trained, magnitude"]


def errors_panel(axes: Axes, found: dict) -> None:
    """The error that is left against the share of the row that is kept, of each network."""
    cases = trained(found)
    sizes = sorted({case["weights"] for case in cases})
    for case in cases:
        size = case["weights"]
        points = [
            (s / size, error)
            for s, error in zip(
                case["entries"], case["segments"][0]["order 2"]["errors"], strict=True
            )
            if s and error
        ]
        label = f"{size:,} weights" if case["seed"] == 0 else None
        color = COLORS[1 + sizes.index(size)]
        axes.loglog(*zip(*points, strict=True), color=color, label=label, linewidth=1)
    axes.axhline(0.01, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(
        xlabel="share of the row that is kept",
        ylabel="distance to the segment with all of H",
        title="η = 0.02, T = 10: an accuracy is a share",
        ylim=(1e-4, 0.3),
    )


def law_panel(axes: Axes, found: dict) -> None:
    """Entries for one per cent against n, of three segments, and the law with its spread."""
    fit = found["law"]["a share of the row"]
    first, last = fit["weights"]
    for place, segment in enumerate(trained(found)[0]["segments"]):
        eta, steps = segment["learning_rate"], segment["steps"]
        points = [
            (case["weights"], case["segments"][place]["order 2"]["needed"]["0.01"])
            for case in trained(found)
        ]
        color = COLORS[1 + place]
        axes.loglog(
            *zip(*points, strict=True), "o", color=color, ms=4, label=f"η {eta:g}, T {steps}"
        )
        law = fit["constant"] * (eta * steps) ** fit["power of eta T"]
        law *= 0.01 ** -fit["power of 1/error"]
        around = [law * n for n in (first, last)]
        spread = fit["spread factor"]
        axes.loglog((first, last), around, color=color, linewidth=1)
        below, above = ([y * f for y in around] for f in (1 / spread, spread))
        axes.fill_between((first, last), below, above, color=color, alpha=0.15, linewidth=0)
    axes.axhline(10, color="0.6", linewidth=0.8, linestyle=":")
    axes.annotate("ten entries", (1_300, 11), fontsize=7, color="0.4")
    axes.set_xticks((1_261, 2_320, 4_438, 10_792), labels=("1,261", "2,320", "4,438", "10,792"))
    axes.set_xticks([], minor=True)
    axes.set(
        xlabel="kept weights n", ylabel="entries a row for 1 %", title="Grows as n, not slower"
    )


FIGURES_MADE = {
    "scaling": ("scaling", (family_panel, network_panel)),
    "needed_sparsity": ("needed_sparsity_gpu", (errors_panel, law_panel)),
}


def main() -> None:
    """All figures as SVG, the same bytes each time."""
    mpl.rcParams["svg.hashsalt"] = "qdescent"
    mpl.rcParams["svg.fonttype"] = "none"
    for name, (results, parts) in FIGURES_MADE.items():
        found = json.loads((RESULTS / f"{results}.json").read_text())
        drawn, axes = pyplot.subplots(1, len(parts), figsize=(5.4 * len(parts), 4.2))
        for part, place in zip(parts, axes, strict=True):
            part(place, found)
            place.legend(fontsize=7, framealpha=0.9, edgecolor="none")
            place.spines[["top", "right"]].set_visible(False)
        drawn.tight_layout()
        drawn.savefig(FIGURES / f"{name}.svg", metadata={"Date": None}, facecolor="white")
        pyplot.close(drawn)


if __name__ == "__main__":
    main()
