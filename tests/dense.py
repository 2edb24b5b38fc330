"""The dense gradient and Hessian of any loss by rows of plain autograd in float64: no code of the package."""

import torch
from torch.func import functional_call


def dense(loss_of, parameters):
    """loss_of({name: tensor}) -> a scalar: its gradient (n,) and Hessian (n, n), in the parameters' order."""
    leaves = {name: w.detach().double().requires_grad_() for name, w in parameters.items()}

    def flat(parts):
        pairs = zip(parts, leaves.values(), strict=True)
        return torch.cat([(torch.zeros_like(w) if part is None else part).reshape(-1) for part, w in pairs])

    options = {"allow_unused": True}
    gradient = flat(torch.autograd.grad(loss_of(leaves), list(leaves.values()), create_graph=True, **options))
    rows = [
        flat(torch.autograd.grad(g, list(leaves.values()), retain_graph=True, **options)).detach()
        if g.requires_grad
        else torch.zeros(len(gradient), dtype=torch.float64)
        for g in gradient
    ]
    return gradient.detach(), torch.stack(rows)


def dense_of(network, loss, data):
    """Of loss(network(inputs), targets) for a network in float64."""
    return dense(lambda p: loss(functional_call(network, p, (data[0],)), data[1]), dict(network.named_parameters()))
