"""Recurrent layers, step by step, of Jets and of tensors: PyTorch's fused kernels have no second
derivative, or no nested ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from qdescent._checks import argument_error
from qdescent.learning.taylor.jet import Rule, rule

State = tuple[Any, ...]  # (h,) or, of an LSTM, (h, c); each (batch, hidden)
# what a step makes of W x + b, of the state, and of its weights
Step = Callable[[Any, State, Sequence[Any]], State]


def _linear(x: Any, weight: Any, bias: Any) -> Any:
    y = x @ weight.transpose(0, 1)
    return y if bias is None else y + bias


def _lstm_step(gates: Any, state: State, weights: Sequence[Any]) -> State:
    """c <- sigmoid(f) c + sigmoid(i) tanh(g), h <- sigmoid(o) tanh(c), perhaps projected."""
    h, c = state
    i, f, g, o = (gates + _linear(h, weights[0], weights[1])).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if weights[2] is None else h @ weights[2].transpose(0, 1)), c


def _gru_step(gates: Any, state: State, weights: Sequence[Any]) -> State:
    """n = tanh(W x + r (W h)), h <- n + z (h - n)."""
    (h,) = state
    r, z, n = gates.chunk(3, -1)
    of_r, of_z, of_n = _linear(h, weights[0], weights[1]).chunk(3, -1)
    new = (n + (r + of_r).sigmoid() * of_n).tanh()
    return (new + (z + of_z).sigmoid() * (h - new),)


def _tanh_step(gates: Any, state: State, weights: Sequence[Any]) -> State:
    """h <- tanh(W x + W h)."""
    return ((gates + _linear(state[0], weights[0], weights[1])).tanh(),)


def layers(step: Step) -> Rule:
    """The rule of `nn.LSTM`, `nn.GRU` or `nn.RNN`, all layers and both directions."""

    def run(*args: Any) -> tuple[Any, ...]:
        packed = not isinstance(args[3], bool)  # (data, lengths, hx, ...) or (x, hx, ...)
        if packed:
            x, sizes, start, weights, biases, count, dropout, training, both = args
            sizes = [int(size) for size in sizes]
            batch_first = False
        else:
            x, start, weights, biases, count, dropout, training, both, batch_first = args
            sizes = []
        if training and dropout > 0:
            raise argument_error(
                "network",
                "hold dropout in evaluation mode (call eval())",
                "training, between its layers",
            )
        x = x.transpose(0, 1) if batch_first else x
        start = start if isinstance(start, (tuple, list)) else (start,)
        directions, ends = 2 if both else 1, []
        each = len(weights) // (count * directions)
        for layer in range(count):
            outputs = []
            for direction in range(directions):
                place = layer * directions + direction
                own = weights[place * each : (place + 1) * each]
                state = tuple(part[place] for part in start)
                y, end = _over_time(step, x, sizes, state, own, biases, direction == 1)
                outputs.append(y)
                ends.append(end)
            x = torch.cat(outputs, -1) if both else outputs[0]
        x = x.transpose(0, 1) if batch_first else x
        return x, *(torch.stack(list(parts)) for parts in zip(*ends, strict=True))

    return run


def _over_time(
    step: Step,
    x: Any,
    sizes: list[int],
    state: State,
    weights: Sequence[Any],
    biases: bool,
    backwards: bool,
) -> tuple[Any, State]:
    """The outputs of one direction of a layer, and its last state.

    Args:
        step: of the cell.
        x: (time, batch, features), or the rows of packed sequences.
        sizes: of packed sequences, sorted by length, how many still run at each time.
        state: at the beginning, for the whole batch.
        weights: W_ih, W_hh, perhaps biases of both, perhaps a projection.
        biases: whether there are.
        backwards: from the last time to the first.
    """
    into, own = weights[:2]
    bias, own_bias = weights[2:4] if biases else (None, None)
    used = 4 if biases else 2
    rest = [own, own_bias, weights[used] if len(weights) > used else None]
    gates = _linear(x, into, bias)
    parts = gates.split(sizes, 0) if sizes else gates.unbind(0)
    running = state
    times = range(len(parts))
    found: list[Any] = [None] * len(parts)
    ended: list[State] = []  # of the sequences that are over, the shortest first
    if sizes:
        running = tuple(part[: sizes[-1] if backwards else sizes[0]] for part in state)
    for t in reversed(times) if backwards else times:
        if sizes:
            have = running[0].shape[0]
            if have > sizes[t]:
                ended.append(tuple(part[sizes[t] :] for part in running))
                running = tuple(part[: sizes[t]] for part in running)
            elif have < sizes[t]:
                running = tuple(
                    torch.cat([part, first[have : sizes[t]]])
                    for part, first in zip(running, state, strict=True)
                )
        running = step(parts[t], running, rest)
        found[t] = running[0]
    if ended:
        running = tuple(
            torch.cat(list(pieces)) for pieces in zip(running, *reversed(ended), strict=True)
        )
    return (torch.cat(found) if sizes else torch.stack(found)), running


def cell(step: Step, states: int) -> Rule:
    """The rule of one step: (x, state, W_ih, W_hh, b_ih, b_hh)."""

    def run(x: Any, state: Any, into: Any, own: Any, bias: Any = None, own_bias: Any = None) -> Any:
        state = tuple(state) if states > 1 else (state,)
        found = step(_linear(x, into, bias), state, [own, own_bias, None])
        return found if states > 1 else found[0]

    return run


lstm = rule("lstm")(layers(_lstm_step))
gru = rule("gru")(layers(_gru_step))
rnn_tanh = rule("rnn_tanh")(layers(_tanh_step))
lstm_cell = rule("lstm_cell")(cell(_lstm_step, 2))
gru_cell = rule("gru_cell")(cell(_gru_step, 1))
rnn_tanh_cell = rule("rnn_tanh_cell")(cell(_tanh_step, 1))
