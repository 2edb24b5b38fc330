"""The settings of `qdescent spectrum`, checked before anything heavy is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_choice,
    check_integer,
    check_interval,
    check_sequence,
    check_text,
)
from qdescent.learning.pruning.criteria import MASKS

STATE_OF_JOB = "spectrum-settings"
PRECISIONS = ("float32", "float64", "bfloat16")
FINITE_DIFFERENCES = "finite-differences"
CURVATURES = ("hessian", "gauss-newton", FINITE_DIFFERENCES)


@dataclass(frozen=True)
class SpectrumSettings:
    """The settings of `qdescent spectrum`; each is a flag of the same name.

    Args:
        network: `package.module:function`, which returns a torch.nn.Module.
        data: an npz file, a folder of images or `module:function`.
        weights: a safetensors file or a checkpoint without code; empty: the weights that the
            function returns.
        arguments: of the function, "key=value" each.
        loss: "cross_entropy", "mse" or `module:function`, a mean over samples.
        mask: a safetensors file of kept places, or "nonzero": what is exactly 0 counts as pruned;
            empty: by density, or as `torch.nn.utils.prune` has it, or all that are trained.
        density: kept fraction of the trained matrices; None: by mask.
        prune_by: the criterion by which `density` prunes, a name in `MASKS`; those that look at
            data see the first batch. magnitude: the paper's.
        batch: samples that are in memory at once. 64: a ResNet of 7 million weights then needs
            about 2 GB.
        batches: how many of them H is the mean of. 1: a first look in minutes; a verdict wants
            thousands of samples.
        learning_rate: eta of the descent that is judged. 0.01: the paper authors' fine-tuning.
        momentum: beta of the heavy-ball method; the authors' is 0.9, the algorithm's own is 0.
        weight_decay: added to every eigenvalue for the judgement; the authors' is 2e-4.
        horizon: T steps. 60: twice the paper's early stage.
        steps: Lanczos steps. 64: E(t) is then exact up to t = 127, beyond the horizon.
        probes: random vectors. 4: the least whose spread means something.
        deflate: extreme eigenpairs that are found first and enter exactly, half from each end. 0:
            for d of them 5 d + 80 products more, which pay where a few outliers make the errors.
        rows: sampled rows of the Hessian whose entries are counted, one product each; 0: none. 16:
            6 % of the default's 64 x 4 products, and the mean is known to a quarter of the rows'
            spread.
        seed: of the probes and of the draw of samples.
        precision: "float32", "float64" or "bfloat16" (of the products alone; their error is
            measured).
        curvature: "hessian", "gauss-newton", or "finite-differences" of gradients (for a network
            without second derivatives; its error is measured).
        shard_vectors: spread the Lanczos vectors over the processes of torchrun, as well as the
            batches: 3 n / processes numbers a probe in each of them, for one more all_reduce a
            product. False: only where memory asks for it.
        device: "cpu" or "cuda"; empty: CUDA where there is a GPU.

    Raises:
        ArgumentError: a value outside its range.

    Example:
        >>> SpectrumSettings("a:b", "c.npz", momentum=1.0)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `momentum` must be in [0, 1), but is 1.0.
    """

    network: str
    data: str
    weights: str = ""
    arguments: tuple[str, ...] = ()
    loss: str = "cross_entropy"
    mask: str = ""
    density: float | None = None
    prune_by: str = "magnitude"
    batch: int = 64
    batches: int = 1
    learning_rate: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    horizon: int = 60
    steps: int = 64
    probes: int = 4
    deflate: int = 0
    rows: int = 16
    seed: int = 0
    precision: str = "float32"
    curvature: str = "hessian"
    shard_vectors: bool = False
    device: str = ""

    def __post_init__(self) -> None:
        for name in ("network", "data", "loss"):
            check_text(name, getattr(self, name))
        for name in ("weights", "mask", "device"):
            check_text(name, getattr(self, name), empty=True)
        check_boolean("shard_vectors", self.shard_vectors)
        arguments = check_sequence(
            "arguments", self.arguments, str, called="texts, key=value each", empty=True
        )
        object.__setattr__(self, "arguments", arguments)
        for name in ("batch", "batches", "horizon", "steps", "probes"):
            check_integer(name, getattr(self, name), 1)
        for name in ("deflate", "rows", "seed"):
            check_integer(name, getattr(self, name), 0)
        for name, interval in (
            ("learning_rate", "(0, inf)"),
            ("momentum", "[0, 1)"),
            ("weight_decay", "[0, inf)"),
        ):
            check_interval(name, getattr(self, name), interval)
        if self.density is not None:
            check_interval("density", self.density, "(0, 1]")
            if self.mask:
                raise argument_error("density", "be left out where a mask is given", self.density)
        if check_choice("prune_by", self.prune_by, MASKS) != "magnitude" and self.density is None:
            raise argument_error("density", "be given where prune_by is", "missing")
        check_choice("precision", self.precision, PRECISIONS)
        check_choice("curvature", self.curvature, CURVATURES)
        if self.curvature == FINITE_DIFFERENCES and self.precision == "bfloat16":
            raise argument_error(
                "precision", "be float32 or float64 for finite differences", repr(self.precision)
            )
        if self.shard_vectors and self.deflate:
            raise argument_error("deflate", "be 0 where vectors are sharded", self.deflate)

    def code(self) -> dict[str, tuple[str, ...]]:
        """The settings that run code, name -> words of the command line: functions as
        module:function, the network's arguments.
        """
        named: dict[str, tuple[str, ...]] = {"network": (self.network,)}
        if ":" in self.data:
            named["data"] = ("--data", self.data)
        if ":" in self.loss:
            named["loss"] = ("--loss", self.loss)
        if self.arguments:
            named["arguments"] = tuple(
                word for each in self.arguments for word in ("--arguments", each)
            )
        return named

    def again(self, directory: Path) -> str:
        """The command that goes on with an unfinished measurement of these settings."""
        words = [word for each in self.code().values() for word in each]
        return shlex.join(["qdescent", "spectrum", *words, "--resume", "--out", str(directory)])


def spectrum_settings(given: Mapping[str, Any]) -> SpectrumSettings:
    """The settings of a new measurement.

    Args:
        given: flags by name; None: not given.

    Raises:
        ArgumentError: a bad or missing setting.
    """
    for name in ("network", "data"):
        if given.get(name) is None:
            raise argument_error(name, "be given (see qdescent spectrum --help)", "missing")
    return SpectrumSettings(**{name: value for name, value in given.items() if value is not None})
