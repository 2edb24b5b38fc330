"""A derivative that is wrong in silence, for the tests of those who must see it."""

import torch


class Detached(torch.autograd.Function):
    """A tanh whose slope has no derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, slope):
        return slope * (1 - ctx.saved_tensors[0].tanh().detach() ** 2)
