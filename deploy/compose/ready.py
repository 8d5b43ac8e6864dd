# ruff: noqa: INP001, T201 - run as a file, and what it finds is what it prints
"""Ask a service whether it is ready: `ready.py https://host:port/readyz CA`. Exit 0 if it is, 1 with its reasons if not."""

import http.client
import ssl
import sys
from urllib.parse import urlsplit


def main(url: str, authority: str) -> int:
    """Ask once; print what a service that is not ready says."""
    where = urlsplit(url)
    context = ssl.create_default_context(cafile=authority)
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=5, context=context)
    try:
        connection.request("GET", where.path)
        answer = connection.getresponse()
        said = answer.read(65536).decode(errors="replace")
    except OSError as error:
        answer, said = None, str(error)
    finally:
        connection.close()
    if answer is not None and answer.status == http.client.OK:
        return 0
    print(said)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
