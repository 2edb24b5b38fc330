"""The npz of a map: what is read is used, or refused; nothing is dropped, cast or replaced in
silence.
"""

import os

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.map_file import load_map
from qdescent.experiment.circuit.pipeline import CircuitSettings, run_circuit_job


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def polynomial(u: float, coefficients: dict[int, float]) -> float:
    return sum(value * u**k for k, value in coefficients.items())


@pytest.mark.parametrize(
    "given",
    [
        {0: 0.1, 1: 0.0},
        {0: 0.1, 2: 0.5},
        {0: 0.2, 3: -0.5},
        {1: 0.5, 4: 0.25},
        {2: 0.5},
        {0: 0.1, 1: 0.5, 2: 0.0},
    ],
    ids=str,
)
def test_a_coefficient_that_is_not_there_is_zero(given, tmp_path):
    path = write(
        tmp_path / "m.npz",
        u0=[0.7],
        **{f"F{k}": [value] if k == 0 else [[value]] for k, value in given.items()},
    )
    f, start = load_map(path)
    assert f.degree == max(given)
    u = 0.7
    for found in f.iterate(start, 3)[1:]:
        u = polynomial(u, given)
        assert float(found[0]) == pytest.approx(u, rel=1e-14)


def test_a_gap_of_several_variables_is_zero(tmp_path):
    rng = np.random.default_rng(0)
    F3 = rng.standard_normal((2, 8))
    f, start = load_map(write(tmp_path / "m.npz", F0=[[0.1], [0.2]], F3=F3, u0=[1, 2]))
    u = np.array([1.0, 2.0])
    assert np.allclose(f(start).numpy(), [0.1, 0.2] + F3 @ np.kron(np.kron(u, u), u))


@pytest.mark.parametrize("h", [0.25, [0.25], np.float32(0.25)], ids=str)
@pytest.mark.parametrize("given", [{0: 0.1, 1: -1.0, 2: 0.5}, {3: -2.0}, {0: 0.2, 2: 1.0}], ids=str)
def test_an_equation_is_taken_an_euler_step_at_a_time(given, h, tmp_path):
    held = {f"F{k}": [value] if k == 0 else [[value]] for k, value in given.items()}
    f, start = load_map(write(tmp_path / "m.npz", u0=[0.7], h=h, **held))
    u = 0.7
    for found in f.iterate(start, 4)[1:]:
        u += 0.25 * polynomial(u, given)
        assert float(found[0]) == pytest.approx(u, rel=1e-14)
    # planted: the right-hand side taken for the map
    assert float(f(start)[0]) != pytest.approx(polynomial(0.7, given), rel=1e-2)


def test_the_circuit_of_an_equation_follows_it(tmp_path):
    """du/dt = -u: u(1) = exp(-1) up to the error of two Euler steps, 1/4."""
    source = write(tmp_path / "m.npz", F1=[[-1.0]], u0=[1.0], h=0.5)
    settings = CircuitSettings(str(source), order=1, steps=2, padding=1, epsilon=1e-2)
    record = run_circuit_job(settings, tmp_path / "o")
    assert record.rows["circuit/descent"].value == pytest.approx([0.25])
    assert record.rows["circuit/error_to_direct"].value < 1e-2


