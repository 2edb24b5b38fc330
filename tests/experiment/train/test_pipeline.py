"""`qdescent train`: whole and repeatable, its runs against descent computed by hand, resumed to the
same bits, and clear about bad input.
"""

import json
import math
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner
from experiment.killed import KilledAt, KilledError
from torch import nn

from qdescent._checks import ArgumentError
from qdescent.cli import app
from qdescent.experiment.progress import Silent
from qdescent.experiment.train.pipeline import run_training, training_headline
from qdescent.experiment.train.settings import TrainSettings
from qdescent.experiment.workspace import create_workspace, resume_workspace
from qdescent.learning.parallel.ranks import Ranks
from qdescent.learning.parameters import ParameterSpace
from qdescent.learning.pruning.magnitude import magnitude_mask
from qdescent.report.files import read_weights
from qdescent.report.pages.cost_figures import readout_panel
from qdescent.report.pages.training import figures
from qdescent.report.record import read_record
from qdescent.rows.collection import Rows

MODULE = """
import torch
from torch import nn

def network(width=12):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 3))

def data():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(200, 5, generator=g)
    return x, (x @ torch.randn(5, 3, generator=g)).argmax(1)

def values():
    x, _ = data()
    return x, x[:, :3] ** 2

def sentences(mask=True):
    g = torch.Generator().manual_seed(2)
    ids = torch.randint(1, 9, (60, 4), generator=g)
    ids[::3, 2:] = 0
    batch = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    return ({k: v for k, v in batch.items() if mask or k == "input_ids"}, ids[:, 0] % 3)

def without_mask():
    return sentences(mask=False)

class Reader(nn.Module):
    class config:
        pad_token_id = 0

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.table, self.head = nn.Embedding(9, 6), nn.Linear(6, 3)

    def forward(self, input_ids, attention_mask=None):
        x = self.table(input_ids)
        if attention_mask is not None:
            x = x * attention_mask[..., None]
        return {"logits": self.head(x.mean(1).tanh())}

def reader():
    return Reader()
"""
OWN = TrainSettings(
    "own_project:network",
    "own_project:data",
    epochs=2,
    batch=40,
    held_out=0.2,
    density=0.5,
    segment=3,
    rounds=3,
    learning_rate=0.05,
    shots=10_000,
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "own_project.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def whole(project):
    directory = project / "whole"
    return run_training(create_workspace(directory, OWN)), directory


def changed(**values):
    return TrainSettings(**{**OWN.to_json(), "arguments": (), **values})


def trained(project, name, **values):
    return run_training(create_workspace(project / name, changed(**values)))


def test_a_circuits_simulation_is_forecast_before_anything_is_trained(project):
    told = []

    class Told(Silent):
        def finish(self, summary):
            told.append(summary)

    few = {"engine": "circuit", "arguments": ("width=1",), "order": 1, "segment": 2}
    few |= {"density": 0.1, "momentum": 0.5}
    for settings, sentence in (
        (changed(**few, most_seconds=1e-6), "`most_seconds` must be at least .* gates on"),
        (changed(**few | {"density": 0.9}), "`engine` must be .* above 8 weights .* with 11"),
    ):
        with pytest.raises(ArgumentError, match=sentence):
            run_training(create_workspace(project / sentence[1:8], settings, Told()))
    assert len(told) == 1
    assert "gates on" in told[0]


def test_directory_is_whole_and_rows_fit_together(whole):
    record, directory = whole
    assert {path.name for path in directory.iterdir()} == {
        "metrics.jsonl", "rows.csv", "run.json", "training.html", "weights.safetensors",
    }  # fmt: skip
    assert read_record(directory).rows == record.rows
    rows = record.rows
    assert rows["train/steps"].value == (0, 3, 6, 9)
    for run in ("hybrid", "sparse", "dense"):
        assert len(rows[f"train/{run}_loss"].value) == 10
        assert len(rows[f"train/{run}_test_accuracy"].value) == 4
    assert rows["train/hybrid_test_loss"].value[0] == rows["train/sparse_test_loss"].value[0]
    assert rows["gradients/sparse"].value == (3, 6, 9)
    assert [label for label, _ in training_headline(record)][:2] == ["all weights", "kept weights"]


def test_metrics_are_one_line_an_epoch_and_a_round(whole):
    record, directory = whole
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["dense"] * 2 + ["round"] * 3
    assert [line["step"] for line in lines[2:]] == [3, 6, 9]
    accuracies = [line["hybrid_test_accuracy"] for line in lines[2:]]
    assert accuracies == list(record.rows["train/hybrid_test_accuracy"].value[1:])


def by_hand(weights, keep, batches, rate, momentum=0.0, decay=0.0):
    """The same steps by torch.optim.SGD on the network itself, pruned weights put back to 0."""
    network = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3))
    network.load_state_dict(weights)
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum, weight_decay=decay)
    for inputs, targets in batches:
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        optimizer.step()
        with torch.no_grad():
            for name, weight in network.named_parameters():
                weight *= keep.get(name, 1)
    return network.state_dict()


