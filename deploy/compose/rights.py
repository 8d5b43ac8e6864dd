# ruff: noqa: INP001, T201 - run as a file, and what it finds is what it prints
"""Give the brokers their rights, once, as the administrator: `rights.py HOST PORT ACLS CA PEM`.

PEM holds the administrator's certificate and key. What is given stands in `deploy/kafka/production/acls.properties`. Giving it again changes nothing.
"""

import sys
import time
from pathlib import Path

from deploy.kafka.certificates import Identity
from deploy.kafka.protocol import Connection, read_acls

SECONDS = 60


def main(host: str, port: str, acls: str, authority: str, own: str) -> int:
    """Wait until the node serves, then add the ACLs."""
    connection = Connection(host, int(port), Identity(Path(authority), Path(own), Path(own), Path(own)))
    until = time.monotonic() + SECONDS
    while connection.nodes_serving() < 1:
        if time.monotonic() > until:
            print(f"{host} does not serve.", file=sys.stderr)
            return 1
        time.sleep(1)
    wanted = read_acls(Path(acls))
    connection.allow(wanted)
    print(f"{len(wanted)} rights are given.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
