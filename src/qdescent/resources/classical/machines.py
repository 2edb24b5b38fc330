"""Classical machines: what they do in a second, what they draw and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._checks import (
    argument_error,
    check_interval,
    check_numbers,
    check_text,
    shown,
)
from qdescent._evidence import Evidence


@dataclass(frozen=True)
class Accelerator:
    """The classical machine.

    Args:
        name: what it is.
        flops: peak operations a second (19.5e12: NVIDIA A100 data sheet, FP32 without tensor cores,
            as torch computes by default).
        bandwidth: bytes a second (2.039e12: the same sheet, 80 GB SXM).
        efficiency: sustained fraction of the peak (.4: model FLOP utilisations of 21 to 46 % in
            PaLM, arXiv:2204.02311).
        watts: drawn, least and most (400 W: the same sheet, the board's limit, 300 the rest of its
            server's share).
        dollars_an_hour: rent, least and most (1 to 4 dollars: public price lists of 2024 and 2025).
        evidence: how flops and bandwidth are known.
    """

    name: str = "one A100"
    flops: float = 19.5e12
    bandwidth: float = 2.039e12
    efficiency: float = 0.4
    watts: tuple[float, float] = (400.0, 700.0)
    dollars_an_hour: tuple[float, float] = (1.0, 4.0)
    evidence: Evidence = Evidence.ASSUMED

    def __post_init__(self) -> None:
        check_text("name", self.name)
        for name in ("flops", "bandwidth"):
            value = check_interval(name, getattr(self, name), "(0, inf)")
            object.__setattr__(self, name, value)
        object.__setattr__(
            self, "efficiency", check_interval("efficiency", self.efficiency, "(0, 1]")
        )
        for name in ("watts", "dollars_an_hour"):
            object.__setattr__(self, name, check_range(name, getattr(self, name)))
        if not isinstance(self.evidence, Evidence):
            raise argument_error("evidence", "be a member of `qdescent.Evidence`", self.evidence)

    @property
    def rate(self) -> float:
        """Sustained operations a second."""
        return self.flops * self.efficiency


def check_range(name: str, ends: tuple[float, float]) -> tuple[float, float]:
    """Check the least and the most of what is only known as a range."""
    called = "two numbers, the least and the most"
    given = check_numbers(name, ends, "[0, inf)", called)
    low, high = (*given, *given)[:2]
    if len(given) != 2 or low > high:
        raise argument_error(name, f"be {called}", shown(ends))
    return low, high


A100 = Accelerator()
# NVIDIA H100 data sheet, SXM: 67 TFLOP/s of FP32 without tensor cores, 3.35 TB/s, 700 W
H100 = Accelerator("one H100", 67e12, 3.35e12, 0.4, (700.0, 1200.0), (2.0, 8.0))
# a thousand of them and more at the utilisation of PaLM, which holds what the links cost
CLUSTER = Accelerator(
    "1,024 H100", 1024 * 67e12, 1024 * 3.35e12, 0.4, (1024 * 700.0, 1024 * 1200.0),
    (1024 * 2.0, 1024 * 8.0),
)  # fmt: skip
MACHINES = (A100, H100, CLUSTER)


def measured_cpu(flops: float, bandwidth: float) -> Accelerator:
    """A processor by what was measured on it: sustained, so that its efficiency is 1.

    Args:
        flops: operations a second.
        bandwidth: bytes a second.
    """
    # a processor of a server: 50 to 300 W; its rent is a few cents to half a dollar an hour
    return Accelerator(
        "this CPU", flops, bandwidth, 1.0, (50.0, 300.0), (0.02, 0.5), Evidence.MEASURED
    )
