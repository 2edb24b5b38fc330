"""The whole algorithm in Python: prune, upload, solve a segment as one linear system, read out,
upload again; and the price.

Run it with `python examples/first_pass.py` (about a minute on two cores), or `--small` for a few
seconds.
"""

import sys

import torch
from torch.nn.functional import cross_entropy

import qdescent as qd

small = "--small" in sys.argv
data = qd.datasets.load_fashion_mnist()
network = qd.networks.fashion_cnn(widths=(4, 8, 16) if small else (16, 32, 64))
qd.train_dense(network, cross_entropy, data, epochs=1 if small else 4)

# Prune to 10 %: theta in R^n are the kept weights alone.
mask = qd.magnitude_mask(network, density=0.1)
space = qd.ParameterSpace(network, mask)
batch = 64 if small else 512
task = qd.Task(network, cross_entropy, (data.train_images[:batch], data.train_labels[:batch]))
print(f"kept {space.n} of {space.total} weights")

# Is it dissipative? The Hessian's spectrum over the kept weights, and what gradient descent makes
# of it.
spectrum = qd.spectral_density(qd.hessian(task, space), steps=16 if small else 64, probes=4)
diagnosis = qd.diagnose(spectrum, learning_rate=0.02, horizon=20)
print(f"{diagnosis.verdict}: {diagnosis.reason}")

# Train on: rounds of upload, K Carleman steps of order N as one system (emulated exactly), readout
# with shots.
schedule = qd.Schedule(
    order=2, segment=5 if small else 20, rounds=2, learning_rate=0.02, shots=10**6
)
run = qd.train_hybrid([task], space, schedule)
for r, each in enumerate(run.rounds):
    print(
        f"round {r}: truncation error {each.truncation[-1]:.1e}, readout error"
        f" {each.readout_error:.1e}"
    )

# The same mathematics as a quantum circuit, for the two largest weights of a float64 copy.
double = network.double()
whole = qd.ParameterSpace(double, mask)
two = whole.restrict(whole.theta, whole.theta.abs().topk(2).indices)
exact_task = qd.Task(
    double, cross_entropy, (data.train_images[:batch].double(), data.train_labels[:batch])
)
step = qd.gradient_map(exact_task, two, learning_rate=0.02, degree=2)
system = qd.history_system(step, torch.zeros(2), steps=4, order=2)
circuit, direct = (
    qd.solve(system, qd.KernelReflection(epsilon=1e-4, circuit=True)),
    qd.solve(system, qd.Direct()),
)
print(
    f"circuit u_T {circuit.answer.tolist()} with {circuit.cost.number('qubits')} qubits,"
    f" {circuit.cost.number('queries')} queries"
)
print(f"direct  u_T {direct.answer.tolist()}")

# What one round would cost on a fault-tolerant machine.
price = qd.RoundSpec(
    n=space.n, parameters=space.total, order=2, steps=20, padding=20, kappa=100.0, sparsity=10,
    batch=batch,
    forward_macs=10**6, shots=10**6,
)  # fmt: skip
print(qd.price(price).verdict)
