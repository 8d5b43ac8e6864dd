"""Say what a test run has left uncovered of what everybody has to trust, and fail for any of it: `make test` ends with it.

What that is, is said in `pyproject.toml`. Where this machine lacks what Kafka needs, it says so in a line and demands
nothing: the ledger's store on Kafka was not run then.
"""

import sys

import coverage

from tests.cluster import lacking


def main() -> int:
    """Print lines and branches that were not taken; return 1 where there are some that this machine could take."""
    measured = coverage.Coverage()
    measured.load()
    lack = lacking()
    total = measured.report()
    if lack is not None:
        print(f"That every branch is covered was not demanded: {lack}")
        return 0
    if total < 100:
        print(f"Not every branch is covered ({total:.2f} %): the table above says which are not.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
