"""`qdescent spectrum`: closed forms, a dense twin, kills at any moment, two processes, bad input,
and the page for users.
"""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn
from torch.func import functional_call
from two_processes import forked

from qdescent._checks import ArgumentError
from qdescent.cli import app
from qdescent.experiment.spectrum.pipeline import run_spectrum
from qdescent.experiment.spectrum.settings import SpectrumSettings
from qdescent.learning.pruning.criteria import MASKS
from qdescent.report.pages.spectrum_page import write_spectrum_page
from qdescent.report.record import Record, read_record

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "is-my-network-dissipative.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.usefixtures("project")
SADDLE = SpectrumSettings(
    "my_project:diagonal", "my_project:axes", loss="my_project:saddle", precision="float64",
    mask="nonzero",
    learning_rate=0.3, horizon=9, steps=8, probes=3,
)  # fmt: skip


def proxy_of(eigenvalues, eta, momentum, t):
    """E(t) by the roots of z^2 - (1 + beta - eta lambda) z + beta."""
    return np.mean(
        [max(abs(np.roots([1, -(1 + momentum - eta * x), momentum]))) ** t for x in eigenvalues]
    )


@pytest.mark.parametrize("name", MASKS)
def test_any_criterion_prunes_what_is_measured(tmp_path, name):
    settings = replace(SADDLE, mask="", density=0.5, prune_by=name)
    record = run_spectrum(settings, tmp_path / "o")
    eigenvalues, weights = np.array([2.0, 40.5, 8.0, -2.0]), np.array([1.0, 0.0, 2.0, 3.0])
    slopes = eigenvalues * weights**2
    scores = {"magnitude": weights, "snip": abs(slopes), "gradient-times-weight": -slopes}
    assert record.rows["network/kept"].value == 2
    assert MASKS[name].keeps in record.rows["network/kept"].source
    assert record.config["prune_by"] == name
    if name in scores:  # the others' ranks are tests/learning/pruning's business
        kept = np.argsort(-scores[name], kind="stable")[:2]
        assert record.rows["spectrum/trace"].value == pytest.approx(sum(eigenvalues[kept]))