@pytest.mark.parametrize(
    ("h", "sentence"),
    [
        (0.0, "hold a step h above 0, one number, but is .*whose h is 0.0"),
        (-1, "hold a step h above 0, one number, but is .*whose h is -1.0"),
        ([0.1, 0.2], r"hold a step h above 0, one number, but is .*whose h is of shape \(2,\)"),
        ([], r"hold a step h above 0, one number, but is .*whose h is of shape \(0,\)"),
        (np.nan, "hold finite numbers"),
        (np.inf, "hold finite numbers"),
        (1j, "whose h holds complex numbers"),
        (True, "whose h holds truth values"),
        (1e308, r"hold an equation whose Euler step is finite, but is .* with h = 1e\+308"),
    ],
    ids=str,
)
def test_a_step_that_is_none_is_refused(h, sentence, tmp_path):
    with pytest.raises(ArgumentError, match=sentence):
        load_map(write(tmp_path / "m.npz", F1=[[-10.0]], h=h))
    with pytest.raises(ArgumentError, match="which holds 'h'"):  # nothing to step
        load_map(write(tmp_path / "n.npz", h=0.1))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("U0", "u0"), ("f2", "F2"), ("u_0", "u0"), ("F_2", "F2"), ("F02", "F0"), ("F2 ", "F2"),
        ("F-1", "F1"), ("u", "u0"),
        ("F", "F"), ("weights", ""), ("x" * 5000, ""), ("\x1b[31m", ""), ("F²", ""), ("F٣", ""),
        ("F2.npy", ""), ("a/F2", ""),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name, near, tmp_path):
    path = write(tmp_path / "m.npz", F1=[[0.5]], **{name: [[0.3]]})
    with pytest.raises(
        ArgumentError, match="`source` must hold F0 .*, but is .*, which holds "
    ) as caught:
        load_map(path)
    assert not near or f"(did you mean '{near}" in str(caught.value) or near in ("F0", "F1")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"F1": np.array([[0.5j]])}, "whose F1 holds complex numbers"),
        ({"F0": [0.1], "F1": [[0.5]], "u0": np.array([1 + 0j])}, "whose u0 holds complex numbers"),
        ({"F1": [[True]]}, "whose F1 holds truth values"),
        ({"F1": np.array([["a"]])}, "must be a directory of `qdescent run`"),
        ({"F1": np.array([[object()]])}, "must be a directory of `qdescent run`"),
        (
            {"F1": np.array([["2020-01-01"]], dtype="datetime64[D]")},
            "must be a directory of `qdescent run`",
        ),
        ({"F1": [[np.nan]]}, "`source` must hold finite numbers.*whose F1"),
        ({"F1": [[1.0]], "u0": [np.inf]}, "`source` must hold finite numbers.*whose u0"),
        ({"F1": 0.5}, "whose F1 is a single number"),
        ({"F1": [0.5]}, r"whose F1 has shape \(1,\) where F1 asks for \(1, 1\)"),
        (
            {"F1": np.eye(2), "F2": np.ones((2, 2))},
            r"whose F2 has shape \(2, 2\) where F1 asks for \(2, 4\)",
        ),
        (
            {"F1": np.eye(2), "F2": np.ones((4, 2))},
            r"whose F2 has shape \(4, 2\) where F1 asks for \(2, 4\)",
        ),
        (
            {"F0": [1, 2, 3], "F1": np.eye(2)},
            r"whose F1 has shape \(2, 2\) where F0 asks for \(3, 3\)",
        ),
        ({"F1": np.eye(2), "u0": [1, 2, 3]}, r"whose u0 has shape \(3,\) where F1 asks for \(2,\)"),
        ({"F1": np.eye(2), "u0": [[1], [2]]}, r"whose u0 has shape \(2, 1\)"),
        ({"F1": np.ones((0, 0))}, "must hold at least one"),
        ({"F0": [0.1]}, "which holds 'F0'"),
        ({"u0": [0.1]}, "which holds 'u0'"),
        ({}, "which holds nothing"),
        (
            {"F1": [[0.5]], "F13": [[0.5]]},
            "must hold coefficients up to F12, but is .*, which holds F13",
        ),
        ({"F1": [[0.5]], "F3000000": [[0.5]]}, "must hold coefficients up to F12"),
        (
            {"F1": np.eye(100), "F12": np.ones((1, 1))},
            "must hold at least one and at most 33,554,432 numbers",
        ),
    ],
    ids=range(22),
)
def test_what_is_no_map_of_real_numbers_is_refused(arrays, sentence, tmp_path):
    with pytest.raises(ArgumentError, match=sentence):
        load_map(
            write(tmp_path / "m.npz", **{name: np.asarray(array) for name, array in arrays.items()})
        )


@pytest.mark.parametrize("dtype", ["<i8", ">i4", "u1", "<f4", ">f8", "f2"])
def test_integers_and_other_real_types_are_taken_exactly(dtype, tmp_path):
    f, start = load_map(
        write(tmp_path / "m.npz", F1=np.array([[2]], dtype=dtype), u0=np.array([3], dtype=dtype))
    )
    assert f(start).tolist() == [6.0]
    assert f(start).dtype == torch.float64


def test_an_order_of_millions_is_refused_at_once(tmp_path):
    path = write(tmp_path / "m.npz", F0=[0.1], F1=[[0.5]])
    for order in (3_000_000, 10**30):
        with pytest.raises(
            ArgumentError, match="`order` must leave at most 4096 unknowns to simulate"
        ):
            run_circuit_job(CircuitSettings(str(path), order=order), tmp_path / "out")
    with pytest.raises(ArgumentError, match="`steps` must leave at most 4096 unknowns to simulate"):
        run_circuit_job(CircuitSettings(str(path), steps=10**30), tmp_path / "out")
    assert not os.path.exists(tmp_path / "out")


@pytest.mark.parametrize(
    "arrays",
    [{"F0": [0.1], "F1": [[0.0]]}, {"F0": [0.1], "F2": [[0.5]]}, {"F1": [[0.0]], "u0": [1.0]}],
    ids=range(3),
)
def test_a_map_without_a_linear_part_runs_to_its_closed_form(arrays, tmp_path):
    settings = CircuitSettings(
        str(write(tmp_path / "m.npz", **arrays)), steps=2, padding=0, epsilon=1e-3, solver="qsvt"
    )
    record = run_circuit_job(settings, tmp_path / "out")
    given = {
        int(name[1:]): float(np.ravel(array)[0]) for name, array in arrays.items() if name != "u0"
    }
    u = arrays.get("u0", [0.0])[0]
    for _ in range(2):
        u = polynomial(u, given)
    assert record.rows["circuit/descent"].value == (pytest.approx(u),)
    assert record.rows["circuit/answer"].value[0] == pytest.approx(u, abs=2e-3)
    assert record.rows["circuit/error_to_direct"].value < 1e-3


def test_what_is_wrong_with_an_array_names_it(tmp_path):
    np.savez(tmp_path / "still.npz", F0=np.zeros(2), F1=np.eye(2) / 2)
    with pytest.raises(ArgumentError, match=r"still.npz.*whose F0 and u0 are zero or missing"):
        run_circuit_job(CircuitSettings(source=str(tmp_path / "still.npz")), tmp_path / "o")
    bad = np.array([[0.5, np.inf], [np.nan, 0.5]])
    for name, array, count in (("h", np.array(np.nan), "1 of 1"), ("F1", bad, "2 of 4")):
        given = {"F0": np.ones(2), "F1": np.eye(2) / 2, name: array}
        np.savez(tmp_path / "bad.npz", **given)
        with pytest.raises(ArgumentError, match=rf"bad.npz', whose {name} has {count} NaN or"):
            load_map(tmp_path / "bad.npz")
