"""F_2 letter by letter: what the circuit encodes, entry by entry, and a segment by it."""

import numpy as np
import pytest
import torch

import qdescent as qd
from qdescent.quantum.encodings.letters import LetterCoupling
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.quantum.tables.balanced import letter_tables
from qdescent.solvers.polynomials import segment_search

ONE = qd.PolynomialMap(
    [[0.1, 0.2], [[0.8, 0.1], [0.1, 0.7]], [[0.02, 0.01, 0.01, 0.03], [0.01, 0, 0, 0.02]]]
)


@pytest.mark.parametrize(("n", "entries"), [(2, 4), (3, 3)])
def test_it_encodes_f_at_order_0_and_the_map_at_order_1(n, entries):
    draws = np.random.default_rng(n)
    size = 2 ** (n - 1).bit_length()
    f = np.zeros(size)
    f[:n] = draws.normal(size=n)
    f /= np.linalg.norm(f)
    F = np.zeros((n, n, n))
    rows = np.repeat(np.arange(n), entries)
    places = np.concatenate([draws.choice(n * n, entries, replace=False) for _ in range(n)])
    F[rows, places // n, places % n] = draws.normal(size=len(rows))
    F /= np.linalg.norm(np.abs(F).sum(axis=2), 2)
    tables = letter_tables(rows, places // n, places % n, F.reshape(n, -1)[rows, places], f, 26)
    encoding = LetterCoupling(tables)
    ancillas = 2**encoding.ancilla_bitsize
    assert encoding.alpha == pytest.approx(1)
    for order in (0, 1):
        for j in range(n):
            for k in range(n):
                state = torch.zeros(2 * size * size * ancillas, dtype=torch.float64)
                state[((order * size + j) * size + k) * ancillas] = 1
                kept = Simulator().run(encoding, state).project(ancilla=0).real.numpy()
                found = kept.reshape(2, size, size)[:, :, 0]  # the other letter cleared
                wanted = np.zeros((2, size))
                if order:
                    wanted[1, :n] = F[:, j, k]
                else:
                    wanted[0, j] = f[k]
                assert np.abs(found - wanted).max() < 1e-6
                assert encoding.epsilon < 1e-6
                planted = np.roll(wanted, 1, axis=1)
                assert np.abs(found - planted).max() > 1e-3 or not wanted.any()


@pytest.mark.slow
def test_a_segment_by_letters_ends_where_one_by_pairs_does(monkeypatch):
    pairs = qd.fast_forward_map(ONE, 8, epsilon=1e-2, circuit=True)
    monkeypatch.setattr(segment_search, "PAIRS_UP_TO", 1)
    letters = qd.fast_forward_map(ONE, 8, epsilon=1e-2, circuit=True)
    exact = qd.fast_forward_map(ONE, 8, epsilon=1e-8).value
    assert type(letters.circuit.coupling) is LetterCoupling
    assert letters.bound <= 1e-2
    for found in (pairs, letters):
        assert float((found.value - exact).norm() / exact.norm()) < 1e-2
    # alpha is larger, and the tables are smaller
    assert letters.cost.number("success_probability") < pairs.cost.number("success_probability")
    assert letters.cost.number("toffoli_gates") < pairs.cost.number("toffoli_gates")
