"""`qdescent circuit --solver fast-forward`: one record, one page, one query, and both ways."""

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.pipeline import circuit_headline, run_circuit_job
from qdescent.experiment.circuit.settings import CircuitSettings
from qdescent.experiment.estimate.pipeline import estimated
from qdescent.experiment.estimate.ranges import ranges_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.estimate.sweep import swept
from qdescent.experiment.run.beside import at_rate, both_ways
from qdescent.linalg.polynomial_map import PolynomialMap

MAP = {
    "F0": np.array([0.03, -0.05]),
    "F1": np.array([[0.95, 0.02], [0.02, 0.9]]),
    "F2": np.array([[0.05, 0.0, 0.0, 0.02], [0.0, 0.02, 0.02, -0.04]]),
}


def saved(path, **changed):
    np.savez(path, **{**MAP, **changed})
    return str(path)


def job(source, out, **changed):
    settings = {"steps": 4, "epsilon": 1e-3, "solver": "fast-forward", **changed}
    return run_circuit_job(CircuitSettings(source, **settings), out)


def test_a_segment_is_run_counted_drawn_exported_and_held_against_the_history(tmp_path):
    source = saved(tmp_path / "map.npz")
    record = job(source, tmp_path / "out", export=True)
    value = record.rows.number
    assert value("circuit/error_to_direct") <= value("circuit/bound") <= 1e-3
    # the directory is priced with the gates of its circuit
    made = estimated(EstimateSettings(from_=str(tmp_path / "out"), readout_error=0.1))
    rows = made.ledger.rows
    asked = value("circuit/forward_queries") + value("circuit/adjoint_queries")
    assert rows.number("circuit/queries") == asked
    assert rows.number("ways/circuit/qubits") > value("circuit/logical_qubits") - 1
    assert rows["ways/circuit/loader"].value == "qrom"
    points = list(swept(made.case, made.settings, ranges_of(["T=2:9:2"])))
    assert all("`steps` must be left out beside a circuit" in point["way"] for point in points)
    assert value("circuit/order_error") < value("circuit/order_1_error")
    assert value("circuit/queries") == value("circuit/declared_queries")
    assert "circuit/padding" not in record.rows
    assert ("nodes in time", record.rows["circuit/nodes"]) in circuit_headline(record)
    # both ways, and the history's circuit says the same of itself and of the other
    assert value("ways/kernel_reflection_queries") > 10 * value("ways/fast_forward_queries")
    assert value("ways/kernel_reflection_expected_queries") > 10 * value(
        "ways/fast_forward_expected_queries"
    )
    assert value("ways/fast_forward_queries") == value("circuit/queries")
    page = (tmp_path / "out" / "circuit.html").read_text(encoding="utf-8")
    assert page.count('<svg class="circuit"') == 4
    assert "without a linear system" in page
    assert "Queries of both ways" in page
    program = (tmp_path / "out" / "encoding.qasm").read_text(encoding="utf-8")
    assert f"c = {value('circuit/shift')!r}" in program
    assert "qubit[1] system;" in program


def test_what_has_no_fast_forward_is_one_sentence_of_the_setting(tmp_path):
    turned = saved(tmp_path / "turned.npz", F1=np.array([[0.9, 0.1], [-0.1, 0.9]]))
    started = saved(tmp_path / "started.npz", u0=np.array([0.1, 0.0]))
    plain = saved(tmp_path / "plain.npz")
    cases = [
        (turned, {}, "`source` must have a symmetric F_1.*maps: `--solver kernel-reflection`"),
        (started, {}, "`solver` must be 'kernel-reflection' or 'qsvt' for a map with a start"),
        (plain, {"encoding": "composed"}, "`encoding` must be 'balanced' or 'coloured'"),
        (plain, {"order": 3}, "`order` must be 1 or 2 .from 3 on: `--solver kernel-reflection`"),
    ]
    for source, changed, sentence in cases:
        with pytest.raises(ArgumentError, match=sentence):
            job(source, tmp_path / "refused", **changed)
        assert not list((tmp_path / "refused").glob("*"))


def test_both_ways_at_another_rate():
    f = PolynomialMap([MAP["F0"], MAP["F1"], MAP["F2"]])
    slow = at_rate(f, 0.1)
    u = np.array([0.3, -0.2])
    moved = f(torch.tensor(u)).numpy() - u
    np.testing.assert_allclose(slow(torch.tensor(u)).numpy(), u + 0.1 * moved)
    rows = {row.name: row.value for row in both_ways(slow, 2, 4, 3, 1e-3, "x/")}
    assert rows["x/kernel_reflection_queries"] > 10 * rows["x/fast_forward_queries"]
    # no fast-forward, no rows; a history too long, its own alone
    assert both_ways(f.with_momentum(0.5), 2, 4, 3, 1e-3, "x/") == []
    assert {row.name for row in both_ways(f, 2, 4000, 3, 1e-3, "x/")} == {
        "x/fast_forward_queries",
        "x/fast_forward_expected_queries",
    }
