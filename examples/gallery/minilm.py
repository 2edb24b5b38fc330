"""15. Does a fine-tuned language model follow masked descent, too?

The sentence encoder MiniLM, 22.6 million weights, a tenth of each layer kept, is tuned to tell a
Debian package's section from its description. `examples/minilm_hybrid.py` does it, a quarter of an
hour of one core; shown is what `benchmarks/minilm.py` has kept of it in `results/MiniLM.json`.
"""

import itertools
import json
from pathlib import Path

import plotly.graph_objects as go

rows = json.loads((Path(__file__).parents[2] / "results" / "MiniLM.json").read_text())["rows"]
value = {row["name"]: row["value"] for row in rows}
others = {name.partition("hybrid/")[0] for name in value if name.startswith("seed-")}
seeds = ["", *sorted(others)]

figure, gaps = go.Figure(), []
for seed, colour in zip(seeds, ("#1f77b4", "#d62728", "#2ca02c"), strict=False):
    at = f"{seed}hybrid/"
    steps = [0, *itertools.accumulate(value[at + "steps_by_round"])]
    hybrid, classical = value[at + "loss_by_round"], value[at + "classical_loss_by_round"]
    label = f"seed {seed.strip('/').removeprefix('seed-') or 0}"
    for name, losses, dash in (("hybrid", hybrid, "solid"), ("masked descent", classical, "dot")):
        figure.add_scatter(
            x=steps[1:], y=losses, name=f"{label}, {name}", mode="lines+markers",
            line={"color": colour, "dash": dash},
        )  # fmt: skip
    before, ours, theirs = (
        value[at + name] for name in ("accuracy_before", "accuracy", "classical_accuracy")
    )
    gaps.append(value[at + "accuracy_gap"])
    print(
        f"{label}: {steps[-1]} steps in {len(steps) - 1} rounds, {before:.1%} of the test texts"
        f" right before, {ours:.1%} after, masked descent {theirs:.1%}"
    )
    print(f"  segments of {value[at + 'steps_by_round']} steps")
figure.update_layout(
    xaxis_title="step of the rounds", yaxis_title="loss on the round's batch of 64 texts"
)
count = f"{len(gaps)} seeds" if len(gaps) > 1 else "one seed"
said = (
    f"Hybrid rounds that read a fifth of the entries end within {max(map(abs, gaps)):.1f} points of"
    f" masked descent's accuracy ({count})"
)
shown = (
    f"Measured: {value['network/parameters']:,} weights, {value['network/kept']:,} kept, on"
    f" {value['data/test_texts']:,} test texts; segments emulated, readouts drawn"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
