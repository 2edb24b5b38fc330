"""What do hybrid rounds cost beside the classical steps they stand for, and what do they reach?

    python benchmarks/hybrid_cost.py --state S --data-root D --cost      # ratios, medians
    python benchmarks/hybrid_cost.py --state S --data-root D --memory    # peak memory ratios
    python benchmarks/hybrid_cost.py --state S --data-root D --accuracy  # the end of a training
    python benchmarks/hybrid_cost.py --device cuda --train 3 --data-root D --accuracy --seeds 0 1 2
    python benchmarks/hybrid_cost.py ... --accuracy --tolerance 0.01   # the controller's segments
    ... --device cuda --train 2 --large --rate 1e-4 --accuracy --tolerance 0.01   # 103M

S is what trained_resnet.py made: the smooth ResNet-18 of 7 million weights on all of
Fashion-MNIST, pruned to 10 %; or it is trained in place, of each seed (with --large that of 103
million, whose accuracy pruning breaks). Batch 64. Costs are those
of an emulation on this machine: series and fast-forward against as many steps of masked descent,
interleaved, as ratios of one run. The accuracy run writes its result after each round. The cost run
keeps a record (`--record FILE`), to which it adds: on a shared machine it is run in pieces.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from protocol import environment, now, own_peak, peak_memory, save
from trained_resnet import add_training, trained_problem

import qdescent as qd
from qdescent.learning.parallel.ranks import computing_on
from qdescent.training.descent import accuracy

BATCH, SEGMENT, RATE = 64, 20, 0.005
PATIENCE = 20  # single steps in a row, right after pruning, before a run would end
CONTENDERS = ("classical", "fast-forward", "series")
TARGETS = {"series": 5.0, "fast-forward": 1.0, "memory": 4.0, "accuracy_points": 0.5}


def tasks_of(given, count, seed=1):
    """Network, kept weights, and so many batches of 64."""
    task, space, state = trained_problem(
        given.state, given.data_root, given.device, given.train, given.large, seed
    )
    data = qd.datasets.load_fashion_mnist(given.data_root).to(given.device)
    order = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(seed))
    found = []
    for places in order[: count * BATCH].split(BATCH):
        found.append(task.with_data((data.train_images[places], data.train_labels[places])))
    return found, space, data, state


def schedule_of(engine, segment=SEGMENT, rounds=1, **settings):
    """Order 2, the download as it is by default."""
    return qd.Schedule(2, segment, rounds, RATE, engine=engine, **settings)


def classical(task, space, theta, steps):
    """As many steps of masked descent."""
    walk = qd.descend(task, space, theta, RATE)
    for _ in range(steps):
        _, theta = next(walk)
    return theta


def cost(given):
    """Seconds, of the wall and of the processor, of a round of K steps, upload to download, against
    K classical steps.
    """
    record = Path(given.record) if given.record else None
    seen = json.loads(record.read_text()) if record and record.exists() else []
    tasks, space, _, _ = tasks_of(given, len(seen) + given.rounds)
    warm = schedule_of("fast-forward", 2, engine_tolerance=0.5)  # libraries are loaded by it
    qd.train_hybrid(tasks[:1], space, warm, check=False, watch=False, beside=False)
    names = CONTENDERS[: 2 if given.no_series else 3]
    for task in tasks[len(seen) :]:
        row = {}
        for name in names:
            start = now(), time.process_time()
            if name == "classical":
                classical(task, space, space.theta, given.segment)
            else:
                schedule = schedule_of(name, given.segment, engine_tolerance=1e-2)
                run = qd.train_hybrid(
                    [task], space, schedule, check=False, watch=False, beside=False
                )
                row[f"{name} gradients"] = run.rounds[0].gradients
            row[name] = [now() - start[0], time.process_time() - start[1]]
        seen.append(row)
        print(row, flush=True)
        if record:
            record.write_text(json.dumps(seen))
    content = {
        "question": (
            f"A hybrid round of {given.segment} steps of order 2, upload to download, against"
            f" {given.segment} classical steps: 7M ResNet-18, 90 % pruned, batch {BATCH}"
        ),
        "kept": space.n,
        "wall_and_processor_seconds": seen,
        "ratio": {
            f"{name}, {clock}": {
                "median": statistics.median(row[name][i] / row["classical"][i] for row in seen),
                "all": [row[name][i] / row["classical"][i] for row in seen],
            }
            for name in names[1:]
            for i, clock in enumerate(("wall", "processor"))
        },
        "target": TARGETS,
        "environment": environment(),
    }
    print(content["ratio"])
    save(f"hybrid_cost_{given.segment}{'_forward' if given.no_series else ''}", content)


def memory(given):
    """Peak resident memory of one process a contender, libraries, network and batch included.

    Reading the state takes more than it leaves behind, so that a peak above that of a process which
    does nothing else would tell of the reading alone. On a GPU: of what is allocated there.
    """
    if given.device == "cuda":
        peaks = {}
        (task,), space, _, _ = tasks_of(given, 1)
        for name in CONTENDERS:
            torch.cuda.reset_peak_memory_stats()
            one_round(name, task, space)
            peaks[name] = own_peak()
    else:
        script = (__file__, "--state", str(given.state))
        peaks = {name: peak_memory(*script, "--one", name) for name in CONTENDERS}
    content = {
        "question": "Peak bytes of a process that does a round of 20 steps, as --cost",
        "peak_bytes": peaks,
        "ratio_to_classical": {name: peak / peaks["classical"] for name, peak in peaks.items()},
        "target": TARGETS["memory"],
        "environment": environment(),
    }
    print(content["ratio_to_classical"])
    save("hybrid_memory", content)


def one(given):
    """The body of one memory measurement."""
    (task,), space, _, _ = tasks_of(given, 1)
    one_round(given.one, task, space)
    print(own_peak())


def one_round(name, task, space):
    """Three classical steps, or a round of 20 by an engine."""
    if name == "classical":
        classical(task, space, space.theta, 3)
    else:
        qd.train_hybrid([task], space, schedule_of(name), check=False, watch=False, beside=False)


def asked_schedule(given):
    """The schedule of an accuracy run: segments of one length, or as long as a tolerance allows."""
    settings = {
        "learning_rate": given.rate, "engine": given.engine, "shots": given.shots,
        "momentum": given.momentum, "weight_decay": 2e-4, "largest": 0.2,
    }  # fmt: skip
    if given.tolerance:
        return qd.AdaptiveSchedule(
            given.tolerance, steps=given.segment * given.rounds, patience=PATIENCE, **settings
        )
    return qd.Schedule(2, given.segment, given.rounds, **settings)


def accuracy_of(given, seed):
    """A training after pruning, hybrid and classical over the same batches; what is known of it is
    written after each round, so that a run that is cut short leaves figures, too.
    """
    schedule = asked_schedule(given)
    most = schedule.steps if given.tolerance else given.rounds
    tasks, space, data, state = tasks_of(given, most, seed)
    seen, tested, began = [], slice(0, given.tested), now()

    def tested_accuracy(theta):
        images, labels = data.test_images[tested], data.test_labels[tested]
        right = sum(
            accuracy(tasks[0], space, theta, *part) * len(part[1])
            for part in zip(images.split(500), labels.split(500), strict=True)
        )
        return right / len(labels)

    start = tested_accuracy(space.theta)
    print("after pruning", start, "dense", state.test_accuracy[-1], flush=True)

    def write(stopped):
        judged = [each for each in seen if "accuracy" in each]
        size = "103M_" if given.large else ""
        save(
            f"hybrid_accuracy_{size}{'controller_' if given.tolerance else ''}{seed}",
            {
                "question": (
                    "Does a hybrid training end where masked descent over the same batches ends?"
                    f" A fifth of the entries read; {'103M' if given.large else '7M'} ResNet-18,"
                    " 10 % kept, batch 64"
                ),
                "kept": space.n,
                "settings": dict(vars(schedule)),
                "dense_accuracy": state.test_accuracy[-1],
                "pruned_accuracy": start,
                "tested": given.tested,
                "steps_done": sum(each["steps"] for each in seen),
                "rounds": seen,
                "points_below_classical": [
                    100 * (each["classical_accuracy"] - each["accuracy"]) for each in judged
                ],
                "steps_of_a_segment": [each["steps"] for each in seen if each["steps"] > 1],
                # a single step is plain descent: nothing of it is read out
                "largest_entry_share": max(
                    (each["entry_share"] for each in seen if each["steps"] > 1), default=None
                ),
                "stopped": stopped,
                "target": TARGETS,
                "environment": environment(),
            },
        )

    def tell(each):
        facts = {
            "steps": each.steps,
            "order": each.order,
            "end": each.end,
            "loss": [each.loss[0], each.loss[-1]],
            "classical_loss": [each.sparse.loss[0], each.sparse.loss[-1]],
            "estimate": each.estimate[-1],
            "solver_error": each.solver_error,
            "readout_error": each.readout_error,
            "entry_share": each.entry_share,
            "missing_share": each.missing_share,
            "gradients": each.gradients,
            "seconds": now() - began,
        }
        done = each.steps + sum(earlier["steps"] for earlier in seen)
        if len(seen) % given.every == given.every - 1 or done == schedule.steps:
            facts["accuracy"] = tested_accuracy(each.theta)
            facts["classical_accuracy"] = tested_accuracy(each.sparse.theta)
        told = ("steps", "order", "loss", "seconds", "accuracy", "classical_accuracy")
        print(seed, done, {name: facts[name] for name in told if name in facts}, flush=True)
        seen.append(facts)
        write("not yet")

    run = qd.train_hybrid(tasks, space, schedule, on_round=tell, seed=seed, watch=False)
    write(run.stopped)


def main():
    """One of the three questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path)
    for name in ("cost", "memory", "accuracy"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--no-series", action="store_true")
    parser.add_argument("--one")
    parser.add_argument("--segment", type=int, default=SEGMENT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", default="fast-forward")
    parser.add_argument("--shots", type=int, default=10**8)
    parser.add_argument("--momentum", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--every", type=int, default=10, help="rounds between tests")
    parser.add_argument("--tolerance", type=float, help="segments as long as it allows")
    parser.add_argument("--rate", type=float, default=RATE, help="with --accuracy")
    parser.add_argument("--tested", type=int, default=10_000)
    parser.add_argument("--record")
    add_training(parser)
    given = parser.parse_args()
    if given.state is None and not given.train:
        parser.error("--state: trained_resnet.py makes one (or --train 3)")
    if given.device == "cpu":
        torch.set_num_threads(1)
    with computing_on(given.device):
        if given.one:
            one(given)
        elif given.cost:
            cost(given)
        elif given.memory:
            memory(given)
        else:
            for seed in given.seeds:
                accuracy_of(given, seed)


if __name__ == "__main__":
    main()
