"""`qdescent circuit`: the answer against true iteration, the page against the rows, and clear
refusals.
"""

import re
import warnings

import numpy as np
import pytest
import torch

from qdescent._checks import ArgumentError
from qdescent.experiment.circuit.map_file import load_map
from qdescent.experiment.circuit.pipeline import CircuitSettings, circuit_headline, run_circuit_job
from qdescent.report.record import read_record
from qdescent.solvers.solve import Status


def write_map(path, **more):
    H = np.array([[0.6, 0.2], [0.2, 0.4]])
    F2 = 0.05 * np.array([[1.0, -0.5, 0.0, 2.0], [0.5, 1.0, -1.0, 0.0]])
    np.savez(path, F0=np.array([0.1, -0.05]), F1=np.eye(2) - 0.5 * H, F2=F2, **more)
    return path


def iterate(path, steps, start):
    """The map by plain NumPy."""
    with np.load(path) as file:
        F0, F1, F2 = (file[name] for name in ("F0", "F1", "F2"))
    u = np.asarray(start)
    for _ in range(steps):
        u = F0 + F1 @ u + F2 @ np.kron(u, u)
    return u


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("circuit")
    source = write_map(folder / "map.npz")
    settings = CircuitSettings(
        str(source), steps=2, padding=1, epsilon=1e-3, solver="qsvt", noise=1e-5, export=True
    )
    return run_circuit_job(settings, folder / "out"), source, folder / "out"


def test_the_answer_is_the_maps_own_trajectory(whole):
    record, source, _ = whole
    truth = iterate(source, 2, [0.0, 0.0])
    assert record.rows["circuit/descent"].value == pytest.approx(truth.tolist(), rel=1e-12)
    assert np.linalg.norm(
        np.array(record.rows["circuit/direct"].value) - truth
    ) < 1e-2 * np.linalg.norm(truth)
    assert record.rows["circuit/error_to_direct"].value < 1e-3
    assert record.rows["circuit/order_1_error"].value > 3 * record.rows["circuit/order_error"].value
    errors = record.rows["noise/errors"].value
    assert list(errors) == sorted(errors)
    assert 0 < errors[0] < 1e-2 < errors[-1]
    assert record.rows["noise/error"].value in errors


def test_the_page_holds_the_rows_and_the_drawings(whole):
    record, _, directory = whole
    page = (directory / "circuit.html").read_text(encoding="utf-8")
    assert page.count('<svg class="circuit"') == 3
    assert page.count('<svg class="circuit tree"') == 1
    head, _, rest = page.partition("<script>")
    text = head + rest.partition("</script>")[2]
    left_out = int(re.search(r"… (\d+) more …", text)[1])
    # prepare, two H, queries, phases; 12 are shown
    assert left_out == 3 + 2 * record.rows["circuit/queries"].value + 1 - 12
    assert "left out:" not in text
    assert read_record(directory).rows["circuit/t_gates"] == record.rows["circuit/t_gates"]
    assert next(label for label, _ in circuit_headline(record)) == "unknowns"


def test_one_query_is_exported_with_the_gates_that_are_counted(whole):
    record, _, directory = whole
    lines = (directory / "encoding.qasm").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("qubit")][:2] == [
        "qubit[6] system;",
        "qubit[4] ancilla;",
    ]
    assert (
        sum(line.startswith("ccx") for line in lines) == record.rows["circuit/export_toffoli"].value
    )
    assert record.rows["circuit/export_gates"].value == sum(line[0] in "cxzhrs" for line in lines)


def test_other_solvers_stand_beside_it_at_the_same_kappa(whole):
    record, _, _ = whole
    kappa = record.rows["circuit/kappa"].value
    assert record.rows["model/queries_costa_proven"].value == pytest.approx(
        kappa * (2305 + np.log(2 / 1e-3))
    )
    assert record.rows["model/queries_costa_measured"].value == pytest.approx(
        kappa * (1.84 + np.log(2 / 1e-3))
    )
    assert record.rows["model/queries_costa_proven"].evidence == "bounded"
    assert record.rows["model/queries_costa_measured"].evidence == "modelled"


def test_kernel_reflection_gives_the_same_answer_and_its_own_drawing(whole, tmp_path):
    record, source, _ = whole
    settings = CircuitSettings(
        str(source), order=1, steps=2, padding=1, epsilon=1e-2, loader="bucket-brigade"
    )
    other = run_circuit_job(settings, tmp_path / "out")
    assert other.rows["circuit/error_to_direct"].value < 1e-2
    assert (
        other.rows["circuit/success_probability"].value
        > 0.4
        > record.rows["circuit/success_probability"].value
    )
    # at kappa and epsilon, as the model of one reflection has it for a quarter of epsilon
    degree = other.rows["circuit/degree"].value
    assert (
        other.rows["model/queries_norm_known"].value
        < other.rows["model/queries_norm_known_counted"].value
        < degree
    )
    assert not (tmp_path / "out" / "encoding.qasm").exists()
    page = (tmp_path / "out" / "circuit.html").read_text(encoding="utf-8")
    assert ">flip b<" in page
    assert ">G†<" in page
    assert other.rows["circuit/loader"].value == "BucketBrigade()"
    with pytest.raises(ArgumentError, match="`solver` must be one of 'kernel-reflection', 'qsvt'"):
        CircuitSettings(str(source), solver="guess")
    with pytest.raises(
        ArgumentError,
        match="`loader` must be one of 'qrom', 'qrom-measured', 'qroam', 'qroam-measured'",
    ):
        CircuitSettings(str(source), loader="guess")


