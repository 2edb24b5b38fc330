"""Functions of one quantity, entry by entry, on truncated power series."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from qdescent.learning.taylor.tape import Node, Terms, stacked


class Pointwise:
    """y = f(x) elementwise, from the Taylor coefficients a_m = f^(m)(x_0) / m!, m = 0 ... N + 1.

    With v = x - x_0: f'(x) = sum_m (m+1) a_{m+1} v^m, and y' = f'(x) x' gives k y_k = sum_{i=1..k}
    i x_i f'_{k-i}.
    """

    def __init__(self, tower: Sequence[Tensor], x: Node) -> None:
        self.inputs: tuple[Node, ...] = (x,)
        self.output = Node(tower[0])
        self._rates = [tower[1], *(m * a for m, a in enumerate(tower[2:], start=2))]

    def pull_value(self, adjoint: Tensor) -> Sequence[Tensor]:
        self._adjoint = adjoint
        return [adjoint * self._rates[0]]

    def push(self) -> Tensor:
        v = stacked(self.inputs[0].coefficients())
        order = len(v)
        y = v * self._rates[0]
        self._slope = v * self._rates[1]
        power = v
        for m in range(2, order + 1):  # power[k] is the coefficient of eps^(m + k) in v^m
            power = truncated(power, v, order + 1 - m)
            self._slope[m - 1 :].addcmul_(power, self._rates[m])
        for k in range(2, order + 1):
            for i in range(1, k):
                y[k - 1].addcmul_(v[i - 1], self._slope[k - i - 1], value=i / k)
        return y

    def pull(self, adjoint: Tensor) -> Sequence[Terms]:
        x = adjoint * self._rates[0]
        x.addcmul_(self._slope, self._adjoint)
        for j in range(1, len(adjoint)):
            x[j:].addcmul_(adjoint[:-j], self._slope[j - 1])
        del self._slope
        return [x]


def truncated(a: Tensor, b: Tensor, length: int) -> Tensor:
    """The first coefficients of the elementwise product of two series, each without its zeros at
    the beginning.
    """
    product = a[:length] * b[0]
    for j in range(1, length):
        product[j:].addcmul_(a[: length - j], b[j])
    return product
