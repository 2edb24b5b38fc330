"""State files as the package writes them, signed again after a change."""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors.torch import save

from qdescent.experiment.origin import origin_of
from qdescent.report.state import STATE_FORMAT, fingerprint


def state(stage: str, tensors: dict[str, torch.Tensor], extra: dict[str, Any]) -> bytes:
    """A state file as `save_state` writes it, of a run with these settings."""
    content = {
        "stage": stage,
        "origin": origin_of(extra.get("settings", extra), "x"),
        "extra": extra,
    }
    return signed(json.dumps(content), tensors)


def signed(content: str, tensors: dict[str, torch.Tensor]) -> bytes:
    """The file of this text and these tensors, with its checksum."""
    return save(
        tensors,
        {"format": STATE_FORMAT, "json": content, "sha256": fingerprint(content, tensors)},
    )


def text_of(content: bytes) -> str:
    """The text of a state file."""
    length = int.from_bytes(content[:8], "little")
    return str(json.loads(content[8 : 8 + length])["__metadata__"]["json"])
