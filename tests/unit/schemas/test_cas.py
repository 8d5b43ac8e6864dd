"""CAS numbers: the check digit is what tells a number from a typing error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import is_cas


def with_check_digit(number: int, pair: int) -> str:
    digits = f"{number}{pair:02d}"
    check = sum(place * int(digit) for place, digit in enumerate(reversed(digits), start=1)) % 10
    return f"{number}-{pair:02d}-{check}"


numbers = st.builds(with_check_digit, st.integers(10, 9_999_999), st.integers(0, 99))


@given(numbers)
def test_right_check_digits_are_accepted(cas: str) -> None:
    assert is_cas(cas)


@given(numbers, st.integers(1, 9))
def test_every_other_check_digit_is_refused(cas: str, shift: int) -> None:
    assert not is_cas(cas[:-1] + str((int(cas[-1]) + shift) % 10))


@given(numbers, st.data())
def test_one_wrong_digit_is_found_unless_its_weight_hides_it(cas: str, data: st.DataObject) -> None:
    digits = cas[:-2].replace("-", "")
    place = data.draw(st.integers(0, len(digits) - 1))
    digit = data.draw(st.integers(0, 9))
    change = (digit - int(digits[place])) * (len(digits) - place)
    wrong = digits[:place] + str(digit) + digits[place + 1 :]
    if wrong[0] != "0":
        assert is_cas(f"{wrong[:-2]}-{wrong[-2:]}-{cas[-1]}") == (change % 10 == 0)


@pytest.mark.parametrize(
    "text", ["", "561-27", "561-27-33", "0561-27-3", "561.27.3", "٥٦١-٢٧-٣", "561-27-3\n", " 561-27-3"]
)
def test_other_forms_are_refused(text: str) -> None:
    assert not is_cas(text)
