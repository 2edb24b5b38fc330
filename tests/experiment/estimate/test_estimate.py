"""`qdescent estimate`: what a run measured is used and marked, sweeps, the card, and bad input."""

import csv
import json
import math
import random
from dataclasses import fields, replace

import pytest

import qdescent
from qdescent._checks import ArgumentError
from qdescent._evidence import Evidence, Row
from qdescent.experiment.estimate.inputs import read_run, round_of
from qdescent.experiment.estimate.pipeline import estimate_headline, run_estimate
from qdescent.experiment.estimate.ranges import SWEPT, WHOLE, ranges_of
from qdescent.experiment.estimate.settings import EstimateSettings
from qdescent.experiment.estimate.sweep import swept
from qdescent.experiment.setting import load_settings
from qdescent.report.record import Record, read_record, write_record
from qdescent.resources.classical.machines import A100
from qdescent.resources.input_rows import needed_rows
from qdescent.resources.ledger import ledger_of
from qdescent.resources.ledger_rows import readout_rows
from qdescent.resources.physical.surface_code import SurfaceCode
from qdescent.resources.verdict.inputs import NAMED, Case, held
from qdescent.rows.collection import Rows


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    directory = tmp_path_factory.mktemp("estimates") / "one"
    settings = load_settings(
        EstimateSettings, None, {"n": "1e4", "sweep": ("n=1e3:1e5:3", "s=1:10:2"), "card": True}
    )
    record = run_estimate(settings, directory)
    return directory, record


def test_everything_is_written(made):
    directory, record = made
    names = {path.name for path in directory.iterdir()}
    assert names >= {"run.json", "estimate.html", "sweep.csv", "sweep.json", "card.json",
                     "card.html", "rows.csv"}  # fmt: skip
    assert record.rows.number("ledger/logical/n") == 10_000  # 1e4 is an integer
    assert [label for label, _ in estimate_headline(record)][-1] == "Verdict"
    again = read_record(directory)
    assert again.rows.number("ledger/verdict/ratio") == record.rows.number("ledger/verdict/ratio")


def test_a_point_of_a_sweep_is_what_its_flags_say():
    """At T = 80 kappa is that of 80 steps: held at that of 20 it once made a factor of 5.6."""
    settings = EstimateSettings(n=10**4)
    architecture = SurfaceCode()
    case = Case(held(round_of(settings)), architecture, A100)
    ranges = ranges_of(["steps=20:80:2", "s=10:100:2"])
    points = {(line["steps"], line["sparsity"]): line for line in swept(case, settings, ranges)}
    asked = Case(held(round_of(EstimateSettings(n=10**4, steps=80, sparsity=100))), architecture,
                 A100)  # fmt: skip
    assert points[80, 100]["ratio"] == pytest.approx(asked.ratio)
    planted = NAMED["sparsity"].moved(NAMED["steps"].moved(case, 80), 100)
    assert planted.ratio < asked.ratio / 2
    refused = next(swept(case, settings, ranges_of(["steps=20000:30000:2"])))
    assert "`steps` must be at most 10000" in refused["way"]


def test_a_name_that_is_taken_is_refused_before_the_work(made, monkeypatch):
    monkeypatch.setattr("qdescent.experiment.estimate.pipeline.ledger_of", None)
    with pytest.raises(ArgumentError, match="must be a directory that does not exist yet"):
        run_estimate(EstimateSettings(), made[0])


def test_what_cannot_be_priced_leaves_no_directory(tmp_path):
    settings = load_settings(EstimateSettings, None, {"kappa": 2.0, "padding": 100})
    with pytest.raises(ArgumentError, match="kappa"):
        run_estimate(settings, tmp_path / "one")
    assert not (tmp_path / "one").exists()


def test_the_page_has_both_sides_way_by_way(made):
    page = (made[0] / "estimate.html").read_text()
    both = page[page.index("Quantum ways, cheapest first") : page.index("The four questions")]
    places = [both.index(text) for text in ("fast forward · time", "paper · time",
                                            "plain · gradients", "time on · one H100")]  # fmt: skip
    assert places == sorted(places)
    assert "Nowhere on the map of kept weights n and non-zeros a row s" in page


