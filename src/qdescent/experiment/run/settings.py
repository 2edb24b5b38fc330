"""Every setting of the main job, declared once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from qdescent._checks import argument_error, shown
from qdescent.experiment import shared_settings as shared
from qdescent.experiment.setting import PATH, check_settings, setting
from qdescent.learning.pruning.criteria import MASKS
from qdescent.training.schedule import AdaptiveSchedule, Schedule

# of the circuit instance, 12 system qubits: a state vector of a few MB, a circuit of minutes
UNKNOWNS_LIMIT = 4096


@dataclass(frozen=True)
class Settings:
    """The settings of `qdescent run`: each line is a flag, a key of the TOML file, its check, and a
    line of the documentation.

    Raises:
        ArgumentError: a value outside its range, or an instance that no circuit here can hold.

    Example:
        >>> Settings(density=1.5)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `density` must be in (0, 1], but is 1.5.
    """

    command: ClassVar[str] = "run"

    density: float = setting(
        0.1,
        "(0, 1]",
        "Kept fraction of the prunable weights.",
        why="The paper prunes 90 %.",
    )
    prune_by: str = setting(
        "magnitude",
        tuple(MASKS),
        "Which weights are kept.",
        why="The paper's. Those that look at data see the first round's batch.",
    )
    learning_rate: float = shared.learning_rate()
    order: int = shared.order()
    segment: int = shared.segment()
    rounds: int = shared.rounds()
    tolerance: float = shared.tolerance()
    engine: str = shared.engine()
    most_seconds: float = shared.most_seconds()
    shots: int = shared.shots()
    batch: int = setting(
        512,
        "[1, inf)",
        "Images of each round's batch.",
        unit="images",
        why="The paper authors' fine-tuning batch.",
    )
    seed: int = shared.seed()
    data_root: str = setting(
        "",
        PATH,
        "Folder of the full Fashion-MNIST files.",
        left_open="the embedded subset",
        why="The package holds 5,000 + 1,000 images.",
    )
    epochs: int = setting(
        8,
        "[1, inf)",
        "Epochs of dense training before pruning.",
        unit="epochs",
        why="The test accuracy has levelled off.",
    )
    width: int = setting(
        16,
        "[1, inf)",
        "Channels of the first convolution.",
        unit="channels",
        why="The next ones have twice and four times as many: about 100,000 weights.",
    )
    probes: int = setting(
        4,
        "[2, 4096]",
        "Random vectors of each Hessian spectrum.",
        unit="vectors",
        why="The least whose spread means something.",
    )
    lanczos_steps: int = setting(
        64,
        "[1, 20000]",
        "Hessian products per probe.",
        unit="products",
        why="E(t) is then exact for even t up to 127, up to probe noise, which is beyond the R K ="
        " 100 steps of the run.",
    )
    circuit_weights: int = setting(
        2,
        "[1, inf)",
        "Weights of the instance solved as a circuit.",
        unit="weights",
        why="Those kept weights that are largest.",
    )
    circuit_order: int = setting(2, "[1, inf)", "Carleman order of that instance.")
    circuit_steps: int = setting(4, "[1, inf)", "Gradient steps of that instance.", unit="steps")
    circuit_learning_rate: float = setting(
        3.0,
        "(0, inf)",
        "Learning rate of that instance.",
        why="Large enough that order 1 misses true descent by 2 % and order 2 does not (measured),"
        " so that the circuit has something to show; two weights alone would be dull at 0.02.",
    )
    circuit_padding: int = setting(
        3,
        "[0, inf)",
        "Padding steps of that instance.",
        unit="steps",
        why="Eight blocks of time, a whole number of qubits.",
    )
    circuit_epsilon: float = setting(
        1e-4,
        "(0, 1)",
        "Promised relative error of that solve.",
        why="Ten times below the 1e-3 that is asked of u_T.",
    )
    sparsity: int = setting(
        0,
        "[0, inf)",
        "Non-zeros a row of the Hessian that the ledger assumes; 0: measured on sampled rows.",
        unit="entries",
        why="The paper's condition, 10, is sparser than any trained network we know.",
    )
    train_images: int = setting(
        0,
        "[0, inf)",
        "Use only so many training images; 0: all.",
        unit="images",
        why="Of each class as many, in the order of the files.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.circuit_unknowns > UNKNOWNS_LIMIT:
            must = f"leave the explicit history system at most {UNKNOWNS_LIMIT} unknowns"
            order, weights = shown(self.circuit_order), shown(self.circuit_weights)
            actual = f"{order}: {self.circuit_unknowns:.3g} of them with {weights} weights"
            raise argument_error("circuit_order", must, actual)
        _ = self.schedule

    @property
    def circuit_unknowns(self) -> float:
        """Rows of the circuit instance's history matrix."""
        return history_unknowns(
            self.circuit_weights, self.circuit_order, self.circuit_steps, self.circuit_padding
        )

    @property
    def schedule(self) -> Schedule | AdaptiveSchedule:
        """The part that the hybrid training needs."""
        if self.tolerance:
            steps = self.segment * self.rounds
            return AdaptiveSchedule(
                self.tolerance,
                steps=steps,
                learning_rate=self.learning_rate,
                shots=self.shots,
                engine=self.engine,
                most_seconds=self.most_seconds,
            )
        return Schedule(
            self.order,
            self.segment,
            self.rounds,
            self.learning_rate,
            self.shots,
            engine=self.engine,
            most_seconds=self.most_seconds,
        )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self)


def history_unknowns(variables: int, order: int, steps: int, padding: int) -> float:
    """Rows of an explicit history matrix, (T + p + 1) sum_j ((n + 1)^j - 1); infinity beyond 10^30.

    Example:
        >>> history_unknowns(2, 2, 4, 3), history_unknowns(2, 3_000_000, 4, 3)
        (80, inf)
    """
    if order * math.log10(variables + 1) + math.log10(steps + padding + 1) > 30:
        return math.inf  # before a power of a million digits is computed
    return (steps + padding + 1) * sum((variables + 1) ** j - 1 for j in range(1, order + 1))
