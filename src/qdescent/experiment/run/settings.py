"""Every setting of the main job, its default and the reason; from a TOML file and flags."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from qdescent._checks import (
    argument_error,
    check_choice,
    check_integer,
    check_interval,
    shown,
)
from qdescent.learning.pruning.criteria import MASKS
from qdescent.reading.documents import read_toml
from qdescent.training.schedule import AdaptiveSchedule, Schedule

# of the circuit instance, 12 system qubits: a state vector of a few MB, a circuit of minutes
UNKNOWNS_LIMIT = 4096


@dataclass(frozen=True)
class Settings:
    """The settings of `qdescent run`; each is also a TOML key and a flag of the same name.

    Args:
        density: kept fraction of the prunable weights. 0.1: the paper prunes 90 %.
        prune_by: the criterion of what is kept, a name in `MASKS`; those that look at data see the
            first round's batch. magnitude: the paper's.
        learning_rate: eta of descent after pruning. 0.02: at N = 2, K = 20 the truncation error
            stays below 1 % (measured).
        order: N of the Carleman linearisation. 2: the least that sees the curvature change.
        segment: K, steps between an upload and a download.
        rounds: R, uploads.
        tolerance: on the truncation error; segments then have the length (and order, 2 or 3) that
            its estimate allows, until all R K steps are done. 0: every segment has K steps of order
            N.
        shots: S per readout for magnitudes, and as many for signs.
        batch: samples of each round's fixed batch. 512: the paper authors' fine-tuning batch.
        seed: of every random draw.
        data_root: folder with the full Fashion-MNIST files; empty: the embedded subset of 5,000 +
            1,000 images.
        epochs: of dense training before pruning. 8: the test accuracy has levelled off.
        width: channels of the first convolution; the next ones have twice and four times as many.
            16: about 100,000 weights.
        probes: random vectors of each spectrum. 4: the least whose spread means something.
        lanczos_steps: products per probe. 64: E(t) is then exact for even t up to 127, up to probe
            noise, which is beyond the R K = 100 steps of the run.
        circuit_weights: kept weights of the instance that is solved as a circuit, the largest ones.
        circuit_order: N of that instance.
        circuit_steps: T of that instance.
        circuit_learning_rate: eta of that instance. 3: large enough that order 1 misses true
            descent by 2 % and order 2 does not (measured), so that the circuit has something to
            show; two weights alone would be dull at 0.02.
        circuit_padding: p of that instance. 3: eight blocks of time, a whole number of qubits.
        circuit_epsilon: the circuit's promised relative error. 1e-4: ten times below the 1e-3 that
            is asked of u_T.
        sparsity: non-zeros a row of the Hessian, the paper's s, assumed for the ledger. 10: sparser
            than any trained network we know, in favour of the quantum side.
        train_images: use only the first so many training images of each class-balanced order; 0:
            all.

    Raises:
        ArgumentError: a value outside its range.

    Example:
        >>> Settings(density=1.5)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `density` must be in (0, 1], but is 1.5.
    """

    density: float = 0.1
    prune_by: str = "magnitude"
    learning_rate: float = 0.02
    order: int = 2
    segment: int = 20
    rounds: int = 5
    tolerance: float = 0.0
    shots: int = 1_000_000
    batch: int = 512
    seed: int = 0
    data_root: str = ""
    epochs: int = 8
    width: int = 16
    probes: int = 4
    lanczos_steps: int = 64
    circuit_weights: int = 2
    circuit_order: int = 2
    circuit_steps: int = 4
    circuit_learning_rate: float = 3.0
    circuit_padding: int = 3
    circuit_epsilon: float = 1e-4
    sparsity: int = 10
    train_images: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "str" and not isinstance(value, str):
                raise argument_error(field.name, "be a text", value)
        check_interval("density", self.density, "(0, 1]")
        check_choice("prune_by", self.prune_by, MASKS)
        check_interval("tolerance", self.tolerance, "[0, 1)")
        check_interval("circuit_epsilon", self.circuit_epsilon, "(0, 1)")
        check_interval("circuit_learning_rate", self.circuit_learning_rate, "(0, inf)")
        for name in ("seed", "circuit_padding", "train_images"):
            check_integer(name, getattr(self, name), 0)
        for name in ("shots", "batch", "epochs", "width", "lanczos_steps", "sparsity"):
            check_integer(name, getattr(self, name), 1)
        for name in ("segment", "rounds", "circuit_weights", "circuit_order", "circuit_steps"):
            check_integer(name, getattr(self, name), 1)
        check_integer("probes", self.probes, 2)
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
                self.tolerance, steps=steps, learning_rate=self.learning_rate, shots=self.shots
            )
        return Schedule(self.order, self.segment, self.rounds, self.learning_rate, self.shots)

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


def load_settings(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Settings from a TOML file, overridden by the flags that were given.

    Args:
        config: a TOML file of `key = value` lines, or None.
        flags: name -> value; None stands for a flag that was not given.

    Raises:
        ArgumentError: the file cannot be read or is not TOML; a key that is not a setting (the
            nearest one is named); a bad value.
    """
    values = read_toml("config", config) if config is not None else {}
    known = [field.name for field in fields(Settings)]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key[:100].replace("-", "_"), known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise argument_error(
                "config",
                "hold only keys that are settings (see qdescent run --help)",
                f"holding {shown(key)}{hint}",
            )
    values.update({name: value for name, value in flags.items() if value is not None})
    floats = {field.name for field in fields(Settings) if field.type == "float"}
    typed: dict[str, Any] = {
        key: _as_float(value) if key in floats else value for key, value in values.items()
    }
    return Settings(**typed)


def _as_float(value: Any) -> Any:
    """A whole number as a float; one that no float can hold stays, for its setting to refuse."""
    try:
        return float(value) if type(value) is int else value
    except OverflowError:
        return value