def test_a_sweep_is_a_table_of_its_points(made):
    directory, record = made
    with (directory / "sweep.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    assert sorted({float(line["n"]) for line in lines}) == pytest.approx([1e3, 1e4, 1e5])
    points = json.loads((directory / "sweep.json").read_text())["points"]
    assert [point["ratio"] for point in points] == [float(line["ratio"]) for line in lines]
    own = next(point for point in points if point["n"] == pytest.approx(1e4)
               and point["sparsity"] == pytest.approx(10))  # fmt: skip
    # P and multiply-adds go with n, so that the middle is the round itself
    assert own["ratio"] == pytest.approx(record.rows.number("ledger/verdict/ratio"), rel=1e-6)


def test_a_card_can_be_checked(made):
    """Inputs, each with its word; the claim; where it flips; the map that the figure shows."""
    directory, record = made
    card = json.loads((directory / "card.json").read_text())
    assert card["claim"] == record.rows["ledger/verdict/text"].value
    assert {each["evidence"] for each in card["inputs"]} <= {word.value for word in Evidence}
    assert card["break_even"]["cycle_time_ns"] == "never" or card["break_even"]["cycle_time_ns"] > 0
    assert len(card["map"]["ratio"]) == len(card["map"]["xs"]) * len(card["map"]["ys"])
    assert card["versions"]["qdescent"] == qdescent.__version__


def test_the_counts_of_a_run_are_what_the_estimator_takes(made):
    from qdk import estimator

    directory, record = made
    job = json.loads((directory / "run.counts.json").read_text())
    rows = record.rows.section("ledger/")
    at = f"logical/{rows['ledger/verdict/loader'].value}"
    for key, row in (("numQubits", "qubits"), ("cczCount", "toffoli"), ("rotationCount",
                     "rotations"), ("measurementCount", "toffoli")):  # fmt: skip
        assert job[key] == rows.number(f"ledger/{at}/{row}"), key
    # its own default machine is this package's: 50 ns, 100 ns, 1e-3
    runs = rows.number(f"ledger/ways/{rows['ledger/verdict/way'].value}/runs")
    budget = 0.01 / runs if float(runs).is_integer() else 0.01
    found = estimator.LogicalCounts(job).estimate({"errorBudget": budget})
    physical = f"ledger/physical/{rows['ledger/verdict/loader'].value}/"
    assert found["logicalQubit"]["codeDistance"] == rows.number(f"{physical}code_distance")


def test_the_page_says_best_against_best_and_names_its_assumptions(made):
    directory, _ = made
    page = (directory / "estimate.html").read_text()
    for text in (
        "Best against best",
        "Where it flips",
        "four questions",
        "polylog",
        "assumed",
        "takes for granted, or leaves out",
        "decoder",
        "found for nothing",
    ):
        assert text in page


def record_of(directory, rows, version=qdescent.__version__):
    made = [Row(name, value, "1", evidence, "measured there") for name, value, evidence in rows]
    directory.mkdir()
    write_record(Record("there", {}, 0, {"qdescent": version}, Rows(made)), directory)
    return str(directory)


MEASURED = [
    ("network/kept", 5000, Evidence.EXACT),
    ("network/parameters", 60_000, Evidence.EXACT),
    ("spectrum/before/lambda_min", -0.5, Evidence.MEASURED),
    ("spectrum/before/lambda_max", 9.0, Evidence.MEASURED),
    ("setting/learning_rate", 0.05, Evidence.ASSUMED),
    ("ledger/logical/kappa", 80.0, Evidence.MODELLED),
    ("ledger/logical/success_probability", 0.25, Evidence.EXACT),
    ("sparsity/carrying_99_percent/mean", 1209.4, Evidence.MEASURED),
]


def test_what_a_run_measured_is_used_and_marked(tmp_path):
    spec = round_of(EstimateSettings(from_=record_of(tmp_path / "run", MEASURED)))
    assert (spec.n, spec.parameters, spec.sparsity) == (5000, 60_000, 1209)
    assert (spec.kappa, spec.kappa_evidence) == (80.0, Evidence.MODELLED)
    assert (spec.success_probability, spec.success_evidence) == (0.25, Evidence.EXACT)
    assert spec.sparsity_evidence is spec.spectrum_evidence is Evidence.MEASURED
    assert "there: measured there" in spec.sparsity_source
    # nothing of another network's bounds is mixed in
    assert spec.norms is None
    # a flag stands above the run, and is an assumption
    flagged = round_of(EstimateSettings(from_=str(tmp_path / "run"), sparsity=10, kappa=200.0))
    assert (flagged.sparsity_evidence, flagged.kappa) == (Evidence.ASSUMED, 200.0)


@pytest.mark.parametrize("of", [4905, 981])
def test_the_entries_that_a_run_saw_needed_are_shown_and_marked(tmp_path, of):
    """Of all weights they are s, as they were measured; of a fifth they are scaled, and a model."""
    rows = [
        ("network/kept", 4905, Evidence.EXACT),
        ("needed/weights", of, Evidence.EXACT),
        ("needed/for_1_percent", 120.0, Evidence.MEASURED),
        ("sparsity/carrying_99_percent/mean", 1425.0, Evidence.MEASURED),
    ]
    record_of(tmp_path / "run", rows)
    flags = {"from_": str(tmp_path / "run"), "kappa": 50.0}
    spec = round_of(EstimateSettings(**flags))
    assert (spec.sparsity, spec.sparsity_evidence) == (120 if of == 4905 else 1425, "measured")
    assert spec.needed_sparsity == pytest.approx(120 * 4905 / of)
    assert spec.needed_evidence == ("measured" if of == 4905 else "modelled")
    shown = {row.name: row for row in needed_rows(spec)}["logical/needed_entries"]
    assert shown.evidence == spec.needed_evidence
    # what a user sets stands, and is assumed
    own = round_of(EstimateSettings(**flags, sparsity=7))
    assert (own.sparsity, own.sparsity_evidence) == (7, "assumed")


def test_the_readout_of_a_run_is_used_unless_another_is_asked_for(tmp_path):
    rows = [*MEASURED, ("ledger/logical/shots", 50_000, Evidence.ASSUMED)]
    run = record_of(tmp_path / "run", rows)
    spec = round_of(EstimateSettings(from_=run))
    assert (spec.shots, spec.copies) == (50_000, 100_000)
    row = readout_rows(spec)[0]
    assert (row.name, row.value, row.evidence) == ("logical/shots", 50_000, "assumed")
    assert row.source.startswith(f"{read_run(run, 'from').name}: measured there")
    assert round_of(EstimateSettings(from_=run, largest=100)).shots == 50_000
    for flag, value, shots in (("shots", 7, 7), ("readout_error", 0.1, None),
                               ("readout", "coherent", None)):  # fmt: skip
        other = round_of(EstimateSettings(from_=run, **{flag: value}))
        assert other.shots == shots, flag
    assert round_of(EstimateSettings(from_=run, readout_error=0.1)).readout_error == 0.1
    assert round_of(EstimateSettings()).readout_error == 0.01


def test_norms_of_a_reproduction_bound_kappa(tmp_path):
    rows = [row for row in MEASURED if "kappa" not in row[0]]
    rows.append(("norms/eta-1/F_0", 0.72, Evidence.EXACT))
    rows.append(("norms/eta-1/F_2", 262.0, Evidence.BOUNDED))
    spec = round_of(EstimateSettings(from_=record_of(tmp_path / "run", rows), learning_rate=0.02))
    assert spec.norms.constant == pytest.approx(0.0144)
    assert spec.norms.higher == (pytest.approx(5.24),)
    # extremes that are measured, not bounded, leave no bound
    assert spec.history.kappa_evidence is Evidence.MODELLED


def test_norms_that_end_at_F_2_bound_no_kappa_of_order_3():
    assert round_of(EstimateSettings()).history.kappa_evidence is Evidence.BOUNDED
    third = round_of(EstimateSettings(order=3))
    assert third.history.kappa_evidence is Evidence.MODELLED
    assert "F_3 and higher left out" in third.norms_source


def test_every_norm_that_a_run_measured_is_read(tmp_path):
    """||F_3|| at eta = 1 stands in the record of an order 3: it bounds kappa there, and says so."""
    rows = [(name, value, Evidence.BOUNDED if "lambda" in name else known)
            for name, value, known in MEASURED if "kappa" not in name]  # fmt: skip
    rows += [
        ("norms/eta-1/F_0", 0.72, Evidence.EXACT),
        ("norms/eta-1/F_2", 262.0, Evidence.BOUNDED),
        ("norms/eta-1/F_3", 9000.0, Evidence.BOUNDED),
    ]
    run = record_of(tmp_path / "run", rows)

    def of(order, **flags):
        return round_of(EstimateSettings(from_=run, learning_rate=0.02, order=order, **flags))

    third = of(3)
    assert third.norms.higher == (pytest.approx(5.24), pytest.approx(180.0))
    assert third.history.kappa_evidence is Evidence.BOUNDED
    assert "left out" not in third.norms_source
    # at order 2 there is no F_3; at 4 what lacks is said; an ||F_2|| of one's own is another map's
    assert len(of(2).norms.higher) == 1
    assert "F_4 and higher left out" in of(4).norms_source
    assert of(4).history.kappa_evidence is Evidence.MODELLED
    assert "F_3 and higher left out" in of(3, second_norm=100.0).norms_source
    # planted: without it kappa would be another
    assert third.history.kappa > of(3, second_norm=262.0).history.kappa


def test_a_kappa_of_another_round_is_not_taken(tmp_path):
    """It is one of T = 20 steps at eta = .05; with norms on record another round has its own."""
    norms = [
        ("norms/eta-1/F_0", 0.72, Evidence.EXACT),
        ("norms/eta-1/F_2", 262.0, Evidence.BOUNDED),
    ]
    steps = ("ledger/logical/steps", 20, Evidence.ASSUMED)
    run = record_of(tmp_path / "run", [*MEASURED, *norms, steps])
    same, longer = (round_of(EstimateSettings(from_=run, steps=T)) for T in (20, 40))
    assert (same.kappa, same.success_probability) == (80.0, 0.25)
    assert (longer.kappa, longer.success_probability) == (None, None)
    # where nothing says what the other round has, the run's own is held
    poor = record_of(tmp_path / "poor", [*MEASURED, steps])
    assert round_of(EstimateSettings(from_=poor, steps=40)).kappa == 80.0


def test_defaults_are_of_the_measured_network():
    spec = round_of(EstimateSettings())
    assert spec.n == 697_740
    assert spec.history.kappa_evidence is Evidence.BOUNDED
    assert spec.history.kappa == pytest.approx(966, rel=0.01)  # docs/what-a-segment-costs.md


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"sparsity": "1e6", "n": "1e4"}, "Argument `sparsity` must be at most `n`"),
        ({"kappa": 2.0, "padding": 100}, "Argument `kappa` must be at least 129"),
        ({"steps": "1e4", "learning_rate": 1.0}, "Argument `learning_rate` must keep what 10000"),
        ({"steps": "1e4", "lambda_min": -9.0}, "Argument `steps` must leave the orbit of these"),
        ({"n": "many"}, "Argument `n` must be an integer of at least 1, but is 'many'"),
        ({"n": 1.5}, "Argument `n` must be an integer of at least 1, but is 1.5"),
        ({"sweep": ("n=1:2:3:4",)}, "Argument `sweep` must be an input and its ends"),
        ({"sweep": ("speed=1:2",)}, "Argument `sweep` must name one of n, sparsity"),
        ({"sweep": ("n=9:3",)}, "Argument `sweep` must go from a number above 0 to a larger one"),
        ({"sweep": ("n=1:9", "n=1:9")}, "Argument `sweep` must name every input once"),
        ({"sweep": ("n=1:9:2.5",)}, "Argument `sweep` must ask for a whole number of values"),
        ({"sweep": ("n=1:9:1e9",)}, "Argument `sweep` must make at most 100,000 points"),
        ({"padding": 20_000}, "Argument `padding` must be at most 10000 where norms of the map"),
        ({"n": 100, "sparsity": 5, "largest": 101}, "Argument `largest` must be at most `n`"),
        ({"n": 10, "sparsity": 5, "coupling_sparsity": 101}, "must be at most `n` squared"),
        ({"n": 100, "parameters": 50, "sparsity": 3}, "must be at most `parameters`"),
        ({"sweep": ("kappa=-1:3",)}, "Argument `sweep` must go from a number above 0"),
        ({"steps": 100_000}, "Argument `steps` must be at most 10000 where norms of the map"),
        ({"lambda_min": 9.0}, "Argument `lambda_max` must be at least `lambda_min`"),
        ({"from_": "/nowhere/at/all"}, "must"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(flags, sentence):
    with pytest.raises(ArgumentError, match=sentence) as caught:
        round_of(load_settings(EstimateSettings, None, flags))
    assert "\n" not in str(caught.value)


def test_a_run_of_another_version_is_refused(tmp_path):
    there = record_of(tmp_path / "run", MEASURED, version="0.0.7")
    with pytest.raises(ArgumentError, match="Argument `from` must be a run of this version"):
        round_of(EstimateSettings(from_=there))


def test_a_run_that_knows_too_little_is_refused(tmp_path):
    there = record_of(tmp_path / "run", MEASURED[:2])
    with pytest.raises(ArgumentError, match="Argument `kappa` must be given where a run has"):
        round_of(EstimateSettings(from_=there))


def test_an_estimate_is_no_run_to_estimate_from(tmp_path):
    run_estimate(EstimateSettings(n=1000), tmp_path / "e")
    with pytest.raises(ArgumentError, match="must be a run that has measured something"):
        run_estimate(EstimateSettings(from_=str(tmp_path / "e")), tmp_path / "f")


def test_a_file_of_settings_has_the_key_from(tmp_path):
    there = record_of(tmp_path / "run", MEASURED)
    config = tmp_path / "estimate.toml"
    config.write_text(f'from = "{there}"\nn = 1e3\n')
    settings = load_settings(EstimateSettings, config, {})
    assert (settings.from_, settings.n) == (there, 1000)
    config.write_text('kappa = "12"\n')
    with pytest.raises(
        ArgumentError, match="Argument `kappa` must be a number without quotes in TOML"
    ):
        load_settings(EstimateSettings, config, {})


def test_the_words_of_a_sweep_are_the_inputs():
    assert set(SWEPT) == set(NAMED)
    assert [each.name for each in ranges_of(["T=1:9", "eta=1e-3:1", "m=1:9"])] == [
        "steps", "learning_rate", "largest",
    ]  # fmt: skip


def test_a_sweep_over_what_is_counted_names_integers():
    (steps,) = ranges_of(["T=1:4:7"])
    assert steps.values == (1, 2, 3, 4)
    with pytest.raises(ArgumentError, match="must have integers as ends of steps"):
        ranges_of(["T=1.5:2.5:3"])
    with pytest.raises(ArgumentError, match="but is 99,999,999 of them"):
        ranges_of(["s=1:10:99999999"])
    kinds = {each.name: str(each.type) for each in fields(EstimateSettings)}
    assert {name for name in SWEPT if kinds[name].startswith("int")} == set(WHOLE)


def test_a_directory_without_a_run_is_refused_by_the_name_of_the_flag(tmp_path):
    with pytest.raises(ArgumentError, match="Argument `from` must be a whole qdescent-run/1 file"):
        read_run(tmp_path, "from")


def test_a_search_that_changes_nothing_is_left_out(monkeypatch):
    """Over T and eta: the same outcome as with kappa searched for each of them, no search where a
    segment is shorter than any history, and a search where a history is the shortest.
    """
    case = Case(round_of(EstimateSettings(n=10**4)), SurfaceCode(), A100)

    def points(settings, *sweep):
        return list(swept(case, settings, ranges_of(sweep)))

    segments, histories = EstimateSettings(n=10**4), EstimateSettings(
        n=10**4, lambda_min=0.0, success_probability=1.0
    )  # fmt: skip
    # at the last point of the second the flattest mode grows out of every reach
    asked = [
        (segments, "T=10:300:4"), (segments, "eta=1e-4:.1:3", "T=20:300:2"),
        (histories, "T=30:500:2"),
    ]  # fmt: skip
    monkeypatch.setattr("qdescent.resources.verdict.inputs.at_floor", lambda spec: None)
    searched = [points(settings, *sweep) for settings, *sweep in asked]
    monkeypatch.undo()
    assert [points(settings, *sweep) for settings, *sweep in asked] == searched
    ways = [{point["way"] for point in found} for found in searched]
    assert ways[:2] == [{"fast_forward"}, {"fast_forward", "out of reach"}]
    assert ways[2] - {"fast_forward"}

    def searching(*args, **kwargs):
        raise ValueError("a search")

    monkeypatch.setattr("qdescent.resources.history_choice._search", searching)
    assert [points(settings, *sweep) for settings, *sweep in asked[:2]] == searched[:2]
    assert "a search" in {point["way"] for point in points(*asked[2])}


FLAGS = {
    "n": (1e3, 1e9), "sparsity": (1, 1e3), "steps": (10, 200), "learning_rate": (1e-3, 0.05),
    "kappa": (30, 1e5), "epsilon": (1e-5, 1e-1), "largest": (10, 1e3), "error_rate": (1e-5, 5e-3),
    "cycle_time_ns": (1, 1e4),
}  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(k, marks=pytest.mark.slow)
                                          for k in range(2, 24))])  # fmt: skip
