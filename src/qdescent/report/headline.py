"""The headline of a job for other programs: one JSON object."""

from __future__ import annotations

import json
from pathlib import Path

from qdescent._evidence import Row


def headline_json(command: str, seconds: float, labelled: list[tuple[str, Row]], page: Path) -> str:
    """`command`, `seconds`, `directory`, `page`, and `rows`: each as in `run.json`, with its label.

    Args:
        command: the subcommand.
        seconds: that it took.
        labelled: rows, each with a label.
        page: the HTML page, in the directory of the results.

    Example:
        >>> from qdescent._evidence import Evidence
        >>> from qdescent.rows import names
        >>> kept = Row(names.NETWORK_KEPT, 10, "weights", Evidence.EXACT, "entries of the mask")
        >>> made = headline_json("run", 1.5, [("kept weights", kept)], Path("runs/a/report.html"))
        >>> json.loads(made)["rows"][0]["label"], json.loads(made)["directory"]
        ('kept weights', 'runs/a')
    """
    content = {
        "command": command,
        "seconds": round(seconds, 3),
        "directory": str(page.parent),
        "page": str(page),
        "rows": [{"label": label, **row.to_json()} for label, row in labelled],
    }
    return json.dumps(content, indent=1, allow_nan=False)
