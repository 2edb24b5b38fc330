"""The main job at a reduced size: whole, repeatable, resumable after a kill at any save, and clear
about bad input.
"""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import CliRunner
from experiment.killed import KilledAt, KilledError

from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence
from qdescent._random import named_generator
from qdescent.carleman.majorant import history_kappa_bound
from qdescent.cli import app
from qdescent.experiment.estimate.price import price
from qdescent.experiment.estimate.priced_round import priced_of
from qdescent.experiment.estimate.recorded import round_rows
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.progress import Silent
from qdescent.experiment.run import curvature
from qdescent.experiment.run.measured import is_affordable, measured_sparsity
from qdescent.experiment.run.pipeline import headline, run_first_pass
from qdescent.experiment.run.pricing import _first_in_reach
from qdescent.experiment.run.settings import Settings
from qdescent.experiment.run.training import load_data, train_and_prune
from qdescent.experiment.saved_state import latest_unfinished
from qdescent.experiment.setting import load_settings
from qdescent.experiment.workspace import create_workspace, resume_workspace
from qdescent.learning.pruning.criteria import MASKS
from qdescent.linalg.map_norms import MapNorms
from qdescent.report.files import read_weights
from qdescent.report.record import is_complete, read_record
from qdescent.report.reservation import next_directory
from qdescent.resources.input_rows import input_rows
from qdescent.rows.collection import Rows

SMALL = Settings(
    epochs=2,
    width=4,
    train_images=640,
    batch=64,
    segment=3,
    rounds=2,
    shots=10_000,
    probes=2,
    lanczos_steps=12,
    seed=3,
)


class KilledIn(Silent):
    """Progress that ends the process's work at the k-th sign of life of a stage."""

    def __init__(self, stage: str, k: int) -> None:
        self.stage, self.left, self.within = stage, k, False

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.within = stage == self.stage

    def advance(self) -> None:
        self.left -= self.within
        if self.left == 0:
            raise KilledError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "whole"
    return run_first_pass(create_workspace(directory, SMALL)), directory


def test_run_directory_is_whole_and_read_by_others(whole):
    record, directory = whole
    assert sorted(path.name for path in directory.iterdir()) == [
        "instance.npz",
        "report.html",
        "rows.csv",
        "run.json",
        "weights.safetensors",
    ]
    assert read_record(directory).rows == record.rows
    weights = read_weights(directory / "weights.safetensors")
    kept = sum(int((weights[name] != 0).sum()) for name in weights if name.startswith("pruned/"))
    assert kept == record.rows["network/kept"].value
    content = json.loads((directory / "run.json").read_text())
    assert all(row["evidence"] and row["source"] for row in content["rows"])


@pytest.mark.parametrize("name", MASKS)
def test_any_criterion_prunes_as_many_and_is_on_record(tmp_path, name):
    (tmp_path / "run.toml").write_text(f'prune_by = "{name}"')
    settings = load_settings(Settings, tmp_path / "run.toml", SMALL.to_json() | {"prune_by": None})
    settings = replace(settings, epochs=1, train_images=128)
    workspace = create_workspace(tmp_path / "run", settings)
    with workspace.held():
        data, _ = load_data(workspace)
        workspace.begin("data")
        pruned, rows = train_and_prune(workspace, data)
    record = {row.name: row for row in rows}
    prunable = [keep for keep in pruned.mask.keep.values() if keep.ndim > 1]
    exact = round(0.1 * sum(keep.numel() for keep in prunable))
    assert abs(sum(int(keep.sum()) for keep in prunable) - exact) <= (name[:5] == "layer") * 5
    assert MASKS[name].keeps in record["network/kept"].source
    again = MASKS[name](
        pruned.network, pruned.tasks[0], 0.1, named_generator(settings.seed, "random mask")
    )
    assert all(torch.equal(keep, again.keep[each]) for each, keep in pruned.mask.keep.items())
    assert settings.to_json()["prune_by"] == name


