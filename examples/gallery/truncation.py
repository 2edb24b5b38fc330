"""3. How long may a segment be, at which order?

Between an upload and a download the steps are those of a truncated series. Its error against true
descent from the same pivot grows with the steps; a higher order buys longer segments as long as the
series converges.
"""

import itertools

import plotly.graph_objects as go
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent.solvers.series import SeriesSteps
from qdescent.training.descent import displacements

data = qd.datasets.load_fashion_mnist()
network = qd.networks.fashion_cnn(widths=(4, 8, 16), hidden=20)
qd.train_dense(network, cross_entropy, data, epochs=2)
space = qd.ParameterSpace(network.double(), qd.magnitude_mask(network, density=0.3))
task = qd.Task(network, cross_entropy, (data.train_images[:64].double(), data.train_labels[:64]))

orders, steps, eta, tolerance = (1, 2, 3, 4), 24, 0.05, 0.01
series = SeriesSteps(task, space, space.theta, order=max(orders), learning_rate=eta)
descent = displacements(task, space, space.theta, eta)
# the first step is exact at any order
pairs = [(next(series), next(descent)[1]) for _ in range(steps)][1:]
errors = {
    N: [float((terms[:N].sum(0) - u).norm() / u.norm()) for terms, u in pairs] for N in orders
}
length = {
    N: 1 + len(list(itertools.takewhile(lambda error: error <= tolerance, errors[N])))
    for N in orders
}
for N in orders:
    print(
        f"order {N}: error {errors[N][-1]:.1e} after {steps} steps; below {tolerance:.0%} for"
        f" {length[N]} steps"
    )

figure = go.Figure()
for N, colour in zip(orders, ("#c6dbef", "#6baed6", "#2171b5", "#e6550d"), strict=True):
    figure.add_scatter(
        x=list(range(2, steps + 1)), y=errors[N], name=f"order {N}", line_color=colour
    )
figure.add_scatter(
    x=[2, steps], y=[tolerance] * 2, name="1 %", line={"dash": "dot", "color": "#7f7f7f"}
)
figure.update_yaxes(type="log", exponentformat="power", title="error relative to the displacement")
figure.update_xaxes(title="steps since the upload")
said = "Within 1 % of true descent, steps at orders 1 to 4: " + ", ".join(
    f"{length[N]}{' or more' if length[N] == steps else ''}" for N in orders
)
shown = f"Measured: a small GELU CNN, {space.n} kept weights, 64 images, eta = {eta}, float64"
figure.update_layout(title={"text": said, "subtitle": {"text": shown}}, template="simple_white")
figure.show()