def test_sparse_and_dense_runs_are_torchs_own(project):
    """Fresh batches, momentum and weight decay; and the hybrid run follows within its readout."""
    from qdescent.experiment.train.batches import batches_of
    from qdescent.experiment.train.subject import load_subject

    values = {
        "fresh_batches": True, "momentum": 0.5, "weight_decay": 0.01, "epochs": 0,
        "shots": 10**12, "learning_rate": 0.01,
    }  # fmt: skip
    record = trained(project, "beside", **values)
    settings = changed(**values)
    subject = load_subject(settings, torch.device("cpu"))
    start = {name: w.detach().clone() for name, w in subject.network.named_parameters()}
    tasks = batches_of(settings, subject, Ranks())
    batches = [tasks[step % len(tasks)].data for step in range(9)]
    space = ParameterSpace(subject.network, magnitude_mask(subject.network, 0.5))
    pruned = space.unpack(space.theta)
    keep = {name: mask.float() for name, mask in space.mask.keep.items()}
    saved = read_weights(project / "beside" / "weights.safetensors")
    for run, weights, mask in (("sparse", pruned, keep), ("dense", start, {})):
        found = by_hand(weights, mask, batches, 0.01, 0.5, 0.01)
        for name, weight in found.items():
            torch.testing.assert_close(saved[f"{run}/{name}"], weight, rtol=0, atol=2e-6)
    truth = max(record.rows["truncation/by_round"].value)
    size = sum(float((saved[f"sparse/{n}"] - pruned[n]).square().sum()) for n in pruned) ** 0.5
    off = sum(
        float((saved[f"sparse/{n}"] - saved[f"hybrid/{n}"]).square().sum()) for n in pruned
    ) ** 0.5  # fmt: skip
    assert off < 3 * (truth + 1e-3) * size


@pytest.mark.parametrize("at", [1, 4, 9, 12])  # 6 batches of dense training, then 9 steps
def test_a_killed_training_ends_in_the_same_bits(whole, project, at):
    record, directory = whole
    out = project / f"killed-{at}"
    with pytest.raises(KilledError):
        run_training(create_workspace(out, OWN, KilledAt(at)))
    again = run_training(resume_workspace(out, TrainSettings))
    assert again.rows == record.rows
    for name in ("metrics.jsonl", "weights.safetensors", "rows.csv"):
        assert (out / name).read_bytes() == (directory / name).read_bytes()


def test_engines_agree_and_a_tolerance_chooses(project, whole):
    forward = trained(project, "forward", engine="fast-forward")
    theirs, ours = (each.rows["train/hybrid_loss"].value[-1] for each in (forward, whole[0]))
    assert theirs == pytest.approx(ours, abs=2e-3)
    chosen = trained(project, "chosen", tolerance=0.05)
    assert sum(chosen.rows["schedule/segment_by_round"].value) == 9


