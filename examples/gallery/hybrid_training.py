"""4. Does the quantum loop train as well as gradient descent?

Two trainings of one pruned network on the same batch: plain descent, and rounds of upload, segment,
readout and download. The linear systems are emulated exactly by the series form; the readout draws
its shots.
"""

import itertools

import plotly.graph_objects as go
from torch.nn.functional import cross_entropy

import qdescent as qd

data = qd.datasets.load_fashion_mnist()
network = qd.networks.fashion_cnn(widths=(4, 8, 16), hidden=20)
qd.train_dense(network, cross_entropy, data, epochs=2)
space = qd.ParameterSpace(network, qd.magnitude_mask(network, density=0.3))
task = qd.Task(network, cross_entropy, (data.train_images[:256], data.train_labels[:256]))

schedule = qd.Schedule(order=2, segment=12, rounds=4, learning_rate=0.02, shots=10**6)
plain = [
    loss
    for loss, _ in itertools.islice(qd.descend(task, space, space.theta, 0.02), schedule.steps + 1)
]
figure, ends = go.Figure(), {}
figure.add_scatter(y=plain, name="gradient descent", line={"color": "#7f7f7f", "width": 5})
for shots, colour in ((10**6, "#1f77b4"), (10**4, "#d62728")):
    run = qd.train_hybrid([task], space, qd.Schedule(2, 12, 4, 0.02, shots))
    for r, each in enumerate(run.rounds):
        start = r * schedule.segment
        name = f"quantum loop, 10^{len(str(shots)) - 1} shots"
        figure.add_scatter(
            x=list(range(start, start + 13)), y=each.loss, name=name, legendgroup=name,
            showlegend=r == 0,
            line={"color": colour, "width": 2},
        )  # fmt: skip
    ends[shots] = float(task.loss_at(space, run.theta))
    last = run.rounds[-1]
    print(
        f"{shots:.0e} shots: loss {ends[shots]:.4f}, last truncation {last.truncation[-1]:.1e},"
        f" readout {last.readout_error:.1e}"
    )
print(f"gradient descent: loss {plain[0]:.4f} -> {plain[-1]:.4f}")
figure.update_layout(yaxis_title="loss on the batch", xaxis_title="step")
gap = {shots: (end - plain[-1]) / (plain[0] - plain[-1]) for shots, end in ends.items()}
said = (
    f"With 10^6 shots a readout the quantum loop misses {gap[10**6]:.2%} of what plain descent"
    f" gains in {schedule.steps} steps, with 10^4 shots {gap[10**4]:.1%}"
)
shown = (
    f"Emulated exactly: {space.n} kept weights, order 2, four rounds of 12 steps, eta = 0.02; jumps"
    " are readouts"
)
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