@pytest.mark.parametrize("rate", [1e100, 1e-300])
@pytest.mark.parametrize("decay", [0.0, 1e100])
def test_what_may_be_asked_for_is_judged_in_the_end(rate, decay, tmp_path):
    """After hours of products no setting is refused that was taken before them."""
    settings = replace(SADDLE, learning_rate=rate, weight_decay=decay, steps=3, probes=2)
    assert run_spectrum(settings, tmp_path / "o").rows["dissipation/verdict"].value


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.0, 0.05), (0.6, 0.05)])
def test_closed_form_with_a_negative_mode_and_a_pruned_weight(momentum, decay, tmp_path):
    settings = replace(SADDLE, momentum=momentum, weight_decay=decay)
    record = run_spectrum(settings, tmp_path / "o")
    kept, all_four = np.array([2.0, 8.0, -2.0]), np.array([2.0, 0.0, 8.0, -2.0])
    assert record.rows["network/kept"].value == 3
    assert record.rows["spectrum/lambda_min"].value == pytest.approx(-2)
    assert record.rows["spectrum/lambda_max"].value == pytest.approx(8)
    assert record.rows["spectrum/trace"].value == pytest.approx(8)
    found = record.rows["proxy/total"].value
    assert found == pytest.approx(
        [proxy_of(kept + decay, 0.3, momentum, t) for t in range(10)], rel=1e-10
    )
    # planted: pruned coordinates counted as zero modes
    assert found[9] != pytest.approx(proxy_of(all_four + decay, 0.3, momentum, 9), rel=1e-2)
    growing = [proxy_of([x + decay], 0.3, momentum, 1) > 1 for x in kept]
    assert record.rows["dissipation/divergent"].value == pytest.approx(sum(growing) / 3)
    assert record.rows["spectrum/product_check"].value < 1e-6
    least, most = (
        record.rows["spectrum/negative_at_least"].value,
        record.rows["spectrum/negative_at_most"].value,
    )
    assert least - 1e-9 <= 1 / 3 <= most + 1e-9
    assert record.rows["data/loss"].value == pytest.approx((4 * 1 + 16 * 4 - 4 * 9) / 4)
    arrays = np.load(tmp_path / "o" / "spectrum.npz")
    here = int(np.argmin(abs(arrays["eta"] - 0.3)))
    assert arrays["proxy"][here] == pytest.approx(found)
    assert arrays["proxy"][here + 1, 9] == pytest.approx(proxy_of(kept + decay, 0.6, momentum, 9))
    # three kept weights: Lanczos ends after three steps, and says so
    assert record.rows["spectrum/steps"].value == 3
    assert (
        "of 8; the invariant subspace of 3 kept weights is exhausted"
        in record.rows["spectrum/steps"].source
    )


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
def test_every_eigenvalue_of_a_dense_twin(curvature, tmp_path):
    settings = SpectrumSettings(
        "my_project:build_network", "my_project:load_batch", precision="float64", batch=4,
        batches=5, steps=40, probes=2,
        curvature=curvature, arguments=("norm=True",),
    )  # fmt: skip
    record = run_spectrum(settings, tmp_path / "o")
    import my_project

    assert "all that the data hold of 5" in record.rows["data/batches"].source
    network, (inputs, labels) = (
        my_project.build_network(norm=True).double().eval(),
        my_project.load_batch(),
    )
    names = [name for name, _ in network.named_parameters()]
    weights = [weight.detach() for weight in network.parameters()]
    flat = torch.cat([weight.flatten() for weight in weights])

    def outputs(theta):
        parts = theta.split([weight.numel() for weight in weights])
        return functional_call(
            network,
            {n: p.view_as(w) for n, p, w in zip(names, parts, weights, strict=True)},
            (inputs.double(),),
        )

    def loss(logits):
        return nn.functional.cross_entropy(logits, labels)

    if curvature == "hessian":
        dense = torch.func.hessian(lambda theta: loss(outputs(theta)))(flat)
    else:
        J = torch.func.jacrev(outputs)(flat).reshape(20, -1)
        dense = J.T @ torch.func.hessian(loss)(outputs(flat)).reshape(20, 20) @ J
    truth = torch.linalg.eigvalsh(dense)
    assert record.rows["network/kept"].value == len(flat)
    assert record.rows["spectrum/lambda_min"].value == pytest.approx(float(truth[0]), abs=1e-9)
    assert record.rows["spectrum/lambda_max"].value == pytest.approx(float(truth[-1]), abs=1e-9)
    arrays = np.load(tmp_path / "o" / "spectrum.npz")
    converged = arrays["nodes"][arrays["residuals"] < 1e-9]
    assert max(float((truth - node).abs().min()) for node in converged) < 1e-8
    assert all(abs(converged - float(value)).min() < 1e-8 for value in truth if abs(value) > 1e-2)
    assert (record.rows["data/batches"].value, record.rows["network/mode"].value) == (
        3,
        "evaluation",
    )
    assert "BatchNorm uses its running statistics" in record.rows["network/mode"].source


def test_bfloat16_states_its_error(small, tmp_path):
    record = run_spectrum(replace(small, precision="bfloat16", steps=3), tmp_path / "o")
    assert 1e-4 < record.rows["spectrum/product_error"].value < 0.1


