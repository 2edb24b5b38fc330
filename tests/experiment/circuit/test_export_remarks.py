"""The head of an exported query, read by somebody who has nothing else: it gives back M, or G, and
every monomial.
"""

import re

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit import pipeline as circuit_job
from qdescent.experiment.circuit.pipeline import CircuitSettings, run_circuit_job
from qdescent.quantum.simulator.state_vector import Simulator
from qdescent.solvers.solve import Status

STEPS, PADDING, ORDER = 2, 1, 2


# minutes of simulation
COMPOSED = pytest.param(("kernel-reflection", "composed"), marks=pytest.mark.slow)


@pytest.fixture(
    scope="module", params=[("qsvt", "balanced"), ("kernel-reflection", "balanced"), COMPOSED]
)
def exported(request, tmp_path_factory):
    """(text of the head, the query, the history system) of a linear map, for which order 2 is
    exact.
    """
    folder = tmp_path_factory.mktemp("export")
    np.savez(folder / "m.npz", F0=[0.3, -0.1], F1=[[0.7, 0.1], [0.2, 0.5]], u0=[0.4, -0.2])
    kept = {}

    def spy(found, system, order, query):
        kept.update(query=query, system=system)
        return remarks(found, system, order, query)

    remarks = circuit_job.export_remarks
    solver, encoding = request.param
    settings = CircuitSettings(
        str(folder / "m.npz"),
        order=ORDER,
        steps=STEPS,
        padding=PADDING,
        epsilon=1e-2,
        solver=solver,
        encoding=encoding,
        export=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circuit_job, "export_remarks", spy)
        run_circuit_job(settings, folder / "out")
    text = (folder / "out" / "encoding.qasm").read_text()
    comments = [line for line in text.splitlines() if line.startswith("//")]
    assert all(len(line) <= 120 and line.isprintable() for line in comments)
    head = " ".join(line.removeprefix("//").strip() for line in comments)
    return head, kept["query"], kept["system"]


def number(head: str, name: str) -> float:
    return float(re.search(rf"(?<!\w){re.escape(name)} = (-?[0-9.e+-]+[0-9])", head)[1])


def pairs(text: str) -> dict[int, str]:
    return {int(key): value.strip() for key, value in re.findall(r"(\d+): ([^,.;]+)", text)}


def block(query) -> np.ndarray:
    """<0|U|0>, column by column, from the simulator."""
    system, ancilla = 2**query.system_bitsize, 2**query.ancilla_bitsize
    columns, machine = [], Simulator()
    for place in range(system):
        start = torch.zeros((system, ancilla), dtype=torch.complex128)
        start[place, 0] = 1
        columns.append(machine.run(query, start.flatten()).project(ancilla=0).real.numpy())
    return np.stack(columns, axis=1)


def places(head: str, size: int) -> list[int]:
    if "Composed encoding" in head:
        return [
            int(place)
            for place in pairs(
                head.partition("Basis state of unknown k:")[2].partition("Right-hand")[0]
            ).values()
        ]
    assert "Basis state k of the system register is unknown k" in head
    return list(range(size))


