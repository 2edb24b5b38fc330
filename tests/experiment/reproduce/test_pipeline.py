"""`qdescent reproduce`: its rows against the package's own verbs, kills between stages, and planted
faults that must change its answers.
"""

from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

import qdescent as qd
from qdescent._checks import ArgumentError
from qdescent._signals import Stopped
from qdescent.cli import app
from qdescent.experiment.progress import Silent
from qdescent.experiment.reproduce.pipeline import run_reproduction
from qdescent.experiment.reproduce.settings import PRESETS, ReproduceSettings, preset
from qdescent.experiment.setting import load_settings
from qdescent.experiment.workspace import create_workspace, resume_workspace
from qdescent.report.pages.reproduction.answers import answers
from qdescent.report.record import read_record

TINY = ReproduceSettings(
    widths="4,8,8", images=500, tested=100, epochs=2, dense_batch=32, dense_rate=0.05,
    tune_steps=6, tune_batch=32, accuracy_every=3, batch=32, rates="0.5", rate=0.5, order=2,
    segment=6, pivots="0,6", spectra=2, probes=2, lanczos_steps=10, horizon=20,
    densities="0.5", masks="snip", eigenvectors=2, sampled_rows=4, restricted=40, chains=2,
    rounds=1, measure="spectra,truncation,momentum,rows",
)  # fmt: skip


