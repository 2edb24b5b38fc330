"""The small network of the circuit benchmarks, and the gradient map of its largest weights."""

from torch.nn.functional import cross_entropy

import qdescent as qd

RATE = 3.0  # so large because the gradient of a few weights is small


def pruned_network():
    """Task and kept weights of a CNN, trained for one epoch and pruned to a tenth, in double
    precision.
    """
    data = qd.datasets.load_fashion_mnist()
    network = qd.networks.fashion_cnn()
    qd.train_dense(network, cross_entropy, data, epochs=1)
    network = network.double()
    task = qd.Task(
        network, cross_entropy, (data.train_images[:512].double(), data.train_labels[:512])
    )
    return task, qd.ParameterSpace(network, qd.magnitude_mask(network, 0.1))


def largest_weights_map(task, whole, n, degree):
    """The gradient map of the n largest kept weights, the others frozen."""
    space = whole.restrict(whole.theta, whole.theta.abs().topk(n).indices)
    return qd.gradient_map(task, space, RATE, degree=degree, theta=space.theta)