def test_every_setting_of_the_descent_and_the_readout_reaches_the_rounds(project):
    """Nesterov's momentum with decoupled decay, fast-forward: its sparse run against torch's own;
    a stated readout error; a search that patience ends.
    """
    rule = {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1, "decoupled": True}
    record = trained(
        project, "rule", epochs=0, engine="fast-forward", read_error=0.05, dense_beside=False,
        **rule,
    )  # fmt: skip
    settings = changed(read_error=0.05, **rule)
    assert vars(settings.schedule.rule(0)) == {"learning_rate": 0.05, "dampening": 0.0, **rule}
    expected = record.rows["readout/expected_error_by_round"].value
    assert all(0.03 < error < 0.08 for error in expected)  # of u; 0.05 is of (u, eta v)
    plain = trained(project, "plain", epochs=0, momentum=0.5, weight_decay=0.1, dense_beside=False)
    theirs, ours = (each.rows["train/sparse_loss"].value[-1] for each in (plain, record))
    assert abs(theirs - ours) > 1e-3
    assert changed(tolerance=0.1, patience=2).schedule.patience == 2


def test_the_rate_falls_as_the_schedule_says_and_a_killed_run_goes_on_with_it(project):
    """Against PyTorch's own schedulers, in a fixed schedule and in one that a tolerance cuts."""

    def torchs(scheduler, **how):
        optimizer = torch.optim.SGD([torch.zeros(1)], 0.05)
        made = scheduler(optimizer, **how)
        rates = []
        for _ in range(3):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            made.step()
        return rates

    expected = {
        "cosine": torchs(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=3),
        "linear": torchs(
            torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=1e-300, total_iters=3
        ),
        "step": torchs(torch.optim.lr_scheduler.MultiStepLR, milestones=[2], gamma=0.1),
    }
    for name, rates in expected.items():
        schedule = changed(rate_schedule=name).schedule
        assert [schedule.rule(r).learning_rate for r in range(3)] == pytest.approx(rates, rel=1e-12)
    fall = {"rate_schedule": "cosine", "epochs": 0, "dense_beside": False}
    record = trained(project, "cosine", **fall)
    told = record.rows["schedule/learning_rate_by_round"].value
    assert told == pytest.approx(expected["cosine"], rel=1e-12)
    assert record.rows["setting/learning_rate"].value == 0.05
    with pytest.raises(KilledError):
        run_training(create_workspace(project / "cosine-killed", changed(**fall), KilledAt(7)))
    assert (
        run_training(resume_workspace(project / "cosine-killed", TrainSettings)).rows == record.rows
    )
    by_hand = trained(
        project, "rates", **{**fall, "rate_schedule": "constant"}, learning_rate=tuple(told)
    )
    ends = [each.rows["train/hybrid_loss"].value for each in (record, by_hand)]
    assert ends[0] == ends[1]
    lines = (project / "rates" / "metrics.jsonl").read_text().splitlines()
    assert tuple(json.loads(line)["learning_rate"] for line in lines) == told
    adaptive = trained(project, "adaptive", tolerance=0.05, **fall)
    before = [0]
    for steps in adaptive.rows["schedule/segment_by_round"].value[:-1]:
        before.append(before[-1] + steps)
    if len(before) > 1:
        told = adaptive.rows["schedule/learning_rate_by_round"].value
        falls = [0.05 * (1 + math.cos(math.pi * done / 9)) / 2 for done in before]
        assert told == pytest.approx(falls, rel=1e-12)


def test_a_partial_download_is_on_record(project):
    record = trained(project, "largest", largest=0.2)
    shares = record.rows["readout/entry_share_by_round"].value
    assert all(share == pytest.approx(0.2, abs=0.02) for share in shares)
    missing = record.rows["readout/missing_share_by_round"].value
    assert all(0.01 < share < 0.7 for share in missing)
    assert "of the entries leaves at most" in figures.download_panel(record).title
    by_norm = trained(project, "unread", unread=0.1)
    assert max(by_norm.rows["readout/missing_share_by_round"].value) < 0.15
    assert max(by_norm.rows["readout/entry_share_by_round"].value) < 1
    assert "left unread" in figures.budget_panel(by_norm).title


