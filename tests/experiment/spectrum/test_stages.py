"""The stages of `qdescent spectrum`: killed anywhere it ends in the same bits; deflation, rows,
finite differences, guessing.
"""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from experiment.killed import KilledAt, KilledError
from safetensors.torch import load_file
from torch import nn

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent.experiment.run import curvature
from qdescent.experiment.spectrum import subject as spectrum_subject
from qdescent.experiment.spectrum.beginning import resumed_spectrum
from qdescent.experiment.spectrum.pipeline import run_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.experiment.spectrum.subject import load_subject
from qdescent.learning.masks import Mask
from qdescent.learning.parallel.ranks import Ranks
from qdescent.report.eigenvectors import EIGENVECTORS_FILE, read_eigenpairs
from qdescent.report.files import write_weights
from qdescent.report.pages.spectrum_page import guessing_warning
from qdescent.report.record import is_complete
from qdescent.report.reservation import check_vacant

pytestmark = pytest.mark.usefixtures("project")


def same_after_a_kill(settings, moment, whole, out):
    """Run, kill at this unit of progress, resume: rows, arrays and page as if never killed; what
    the resumed run advanced by.
    """
    record, directory = whole
    with pytest.raises(KilledError):
        run_spectrum(settings, out, KilledAt(moment))
    assert not is_complete(out)
    again, seen = (
        resumed_spectrum(out, {"network": settings.network, "arguments": list(settings.arguments)}),
        KilledAt(-1),
    )
    assert again == settings
    assert run_spectrum(again, out, seen).rows == record.rows
    ours, theirs = np.load(out / "spectrum.npz"), np.load(directory / "spectrum.npz")
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    found = [path.name for path in out.iterdir()]
    if settings.deflate:
        found.remove(EIGENVECTORS_FILE)
        ours, theirs = ((each / EIGENVECTORS_FILE).read_bytes() for each in (out, directory))
        assert ours == theirs
    assert sorted(found) == [
        "rows.csv",
        "run.json",
        "spectrum.html",
        "spectrum.npz",
    ]
    return -1 - seen.left


