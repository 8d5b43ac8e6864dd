"""Write the vectors: `python tests/vectors/make.py` (from the project's root).

It writes tests/vectors/directory.json and tests/vectors/envelope/*.json; tests/vectors/README.md says what is in them. Made
again, the files have other bytes (HPKE and ML-DSA draw randomness) and the same names, faults and outcomes.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.vectors import workshop as w  # noqa: E402 - the path comes first
from tests.vectors.vectors_of_deliveries import deliveries  # noqa: E402 - the path comes first
from tests.vectors.vectors_of_form import bad_bytes, bad_form, good  # noqa: E402 - the path comes first
from tests.vectors.vectors_of_grants import grants  # noqa: E402 - the path comes first
from tests.vectors.vectors_of_truth import bad_truth  # noqa: E402 - the path comes first


def main() -> None:
    """Write everything anew."""
    folder = HERE / "envelope"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    (HERE / "directory.json").write_text(json.dumps(w.directory(), indent=1) + "\n", encoding="utf-8")
    count = 0
    for make in (good, bad_bytes, bad_form, bad_truth, deliveries, grants):
        for one in make():
            path = folder / f"{one['name']}.json"
            if path.exists():
                raise SystemExit(f"two vectors are named {one['name']}")
            path.write_text(json.dumps(one, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
            count += 1
    print(f"{count} vectors in {folder}")


if __name__ == "__main__":
    main()