def test_a_random_point_of_a_sweep_is_the_price_of_its_flags(seed):
    """Of two or three inputs: by the ledger, which searches for kappa and tries every loader."""
    draws = random.Random(seed)
    names = draws.sample(sorted(FLAGS), draws.choice((2, 3)))
    asked = []
    for name in names:
        low, high = (math.log(end) for end in FLAGS[name])
        values = sorted(math.exp(draws.uniform(low, high)) for _ in range(2))
        values = [round(value) if name in WHOLE else float(f"{value:.6g}") for value in values]
        asked.append(f"{name}={values[0]}:{values[1] + (values[0] == values[1])}:2")
    settings = EstimateSettings()
    case = Case(held(round_of(settings)), SurfaceCode(), A100)
    point = list(swept(case, settings, ranges_of(asked)))[-1]
    flags = {name: round(point[name]) if name in WHOLE else point[name] for name in names}
    machine = {name: flags.pop(name) for name in ("error_rate", "cycle_time_ns") if name in flags}
    ledger = ledger_of(round_of(EstimateSettings(**flags)), SurfaceCode(**machine), A100)
    assert point["ratio"] == pytest.approx(ledger.rows.number("verdict/ratio"), rel=1e-12)
    assert str(ledger.rows["verdict/way"].value).endswith(point["way"])


def test_a_kappa_that_is_swept_is_that_of_its_flag():
    """No padding and no success of the kappa that the norms bound stands beside it."""
    settings = EstimateSettings(n=10**4, fresh_batches=True)  # no segment: a history it is
    case = Case(held(round_of(settings)), SurfaceCode(), A100)
    (point, _) = swept(case, settings, ranges_of(["kappa=30:1e3:2"]))
    asked = Case(round_of(replace(settings, kappa=30.0)), SurfaceCode(), A100)
    assert point["ratio"] == asked.ratio
    planted = NAMED["kappa"].moved(case, 30.0)
    assert planted.ratio > 2 * asked.ratio
