"""CAS registry numbers: two to seven digits, two digits and a check digit.

The check digit is the sum of the other digits, each weighted by its place from the right, modulo ten (CAS, "Check
Digit Verification of CAS Registry Numbers"). Whether a number was ever assigned cannot be told from its form.
"""

import re
from typing import Final

_CAS: Final = re.compile("[1-9][0-9]{1,6}-[0-9]{2}-[0-9]")


def is_cas(text: str) -> bool:
    """Say whether a text is a CAS registry number with the right check digit."""
    if not _CAS.fullmatch(text):
        return False
    digits = text.replace("-", "")
    total = sum(place * int(digit) for place, digit in enumerate(reversed(digits[:-1]), start=1))
    return total % 10 == int(digits[-1])
