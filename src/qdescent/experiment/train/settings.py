"""The settings of `qdescent train`, each declared once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from qdescent._checks import argument_error
from qdescent.experiment import shared_settings as shared
from qdescent.experiment.code_settings import code_of, command_again
from qdescent.experiment.setting import PATH, SWITCH, TEXT, check_settings, setting
from qdescent.learning.descent.rate_falls import CONSTANT, FALLS
from qdescent.learning.pruning.criteria import MASKS
from qdescent.training.schedule import AdaptiveSchedule, Schedule

EPOCHS = 8  # as in `qdescent run`
DENSITY = 0.1


@dataclass(frozen=True)
class TrainSettings:
    """The settings of `qdescent train`: each line is a flag, a key of the TOML file, its check, and
    a line of the documentation.

    Raises:
        ArgumentError: a value outside its range, or two that do not go together.

    Example:
        >>> TrainSettings(shots=0)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `shots` must be an integer of at least 1, but is 0.
    """

    command: ClassVar[str] = "train"

    network: str = setting(
        "",
        TEXT,
        "package.module:function, which returns a torch.nn.Module.",
        left_open="the embedded CNN on Fashion-MNIST",
        positional=True,
    )
    data: str = setting(
        "",
        PATH,
        "An .npz of inputs and targets, a folder of images by class, or module:function.",
        left_open="Fashion-MNIST, for the embedded CNN",
    )
    test_data: str = setting(
        "", PATH, "The same, to test on.", left_open="a part of the data, by held_out"
    )
    data_root: str = setting(
        "", PATH, "Folder of the full Fashion-MNIST files.", left_open="the embedded subset"
    )
    weights: str = setting(
        "",
        PATH,
        "Safetensors file (or a checkpoint without code) to begin with.",
        left_open="as NETWORK returns it",
    )
    weights_key: str = shared.weights_key()
    arguments: tuple[str, ...] = shared.arguments()
    loss: str = shared.loss()
    samples: int = setting(
        0,
        "[0, inf)",
        "Use only so many samples of the data; 0: all.",
        unit="samples",
        why="They are held in memory.",
    )
    held_out: float = setting(
        0.1,
        "(0, 1)",
        "Share of the samples that is tested on, where there is no test_data.",
        why="Usual.",
    )
    test_samples: int = setting(
        1000,
        "[1, inf)",
        "Samples tested on after each round, at most.",
        unit="samples",
        why="One point of accuracy is ten of them; more cost time in every round.",
    )
    epochs: int | None = setting(
        None,
        "[0, inf)",
        "Epochs of dense training before pruning; 0: none.",
        unit="epochs",
        left_open=f"{EPOCHS}, or 0 where weights are given",
        why="The embedded CNN's test accuracy has then levelled off.",
    )
    density: float | None = setting(
        None,
        "(0, 1]",
        "Kept fraction of the prunable weights; 1: all.",
        left_open=f"{DENSITY:g}, or as the file of weights has it",
        why="The paper prunes 90 %.",
    )
    prune_by: str = setting(
        "magnitude",
        tuple(MASKS),
        "Which weights are kept.",
        why="The paper's. Those that look at data see the first batch.",
    )
    prune_rounds: int = setting(
        0,
        "[0, inf)",
        "Rounds over which the density falls from 1, with the cube of what is left; 0: at once.",
        unit="rounds",
        why="At once, as in the paper.",
    )
    regrow: int = setting(
        0,
        "[0, inf)",
        "Steps of descent in all weights at each download: what was pruned may grow back.",
        unit="steps",
        why="0: what is pruned stays pruned. The authors train on without a gradient mask.",
    )
    learning_rate: float | tuple[float, ...] = setting(
        shared.LEARNING_RATE,
        "(0, inf)",
        "Eta, learning rate after pruning; or one for each round, with commas.",
        why="At N = 2, K = 20 the truncation error stays below 1 % (measured). With tolerance the"
        " last of several rates goes on.",
    )
    rate_schedule: str = setting(
        CONSTANT,
        tuple(FALLS),
        "How the rate falls over all steps, asked at each upload.",
        why="cosine and linear fall towards 0; step: a tenth at half and at three quarters.",
    )
    momentum: float = setting(0.0, "[0, 1)", "Beta.", why="As in the paper; the authors' is 0.9.")
    weight_decay: float = setting(
        0.0, "[0, inf)", "As of torch.optim.SGD.", why="The authors' is 2e-4."
    )
    dampening: float = setting(
        0.0, "[0, 1)", "Of the momentum, as of torch.optim.SGD.", why="Usual."
    )
    nesterov: bool = setting(
        False, SWITCH, "Nesterov's momentum, as of torch.optim.SGD.", why="The authors' is plain."
    )
    decoupled: bool = setting(
        False,
        SWITCH,
        "Weight decay beside the gradient, as in AdamW.",
        why="torch.optim.SGD has it in the gradient; without momentum both are the same.",
    )
    order: int = shared.order()
    segment: int = shared.segment()
    rounds: int = shared.rounds()
    tolerance: float = shared.tolerance()
    engine: str = shared.engine()
    most_seconds: float = shared.most_seconds()
    shots: int = shared.shots()
    largest: float | None = setting(
        None,
        "(0, inf)",
        "m, entries that a readout reads, the largest; below 1, their share.",
        unit="entries",
        left_open="all",
        why="The others stay at the pivot.",
    )
    unread: float | None = setting(
        None,
        "(0, 1)",
        "Share of the displacement's squared norm that may stay unread; it chooses m.",
        left_open="by largest",
        why="To first order the share of a segment's progress that is lost.",
    )
    read_error: float | None = setting(
        None,
        "(0, 1)",
        "Relative error of a readout, shots and unread entries together; it chooses both.",
        left_open="by shots, largest and unread",
        why="With the fewest shots that reach it.",
    )
    shot_cost: float | None = setting(
        None,
        "(0, 1e200]",
        "Price of a shot; with tolerance it chooses lengths, orders, shots and m of least work.",
        unit="gradients",
        left_open="none: by shots, largest and unread",
        why="A shot is a whole solve; `qdescent estimate` says what that costs.",
    )
    patience: int = setting(
        0,
        "[0, inf)",
        "Single steps in a row in search of a segment, with tolerance, before the run ends.",
        unit="steps",
        why="Right after pruning a segment may be worth it only some steps on.",
    )
    batch: int = setting(
        512,
        "[1, inf)",
        "Samples of each batch.",
        unit="samples",
        why="The paper authors' fine-tuning batch.",
    )
    fresh_batches: bool = setting(
        False,
        SWITCH,
        "A fresh batch each step, not each round.",
        why="The paper's segment is descent on one batch.",
    )
    dense_beside: bool = setting(
        True,
        SWITCH,
        "Train all weights beside, without a mask, by the same steps.",
        why="A gradient a step, and as many weights as there are.",
    )
    watch: bool = setting(
        True,
        SWITCH,
        "Measure the truncation at each step against true descent.",
        why="A gradient and a loss a step: what is measured and not estimated.",
    )
    tensorboard: bool = setting(
        False, SWITCH, "Write events for TensorBoard, too.", why="Its package must be installed."
    )
    shard_vectors: bool = setting(
        False,
        SWITCH,
        "Spread the series' terms, or fast-forward's space, over torchrun's processes.",
        why="Each then holds 1 / processes of these vectors, which are brought together weight by"
        " weight as they are used: only where memory asks for it.",
    )
    seed: int = shared.seed()
    device: str = shared.device()

    def __post_init__(self) -> None:
        check_settings(self)
        if bool(self.network) != bool(self.data):
            absent, other = ("data", "network") if self.network else ("network", "data")
            raise argument_error(absent, f"be given where {other} is", "missing")
        for name in ("test_data", "weights"):
            if getattr(self, name) and not self.network:
                raise argument_error("network", f"be given where {name} is", "missing")
        if self.data_root and self.network:
            raise argument_error("data_root", "be left out where data is given", self.data_root)
        if self.weights_key and not self.weights:
            raise argument_error("weights", "be given where weights_key is", "missing")
        if self.arguments and not self.network:
            raise argument_error("network", "be given where arguments are", "missing")
        if self.largest is not None and self.largest >= 1 and self.largest % 1:
            must = "be a share below 1 or a whole number of entries"
            raise argument_error("largest", must, self.largest)
        if self.shot_cost is not None and not self.tolerance:
            must = "be above 0 where shots have a price (it chooses segments by it)"
            raise argument_error("tolerance", must, self.tolerance)
        if self.patience and not self.tolerance:
            must = "be 0 where tolerance is (segments then have one length)"
            raise argument_error("patience", must, self.patience)
        _ = self.schedule

    @property
    def schedule(self) -> Schedule | AdaptiveSchedule:
        """The part that the rounds need."""
        rule = {
            "learning_rate": self.learning_rate,
            "rate_schedule": self.rate_schedule,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "dampening": self.dampening,
            "nesterov": self.nesterov,
            "decoupled": self.decoupled,
            "shots": self.shots,
            "engine": self.engine,
            "most_seconds": self.most_seconds,
            "fresh_batches": self.fresh_batches,
            "largest": int(m) if (m := self.largest) is not None and m >= 1 else m,
            "unread": self.unread,
            "read_error": self.read_error,
        }
        if self.tolerance:
            rule |= {"shot_cost": self.shot_cost, "patience": self.patience}
            return AdaptiveSchedule(self.tolerance, steps=self.segment * self.rounds, **rule)  # type: ignore[arg-type]
        return Schedule(self.order, self.segment, self.rounds, **rule)  # type: ignore[arg-type]

    @property
    def along_the_way(self) -> bool:
        """Whether weights are pruned between rounds, too."""
        return bool(self.prune_rounds or self.regrow)

    @property
    def dense_epochs(self) -> int:
        """Epochs before pruning, as given or by default."""
        if self.epochs is not None:
            return self.epochs
        return 0 if self.weights else EPOCHS

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self) | {"arguments": list(self.arguments)}

    def code(self) -> dict[str, tuple[str, ...]]:
        """The settings that run code, name -> words of the command line."""
        return code_of(self, ("data", "test_data", "loss"))

    def again(self, directory: Path) -> str:
        """The command that goes on with an unfinished training of these settings."""
        return command_again(self, directory)