def test_rows_are_consistent_with_each_other(whole):
    record, _ = whole
    steps = SMALL.rounds * SMALL.segment
    assert (
        len(record.rows["classical/loss"].value)
        == len(record.rows["emulated/loss"].value)
        == steps + 1
    )
    assert len(record.rows["truncation/by_step"].value) == steps
    assert record.rows["classical/loss"].value[0] == record.rows["emulated/loss"].value[0]
    assert (
        record.rows["emulated/test_accuracy"].value[0] == record.rows["pruned/test_accuracy"].value
    )
    assert sum(record.rows["spectrum/before/weights"].value) == pytest.approx(1, abs=1e-9)
    for when in ("before", "after"):
        shares = [
            record.rows[f"dissipation/{when}/{part}"].value
            for part in ("dissipative", "neutral", "divergent")
        ]
        assert sum(shares) == pytest.approx(1, abs=1e-9)
    assert record.rows["circuit/error_to_direct"].value < 1e-3
    assert (
        record.rows["circuit/queries"].value
        == record.rows["circuit/declared_queries"].value
        > record.rows["circuit/degree"].value
    )


def test_the_ledger_is_of_what_the_run_measured(whole):
    """kappa is the majorant's of the norms on record, at the padding and in the unit on record; a
    setting of s is an assumption.
    """
    record, _ = whole
    row, at = record.rows.__getitem__, record.rows.number
    low, high = row("norms/extremes").curve
    eta = SMALL.learning_rate
    norms = MapNorms(
        constant=eta * at("norms/eta-1/F_0"),
        linear=max(abs(1 - eta * low), abs(1 - eta * high)),
        higher=(eta * at("norms/eta-1/F_2"),),
    )
    padding, scale = int(at("ledger/logical/padding")), at("ledger/logical/scale")
    bound = history_kappa_bound(norms, SMALL.order, SMALL.segment, padding, scale)
    assert at("ledger/logical/kappa") == pytest.approx(bound, rel=1e-9)
    assert row("ledger/logical/kappa").evidence is Evidence.BOUNDED
    assert row("ledger/logical/success_probability").evidence is Evidence.EXACT
    s = row("ledger/logical/sparsity")
    assert s.value == round(at("sparsity/carrying_99_percent/mean"))
    assert s.evidence is Evidence.MEASURED
    network = SimpleNamespace(space=SimpleNamespace(n=5))
    given, _ = measured_sparsity(replace(SMALL, sparsity=10), network, 2, 6, lambda: None)
    assert (given.entries, given.evidence) == (5, Evidence.ASSUMED)


def untrue(said, own, where):
    """Rows of a run's ledger that its price does not have, or has otherwise."""
    return [
        row.name
        for row in own
        if row.name not in said
        or (said[row.name].value, said[row.name].evidence, said[row.name].source.replace(where, ""))
        != (row.value, row.evidence, row.source)
    ]


def test_the_price_of_a_run_says_what_its_own_ledger_says(whole):
    """Row by row, value, word and source, all of them: no row is left out of the comparison."""
    record, _ = whole
    where = f"{record.name}: "
    own = [replace(row, name=row.name.removeprefix("ledger/"))
           for row in record.rows if row.name.startswith("ledger/")]  # fmt: skip
    assert untrue(price(record, region=True).rows, own, where) == []
    # planted: a round without the multiply-adds that were counted, or without its displacements
    for name, row in (("masked_macs", "classical/kept_flops"),
                      ("gram/", "logical/success_probability")):  # fmt: skip
        rest = Rows(each for each in record.rows if not each.name.startswith(f"priced/{name}"))
        assert row in untrue(price(replace(record, rows=rest), region=True).rows, own, where)
    # and every row of the round is one without which it is another, or none at all
    spec, at = priced_of(EstimateSettings(), record)[0], "priced/"
    usual = {
        f"{at}{each.name}" for each in fields(spec) if getattr(spec, each.name) == each.default
    }
    for name in [row.name for row in record.rows if row.name.startswith(at)]:
        rest = Rows(each for each in record.rows if each.name != name)
        with suppress(ArgumentError):
            left = priced_of(EstimateSettings(), replace(record, rows=rest))[0]
            assert (left == spec) == (name in usual), name


