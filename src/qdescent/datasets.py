"""Images to try things on: `qd.datasets.load_fashion_mnist()`, `load_cifar100(folder)`."""

from qdescent.learning.datasets import ImageData, load_cifar100, load_fashion_mnist

__all__ = ["ImageData", "load_cifar100", "load_fashion_mnist"]
