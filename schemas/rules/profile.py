"""Law profiles, the whole room: the forms `law/1` and `law/0`, their author's TOML, and what reads oddly in one.

`law.json` is read and written by `condition`, made from TOML by `authoring`, reviewed by `review`. Signing is `keys`'
business, and whose law a file is, the directory's.
"""

from schemas.rules.authoring import compile_profile
from schemas.rules.condition import Applies, LawCondition, LawProfile, Profile, encode_profile, parse_profile
from schemas.rules.review import check_profile

__all__ = [
    "Applies",
    "LawCondition",
    "LawProfile",
    "Profile",
    "check_profile",
    "compile_profile",
    "encode_profile",
    "parse_profile",
]