def test_a_phase_estimation_exports_its_hermitian_matrix(tmp_path):
    """The head names the halves of H, and the simulated query holds M and its transpose there; the
    answer is the map's own, and the page draws one evolution.
    """
    np.savez(tmp_path / "m.npz", F0=[0.1], F1=[[0.6]])
    kept = {}

    def spy(found, system, order, query):
        kept.update(query=query, system=system)
        return remarks(found, system, order, query)

    remarks = circuit_job.export_remarks
    settings = CircuitSettings(
        str(tmp_path / "m.npz"), order=1, steps=2, padding=1, epsilon=0.3, solver="hhl", export=True
    )
    assert settings.encoding == "coloured"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circuit_job, "export_remarks", spy)
        record = run_circuit_job(settings, tmp_path / "out")
    rows = record.rows
    assert rows["circuit/status"].value == Status.SOLVED
    assert rows["circuit/answer"].curve == pytest.approx([0.16], rel=0.3)
    assert rows["circuit/queries"].number == rows["circuit/declared_queries"].number
    page = (tmp_path / "out" / "circuit.html").read_text(encoding="utf-8")
    assert "phase estimation, a rotation, and all of it back" in page
    assert "cosine and sine of H by the same queries" in page
    text = (tmp_path / "out" / "encoding.qasm").read_text()
    head = " ".join(line[2:].strip() for line in text.splitlines() if line.startswith("//"))
    assert "|1><1| (x) H / alpha, H = [[0, M], [M^T, 0]]" in head
    assert "Basis state k of each half is unknown k" in head
    M, found = kept["system"].matrix.to_dense().numpy(), block(kept["query"])
    size = len(found) // 4
    wanted = np.zeros_like(found)
    first, second = slice(2 * size, 2 * size + len(M)), slice(3 * size, 3 * size + len(M))
    wanted[first, second], wanted[second, first] = M, M.T
    wanted /= number(head, "alpha")
    assert np.abs(found - wanted).max() < 2e-3
    exchanged = np.zeros_like(found)  # planted: M and its transpose in the wrong halves
    exchanged[first, second], exchanged[second, first] = M.T, M
    assert np.abs(found - exchanged / number(head, "alpha")).max() > 0.1
    with pytest.raises(ArgumentError, match="`encoding` must be 'coloured' for the solver 'hhl'"):
        CircuitSettings("m.npz", solver="hhl", encoding="balanced")
    dear = CircuitSettings(str(tmp_path / "m.npz"), order=1, steps=2, padding=1, solver="hhl")
    least = (
        r"Argument `epsilon` must be at least [0-9.e-]+ for a phase estimation of at most 20,000"
    )
    with pytest.raises(ArgumentError, match=least):
        run_circuit_job(dear, tmp_path / "dear")


def test_what_is_encoded_is_what_the_head_says(exported):
    head, query, system = exported
    M, B, alpha = system.matrix.to_dense().numpy(), system.rhs.numpy(), number(head, "alpha")
    at = places(head, system.size)
    found = block(query)
    if "the kernel's encoding, not M itself" in head:
        half = len(found) // 2
        b = np.concatenate([B / np.linalg.norm(B), [1.0]]) / np.sqrt(2)
        inner = np.zeros((system.size + 1,) * 2)
        inner[:-1, :-1], inner[-1, -1] = M / alpha, 1 / number(head, "tau")
        wanted, at = inner - np.outer(b, b) @ inner, [*at, half]
        Z = np.linalg.solve(M, B)
        sent = wanted @ np.concatenate([Z * alpha / np.linalg.norm(B), [number(head, "tau")]])
        assert np.linalg.norm(sent) < 1e-12
    else:
        assert "not the kernel's encoding" in head
        wanted = M / alpha
    assert np.abs(found[np.ix_(at, at)] - wanted).max() < 2e-3
    assert np.abs(found[np.ix_(at, at)] * 1.05 - wanted).max() > 2e-3  # another alpha would be seen


def test_the_right_hand_side_is_listed(exported):
    head, _, system = exported
    listed = {
        int(place): float(value)
        for place, value in re.findall(r"B\[(\d+)\] = (-?[0-9.e+-]+[0-9])", head)
    }
    B = np.zeros(system.size)
    B[list(listed)] = list(listed.values())
    assert np.array_equal(B, system.rhs.numpy())
    assert number(head, "||B||") == pytest.approx(np.linalg.norm(B))


def test_every_unknown_is_the_monomial_that_the_head_names(exported):
    head, _, system = exported
    Z = np.linalg.solve(system.matrix.to_dense().numpy(), system.rhs.numpy())
    words = pairs(head.partition("with w = 1 (homogenised):")[2].partition(".")[0])
    length = int(re.search(r"Unknown k = (\d+) t \+ c", head)[1])
    assert len(words) == length == len(Z) // (STEPS + PADDING + 1)
    gamma = float(re.search(r"units of gamma = (\S+):", head)[1])
    assert gamma == system.scale != 1
    u = np.array([0.4, -0.2]) / gamma
    for t in range(STEPS + PADDING + 1):
        letters = {"w": 1.0, "u1": u[0], "u2": u[1]}
        for c, word in words.items():
            assert Z[length * t + c] == pytest.approx(
                np.prod([letters[letter] for letter in word.split()]), rel=1e-12
            )
        if t < STEPS:
            u = np.array([0.3, -0.1]) / gamma + np.array([[0.7, 0.1], [0.2, 0.5]]) @ u
