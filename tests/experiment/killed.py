"""A kill in the middle of a job, as an exception that progress raises."""

from qdescent.experiment.progress import Silent


class KilledError(Exception):
    """Stands for the kill."""


class KilledAt(Silent):
    """Progress that ends the process's work at the k-th sign of life."""

    def __init__(self, k: int) -> None:
        self.left = k

    def advance(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise KilledError
