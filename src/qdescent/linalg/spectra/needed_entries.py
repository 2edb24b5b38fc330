"""How many entries a row of a Hessian a segment of descent needs: a law from stored Hessians."""

from __future__ import annotations

from dataclasses import dataclass

from qdescent._checks import check_integer, check_interval
from qdescent._evidence import Evidence, Row

# Least squares in logarithms at order 2, by benchmarks/needed_sparsity.py: 72 points of GELU CNNs,
# trained and pruned by magnitude to 4,438 and 10,792 weights, three seeds, three segments, errors
# of .001 to .03. With the power of n left free it is 1.03 +- .05.
SHARE, POWER_OF_ACCURACY, POWER_OF_TIME = 0.0166, 0.524, 0.506
SPREAD = 1.21  # one standard deviation of a point, as a factor
MEASURED_TO = 10_792  # weights: beyond it the law is extrapolated
SOURCE = (
    f"s = {SHARE} n (eta T)^{POWER_OF_TIME} / error^{POWER_OF_ACCURACY}, n at most, within a factor"
    f" of {SPREAD}: fitted to 72 segments of pruned CNNs of 4,438 to {MEASURED_TO:,} weights"
    " (benchmarks/needed_sparsity.py)"
)


@dataclass(frozen=True)
class NeededEntries:
    """What the law says of one segment.

    Args:
        entries: s, entries a row.
        low, high: s divided and multiplied by the spread of the points that were fitted.
        size: n.
        accuracy: relative error of the segment.
        time: eta T.
    """

    entries: float
    low: float
    high: float
    size: int
    accuracy: float
    time: float

    def row(self, name: str) -> Row:
        """The number with its source, under this name."""
        here = f"n = {self.size:,}, error {self.accuracy:g}, eta T = {self.time:g}"
        beyond = f"; extrapolated beyond {MEASURED_TO:,} weights" * (self.size > MEASURED_TO)
        between = f"{self.low:.3g} to {self.high:.3g}"
        source = f"{between} at {here}: {SOURCE}{beyond}"
        return Row(name, self.entries, "entries", Evidence.MODELLED, source)


def needed_entries(size: int, time: float, accuracy: float = 0.01) -> NeededEntries:
    """The entries a row that a segment of descent asks for when each row of the Hessian keeps its
    largest ones: a share of the row that does not fall with n.

        s = .0166 n (eta T)^.506 / error^.524, at most n.

    Measured on a thousand to ten thousand kept weights of trained CNNs whose largest modes are 1.6
    to 4, so that eta T and eta lambda T cannot be told apart; below 4,000 weights fewer suffice. A
    Krylov space of 2 to 5 vectors does the same.

    Args:
        size: n.
        time: eta T, learning rate times steps.
        accuracy: relative error of u_T that dropped entries may make.

    Example:
        >>> found = needed_entries(10_000, time=0.4, accuracy=0.01)
        >>> [round(each) for each in (found.low, found.entries, found.high)]
        [964, 1166, 1411]
    """
    size = check_integer("size", size, 1)
    time = check_interval("time", time, "(0, inf)")
    accuracy = check_interval("accuracy", accuracy, "(0, 1)")
    share = SHARE * time**POWER_OF_TIME * accuracy**-POWER_OF_ACCURACY
    low, entries, high = (size * min(share * factor, 1.0) for factor in (1 / SPREAD, 1.0, SPREAD))
    return NeededEntries(entries, low, high, size, accuracy, time)