# what a flag of another value leaves of a run's round: all but these
MOVED = {
    "steps": ("steps", "known", "grams"),
    "learning_rate": ("learning_rate", "known", "grams", "norms", "norms_source"),
    "order": ("order", "known", "grams", "norms_source"),
    "lambda_max": ("lambda_max", "spectrum_evidence", "spectrum_source", "grams", "norms",
                   "norms_evidence", "norms_source"),
    "second_norm": ("grams", "norms", "norms_evidence", "norms_source"),
    "n": ("n", "known", "grams", "masked_macs", "norms_evidence", "norms_source",
          "spectrum_evidence", "spectrum_source", "sparsity_evidence", "sparsity_source"),
    "parameters": ("parameters", "known", "masked_macs"),
    "forward_macs": ("forward_macs", "known", "masked_macs"),
    "kappa": ("kappa", "kappa_source"),
    "padding": ("padding",), "batch": ("batch", "known"), "epsilon": ("epsilon",),
    "sparsity": ("sparsity", "sparsity_evidence", "sparsity_source"),
    "success_probability": ("success_probability", "success_source"),
    "readout_error": ("shots", "readout_error"), "largest": ("largest",),
}  # fmt: skip
OTHER = {"learning_rate": 0.03, "lambda_max": 150.0, "second_norm": 1.0, "n": 2000, "kappa": 50.0,
         "parameters": 30_000, "forward_macs": 10**6, "epsilon": 1e-4, "readout_error": 0.1,
         "success_probability": 0.5, "order": 1}  # fmt: skip


def test_a_flag_moves_what_follows_from_it_and_nothing_else(whole):
    record, _ = whole
    own = priced_of(EstimateSettings(), record)[0]
    for flag, moved in MOVED.items():
        other = priced_of(EstimateSettings(**{flag: OTHER.get(flag, 7)}), record)[0]
        found = {each.name for each in fields(own)
                 if getattr(own, each.name) != getattr(other, each.name)}  # fmt: skip
        assert found == set(moved), flag
        assert not (other.masked_macs and "masked_macs" in moved)
    # a flag that says what the run had is an assumption of the same round
    same = priced_of(EstimateSettings(steps=SMALL.segment, order=SMALL.order), record)[0]
    assert (same.known["steps"][0], same.grams) == (Evidence.ASSUMED, own.grams)
    # of another round kappa follows from the norms, and from the rate's own
    longer = priced_of(EstimateSettings(steps=20), record)[0]
    assert longer.history.kappa > own.history.kappa
    assert longer.history.success[1] is Evidence.MODELLED
    faster = priced_of(EstimateSettings(learning_rate=0.1), record)[0]
    low, high = record.rows["norms/extremes"].curve
    assert faster.norms.linear == pytest.approx(max(abs(1 - 0.1 * low), abs(1 - 0.1 * high)))
    # one of another n has nothing bounded
    assert priced_of(EstimateSettings(n=2000), record)[0].history.kappa_evidence == "modelled"
    rows = {row.name: row for row in input_rows(priced_of(EstimateSettings(kappa=50.0), record)[0])}
    # beside a kappa that is set nothing of the one that the norms bound, and no unit
    for name in ("logical/padding", "logical/success_probability"):
        assert rows[name].evidence is Evidence.ASSUMED, name
    assert not {"logical/scale", "logical/kappa_in_units_of_1"} & set(rows)


def test_a_modelled_kappa_of_another_round_is_held_and_said_to_be(whole):
    """Without norms on record nothing says what another round has."""
    record, _ = whole
    model = replace(priced_of(EstimateSettings(), record)[0], norms=None, grams=None, kappa=50.0,
                    padding=3, kappa_evidence=Evidence.MODELLED, success_probability=0.25,
                    success_evidence=Evidence.EXACT)  # fmt: skip
    rows = [row for row in record.rows if not row.name.startswith(("priced/", "norms/"))]
    poor = replace(record, rows=Rows([*rows, *round_rows(model)]))
    longer = priced_of(EstimateSettings(steps=20), poor)[0]
    assert (longer.kappa, longer.padding, longer.success_probability) == (50.0, 3, 0.25)
    assert longer.success_evidence is Evidence.MODELLED
    assert "of T = 3, order 2, padding 3, held" in longer.kappa_source
    # with the norms on record the other round has its own
    rich = replace(record, rows=Rows(
        [*(row for row in record.rows if not row.name.startswith("priced/")), *round_rows(model)]
    ))  # fmt: skip
    assert priced_of(EstimateSettings(steps=20), rich)[0].kappa is None
    assert priced_of(EstimateSettings(), rich)[0].kappa == 50.0