def test_one_tolerance_is_split_between_truncation_solver_and_readout(project):
    """By fast-forward, whose own error has its part; a readout of twice the noise shows."""
    record = trained(
        project, "split", tolerance=0.05, engine="fast-forward", shot_cost=1e-4, epochs=0,
        dense_beside=False, learning_rate=0.02,
    )  # fmt: skip
    rows = record.rows
    parts = [rows[f"budget/{name}_by_round"].value for name in ("truncation", "solver")]
    expected = rows["readout/expected_error_by_round"].value
    spent = [
        math.hypot(3 * truncation, solver, read)
        for truncation, solver, read in zip(*parts, expected, strict=True)
    ]
    assert all(0.03 < each < 1.01 * 0.05 for each in spent)  # used, and not overdrawn
    assert 0 < max(parts[1]) <= 0.1 * 0.05  # a tenth is the engine's
    count = len(spent)
    told = figures.budget_panel(record).caption
    assert f"is split between all: in {count} of {count} rounds" in told
    noise = "budget/shot_noise_by_round"
    twice = [
        replace(row, value=[2 * value for value in row.value]) if row.name == noise else row
        for row in rows
    ]
    told = figures.budget_panel(replace(record, rows=Rows(twice))).caption
    assert f"in 0 of {count} rounds" in told


def test_pruning_along_the_way_keeps_as_many_in_the_end(project):
    record = trained(project, "gradual", prune_rounds=2, regrow=1, epochs=0)
    saved = read_weights(project / "gradual" / "weights.safetensors")
    left = sum(int((w != 0).sum()) for n, w in saved.items() if n.startswith("hybrid/"))
    assert left == record.rows["network/kept"].value == 48 + 15  # half of 60 + 36, and the biases
    out = project / "gradual-killed"
    settings = changed(prune_rounds=2, regrow=1, epochs=0)
    with pytest.raises(KilledError):
        run_training(create_workspace(out, settings, KilledAt(4)))
    assert run_training(resume_workspace(out, TrainSettings)).rows == record.rows


def test_losses_of_any_kind_and_batches_that_are_dicts(project):
    squares = trained(
        project, "squares", data="own_project:values", loss="mse", epochs=0, dense_beside=False
    )
    assert "train/hybrid_test_accuracy" not in squares.rows
    assert "train/dense_loss" not in squares.rows
    assert "test loss" in figures.quality_panel(squares).title
    text = trained(
        project, "text", network="own_project:reader", data="own_project:sentences", batch=30
    )
    assert text.rows["train/hybrid_test_accuracy"].value[-1] > 0.3


def test_given_weights_need_no_warm_up_and_begin_where_they_are(project, whole):
    _, directory = whole
    saved = read_weights(directory / "weights.safetensors")
    from qdescent.report.files import write_weights

    given = {n.removeprefix("dense/"): w for n, w in saved.items() if n.startswith("dense/")}
    write_weights(project / "given.safetensors", given)
    record = trained(project, "given", epochs=None, weights="given.safetensors")
    assert "dense/loss" not in record.rows
    end = whole[0].rows["train/dense_test_loss"].value[-1]
    assert record.rows["train/dense_test_loss"].value[0] == pytest.approx(end, abs=1e-6)


def test_the_window_and_its_end_are_in_the_title(whole):
    record, _ = whole
    said = figures.window_panel(record).title
    assert said.startswith("The quantum window lasts from step 0 to 9, with segments of up to 3")
    values = {
        "quantum_window/longest": 0,
        "quantum_window/opens": "the tolerance is passed at once",
    }
    rows = [replace(row, value=values.get(row.name, row.value)) for row in record.rows]
    none = figures.window_panel(replace(record, rows=rows)).title
    assert none == "No segment of several steps was worth it: the tolerance is passed at once"


def test_a_biased_readout_shows_on_the_page(project, monkeypatch, whole):
    """Signs lost, and entries chosen by another vector, planted in the loop's own readout."""
    from qdescent.training.rounds import download

    honest = download.read_out

    def signs_lost(state, *args, **kwargs):
        found = honest(state, *args, **kwargs)
        return replace(found, vector=found.vector.abs())

    def others(state, *args, **kwargs):
        found = honest(state, *args, **kwargs)
        keep = torch.arange(len(state)) % 5 == 0
        return replace(found, vector=torch.where(keep, found.vector, 0.0))

    assert "biased" not in readout_panel(whole[0]).title
    for name, fault in (("signs", signs_lost), ("others", others)):
        monkeypatch.setattr(download, "read_out", fault)
        record = trained(project, f"biased-{name}")
        assert "The readout is biased" in readout_panel(record).title
        page = (project / f"biased-{name}" / "training.html").read_text()
        assert "The readout is biased" in page


