"""Networks to try things on: `qd.networks.fashion_cnn()`.

Each is a function that returns an untrained `torch.nn.Module`, smooth unless it says otherwise, and
with the same weights for the same seed. On the command line `qdescent.networks:resnet18`.
"""

from qdescent.learning.networks.resnet import resnet, resnet18
from qdescent.learning.networks.small_cnn import fashion_cnn
from qdescent.learning.networks.transformer import vision_transformer

__all__ = ["fashion_cnn", "resnet", "resnet18", "vision_transformer"]
