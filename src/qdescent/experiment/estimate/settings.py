"""The settings of `qdescent estimate`, each declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from qdescent.experiment.estimate.ranges import ranges_of
from qdescent.experiment.setting import PATH, SWITCH, TEXT, check_settings, setting

MACHINES = ("A100", "H100", "cluster", "this-cpu")


@dataclass(frozen=True)
class EstimateSettings:
    """The settings of `qdescent estimate`: each line is a flag, a key of the TOML file, its check,
    and a line of the documentation. What is left open comes from the run that `--from` names, else
    from the network of 7 million weights that was measured for this package.

    Raises:
        ArgumentError: a value outside its range.

    Example:
        >>> EstimateSettings(epsilon=2.0)
        Traceback (most recent call last):
            ...
        qdescent._checks.ArgumentError: Argument `epsilon` must be in (0, 1), but is 2.0.
    """

    command: ClassVar[str] = "estimate"

    from_: str = setting(
        "",
        PATH,
        "A directory of a run or a circuit: what was measured or counted there is used.",
        left_open="none",
    )
    n: int | None = setting(
        None, "[1, inf)", "n, kept weights.", unit="weights", left_open="697740"
    )
    parameters: int | None = setting(
        None, "[1, inf)", "P, all weights.", unit="weights", left_open="10 n"
    )
    order: int | None = setting(None, "[1, inf)", "N, the Carleman order.", left_open="2")
    steps: int | None = setting(None, "[1, inf)", "T, steps a round.", unit="steps", left_open="20")
    padding: int | None = setting(
        None,
        "[0, inf)",
        "p, copies of the end of a history.",
        unit="steps",
        left_open="of fewest queries",
    )
    kappa: float | None = setting(
        None, "[1, inf)", "Condition number of the history.", left_open="bounded by the norms"
    )
    success_probability: float | None = setting(
        None, "(0, 1]", "Chance of finding u_T in one solve.", left_open="by the norms"
    )
    learning_rate: float | None = setting(None, "(0, inf)", "eta, of the steps.", left_open="0.02")
    gradient_norm: float | None = setting(
        None,
        "(0, inf)",
        "||grad L||: F_0 is eta times it.",
        left_open="0.72",
        why="Measured on 7 million trained weights, batch of 32 (benchmarks/map_norms.py).",
    )
    second_norm: float | None = setting(
        None,
        "[0, inf)",
        "||grad^3 L||/2 as an unfolding: F_2 is eta times it.",
        left_open="262",
        why="Bounded with 99 % confidence on the same weights; 58 were seen.",
    )
    lambda_min: float | None = setting(
        None, "(-inf, inf)", "Least eigenvalue of the Hessian.", left_open="-2.24"
    )
    lambda_max: float | None = setting(
        None, "(-inf, inf)", "Largest eigenvalue of the Hessian.", left_open="6.21"
    )
    sparsity: int | None = setting(
        None,
        "[1, inf)",
        "s, non-zeros a row of the Hessian.",
        unit="entries",
        left_open="10, the paper's wish",
        why="Sparser than any trained network that was measured, in favour of the quantum side.",
    )
    coupling_sparsity: int | None = setting(
        None,
        "[0, inf)",
        "s_2, non-zeros a row of F_2 (of F_k s_2^(k/2)); 0: loaded for nothing.",
        unit="entries",
        left_open="s squared",
    )
    fresh_batches: bool = setting(
        False,
        SWITCH,
        "A batch a step (SGD): a table for each step.",
        why="Full-batch descent is the paper's.",
    )
    batch: int | None = setting(
        None, "[1, inf)", "Samples a gradient.", unit="samples", left_open="512"
    )
    forward_macs: int | None = setting(
        None,
        "[1, inf)",
        "Multiply-adds of one sample's forward pass.",
        unit="multiply-adds",
        left_open="9 P",
        why="Of the smooth ResNet-18 on images of 28 x 28.",
    )
    alpha_over_norm: float = setting(
        1.25, "[1, inf)", "alpha/||M|| of the block-encoding.", why="The largest that was measured."
    )
    epsilon: float = setting(
        1e-3, "(0, 1)", "l2 error of one solve.", why="Below the readout error."
    )
    readout: str = setting(
        "sampling", ("sampling", "coherent"), "How u_T is read.", why="Coherent needs one long run."
    )
    readout_error: float | None = setting(
        None, "(0, 1)", "l2 error of what is read.", left_open="a run's shots, else 0.01"
    )
    shots: int | None = setting(
        None, "[1, inf)", "Shots for the magnitudes.", unit="shots", left_open="m/(4 error^2)"
    )
    largest: int | None = setting(
        None,
        "[1, inf)",
        "m, the largest entries that are read; the rest stays at the pivot.",
        unit="entries",
        left_open="all",
    )
    error_rate: float = setting(
        1e-3, "(0, 0.01)", "Error of a physical operation.", why="What is reached today."
    )
    cycle_time_ns: float = setting(
        400.0,
        "[0.001, inf)",
        "One error-correction cycle.",
        unit="ns",
        why="Superconducting qubits.",
    )
    budget: float = setting(1e-2, "(0, 1)", "Chance that a run fails.", why="Below the readout's.")
    machine: str = setting(
        "A100", MACHINES, "The classical machine; this-cpu is measured for a second.",
        why="What a laboratory has.",
    )  # fmt: skip
    sweep: tuple[str, ...] = setting(
        (),
        TEXT,
        "An input and its ends, n=1e4:1e12, or with a number of values, n=1e4:1e12:100; several"
        " make a grid. Written as CSV and JSON.",
        unit="sweep",
    )
    card: bool = setting(
        False, SWITCH, "Write the claim card, too: card.json and card.html.", why="It takes maps."
    )

    def __post_init__(self) -> None:
        check_settings(self)
        ranges_of(self.sweep)
