"""Would other weights of words than powers of one unit make a history cheaper?

    python benchmarks/word_weights.py

A diagonal D in front of the words, one number for each class (letters, letters u), makes the same
answer from another kappa: powers of one unit gamma are a special case. On the maps of scaling.py
with a neutral mode, for each order and T: kappa/sqrt(P) by the majorant in the best unit, with the
weights of classes that a search finds (Powell's, from there), and what none can be below:

    ||M~|| ||M~^-1|| ||Z~|| / ||Z_end||  >=  ||M~|| sum_x ||w_x|| ||Z_x|| / ||Z_end||,  M^T w = y,

y the end's own direction (docs/mathematics.md); at the padding that makes it least.
"""

from __future__ import annotations

import numpy as np
import torch
from protocol import environment, save
from scaling import FAMILIES, family_map, orbit
from scipy.optimize import minimize

import qdescent as qd
from qdescent.carleman.majorant import Majorant, majorant, norms_of

MAPS = tuple(FAMILIES)[1:4]
STEPS, SEARCHED, ORDERS = (64, 128, 256, 512), (64, 512), (1, 2, 3, 4)
ROUNDS = 400  # costs that Powell's method may look at


def classes_of(lift):
    """(letters, letters u) of each unknown of the lift."""
    found = []
    for length, positions in enumerate(lift.words, 1):
        for place in positions.tolist():
            letters = [place // (lift.size + 1) ** k % (lift.size + 1) for k in range(length)]
            found.append((length, sum(letter > 0 for letter in letters)))
    return found


def at_least(lift, steps, padding):
    """The bound from below, over all weights of classes."""
    n, b, back = lift.size, lift.offset.numpy(), lift.rows.T.tocsr()
    path = [np.zeros(lift.dimension)]
    for _ in range(steps):
        path.append(lift.rows @ path[-1] + b)
    end = np.linalg.norm(path[-1][:n])
    y = np.zeros(lift.dimension)
    y[:n] = path[-1][:n] / end / (padding + 1) ** 0.5
    w = [k * y for k in range(1, padding + 2)]  # the copies of the end, last to first
    for _ in range(steps):
        w.append(back @ w[-1])
    states = np.square(path[:-1]).sum(0) + (padding + 1) * path[-1] ** 2
    found = {}
    for kind, squares in (("w", np.square(w).sum(0)), ("Z", states)):
        for each, square in zip(classes_of(lift), squares, strict=True):
            found[each, kind] = found.get((each, kind), 0.0) + square
    total = sum((found[each, "w"] * found[each, "Z"]) ** 0.5 for each in set(classes_of(lift)))
    # of the copies alone: ones beside minus ones, p + 1 of them
    norm = 2 * np.cos(np.pi / (2 * padding + 3))
    return max(norm, 1.0) * total / ((padding + 1) ** 0.5 * end)


def searched(f, order, steps):
    """kappa/sqrt(P) by the majorant, in the best unit and with the best class weights found."""
    norms = norms_of(f, steps, order)
    choice = qd.best_history(norms, order, steps)
    bound = majorant(norms.scaled(choice.scale), order, steps)
    path = np.linalg.norm(orbit(f, steps), axis=1) / choice.scale
    one = qd.carleman_linearize(qd.PolynomialMap([torch.ones(1), torch.eye(1)]), order)
    words = classes_of(one)
    kinds = sorted(set(words))
    place, letters = np.array([kinds.index(word) for word in words]), bound.letters

    def cost(logs):
        weights = np.exp(np.concatenate([[0.0], logs]))[place]  # one letter u: the answer's own
        blocks = bound.blocks * (weights[:, None] / weights[None, :])
        kappa = Majorant(blocks, letters).kappa(choice.padding)
        states = (path[:, None] ** (2 * letters) * weights**2).sum(1)
        copies = choice.padding + 1
        share = copies * path[-1] ** 2 / (states[:-1].sum() + copies * states[-1])
        return float(np.log(kappa / share**0.5))

    start = np.zeros(len(kinds) - 1)
    found = minimize(cost, start, method="Powell", options={"maxfev": ROUNDS, "ftol": 1e-3})
    weights = {
        f"{a} letters, {b} u": float(np.exp(x))
        for (a, b), x in zip(kinds[1:], found.x, strict=True)
    }
    return {"one unit": np.exp(cost(start)), "class weights": np.exp(found.fun), "weights": weights}


def slope(values):
    """Of the logarithm over that of T."""
    return float(np.polyfit(np.log(list(values)), np.log(list(values.values())), 1)[0])


def main() -> None:
    """All maps and orders."""
    rows = []
    for name in MAPS:
        f = family_map(name)
        for order in ORDERS:
            lift = qd.carleman_linearize(f, order)
            below = {
                steps: min(
                    at_least(lift, steps, p)
                    for p in (0, *(steps * k // 16 for k in (1, 2, 4, 6, 8, 16, 32)))
                )
                for steps in STEPS
            }
            row = {"map": name, "order": order, "at least, in any class weights": below}
            if order > 1:
                row["found"] = {steps: searched(f, order, steps) for steps in SEARCHED}
                for kind in ("one unit", "class weights"):
                    ends = {steps: row["found"][steps][kind] for steps in SEARCHED}
                    row[f"slope, {kind}"] = slope(ends)
            rows.append(row)
            told = {steps: round(each, 1) for steps, each in below.items()}
            gains = [
                round(each["one unit"] / each["class weights"], 2)
                for each in row.get("found", {}).values()
            ]
            slopes = [round(row[key], 2) for key in row if key.startswith("slope")]
            print(
                f"{name}, N = {order}: at least {told}; gains {gains}, slopes {slopes}", flush=True
            )
    content = {
        "question": "kappa/sqrt(P) of a history in the best unit, with the best weights of word"
        " classes that a search finds, and what none can be below",
        "rows": rows,
        "environment": environment(),
    }
    save("word_weights", content)


if __name__ == "__main__":
    main()
