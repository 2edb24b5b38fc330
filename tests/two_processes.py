"""Two ranks as children that are forked, so that nothing is imported again: what torchrun starts,
its variables and all.
"""

import os
import socket
from collections.abc import Callable

from fault_injection import start


def forked(work: Callable[[], object]) -> list[tuple[int, str]]:
    """(exit code, what was printed) of each of two ranks that do this work."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def ranked(rank: int) -> Callable[[], object]:
        def child() -> object:
            os.environ |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            return work()

        return child

    return [child.end()[:2] for child in [start(ranked(rank)) for rank in range(2)]]