@pytest.mark.parametrize(
    "moment", [1, 7, 15, *(pytest.param(k, marks=pytest.mark.slow) for k in (4, 14, 21))]
)
def test_killed_and_resumed_ends_in_the_same_bits(small, whole, moment, tmp_path, monkeypatch):
    monkeypatch.setattr(curvature, "SAVE_EVERY", 3)
    left = same_after_a_kill(small, moment, whole, tmp_path / "o")
    assert left <= 14 + 16 - 3 * (moment // 4)  # the saved part was not computed again


@pytest.mark.parametrize("moment", [103, pytest.param(83, marks=pytest.mark.slow)])
def test_deflation_is_resumed_to_the_same_bits(moment, small, tmp_path, monkeypatch):
    monkeypatch.setattr(curvature, "SAVE_EVERY", 3)
    settings = replace(small, deflate=1, rows=6, batches=1)
    whole = run_spectrum(settings, tmp_path / "whole"), tmp_path / "whole"
    left = same_after_a_kill(settings, moment, whole, tmp_path / "o")
    # 2 x 42 - 1 products of the deflation, lost only by a kill inside it
    assert (left > 83) == (moment <= 83)


def test_the_eigenvectors_are_saved_and_read_back(tmp_path):
    """H = diag(2, 8, -2) over three kept weights: the vectors are the axes, whatever their sign."""
    settings = SpectrumSettings(
        "my_project:diagonal", "my_project:axes", loss="my_project:saddle", precision="float64",
        mask="nonzero", learning_rate=0.3, horizon=9, steps=8, probes=3, deflate=2,
    )  # fmt: skip
    record = run_spectrum(settings, tmp_path / "o")
    pairs = read_eigenpairs(tmp_path / "o")
    assert record.rows["spectrum/deflated"].value == tuple(pairs.values.tolist())
    assert pairs.values.tolist() == pytest.approx([-2, 8])
    assert pairs.vectors.abs().T.tolist() == [
        pytest.approx([0, 0, 1], abs=1e-9),
        pytest.approx([0, 1, 0], abs=1e-9),
    ]
    plain = load_file(tmp_path / "o" / EIGENVECTORS_FILE)  # without this package
    assert plain["vectors"].equal(pairs.vectors.T)
    # whoever goes on with them finds the rest alone: 2, in one step
    rest = qd.spectral_density(torch.diag(torch.tensor([2.0, 8, -2]).double()), 3, 1, deflate=pairs)
    assert rest.trace[0] == pytest.approx(8)


def of_these(**changed):
    """The tensors of a file with two pairs of three weights, some of them changed or dropped."""
    tensors = {
        "values": torch.zeros(2),
        "residuals": torch.zeros(2),
        "middle": torch.tensor(1.0),
        "vectors": torch.eye(3)[:2],
        **changed,
    }
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


@pytest.mark.parametrize(
    ("tensors", "format_", "why"),
    [
        (of_these(), "another/1", "holds 'another/1' with"),
        (of_these(middle=None), "qdescent-eigenvectors/1", "with values, vectors|residuals"),
        (of_these(more=torch.ones(1)), "qdescent-eigenvectors/1", "more"),
        (of_these(values=torch.zeros(3)), "qdescent-eigenvectors/1", "`values` must have shape"),
        (of_these(values=torch.tensor([0, torch.nan])), "qdescent-eigenvectors/1", "be finite"),
        (of_these(vectors=torch.ones(2)), "qdescent-eigenvectors/1", "no table"),
        (of_these(vectors=torch.ones(2, 0)), "qdescent-eigenvectors/1", "`vectors` must"),
        (of_these(vectors=torch.ones(2, 3).bool()), "qdescent-eigenvectors/1", "`vectors` must"),
        (of_these(middle=torch.ones(1)), "qdescent-eigenvectors/1", "`middle` must have shape"),
    ],
    ids=range(9),
)
def test_a_file_of_other_content_is_no_eigenvectors(tensors, format_, why, tmp_path):
    write_weights(tmp_path / EIGENVECTORS_FILE, tensors, {"format": format_})
    with pytest.raises(
        ArgumentError, match=f"^Argument `path` must be {EIGENVECTORS_FILE} .*{why}"
    ):
        read_eigenpairs(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x08" + b"\x00" * 7 + b"{}      "])
def test_a_broken_file_is_no_eigenvectors(content, tmp_path):
    (tmp_path / EIGENVECTORS_FILE).write_bytes(content)
    with pytest.raises(ArgumentError, match="^Argument `path` must be "):
        read_eigenpairs(tmp_path / EIGENVECTORS_FILE)


def test_another_seed_differs(small, whole, tmp_path):
    other = run_spectrum(replace(small, seed=1), tmp_path / "o")
    assert other.rows["spectrum/trace"].value != whole[0].rows["spectrum/trace"].value


def test_what_cannot_be_resumed_is_said(small, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(curvature, "SAVE_EVERY", 3)
    out = tmp_path / "o"
    with pytest.raises(KilledError):
        run_spectrum(small, out, KilledAt(5))
    with pytest.raises(
        ArgumentError,
        match=r"`out` must be a directory that does not exist yet.*give --resume to go on",
    ):
        check_vacant(out)
    with pytest.raises(
        ArgumentError, match=r"`steps` must be 14, as in the measurement to be resumed, but is 15"
    ):
        resumed_spectrum(out, {"network": small.network, "steps": 15})
    with pytest.raises(ArgumentError, match="where none was started"):
        resumed_spectrum(tmp_path / "nothing", {})
    with pytest.raises(ArgumentError, match="which has ended already"):
        resumed_spectrum(whole[1], {})
    images = dict(np.load("images.npz"))
    np.savez("images.npz", images=images["images"] // 2, labels=images["labels"])
    with pytest.raises(
        ArgumentError,
        match="`out` must be resumed with the weights, mask and data it was started with",
    ):
        run_spectrum(small, out)
    np.savez("images.npz", **images)
    broken = out / "state" / "spectrum-lanczos.safetensors"
    broken.write_bytes(broken.read_bytes()[:-50])
    with pytest.raises(
        ArgumentError, match=r"spectrum-lanczos\.safetensors.*delete that file and resume"
    ):
        run_spectrum(small, out)


NORMED = """
import torch
from safetensors.torch import load_file
from torch import nn

def normed(mean):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Linear(6, 10)
    )
    network[2].running_mean.fill_(float(mean))
    return network
"""


def test_statistics_of_norms_and_the_mask_are_part_of_what_is_resumed(project, small):
    """Both change the Hessian without changing a kept weight."""
    (project / "normed_project.py").write_text(NORMED)

    def fingerprint(mean, density=None):
        settings = replace(
            small, network="normed_project:normed", arguments=(f"mean={mean}",), density=density
        )
        return load_subject(settings, Ranks()).fingerprint

    assert fingerprint(0.5) == fingerprint(0.5) != fingerprint(0.25)
    assert fingerprint(0.5, 0.5) != fingerprint(0.5)
    layer = torch.nn.Linear(2, 1)
    masks = [
        Mask({"weight": torch.tensor([row]), "bias": torch.tensor([True])})
        for row in ([True, False], [False, True])
    ]
    contexts = [spectrum_subject._context(layer, qd.ParameterSpace(layer, mask)) for mask in masks]
    assert not torch.equal(
        *(torch.cat([part.flatten() for part in context]) for context in contexts)
    )


def test_deflated_eigenvalues_enter_exactly(small, tmp_path):
    settings = replace(small, deflate=4, rows=0, precision="float64", steps=8)
    plain, record = (
        run_spectrum(replace(settings, deflate=0, steps=60), tmp_path / "p"),
        run_spectrum(settings, tmp_path / "o"),
    )
    exact, residuals = (
        record.rows["spectrum/deflated"].value,
        record.rows["spectrum/deflated"].error,
    )
    assert len(exact) == len(residuals) == 4
    assert max(residuals) < 1e-3 * max(map(abs, exact))
    nodes = np.array(plain.rows["spectrum/nodes"].value)
    assert exact[0] == pytest.approx(nodes.min(), abs=1e-6)
    assert exact[-1] == pytest.approx(nodes.max(), abs=1e-6)
    weights = np.load(tmp_path / "o" / "spectrum.npz")["weights"]
    assert np.allclose(weights[:, :4], 1 / record.rows["network/kept"].value)
    assert np.allclose(weights.sum(1), 1)
    assert record.rows["spectrum/trace"].error < plain.rows["spectrum/trace"].error
    page = (tmp_path / "o" / "spectrum.html").read_text(encoding="utf-8")
    assert "Eigenvalues that entered exactly" in page
    assert "4 of 4 extreme eigenpairs had converged" in page
    assert "spectrum/deflated" not in plain.rows


def test_rows_of_a_dense_twin(tmp_path):
    settings = SpectrumSettings(
        "my_project:build_network", "my_project:load_batch", precision="float64", steps=2, probes=1,
        rows=40,
    )  # fmt: skip
    record = run_spectrum(settings, tmp_path / "o")
    import my_project

    task = qd.Task(my_project.build_network().double().eval(), nn.functional.cross_entropy, tuple(
        part.double() if part.is_floating_point() else part for part in my_project.load_batch()
    ))  # fmt: skip
    dense = qd.hessian(task, qd.ParameterSpace(task.network)).to_dense().abs()
    above = (dense >= 1e-3 * dense.max(1).values[:, None]).sum(1)
    assert record.rows["sparsity/rows"].value == len(dense) == 26  # all of them: no sampling error
    assert record.rows["sparsity/above_one_thousandth/counts"].value == tuple(
        above.sort().values.tolist()
    )
    assert record.rows["sparsity/above_one_thousandth/mean"].value == pytest.approx(
        float(above.double().mean())
    )
    assert record.rows["sparsity/above_one_thousandth/mean"].error == 0
    assert record.rows["sparsity/above_one_thousandth/maximum"].value == int(above.max())
    assert (
        1
        <= record.rows["sparsity/carrying_99_percent/mean"].value
        < record.rows["sparsity/above_one_thousandth/mean"].value
    )
    arrays = np.load(tmp_path / "o" / "spectrum.npz")
    assert arrays["above"].tolist() == above[torch.from_numpy(arrays["rows"])].tolist()
    # one probe has no error
    assert "± not a number" not in (tmp_path / "o" / "spectrum.html").read_text(encoding="utf-8")
    off = run_spectrum(replace(settings, rows=0), tmp_path / "off")
    assert len(off.rows.section("sparsity/")) == 0
    assert "Is the Hessian sparse?" not in (tmp_path / "off" / "spectrum.html").read_text(
        encoding="utf-8"
    )


def test_finite_differences_measure_what_autograd_cannot(tmp_path):
    settings = SpectrumSettings(
        "my_project:hidden", "my_project:load_batch", curvature="finite-differences",
        precision="float64", batch=4, batches=3,
        steps=8, probes=2,
    )  # fmt: skip
    record = run_spectrum(settings, tmp_path / "o")
    twin = run_spectrum(
        replace(settings, network="my_project:open_twin", curvature="hessian"), tmp_path / "twin"
    )
    assert record.rows["spectrum/product_error"].value < 1e-7
    for name in ("lambda_min", "lambda_max", "trace"):
        assert record.rows[f"spectrum/{name}"].value == pytest.approx(
            twin.rows[f"spectrum/{name}"].value, rel=1e-6, abs=1e-8
        )
    assert (
        record.rows["sparsity/carrying_99_percent/counts"].value
        == twin.rows["sparsity/carrying_99_percent/counts"].value
    )
    assert "spectrum/product_check" not in record.rows


@pytest.mark.parametrize(
    ("loss", "data"), [("cross_entropy", "my_project:load_batch"), ("mse", "my_project:curve")]
)
def test_a_loss_that_is_no_better_than_guessing_is_said(loss, data, tmp_path):
    settings = SpectrumSettings(
        "my_project:build_network", data, loss=loss, steps=2, probes=1, rows=0, learning_rate=0.1
    )
    record = run_spectrum(settings, tmp_path / "o")
    _, targets = sys.modules["my_project"].curve()
    expected = (
        np.log(2) if loss == "cross_entropy" else float(((targets - targets.mean(0)) ** 2).mean())
    )
    assert record.rows["data/guessing_loss"].value == pytest.approx(expected, rel=1e-6)
    assert "no better than guessing" in guessing_warning(record)
    assert "The loss is that of guessing" in (tmp_path / "o" / "spectrum.html").read_text(
        encoding="utf-8"
    )
    if loss == "mse":
        good = run_spectrum(replace(settings, network="my_project:fitted"), tmp_path / "good")
        assert guessing_warning(good) == ""
        assert "The loss is that of guessing" not in (
            tmp_path / "good" / "spectrum.html"
        ).read_text(encoding="utf-8")