def texts(record):
    return {answer.question: answer.text for answer in answers(record)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    return run_reproduction(create_workspace(folder, TINY)), folder


def test_truncation_rows_are_those_of_series_and_descent(made):
    """By the public verbs, from the same network made anew."""
    record, _ = made
    data = qd.datasets.load_fashion_mnist()
    network = qd.networks.fashion_cnn((4, 8, 8), seed=0)
    data = replace(
        data, train_images=data.train_images[:500], train_labels=data.train_labels[:500],
        test_images=data.test_images[:100], test_labels=data.test_labels[:100],
    )  # fmt: skip
    loss = torch.nn.functional.cross_entropy
    qd.train_dense(network, loss, data, 2, 32, 0.05, weight_decay=2e-4, seed=0)
    from qdescent.experiment.reproduce.subject import batch_of

    task = qd.Task(network, loss, batch_of(data, 0, "measured batch", 0, 32))
    space = qd.ParameterSpace(network, qd.magnitude_mask(network, 0.1))
    walk = qd.descend(task, space, space.theta, 0.5)
    errors = {1: [], 2: []}
    for steps in range(1, 7):
        truth = next(walk)[1] - space.theta
        for order, found in errors.items():
            series = qd.series_descent(task, space, order, steps, 0.5)
            found.append(float((series.value - truth).norm() / truth.norm()))
    for order, found in errors.items():
        row = record.rows[f"truncation/step-0/eta-0.5/order_{order}"]
        assert row.curve == pytest.approx(found, rel=1e-3, abs=3e-6)
    assert record.rows.number("window/true/step-0/eta-0.5/order_1") == sum(
        1 for error in errors[1] if error < 0.01
    )
    spectrum = qd.spectral_density(qd.hessian(task, space), steps=10, probes=2, seed=0)
    proxy = qd.diagnose(spectrum, 0.5, horizon=20).proxy
    kept = space.n / space.total
    assert record.rows["proxy/step-0/all"].curve == pytest.approx(
        (1 - kept + kept * proxy).tolist(), rel=1e-6
    )


def test_a_killed_job_goes_on_to_the_same_rows(made, tmp_path):
    record, _ = made

    class Killed(Silent):
        def __init__(self, left):
            self.left = left

        def start(self, stage, total, done=0):
            self.left -= 1
            if self.left == 0:
                raise Stopped(15)

    with pytest.raises(Stopped):
        run_reproduction(create_workspace(tmp_path / "o", TINY, Killed(2)))
    with pytest.raises(Stopped):
        run_reproduction(resume_workspace(tmp_path / "o", ReproduceSettings, Killed(6)))
    again = run_reproduction(resume_workspace(tmp_path / "o", ReproduceSettings))
    assert again.rows == record.rows
    assert read_record(tmp_path / "o").rows == record.rows


def test_planted_faults_change_the_answers(made, tmp_path):
    right = texts(made[0])
    untrained = texts(
        run_reproduction(create_workspace(tmp_path / "u", replace(TINY, epochs=0, tune_steps=0,
                                                                  pivots="0", spectra=1)))
    )  # fmt: skip
    unpruned = texts(
        run_reproduction(create_workspace(tmp_path / "a", replace(TINY, density=1.0, tune_steps=0,
                                                                  pivots="0", spectra=1)))
    )  # fmt: skip
    assert "It has learnt nothing" in untrained["What was measured?"]
    assert "Nothing was pruned: all weights are counted" in unpruned["What was measured?"]
    for wrong in (untrained, unpruned):
        assert wrong.keys() == right.keys()
        assert all(wrong[question] != right[question] for question in right)


def test_the_page_and_the_command(made, tmp_path):
    record, folder = made
    page = (folder / "reproduction.html").read_text(encoding="utf-8")
    for answer in answers(record):
        assert answer.question in page
    assert "left out" not in page.split("<h2")[1]
    result = CliRunner().invoke(app, ["reproduce", "--help"])
    assert result.exit_code == 0
    assert "--config small" in result.output.replace("\n  ", " ")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_settings(name):
    assert load_settings(ReproduceSettings, preset(name), {}).measured


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rates": "a"}, "`rates` must be numbers above 0"),
        ({"rates": "0.1,-1"}, "`rates` must be numbers above 0"),
        ({"densities": "2"}, "`densities` must be numbers in"),
        ({"widths": "8,8"}, "`widths` must hold 3 numbers for cnn"),
        ({"widths": "8,0,8"}, "`widths` must be integers of at least 1"),
        ({"pivots": "90"}, "`pivots` must be at most tune_steps"),
        ({"pivots": "1.5"}, "`pivots` must be integers"),
        ({"masks": "snap"}, "`masks` must hold words among"),
        ({"measure": ""}, "`measure` must be a text of at least one"),
        ({"network": "vgg"}, "`network` must be one of"),
        ({"density": 0.0}, "`density` must be in"),
    ],
)
def test_bad_settings_are_one_sentence(given, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        ReproduceSettings(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"images": 10**6}, "`images` must be at most 5000"),
        ({"batch": 5001}, "`batch` must be at most the number of training images"),
        ({"data_root": "/nowhere"}, "`data_root` must"),
        ({"data": "cifar-100"}, "`data_root` must be given where data is cifar-100 .--data-root"),
        ({"trained": "/nowhere.safetensors"}, "`trained` must"),
    ],
)
def test_what_does_not_fit_is_one_sentence(given, sentence, tmp_path):
    with pytest.raises(ArgumentError, match=sentence):
        run_reproduction(create_workspace(tmp_path / "o", replace(TINY, **given)))


@pytest.mark.slow
def test_what_has_no_meaning_on_a_network_is_a_row_and_the_rest_is_measured(made, tmp_path):
    """At a rate where descent itself explodes: no kappa, no segment, no round; yet spectra."""
    wild = replace(
        TINY, rate=40.0, rates="40", measure="spectra,reupload,norms,fast-forward,hybrid,rows"
    )
    record = run_reproduction(create_workspace(tmp_path / "run", wild))
    refused = {row.name: row.value for row in record.rows.section("refused/")}
    assert {"refused/reupload", "refused/hybrid"} <= set(refused)
    assert all(text.startswith("Argument `") for text in refused.values())
    assert "spectrum/step-0/lambda_min" in record.rows
    assert "sparsity/above_one_thousandth/mean" in record.rows
    page = (tmp_path / "run" / "reproduction.html").read_text()
    assert "it has no meaning on this network" in page
    assert len(made[0].rows.section("refused/")) == 0


def test_only_what_needs_fine_tuning_fine_tunes(tmp_path):
    record = run_reproduction(create_workspace(tmp_path / "run", replace(TINY, measure="layers")))
    assert "layers/step-0/growing" in record.rows
    assert "tuning/loss" not in record.rows
    assert not (tmp_path / "run" / "state" / "tuning.safetensors").exists()