def test_start_and_saved_instances_are_read(tmp_path):
    f, start = load_map(write_map(tmp_path / "instance.npz", u0=np.array([0.2, 0.3])))
    assert torch.equal(start, torch.tensor([0.2, 0.3], dtype=torch.float64))
    assert load_map(tmp_path)[0].coefficients[2].equal(f.coefficients[2])


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_files_that_are_no_maps_are_refused(tmp_path, content):
    path = tmp_path / "map.npz"
    path.write_bytes(content)
    with pytest.raises(
        ArgumentError, match="Argument `source` must be a directory of `qdescent run`"
    ):
        load_map(path)


def test_bad_sources_and_settings_leave_nothing_behind(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "touched"), "w"))

    np.savez(tmp_path / "pickle.npz", F0=np.array([Hostile()], dtype=object), F1=np.eye(1))
    np.savez(tmp_path / "other.npz", weights=np.eye(2))
    np.savez(tmp_path / "complex.npz", F0=np.array([0.1]), F1=np.array([[0.5j]]))
    np.savez(tmp_path / "exploding.npz", F0=np.array([1.0]), F1=np.array([[100.0]]))
    np.savez(tmp_path / "growing.npz", F0=np.array([0.1]), F1=np.array([[1.6]]))
    maps = {"F0": np.array([0.05, 0.0]), "F1": np.array([[0.8, 0.1], [0.0, 0.7]])}
    np.savez(tmp_path / "huge.npz", **maps, F2=np.eye(2, 4), h=1e300)
    np.savez(tmp_path / "tiny.npz", F0=1e-320 * maps["F0"], F1=maps["F1"])
    source = str(write_map(tmp_path / "map.npz"))
    bad = [
        # in the user's words: they gave no `f` and no `rhs`
        (
            CircuitSettings(str(tmp_path / "huge.npz"), steps=2),
            "`source` must have coefficients whose products at order 2 float64 can hold",
        ),
        (
            CircuitSettings(str(tmp_path / "tiny.npz"), steps=2),
            "`source` must leave an answer that torch.float64 can hold",
        ),
        (CircuitSettings(str(tmp_path / "nowhere")), "must be a directory of `qdescent run`"),
        (CircuitSettings(str(tmp_path / "pickle.npz")), "must be a directory of `qdescent run`"),
        (CircuitSettings(str(tmp_path / "other.npz")), "which holds 'weights'"),
        (CircuitSettings(source, order=6), "`order` must leave at most 4096 unknowns to simulate"),
        (
            CircuitSettings(source, steps=10**9),
            "`steps` must leave at most 4096 unknowns to simulate, but is 1000000000",
        ),
        (
            CircuitSettings(source, padding=10**12),
            "`padding` must leave at most 4096 unknowns to simulate, but is 1000000000000",
        ),
        (
            CircuitSettings(str(tmp_path / "growing.npz"), steps=20),
            "`steps` must leave a circuit of at most 20,000 queries",
        ),
        (
            CircuitSettings(str(tmp_path / "complex.npz")),
            "`source` must hold .* real numbers each, but is .* whose F1 holds complex numbers",
        ),
        (
            CircuitSettings(str(tmp_path / "exploding.npz")),
            "`source` must hold a map whose history a circuit can solve, .*singular",
        ),
    ]
    for settings, sentence in bad:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's stay out of the terminal
            with pytest.raises(ArgumentError, match=sentence):
                run_circuit_job(settings, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "touched").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(ArgumentError, match="`out` must be a directory that does not exist yet"):
        run_circuit_job(CircuitSettings(source), tmp_path / "out")


@pytest.mark.parametrize(
    "solver", ["qsvt", pytest.param("kernel-reflection", marks=pytest.mark.slow)]
)
def test_amplified_and_of_each_encoding(tmp_path, solver):
    """One variable, so that the composed encoding is small; the page says that the drawn circuit is
    used several times.
    """
    source = tmp_path / "one.npz"
    np.savez(source, F0=np.array([0.1]), F1=np.array([[0.8]]), F2=np.array([[0.1]]))
    answers, alphas = [], {}
    for encoding in ("balanced", "coloured", "composed"):
        settings = CircuitSettings(
            str(source), order=1, steps=2, padding=1, epsilon=1e-2, solver=solver, encoding=encoding
        )
        record = run_circuit_job(settings, tmp_path / encoding)
        assert str(record.rows["circuit/status"].value) == Status.SOLVED
        assert (
            0
            < record.rows["circuit/query_depth"].value
            <= record.rows["circuit/toffoli_gates"].value / record.rows["circuit/degree"].value
        )
        answers += record.rows["circuit/answer"].value
        alphas[encoding] = record.rows["circuit/alpha"].value
    assert max(answers) - min(answers) < 1e-2 * max(answers)
    assert alphas["balanced"] <= min(alphas.values()) * (1 + 1e-9)

    amplified = CircuitSettings(
        str(source), order=1, steps=2, padding=1, epsilon=1e-2, solver=solver, amplify=True
    )
    record = run_circuit_job(amplified, tmp_path / "amplified")
    assert record.rows["circuit/success_probability"].value == pytest.approx(1, abs=1e-6)
    times = 2 * record.rows["circuit/amplification_rounds"].value + 1
    assert f"Amplitude amplification uses it {times} times" in (
        tmp_path / "amplified" / "circuit.html"
    ).read_text(encoding="utf-8")
