"""What trainers hand around, as samples: rows of Hugging Face's `datasets`, data modules of
Lightning, and batches that hold their labels.

Neither library is imported: what they hand over says by its methods what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from qdescent._checks import argument_error
from qdescent.learning.batches import taken

LABELS = ("labels", "label", "targets")


def unwrapped(name: str, data: Any) -> Any:
    """The loader of a Lightning data module (or of a module that has its own), made ready for
    training; anything else as it is.

    Args:
        name: `module:function`, for what is said.
        data: what it returned.

    Raises:
        ArgumentError: a module with several loaders or none; the splits of a Hugging Face data set,
            of which one is to be chosen.
    """
    if isinstance(data, Mapping) and data and all(map(is_rows, data.values())):
        split = next(iter(data))
        must = f"be one split (return dataset[{split!r}])"
        raise argument_error("data", must, f"{name!r}: {', '.join(map(repr, data))}")
    if not callable(getattr(data, "train_dataloader", None)):
        return data
    for method, given in (("prepare_data", ()), ("setup", ("fit",))):
        if callable(getattr(data, method, None)):
            getattr(data, method)(*given)
    loader = data.train_dataloader()
    if not isinstance(loader, DataLoader):
        must = "have one DataLoader for training (return that loader where there are several)"
        raise argument_error("data", must, f"{name!r}, whose train_dataloader() is no such")
    return loader


def is_rows(data: Any) -> bool:
    """Whether it is a map-style data set of Hugging Face: rows by number, columns by name."""
    return (
        not isinstance(data, (Dataset, Mapping))
        and hasattr(data, "column_names")
        and hasattr(data, "__len__")
        and hasattr(data, "__getitem__")
    )


def columns_of(data: Any, places: list[int], network: nn.Module | None) -> dict[str, Tensor]:
    """These rows as a tensor for each column that holds labels or has a name of the network's
    arguments, as Hugging Face's Trainer keeps them.

    Raises:
        ArgumentError: a column that is wanted and is ragged, or holds no numbers.
    """
    rows = dict(data[places])
    wanted = rows if network is None else taken(network, rows)
    label = next((key for key in LABELS if key in rows), None)
    found = {}
    for key, values in rows.items():
        if key not in wanted and key != label:
            continue
        try:
            found[key] = (
                values if isinstance(values, Tensor) else torch.as_tensor(values, device="cpu")
            )
        except (ValueError, TypeError, RuntimeError):
            must = (
                f"hold numbers in rows of one length in its column {key!r} (pad token ids:"
                " tokenizer(text, padding='max_length', truncation=True))"
            )
            raise argument_error("data", must, "ragged, or without numbers") from None
    return found


def labels_apart(batch: Any) -> Any:
    """(inputs, labels) of a batch that holds its labels by their usual name, for a loss of outputs
    and targets; anything else as it is.

    Example:
        >>> inputs, targets = labels_apart({"pixel_values": 1, "labels": 2})
        >>> inputs, targets
        ({'pixel_values': 1}, 2)
    """
    label = next((key for key in LABELS if isinstance(batch, Mapping) and key in batch), None)
    if label is None:
        return batch
    return {key: value for key, value in batch.items() if key != label}, batch[label]
