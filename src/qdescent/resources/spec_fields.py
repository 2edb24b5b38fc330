"""The fields of a round that is priced, each in its own type and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qdescent._checks import (
    argument_error,
    check_boolean,
    check_instance,
    check_integer,
    check_interval,
    check_text,
    shown,
)
from qdescent._evidence import Evidence
from qdescent.linalg.map_norms import MapNorms
from qdescent.resources.history_choice import check_grams
from qdescent.resources.row_entries import MOST_ENTRIES

_LEAST = {
    "n": 1, "parameters": 1, "order": 1, "steps": 1, "padding": 0, "sparsity": 1, "batch": 1,
    "forward_macs": 1, "masked_macs": 1, "shots": 1, "angle_bits": 3, "coupling_sparsity": 0,
    "largest": 1,
}  # fmt: skip
# far beyond use, and soon computed; of others 10^30
_MOST = {"order": 64, "angle_bits": 1000, "n": MOST_ENTRIES}
_INTERVALS = {
    "kappa": "[1, inf)", "plain_kappa": "[1, inf)", "alpha_over_norm": "[1, 1e6]",
    "success_probability": "(0, 1]",
    "epsilon": "(0, 1)", "readout_error": "(0, 1)", "learning_rate": "(0, inf)",
    "lambda_min": "(-inf, inf)", "lambda_max": "(-inf, inf)",
    "fast_forward_gradients": "[1, inf)", "needed_sparsity": "[0, inf)",
}  # fmt: skip
# of other numbers: beyond, products and inverses would leave what floats can hold
_TINY, _HUGE = 1e-30, 1e300
_LEAST_SUCCESS = 1e-280  # norms may allow no more; runs are its inverse
Known = Mapping[str, tuple[Evidence, str]]
# whose word and source `known` says; the others have fields of their own
SAID = (
    "n", "parameters", "order", "steps", "batch", "forward_macs", "learning_rate",
    "alpha_over_norm", "epsilon", "grams", "shots", "padding",
    "masked_macs",
)  # fmt: skip


def word_of(known: Known, name: str) -> Evidence:
    """How an input is known; what is not there is assumed."""
    return known[name][0] if name in known else Evidence.ASSUMED


def checked_field(name: str, value: Any) -> Any:
    """A field in its own type.

    Args:
        name, value: of the field.

    Raises:
        ArgumentError: a value that this field cannot have.
    """
    if name in _LEAST:
        return check_integer(name, value, _LEAST[name], _MOST.get(name, 10**30))
    if name in _INTERVALS:
        value = check_interval(name, value, _INTERVALS[name])
        tiny = _LEAST_SUCCESS if name == "success_probability" else _TINY
        if value and not tiny <= abs(value) <= _HUGE:
            raise argument_error(name, f"lie between {tiny:g} and {_HUGE:g}", repr(value))
        return value
    if name == "fresh_batches":
        return check_boolean(name, value)
    if name == "norms":
        return check_instance(name, value, MapNorms)
    if name == "grams":
        return check_grams(name, value)
    if name == "known":
        return _known(name, value)
    if name.endswith("_evidence"):
        if not isinstance(value, Evidence):
            words = ", ".join(Evidence) + " (a member of `qdescent.Evidence`, not its text)"
            raise argument_error(name, f"be one of {words}", repr(value))
        return value
    return check_text(name, value)


def _known(name: str, value: Any) -> Known:
    """Word and source by name."""
    called = "a word of `qdescent.Evidence` and a source, by the name of an input"
    if not isinstance(value, Mapping):
        raise argument_error(name, f"be {called}", shown(value))
    for key, said in value.items():
        if key not in SAID:
            raise argument_error(name, f"name inputs of {', '.join(SAID)}", shown(key))
        if not isinstance(said, tuple) or len(said) != 2:
            raise argument_error(name, f"be {called}", shown(said))
        check_instance(f"{name}[{key!r}]", said[0], Evidence, called="a member of Evidence")
        check_text(f"{name}[{key!r}]", said[1])
    return dict(value)