@pytest.mark.parametrize("missing", ["order", "reach"])
def test_where_no_bound_serves_kappa_is_modelled(missing):
    """An order whose norms are too dear, and a bound that no machine can bear."""
    assert not is_affordable(4, 20)
    assert is_affordable(3, 20)
    plain = {
        "n": 100, "parameters": 1000, "order": 2, "steps": 20, "sparsity": 5, "batch": 5,
        "forward_macs": 1000,
    }  # fmt: skip
    dear = MapNorms(constant=1.0, linear=99.0, higher=(1e6,))
    model = {"kappa": 50.0, "padding": 0, "kappa_evidence": Evidence.MODELLED}
    known = [{"norms": dear}, model] if missing == "reach" else [model]
    assert _first_in_reach(plain, known)[1].rows.number("logical/kappa") == 50.0


STORED = Path(__file__).parent / "small_run_rows.json"  # name: unit, evidence, value
CLOSE = 0.02  # of a value: two epochs of training on another processor
NOTHING = 1e-6  # below it a value is rounding, or as good as none


def in_short(value):
    """A number to six digits, of a curve its first, middle and last; a text as a text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, float)):
        return float(f"{value:.6g}")
    some = value if len(value) <= 3 else (value[0], value[len(value) // 2], value[-1])
    return [in_short(each) for each in some]


def as_stored(rows):
    """What the stored file is made of."""
    return {row.name: [row.unit, row.evidence.value, in_short(row.value)] for row in rows}


def differences(rows, stored):
    """What a reader of run.json would find changed."""
    found = as_stored(rows)
    changed = [f"{name}: is gone or new" for name in found.keys() ^ stored.keys()]
    for name in found.keys() & stored.keys():
        (unit, word, value), (was_unit, was_word, was) = found[name], stored[name]
        if (unit, word) != (was_unit, was_word):
            changed.append(f"{name}: {was_unit}, {was_word} is now {unit}, {word}")
        elif isinstance(was, (float, list)) and type(value) is type(was):
            close = pytest.approx(was, rel=CLOSE, abs=NOTHING, nan_ok=True)
            if value != close:
                changed.append(f"{name}: {was} is now {value}")
        elif value != was:
            changed.append(f"{name}: {was} is now {value}")
    return changed


def test_no_public_number_changes_unnoticed(whole):
    """The rows of a small run as they stood when they were stored: names, units and words exactly,
    values to 2 %. Whoever changes a number on purpose writes `as_stored(record.rows)` anew and says
    so in the changes.
    """
    record, _ = whole
    stored = json.loads(STORED.read_text())
    assert differences(record.rows, stored) == []
    # planted: a number off by a twentieth, another unit, another word, a row left out
    first, *others = (row for row in record.rows if isinstance(row.value, float) and row.value > 1)
    for planted in (
        replace(first, value=1.05 * first.value),
        replace(first, unit="furlongs"),
        replace(first, evidence=Evidence.ASSUMED if first.evidence != Evidence.ASSUMED
                else Evidence.EXACT),
    ):  # fmt: skip
        rest = [planted if row.name == first.name else row for row in record.rows]
        assert len(differences(rest, stored)) == 1
    assert others
    assert len(differences([row for row in record.rows if row.name != first.name], stored)) == 1


def test_another_seed_differs(whole, tmp_path):
    """One seed agrees to the last digit: as does the run below, killed in every stage."""
    record, _ = whole
    other = create_workspace(tmp_path / "other", replace(SMALL, seed=4))
    with other.held():
        data, _ = load_data(other)
        other.begin("data")
        _, rows = train_and_prune(other, data)
    losses = {row.name: row.value for row in rows}["dense/loss"]
    assert losses != record.rows["dense/loss"].value


# of 20 batches dense, 6 steps emulated, 6 classical, 12 + 12 Lanczos steps, a circuit and a price
STAGES = {
    "Dense training": 15,
    "Emulated training": 5,
    "Classical descent": 4,
    "Spectrum before": 7,
    "Spectrum after": 7,
    "Quantum circuit": 1,
    "Pricing a round": 2,
}


SOME = ("Emulated training", "Spectrum after")


@pytest.mark.parametrize("stages", [SOME, pytest.param(tuple(STAGES), marks=pytest.mark.slow)])
def test_killed_in_every_stage_and_resumed_ends_in_the_same_rows(
    stages, whole, tmp_path, monkeypatch
):
    """One run, killed in one stage after the other: each time it goes on from what it had saved."""
    monkeypatch.setattr(curvature, "SAVE_EVERY", 5)
    record, _ = whole
    directory = tmp_path / "run"
    for stage in stages:
        progress = KilledIn(stage, STAGES[stage])
        with pytest.raises(KilledError):
            run_first_pass(
                resume_workspace(directory, Settings, progress)
                if directory.exists()
                else create_workspace(directory, SMALL, progress)
            )
        assert not is_complete(directory)
        assert latest_unfinished(tmp_path) == directory
    assert run_first_pass(resume_workspace(directory, Settings)).rows == record.rows


@pytest.mark.slow
def test_a_tolerance_chooses_the_segments_and_a_killed_run_chooses_the_same(tmp_path):
    adaptive = replace(
        SMALL, tolerance=1e-4, learning_rate=0.6, segment=6, lanczos_steps=4, circuit_epsilon=0.3,
        sparsity=5, circuit_weights=1, circuit_order=1, circuit_steps=1,
    )  # fmt: skip
    record = run_first_pass(create_workspace(tmp_path / "whole", adaptive))
    lengths, ends = (
        record.rows["schedule/segment_by_round"].value,
        record.rows["emulated/step"].value,
    )
    assert len(lengths) > 2
    assert ends[-1] == sum(lengths) == len(record.rows["classical/loss"].value) - 1 == 12
    assert max(record.rows["truncation/by_round"].value) < 1e-4
    assert (
        len(record.rows["readout/error_by_round"].value)
        == len(lengths)
        == record.rows["setting/rounds"].value
    )
    with pytest.raises(KilledError):  # in the second emulated round
        run_first_pass(create_workspace(tmp_path / "run", adaptive, KilledAt(20 + lengths[0] + 1)))
    assert run_first_pass(resume_workspace(tmp_path / "run", Settings)).rows == record.rows


def test_a_truncated_state_is_named_and_the_rest_is_kept(tmp_path):
    with pytest.raises(KilledError):
        run_first_pass(create_workspace(tmp_path / "run", SMALL, KilledAt(30)))
    broken = tmp_path / "run" / "state" / "classical.safetensors"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ArgumentError, match=r"classical\.safetensors.*delete that file and resume"):
        run_first_pass(resume_workspace(tmp_path / "run", Settings))


def test_directories(tmp_path):
    assert next_directory(tmp_path).name == "run-001"
    create_workspace(tmp_path / "run-001", SMALL).begin("of the data")
    assert next_directory(tmp_path).name == "run-002"
    with pytest.raises(
        ArgumentError, match=r"must be a directory that does not exist yet.*give --resume to go on"
    ):
        create_workspace(tmp_path / "run-001", SMALL)
    with pytest.raises(
        ArgumentError, match=r"must be an unfinished run to be resumed.*where none was started"
    ):
        resume_workspace(tmp_path / "nothing", Settings)
    with pytest.raises(ArgumentError, match="must find an unfinished run"):
        latest_unfinished(tmp_path / "run-001")


def test_a_whole_run_is_not_resumed_nor_overwritten(whole):
    _, directory = whole
    with pytest.raises(ArgumentError, match="which has ended already"):
        resume_workspace(directory, Settings)
    with pytest.raises(
        ArgumentError, match=r"must be a directory that does not exist yet.*choose another"
    ):
        create_workspace(directory, SMALL)


def test_toml_file_and_flags(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("density = 0.2\nlearning_rate = 1\nrounds = 3\n")
    settings = load_settings(Settings, config, {"rounds": 7, "seed": None})
    assert (settings.density, settings.learning_rate, settings.rounds, settings.seed) == (
        0.2,
        1.0,
        7,
        0,
    )


BAD = [
    (["--density", "0"], r"`density` must be in \(0, 1\], but is 0\.0"),
    (["--density", "1.5"], r"`density` must be in \(0, 1\], but is 1\.5"),
    (["--order", "9"], r"`order` must be in \[1, 6\], but is 9"),
    (
        ["--circuit-order", "9"],
        r"`circuit_order` must leave the explicit history system at most 4096 unknowns",
    ),
    (["--learning-rate", "nan"], r"`learning_rate` must be in \(0, inf\), but is nan"),
    (
        ["--batch", "6000"],
        r"`batch` must be at most the number of training images, 5000, but is 6000",
    ),
    (["--data-root", "no-such-folder"], r"`data_root` must .*no-such-folder"),
    (["--resume"], r"`resume` must find an unfinished run"),
    (["--config", "missing.toml"], r"`config` must be a readable TOML file"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    out = [] if "--resume" in arguments else ["--out", "r"]
    result = CliRunner().invoke(app, ["run", *out, *arguments])
    assert isinstance(result.exception, ArgumentError)
    with pytest.raises(ArgumentError, match=message):
        raise result.exception
    assert not (tmp_path / "r").exists()


def test_unknown_toml_key_names_the_nearest(tmp_path):
    config = tmp_path / "run.toml"
    config.write_text("densty = 0.2\n")
    with pytest.raises(ArgumentError, match=r"holding 'densty' \(did you mean 'density'\?\)"):
        load_settings(Settings, config, {})
    config.write_text("density = = 1\n")
    with pytest.raises(ArgumentError, match="`config` must be a TOML file"):
        load_settings(Settings, config, {})


def test_console_script_ends_with_exit_code_2_and_one_sentence(tmp_path):
    call = [
        sys.executable,
        "-c",
        "from qdescent.cli import main; main()",
        "run",
        "--density",
        "1.5",
        "--out",
        str(tmp_path / "r"),
    ]
    result = subprocess.run(call, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert result.stderr.strip() == "qdescent: Argument `density` must be in (0, 1], but is 1.5."


@pytest.mark.slow  # a process of its own; tests/faults has the same in a forked one
def test_interrupt_says_how_to_go_on(tmp_path):
    flags = ["--epochs", "400", "--width", "1", "--train-images", "64", "--batch", "64"]
    # A shell's background job starts with SIGINT ignored, and its children inherit that: the child
    # takes it up again.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from qdescent.cli"
        " import main; main()"
    )
    call = [sys.executable, "-c", code, "run", "--out", str(tmp_path / "r"), *flags]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while (
        not (tmp_path / "r" / "state" / "dense.safetensors").exists()
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"qdescent run --resume --out {tmp_path / 'r'}" in errors


def test_nan_in_the_data_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    from qdescent.experiment.run import training as comparison

    original = comparison.load_fashion_mnist

    def poisoned(data_root):
        data = original(data_root)
        images = data.train_images.clone()
        images[7, 0, 3, 3] = torch.nan
        return replace(data, train_images=images)

    monkeypatch.setattr(comparison, "load_fashion_mnist", poisoned)
    with pytest.raises(
        ArgumentError,
        match=(
            r"`train_images` must be finite, but is not, in 1 of .* entries,"
            r" first at \(7, 0, 3, 3\)"
        ),
    ):
        run_first_pass(create_workspace(tmp_path / "run", SMALL))


def test_a_circuit_that_is_refused_loses_no_training(tmp_path):
    settings = replace(
        SMALL, epochs=1, width=1, train_images=64, batch=16, lanczos_steps=3, circuit_weights=1,
        circuit_order=1, circuit_steps=1, circuit_padding=0, circuit_epsilon=1e-300, sparsity=1,
    )  # fmt: skip
    record = run_first_pass(create_workspace(tmp_path / "o", settings))
    status = record.rows["circuit/status"].value
    assert status.startswith("not solved: Argument `circuit_epsilon` must be at least")
    assert ("Circuit", record.rows["circuit/status"]) in headline(record)
    page = (tmp_path / "o" / "report.html").read_text()
    assert "circuit_epsilon` must be at least" in page
    assert is_complete(tmp_path / "o")
