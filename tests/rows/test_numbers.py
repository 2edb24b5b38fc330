"""One way to write a number: never wrong by more than its digits say, and one line."""

import math
import re

import pytest

from qdescent.rows.numbers import (
    IN_FULL,
    YEAR,
    at_least,
    duration,
    number,
    percent,
    times,
    with_error,
)

RAISED = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def read(text: str) -> float:
    """The number that a text says, by a reader of its own."""
    text = re.sub(r"\s", "", text).replace("−", "-").replace("infinite", "inf")
    found = re.fullmatch(r"(-?)(?:([\d.]+)×)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)
    if found:
        power = int(found[3].translate(RAISED))
        return float(f"{found[1]}{found[2] or 1}e{power}")
    return float(text)


@pytest.mark.parametrize("digits", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(
    "value",
    [1.0, 0.1, 1 / 3, 9.9995, 99999.5, 999999.5, 1e-4, 9.9999e-5, 1.234e-5, 6.02e23, 5e-324,
     1.2e308, -0.02, -1e9, 100.0, 1000.0, 123456.0, 1e6, 0.000123],
)  # fmt: skip
def test_a_float_is_right_to_its_digits(value, digits):
    assert read(number(value, digits)) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
    assert "e+" not in number(value, digits)
    assert number(value, digits) == " ".join(number(value, digits).split(" "))


@pytest.mark.parametrize("value", [0, 1, -7, 10, 100, 999, 1000, 123456, IN_FULL - 1, 1 - IN_FULL])
def test_an_integer_below_ten_million_is_written_in_full(value):
    assert read(number(value)) == value


@pytest.mark.parametrize("value", [IN_FULL, 10**9, 123456789, -(10**12), 10**300, 10**400])
def test_a_large_integer_is_a_power(value):
    text = number(value)
    assert "10" in text
    if abs(value) < 10**308:
        assert read(text) == pytest.approx(value, rel=0.005)
    else:
        assert text == "10⁴⁰⁰"


def test_what_is_no_number_is_a_word():
    cases = [None, True, False, math.nan, math.inf, -math.inf, "QROM()", 0.0]
    said = [number(case) for case in cases]
    infinite = ["not a number", "infinite", "minus infinite"]
    assert said == ["none", "yes", "no", *infinite, "QROM()", "0"]


@pytest.mark.parametrize("k", range(-12, 20))
def test_a_duration_in_the_unit_that_people_use(k):
    seconds = 3.7 * 10.0**k
    units = {
        "years": YEAR, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "s": 1.0, "ms": 1e-3,
        "µs": 1e-6, "hour": 3600.0,
    }  # fmt: skip
    value, unit = duration(seconds).rsplit(" ", 1)
    assert unit.endswith("s") == (value != "1")
    assert read(value) * units[unit] == pytest.approx(seconds, rel=0.06)
    fine, unit = duration(seconds, 4).rsplit(" ", 1)
    assert read(fine) * units[unit] == pytest.approx(seconds, rel=6e-4)


@pytest.mark.parametrize("value", [1e-12, 1.01e-12, 0.5, 0.505, 3.14159, 99.1, 1.234e7])
def test_what_is_named_as_enough_is_enough(value):
    assert value <= float(at_least(value)) <= 1.1 * value
    # planted: the usual rounding names less than is needed
    assert float(f"{1.234e-12:.2g}") < 1.234e-12


def test_shares_and_ratios():
    assert percent(0.824).replace("\u202f", " ") == "82.4 %"
    assert percent(-0.5, 2).replace("\u202f", " ") == "−50 %"
    assert times(2.5e9) == "2.5 × 10⁹ times"


@pytest.mark.parametrize("error", [3.0, 0.2, 1.3e-3, 9.9e-6, 4e-11])
@pytest.mark.parametrize("value", [1.00358123456789, -0.284123456789, 25.2123456789, 1.2345678e-7])
def test_a_value_is_written_to_the_last_place_of_its_error(value, error):
    """What is printed is off by less than the error, as what is stored is."""
    shown, bar = with_error(value, error).split(" ± ")
    assert abs(read(shown) - value) < 0.51 * error
    assert read(bar) == pytest.approx(error, rel=0.05)
    assert with_error(value, None) == with_error(value, math.nan) == number(value)
    assert with_error(value, math.inf).endswith(" ± infinite")
    # planted: three digits, whatever the error
    assert error > 1e-3 * abs(value) or abs(read(number(value)) - value) > error