NETWORK, DATA = "my_project:build_network", "my_project:load_batch"
BAD = [
    ([], "`network` must be given"),
    ([NETWORK], "`data` must be given"),
    (["no_project:f", "--data", DATA], "`network` must name a module that can be imported"),
    (["my_project:f", "--data", DATA], "`network` must name a function of my_project"),
    (
        [NETWORK, "--data", DATA, "--weights", "short.safetensors"],
        "`weights` must fit the network, but is without '0.bias'",
    ),
    (
        [NETWORK, "--data", DATA, "--weights", "nan.safetensors"],
        "`weights 3.bias` must be finite.*in 1 of 2 entries",
    ),
    (
        [NETWORK, "--data", DATA, "--mask", "empty.safetensors"],
        "`mask` must keep at least one weight, but is empty",
    ),
    ([NETWORK, "--data", DATA, "--density", "0"], r"`density` must be in \(0, 1\], but is 0.0"),
    (
        [NETWORK, "--data", DATA, "--learning-rate", "nan"],
        r"`learning_rate` must be in \(0, 1e100\]",
    ),
    ([NETWORK, "--data", DATA, "--learning-rate", "1e308"], "`learning_rate` must be in"),
    ([NETWORK, "--data", DATA, "--weight-decay", "1e308"], "`weight_decay` must be in"),
    ([NETWORK, "--data", DATA, "--horizon", "10000000"], "`horizon` must be in"),
    (
        [NETWORK, "--data", DATA, "--probes", "0"],
        "`probes` must be an integer of at least 1, but is 0",
    ),
    (
        [NETWORK, "--data", DATA, "--precision", "float8"],
        "`precision` must be one of 'float32', 'float64', 'bfloat16'",
    ),
    ([NETWORK, "--data", DATA, "--device", "abacus"], "`device` must be one of"),
    (
        [NETWORK, "--data", "images.npz"],
        r"`data` must fit the network, but is of input shape \(1, 28, 28\)",
    ),
    (
        ["my_project:hidden", "--data", DATA],
        "`network` must have the second derivatives of its loss.*finite-differences.*% off.*Tanh",
    ),
    (
        ["my_project:hidden", "--data", DATA, "--arguments", "marked=True"],
        "`network` must be twice differentiable.*marked",
    ),
    (
        [NETWORK, "--data", DATA, "--rows", "-1"],
        "`rows` must be an integer of at least 0, but is -1",
    ),
    (
        [NETWORK, "--data", DATA, "--deflate", "26"],
        "`deflate` must be below the number of kept weights, 26, but is 26",
    ),
    (
        [NETWORK, "--data", DATA, "--curvature", "fisher"],
        "`curvature` must be one of .*'finite-differences'",
    ),
    (
        [NETWORK, "--data", DATA, "--curvature", "finite-differences", "--precision", "bfloat16"],
        "`precision` must be float32 or float64 for finite differences, but is 'bfloat16'",
    ),
    (["--resume"], "`resume` must find an unfinished run"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(arguments, sentence, tmp_path):
    import my_project

    state = my_project.build_network().state_dict()
    save_file(
        {name: torch.zeros_like(tensor) for name, tensor in state.items()}, "empty.safetensors"
    )
    save_file({"0.weight": state["0.weight"]}, "short.safetensors")
    state["3.bias"][0] = torch.nan
    save_file(state, "nan.safetensors")
    out = [] if "--resume" in arguments else ["--out", "o"]
    result = CliRunner().invoke(app, ["spectrum", *arguments, *out])
    with pytest.raises(ArgumentError, match=sentence):
        raise result.exception
    assert not (tmp_path / "o").exists()


def test_two_processes_agree_with_one_and_only_the_first_speaks(tmp_path):
    save_file({"0.weight": torch.tensor([[1.0, 0, 0]] * 3 + [[0, 1.0, 1.0]])}, "mask.safetensors")
    flags = (
        f"spectrum {NETWORK} --data {DATA} --mask mask.safetensors --precision float64 --batch 3"
        " --batches 4 --steps 7".split()
    )
    one = CliRunner().invoke(app, [*flags, "--out", "one"])
    assert one.exit_code == 0, one.output
    call = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "qdescent",
    ]
    two = subprocess.run(
        [*call, *flags, "--out", "two"], capture_output=True, text=True, timeout=120
    )
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("Page: two/spectrum.html") == 1
    a, b = np.load("one/spectrum.npz"), np.load("two/spectrum.npz")
    assert all(
        np.allclose(a[name], b[name], rtol=1e-8, atol=1e-10)
        for name in ("alpha", "beta", "nodes", "weights", "proxy")
    )
    first, second = read_record("one"), read_record("two")
    assert (first.rows["data/processes"].value, second.rows["data/processes"].value) == (1, 2)
    assert second.rows["data/loss"].value == pytest.approx(first.rows["data/loss"].value, rel=1e-12)
    assert first.rows["network/kept"].value == 5 + 4 + 8 + 2


def test_sharded_vectors_change_nothing_but_where_they_lie(tmp_path):
    flags = (
        f"spectrum {NETWORK} --data {DATA} --precision float64 --batch 3 --batches 4 --steps 9"
        " --rows 0".split()
    )
    one = CliRunner().invoke(app, [*flags, "--out", "one"])
    assert one.exit_code == 0, one.output
    two = forked(lambda: app([*flags, "--shard-vectors", "--out", "two"], standalone_mode=False))
    assert [code for code, _ in two] == [0, 0], two
    a, b = np.load("one/spectrum.npz"), np.load("two/spectrum.npz")
    assert all(
        np.allclose(a[name], b[name], rtol=1e-8, atol=1e-10)
        for name in ("alpha", "beta", "nodes", "weights", "proxy")
    )
    refused = CliRunner().invoke(
        app, [*flags, "--shard-vectors", "--deflate", "2", "--out", "three"]
    )
    with pytest.raises(
        ArgumentError, match="Argument `deflate` must be 0 where vectors are sharded, but is 2"
    ):
        raise refused.exception


def test_python_dash_m_ends_with_exit_code_2():
    call = [sys.executable, "-m", "qdescent", "spectrum", "nowhere:f", "--data", DATA]
    result = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    (error,) = result.stderr.splitlines()  # that it imports is told on a terminal alone
    assert error.startswith(
        "qdescent: Argument `network` must name a module that can be imported, but is 'nowhere:f'"
    )


def test_page_says_what_the_rows_say(whole, tmp_path):
    record, directory = whole
    page = (directory / "spectrum.html").read_text(encoding="utf-8")
    page = page[: page.index("<script>")] + page[page.index("</script>") :]
    assert "this figure is left out" not in page.lower()
    assert str(record.rows["dissipation/verdict"].value)[:20] in page
    for word in (
        "What can mislead",
        "share of eigenvalues at or below 0",
        "effective rank",
        "widths=(2, 3, 3)",
    ):
        assert word in page
    content = json.loads((directory / "run.json").read_text())
    assert all(row["evidence"] and row["source"] for row in content["rows"])
    poorer = Record(
        "x", {}, 0, {}, tuple(row for row in record.rows if not row.name.startswith("proxy/"))
    )
    assert "This figure is left out" in write_spectrum_page(poorer, tmp_path / "p.html").read_text(
        encoding="utf-8"
    )


def test_the_pages_python_runs_and_agrees_with_the_command(capsys):
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(code.strip().splitlines()) <= 12
    scope: dict = {}
    exec(compile(code, "is-my-network-dissipative.md", "exec"), scope)
    assert "over 60 steps:" in capsys.readouterr().out
    result = CliRunner().invoke(
        app, ["spectrum", NETWORK, "--data", DATA, "--density", "0.1", "--out", "o"]
    )
    assert result.exit_code == 0, result.output
    assert "Page: o/spectrum.html" in result.output
    record = read_record("o")
    assert record.rows["network/kept"].value == scope["space"].n
    assert record.rows["spectrum/lambda_max"].value == pytest.approx(
        scope["spectrum"].lambda_max[0], rel=1e-5
    )


def test_flags_on_the_page_exist():
    text = CliRunner().invoke(app, ["spectrum", "--help"], env={"COLUMNS": "200"}).output
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    for flag in set(re.findall(r"(?<!-)(--[a-z][a-z-]*)", PAGE)) - {"--nproc-per-node"}:
        assert flag in text, flag


@pytest.mark.parametrize(("probes", "settles"), [(4, "It takes 7 probes"), (7, "")])
def test_the_verdict_says_what_would_settle_it(tmp_path, probes, settles):
    """Forty modes that shrink, seen by twelve steps: four probes exclude no other, seven do."""
    settings = SpectrumSettings(
        "my_project:wide", "my_project:spread", loss="mse", precision="float64", rows=0,
        learning_rate=0.1, steps=12, probes=probes,
    )  # fmt: skip
    verdict = run_spectrum(settings, tmp_path / "o").rows["dissipation/verdict"].value
    assert verdict.startswith("not seen to diverge" if settles else "fully dissipative")
    assert verdict.endswith("of random signs or more to settle it") == bool(settles)
    assert settles in verdict
