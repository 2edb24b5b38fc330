"""Every setting of the experiment, declared once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from qdescent._checks import argument_error, check_integer, check_interval, shown
from qdescent.experiment import shared_settings as shared
from qdescent.experiment.setting import PATH, SWITCH, TEXT, check_settings, setting
from qdescent.learning.pruning.criteria import MASKS
from qdescent.solvers.promise.limits import ORDER_LIMIT

LAUNCHERS = ("here", "local", "slurm")
NONE = "none"  # in the place of a list
PRESETS = ("small", "7M", "103M", "authors")
# what can be measured, in this order
MEASURES: Mapping[str, str] = {
    "dense": "before pruning: spectrum, truncation, what each mask keeps of the top eigenvectors",
    "spectra": "spectra and E(t), step by step after pruning",
    "truncation": "truncation error against K, N and eta, early and late",
    "momentum": "the same by the authors' own rule, on one batch and on fresh ones",
    "reupload": "the state uploaded anew every K steps; gradients of pruned weights, too",
    "layers": "which layers hold the divergent modes",
    "norms": "norms of the map, bound on kappa, scale",
    "densities": "other densities and masks",
    "rows": "row sparsity, and the sparsity that a segment needs",
    "fast-forward": "segments without their steps",
    "hybrid": "hybrid training with readout beside classical descent",
    "price": "the cost of a round",
}
# the steps after pruning at which the authors take a spectrum
AUTHORS_STEPS = (*range(21), *range(24, 201, 4))


@dataclass(frozen=True)
class ReproduceSettings:
    """The settings of `qdescent reproduce`.

    Raises:
        ArgumentError: a value outside its range, or a list that cannot be read.

    Example:
        >>> ReproduceSettings(rates="0.1, x")
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `rates` must be numbers above 0 with commas \
between them, but is '0.1, x'.
    """

    command: ClassVar[str] = "reproduce"

    network: str = setting(
        "cnn",
        ("cnn", "resnet18", "resnet"),
        "Architecture: the package's CNN, a ResNet-18 with stride 2, the authors' CIFAR ResNet.",
        why="The CNN runs on any machine in minutes.",
    )
    widths: str = setting(
        "8,16,32",
        TEXT,
        "Channels of each stage: three of cnn, four of resnet18, the first of resnet.",
        unit="channels",
        why="About 25,000 weights.",
    )
    depth: int = setting(32, "[8, 200]", "Depth of resnet, 6 k + 2.", why="The authors'.")
    smooth: bool = setting(
        True,
        SWITCH,
        "GELU and norms without statistics; off: ReLU and BatchNorm, frozen when measured.",
        why="A kink has no Taylor series; --no-smooth is the authors' network.",
    )
    data: str = setting(
        "fashion-mnist",
        ("fashion-mnist", "cifar-100"),
        "Images to learn.",
        why="Fashion-MNIST: anyone has it. CIFAR-100 is the authors'.",
    )
    data_root: str = setting(
        "",
        PATH,
        "Folder of the data set's files; of CIFAR-100 also its archive.",
        left_open="the embedded subset of Fashion-MNIST",
        why="The package holds 5,000 + 1,000 images.",
    )
    images: int = setting(
        0, "[0, inf)", "Use only the first training images; 0: all.", unit="images"
    )
    tested: int = setting(0, "[0, inf)", "Judge by the first test images; 0: all.", unit="images")
    trained: str = setting(
        "",
        PATH,
        "A checkpoint of the dense training that was made before (benchmarks/trained_resnet.py).",
        left_open="train now",
    )
    epochs: int = setting(4, "[0, inf)", "Epochs of dense training; 0: untrained.", unit="epochs")
    dense_batch: int = setting(128, "[1, inf)", "Images a step of dense training.", unit="images")
    dense_rate: float = setting(
        0.1, "(0, inf)", "First learning rate of dense training.", why="The authors'."
    )
    dense_decay: float = setting(
        2e-4, "[0, inf)", "Weight decay of dense training.", why="The authors'."
    )
    density: float = setting(
        0.1, "(0, 1]", "Kept fraction of the prunable weights.", why="The authors prune 90 %."
    )
    prune_by: str = setting("magnitude", tuple(MASKS), "Which weights are kept.", why="Theirs.")
    tune_steps: int = setting(
        60,
        "[0, inf)",
        "Steps of sparse fine-tuning.",
        unit="steps",
        why="The early stage, their first 20 to 30 steps, twice over.",
    )
    tune_batch: int = setting(
        512, "[1, inf)", "Images a step of fine-tuning.", unit="images", why="The authors'."
    )
    tune_rate: float = setting(
        0.01, "(0, inf)", "Learning rate of fine-tuning.", why="The authors'."
    )
    tune_momentum: float = setting(0.9, "[0, 1)", "Momentum of fine-tuning.", why="The authors'.")
    tune_decay: float = setting(
        2e-4, "[0, inf)", "Weight decay of fine-tuning.", why="The authors'."
    )
    accuracy_every: int = setting(
        6, "[1, inf)", "Steps between two test accuracies.", unit="steps", why="As in their table."
    )
    batch: int = setting(
        128,
        "[1, inf)",
        "Images of the batch that spectra and segments see.",
        unit="images",
        why="A gradient's cost, and with it every figure's, is proportional to it.",
    )
    rate: float = setting(
        0.02,
        "(0, inf)",
        "Eta of plain descent, of proxy and verdict.",
        why="At N = 2 ten steps or so stay within 1 % (measured).",
    )
    rates: str = setting("0.1,0.02,0.005", TEXT, "Etas of the truncation table.", unit="numbers")
    order: int = setting(3, f"[1, {ORDER_LIMIT}]", "N, highest order of the truncation table.")
    segment: int = setting(
        20,
        "[2, inf)",
        "K, longest segment of the truncation table.",
        unit="steps",
        why="The early stage of the authors' runs.",
    )
    pivots: str = setting(
        "0,20,60",
        TEXT,
        "Steps after pruning from which segments start: early to late.",
        unit="steps",
    )
    spectra: int = setting(
        4,
        "[0, inf)",
        "How many of the authors' steps 0 to 20, 24, ... 200 get a spectrum; 0: all.",
        unit="spectra",
        why="A spectrum takes as long as a hundred gradients.",
    )
    lanczos_steps: int = setting(
        40,
        "[2, 20000]",
        "Hessian products a probe.",
        unit="products",
        why="E(t) is then exact up to t = 79 (even t), up to probe noise.",
    )
    probes: int = setting(2, "[1, 4096]", "Random vectors of a spectrum.", unit="vectors")
    horizon: int = setting(60, "[1, 1000]", "Steps of E(t).", unit="steps")
    densities: str = setting(
        "0.5,0.2,0.05,0.02", TEXT, "Other densities to measure, or none.", unit="numbers"
    )
    masks: str = setting(
        "random,snip",
        TEXT,
        "Other criteria to measure, at the same density, or none.",
        unit="words",
    )
    eigenvectors: int = setting(
        6,
        "[0, inf)",
        "Outermost eigenvectors of the dense network's Hessian; 0: none.",
        unit="vectors",
    )
    sampled_rows: int = setting(16, "[1, inf)", "Rows of the Hessian to look at.", unit="rows")
    restricted: int = setting(
        1000,
        "[0, inf)",
        "Weights of the restriction that is looked at whole; 0: none.",
        unit="weights",
        why="Its Hessian is stored, one product a weight.",
    )
    chains: int = setting(
        12, "[1, inf)", "Random chains that bound ||F_2||.", unit="chains", why="As of map_norms."
    )
    rounds: int = setting(3, "[1, inf)", "Uploads of the hybrid training.", unit="uploads")
    shots: int = setting(
        10**8, "[1, inf)", "Shots of a readout for magnitudes, and again for signs.", unit="shots"
    )
    sparsity: int = setting(
        10,
        "[1, inf)",
        "Non-zeros a row of the Hessian that the price assumes.",
        unit="entries",
        why="The paper's wish, in favour of the quantum side.",
    )
    measure: str = setting(
        "all",
        TEXT,
        "What to measure, words with commas between them; all: everything.",
        unit="words",
    )
    device: str = shared.device()
    seed: int = shared.seed()
    seeds: int = setting(
        1,
        "[1, 1000]",
        "So many jobs, with `seed` and those after it, each in a folder of its own.",
        unit="jobs",
    )
    launcher: str = setting(
        "here",
        LAUNCHERS,
        "Who runs the jobs: this process one by one, processes beside it, or a SLURM cluster.",
        why="The others need submitit (the extra `cluster`).",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("rates", "densities"):
            numbers(name, getattr(self, name), "(0, inf)" if name == "rates" else "(0, 1]")
        wanted = {"cnn": 3, "resnet18": 4, "resnet": 1}[self.network]
        if len(self.channels) != wanted:
            must = f"hold {wanted} numbers for {self.network}"
            raise argument_error("widths", must, shown(self.widths))
        for point in integers("pivots", self.pivots, 0):
            if point > self.tune_steps:
                must = f"be at most tune_steps ({self.tune_steps})"
                raise argument_error("pivots", must, point)
        words("masks", self.masks, MASKS)
        words("measure", self.measure, ("all", *MEASURES))

    @property
    def channels(self) -> tuple[int, ...]:
        """Of each stage."""
        return integers("widths", self.widths, 1)

    @property
    def measured(self) -> tuple[str, ...]:
        """What is measured, in the order of `MEASURES`."""
        asked = words("measure", self.measure, ("all", *MEASURES))
        return tuple(each for each in MEASURES if "all" in asked or each in asked)

    @property
    def spectrum_steps(self) -> tuple[int, ...]:
        """The steps after pruning at which a spectrum is taken."""
        steps = [step for step in AUTHORS_STEPS if step <= self.tune_steps]
        if not 0 < self.spectra < len(steps):
            return tuple(steps)
        if self.spectra == 1:
            return (0,)
        gap = (len(steps) - 1) / (self.spectra - 1)
        return tuple(sorted({steps[round(k * gap)] for k in range(self.spectra)}))

    @property
    def points(self) -> tuple[int, ...]:
        """The steps after pruning at which anything is measured."""
        return tuple(sorted({0, *self.spectrum_steps, *integers("pivots", self.pivots, 0)}))

    @property
    def jobs(self) -> tuple[ReproduceSettings, ...]:
        """The settings of each job: one seed, run where it is."""
        return tuple(
            replace(self, seed=self.seed + k, seeds=1, launcher="here") for k in range(self.seeds)
        )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self)


def numbers(name: str, text: str, interval: str) -> tuple[float, ...]:
    """The numbers of a list such as "0.1,0.02"; of "none" none."""
    try:
        found = [float(part) for part in text.split(",") if text != NONE]
        return tuple(check_interval(name, each, interval) for each in found)
    except ValueError:
        kind = "above 0" if interval == "(0, inf)" else f"in {interval}"
        must = f"be numbers {kind} with commas between them"
        raise argument_error(name, must, shown(text)) from None


def integers(name: str, text: str, least: int) -> tuple[int, ...]:
    """The integers of a list such as "48,96"; of "none" none."""
    try:
        found = [int(part) for part in text.split(",") if text != NONE]
        return tuple(check_integer(name, each, least) for each in found)
    except ValueError:
        must = f"be integers of at least {least} with commas between them"
        raise argument_error(name, must, shown(text)) from None


def words(name: str, text: str, known: Any) -> tuple[str, ...]:
    """The words of a list such as "random,snip"; of "none" none."""
    found = [part.strip() for part in text.split(",") if text != NONE]
    for each in found:
        if each not in known:
            must = f"hold words among {', '.join(known)}, with commas between them"
            raise argument_error(name, must, shown(text))
    return tuple(found)


def preset(config: Path | None) -> Path | None:
    """The file that a name such as "small" stands for; any other path as it is (a file of such a
    name is `./small`).
    """
    if config is None or str(config) not in PRESETS:
        return config
    return Path(str(files("qdescent.experiment.reproduce") / "configs" / f"{config}.toml"))
