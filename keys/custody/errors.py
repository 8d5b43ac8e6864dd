"""What custody refuses. No sentence here says more about a secret than its name."""

from schemas.errors import Error
from schemas.strict_json import Json


class CustodyError(Error):
    """A secret cannot be opened or kept: wrong passphrase, damaged file, or no such secret."""

    problem = "custody"


def refuse_newer(value: dict[str, Json], version: int) -> None:
    """Raise a `newer-store` problem where a file says that it was written by a later version than this."""
    found = value.get("v")
    if type(found) is int and found > version:
        raise Error("The file was written by a newer version.", problem="newer-store")
