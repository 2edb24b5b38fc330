"""Images to try things on: `qd.datasets.load_fashion_mnist()`."""

from qdescent.learning.datasets import ImageData, load_fashion_mnist

__all__ = ["ImageData", "load_fashion_mnist"]
