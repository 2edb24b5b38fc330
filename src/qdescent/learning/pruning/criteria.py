"""`MASKS`: the pruning criteria by name.

A criterion is a function (network, task, density, generator) -> Mask in a file of this room; its
line in `MASKS` makes it a choice of `--prune-by` and a case of the conformance tests. The line
names the function, which is imported when it is first called: the command line refuses a name
without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from qdescent._checks import argument_error, check_interval, check_methods

if TYPE_CHECKING:
    import torch
    from torch import nn

    from qdescent.learning.masks import Mask
    from qdescent.learning.task import Task


@dataclass(frozen=True)
class Criterion:
    """Which weights are kept, by a rule that may look at data.

    Args:
        home: "file:function" in this room.
        keeps: words for what it keeps, for the record of a run.
        needs_task: True where it looks at the outputs or the loss of a batch.

    Example:
        >>> import torch
        >>> from qdescent import Task
        >>> layer = torch.nn.Linear(4, 1, bias=False)
        >>> with torch.no_grad():
        ...     _ = layer.weight.copy_(torch.tensor([[1.0, -2.0, 3.0, 0.5]]))
        >>> task = Task(layer, torch.nn.functional.mse_loss, (torch.eye(4), torch.zeros(4, 1)))
        >>> MASKS["snip"](layer, task, density=0.5).keep["weight"].tolist()
        [[False, True, True, False]]
    """

    home: str
    keeps: str
    needs_task: bool = False

    def __call__(
        self,
        network: nn.Module,
        task: Task | None = None,
        density: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> Mask:
        """The mask of this criterion.

        Args:
            network: any module, as it stands; nothing of it is changed.
            task: the network under a loss, on the batch that the criterion looks at; None where it
                looks at none.
            density: the kept fraction of the *prunable* weights, in (0, 1]. 0.1 is the paper's main
                setting (90 % pruned).
            generator: of a criterion that draws, on the CPU; None: that of seed 0.

        Returns:
            Mask: exactly round(density * count) prunable weights are kept (at least one), and all
                biases and scales of norms.

        Raises:
            ArgumentError: density outside (0, 1]; a criterion that needs a task gets none, or one
                of another network; NaN weights.
        """
        check_methods("network", network, ("named_parameters",), "a torch.nn.Module")
        density = check_interval("density", density, "(0, 1]")
        if task is None and self.needs_task:
            must = "be a Task: this criterion looks at its network's outputs or loss"
            raise argument_error("task", must, "None")
        if task is not None:
            check_methods("task", task, ("loss_and_gradient",), "a Task or None")
            if task.network is not network:
                raise argument_error("task", "be of the network to be pruned", "of another one")
        if generator is not None:
            check_methods("generator", generator, ("initial_seed",), "a torch.Generator or None")
            if generator.device.type != "cpu":
                raise argument_error("generator", "be on the CPU", f"on {generator.device}")
        room = __name__.rpartition(".")[0]
        file, _, function = self.home.partition(":")
        rule = getattr(import_module(f"{room}.{file}"), function)
        # another thread that measures lends the network other weights meanwhile
        with import_module("qdescent.learning.untouched").ALONE:
            import_module(f"{room}.scores").prunable(network)  # weights that hold numbers
            mask: Mask = rule(network, task, density, generator)
        return mask


MASKS: Mapping[str, Criterion] = MappingProxyType(
    {
        "magnitude": Criterion("magnitude:magnitude", "largest magnitudes"),
        "layerwise-magnitude": Criterion(
            "magnitude:layerwise_magnitude", "largest magnitudes of each layer"
        ),
        "random": Criterion("at_random:at_random", "weights drawn at random"),
        "snip": Criterion("first_order:snip", "largest |gradient x weight| on one batch", True),
        "gradient-times-weight": Criterion(
            "first_order:gradient_times_weight",
            "largest first-order growth of the loss by removal on one batch",
            True,
        ),
        "grasp": Criterion(
            "second_order:grasp", "largest weight x (Hessian gradient) on one batch", True
        ),
        "synflow": Criterion(
            "synaptic_flow:synflow", "largest share of the flow of ones through the moduli", True
        ),
    }
)
"""The pruning criteria by name; each is called as (network, task, density, generator)."""