def test_an_exploding_round_keeps_the_last_good_one(project):
    with pytest.raises(ArgumentError, match=r"must .*\((shorten it|take fewer steps|try a tenth)"):
        trained(project, "exploded", learning_rate=1e4)


BAD = [
    ({"network": ""}, r"`network` must be given where data is, but is missing"),
    ({"data": ""}, r"`data` must be given where network is, but is missing"),
    ({"shots": 0}, r"`shots` must be an integer of at least 1, but is 0"),
    ({"batch": 161}, r"`batch` must be at most the number of training samples, 160, but is 161"),
    ({"largest": 2.5}, r"`largest` must be a share below 1 or a whole number of entries, but is"),
    ({"largest": 1000}, r"`largest` must be at most the entries of the state, "),
    ({"largest": 0.1, "unread": 0.1}, r"`largest` must be None where `unread` chooses how much"),
    ({"largest": 0.1, "read_error": 0.1}, r"`largest` must be None where `read_error` chooses"),
    ({"patience": 3}, r"`patience` must be 0 where tolerance is"),
    ({"nesterov": True}, r"`nesterov` must be False without momentum or with dampening"),
    ({"momentum": 0.5, "nesterov": True, "dampening": 0.1}, r"`nesterov` must be False without"),
    ({"learning_rate": (0.1, 0.01)}, r"`learning_rate` must hold 3 rates, one for each round"),
    ({"learning_rate": (0.1, 0.01, 0)}, r"`learning_rate` must be in \(0, inf\), but is 0"),
    ({"learning_rate": (0.1,) * 3, "rate_schedule": "step"}, r"`rate_schedule` must be 'constant'"),
    ({"rate_schedule": "cos"}, r"`rate_schedule` must be one of 'constant', 'cosine', 'lin"),
    ({"order": 7}, r"`order` must be in \[1, 6\], but is 7"),
    ({"held_out": 0.001}, r"`held_out` must leave at least one of 200 samples"),
    ({"data_root": "x"}, r"`data_root` must be left out where data is given"),
    ({"data": "own_project:values", "loss": "mse"}, r"`epochs` must be 0 for targets that are no"),
    ({"weights": "none.safetensors"}, r"`weights` must"),
    ({"fresh_batches": True, "engine": "fast-forward"}, r"`engine` must be 'series' for a fresh"),
    ({"network": "own_project:reader", "data": "own_project:without_mask", "batch": 20},
     r"`data` must hold `attention_mask` beside token ids with padding"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "sentence"), BAD)
def test_bad_input_is_one_sentence(project, values, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        trained(project, f"bad-{abs(hash(str(values)))}", **values)


def test_the_command_line(project, whole):
    flags = [
        word
        for name, value in OWN.to_json().items()
        if name != "arguments" and value not in ("", None) and not isinstance(value, bool)
        and name != "network"
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]  # fmt: skip
    call = ["train", OWN.network, *flags, "--json", "--out", "by-hand"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["command"] == "train"
    found = read_record(project / "by-hand")
    assert found.rows == whole[0].rows
    again = CliRunner().invoke(app, ["train", "--resume", "--out", "by-hand"])
    assert isinstance(again.exception, ArgumentError)
    assert "ended already" in str(again.exception)


def test_code_is_given_again_and_must_be_the_same(project, monkeypatch):
    out = project / "stranger"
    with pytest.raises(KilledError):
        run_training(create_workspace(out, OWN, KilledAt(9)))
    call = ["train", "--resume", "--out", "stranger"]
    result = CliRunner().invoke(app, call)
    assert "must be given again, for it runs as code" in str(result.exception)
    import own_project

    real = own_project.network()
    other = nn.Sequential(real[0], nn.Softplus(), real[2])
    monkeypatch.setattr(own_project, "network", lambda: other)
    call = ["train", OWN.network, "--data", OWN.data, "--resume", "--out", "stranger"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code != 0
    assert "compute what they computed at the start" in str(result.exception)


def test_more_entries_than_there_will_be_are_refused_before_anything_is_trained(project):
    with pytest.raises(ArgumentError, match="`largest` must be at most the entries of the state"):
        trained(project, "late", largest=10**6)
    assert not list((project / "late").glob("state/dense*"))
