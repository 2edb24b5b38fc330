"""The marks of an axis can be read, whatever it spans."""

import pytest

from qdescent.report.pages.plots import LOG_TICKS, _log_ticks


@pytest.mark.parametrize(
    ("low", "high"), [(0.93, 1.0), (0.5, 1.3), (1.0, 7.5), (0.011, 0.09), (1.0, 1.02)]
)
def test_less_than_a_decade_has_three_marks_or_more(low, high):
    inside = [tick for tick in _log_ticks([high, low]) if low <= tick <= high]
    assert 3 <= len(inside) <= 7
    assert len({f"{tick:g}" for tick in inside}) == len(inside)


def test_several_decades_have_one_and_three_of_each():
    assert _log_ticks([1e-3, 1.0]) is LOG_TICKS
    assert _log_ticks([]) is LOG_TICKS
