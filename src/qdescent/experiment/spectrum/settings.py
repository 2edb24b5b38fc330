"""The settings of `qdescent spectrum`, each declared once."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import ClassVar

from qdescent._checks import argument_error
from qdescent.experiment import shared_settings as shared
from qdescent.experiment.code_settings import code_of, command_again
from qdescent.experiment.setting import PATH, SWITCH, TEXT, check_settings, setting
from qdescent.learning.pruning.criteria import MASKS

STATE_OF_JOB = "spectrum-settings"
PRECISIONS = ("float32", "float64", "bfloat16")
FINITE_DIFFERENCES = "finite-differences"
FASTER = "faster"  # of the ways to a product, by the clock
WAYS = ("auto", "taylor", "double-backward", FASTER)
CURVATURES = ("hessian", "gauss-newton", FINITE_DIFFERENCES)


@dataclass(frozen=True)
class SpectrumSettings:
    """The settings of `qdescent spectrum`: each line is a flag, a key of the TOML file, its check,
    and a line of the documentation.

    Raises:
        ArgumentError: a value outside its range, or two that do not go together.

    Example:
        >>> SpectrumSettings("a:b", "c.npz", momentum=1.0)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `momentum` must be in [0, 1), but is 1.0.
    """

    command: ClassVar[str] = "spectrum"

    network: str = setting(
        MISSING, TEXT, "package.module:function, which returns a torch.nn.Module.", positional=True
    )
    data: str = setting(
        MISSING,
        PATH,
        "An .npz of inputs and targets, a folder of images by class, or module:function.",
    )
    weights: str = setting(
        "",
        PATH,
        "Safetensors file (or a checkpoint without code).",
        left_open="as NETWORK returns it",
    )
    weights_key: str = shared.weights_key()
    arguments: tuple[str, ...] = shared.arguments()
    loss: str = shared.loss()
    mask: str = setting(
        "",
        PATH,
        "Safetensors file, 1 where a weight is kept, else 0 (what it lacks is whole); or nonzero.",
        left_open="by density, or as torch.nn.utils.prune has it, or all",
        why="nonzero: what is exactly 0 counts as pruned.",
    )
    density: float | None = setting(
        None,
        "(0, 1]",
        "Prune to this fraction instead; 1 keeps all.",
        left_open="by the mask",
    )
    prune_by: str = setting(
        "magnitude",
        tuple(MASKS),
        "How it prunes.",
        why="The paper's. Those that look at data see the first batch.",
    )
    batch: int = setting(
        64,
        "[1, inf)",
        "Samples in memory at once.",
        unit="samples",
        why="A ResNet of 7 million weights then needs about 2 GB.",
    )
    batches: int = setting(
        1,
        "[1, inf)",
        "Batches that the Hessian is the mean of, if the data hold so many.",
        unit="batches",
        why="A first look in minutes; a verdict wants thousands of samples.",
    )
    learning_rate: float = setting(
        0.01,
        "(0, 1e100]",
        "Eta of the descent that is judged.",
        why="The paper authors' fine-tuning.",
    )
    momentum: float = setting(
        0.0,
        "[0, 1)",
        "Beta of that descent.",
        why="The algorithm's own; the authors' is 0.9.",
    )
    weight_decay: float = setting(
        0.0,
        "[0, 1e100]",
        "Weight decay of that descent.",
        why="Added to every eigenvalue for the judgement; the authors' is 2e-4.",
    )
    horizon: int = setting(
        60,
        "[1, 1000000]",
        "T, steps over which it is judged.",
        unit="steps",
        why="Twice the paper's early stage.",
    )
    steps: int = setting(
        64,
        "[1, 20000]",
        "Lanczos steps, Hessian products per probe.",
        unit="products",
        why="E(t) is then exact up to t = 127, beyond the horizon.",
    )
    probes: int = setting(
        4,
        "[1, 4096]",
        "Random vectors; they give the error bars.",
        unit="vectors",
        why="The least whose spread means something.",
    )
    deflate: int = setting(
        0,
        "[0, inf)",
        "Extreme eigenvalues to find first: they enter exactly, probes see the rest.",
        unit="eigenpairs",
        why="Half from each end. For d of them 5 d + 80 products more, which pay where a few"
        " outliers make the errors.",
    )
    rows: int = setting(
        16,
        "[0, inf)",
        "Rows of the Hessian to sample for its sparsity, a product each; 0: none.",
        unit="rows",
        why="6 % of the default's 64 x 4 products, and the mean is known to a quarter of the rows'"
        " spread.",
    )
    seed: int = setting(0, "[0, inf)", "Seed of the probes and of the draws of samples and rows.")
    precision: str = setting(
        "float32",
        PRECISIONS,
        "Type of the numbers.",
        why="bfloat16: of the products alone; their error is measured.",
    )
    curvature: str = setting(
        "hessian",
        CURVATURES,
        "The matrix; finite-differences of gradients want float64.",
        why="finite-differences: for a network without second derivatives; its error is measured.",
    )
    products: str = setting(
        "auto",
        WAYS,
        "Way to a product with the Hessian; faster: both are timed on the first products.",
        why="auto: taylor where it is possible, by no clock, so that a seed gives the same bits."
        " Which is faster depends on the machine; what was timed is saved and kept.",
    )
    shard_vectors: bool = setting(
        False,
        SWITCH,
        "Spread the Lanczos vectors over torchrun's processes.",
        why="3 n / processes numbers a probe in each of them, for one more all_reduce a product:"
        " only where memory asks for it.",
    )
    device: str = shared.device()

    def __post_init__(self) -> None:
        check_settings(self)
        if self.weights_key and not self.weights:
            raise argument_error("weights", "be given where weights_key is", "missing")
        if self.density is not None and self.mask:
            raise argument_error("density", "be left out where a mask is given", self.density)
        if self.prune_by != "magnitude" and self.density is None:
            raise argument_error("density", "be given where prune_by is", "missing")
        if self.curvature == FINITE_DIFFERENCES and self.precision == "bfloat16":
            raise argument_error(
                "precision", "be float32 or float64 for finite differences", repr(self.precision)
            )
        if self.products != "auto" and self.curvature != "hessian":
            must = "be auto for a matrix that is not the hessian"
            raise argument_error("products", must, repr(self.products))
        if self.shard_vectors and self.deflate:
            raise argument_error("deflate", "be 0 where vectors are sharded", self.deflate)

    def code(self) -> dict[str, tuple[str, ...]]:
        """The settings that run code, name -> words of the command line: functions as
        module:function, the network's arguments.
        """
        return code_of(self, ("data", "loss"))

    def again(self, directory: Path) -> str:
        """The command that goes on with an unfinished measurement of these settings."""
        return command_again(self, directory)
