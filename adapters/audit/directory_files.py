"""The files that one version of the directory consists of, fetched by following names; nothing here is trusted.

`keys.directory.update.load_directory` verifies them as a whole, at the time of that version's ledger leaf.
"""

import asyncio
from collections.abc import Iterator

from adapters.audit.source import Source
from schemas import strict_json
from schemas.errors import Error, MalformedError
from schemas.strict_json import Json

LIMIT = 8 << 20


async def collect(source: Source, version: int) -> dict[str, bytes]:
    """Return the files of directory version `version` by name, every root included; raise `Error` where one lacks."""
    files: dict[str, bytes] = {}
    number = 1
    while (root := await source.directory_file(f"{number}.root.json")) is not None:
        files[f"{number}.root.json"] = root
        number += 1
    stamp, name = f"{version}.timestamp.json", f"{version}.snapshot.json"
    await _add(source, files, [stamp, name])
    roles = [f"{_integer(meta, 'version')}.{role}" for role, meta in _members(_signed(files[name]), "meta")]
    await _add(source, files, roles)
    targets = [
        path
        for role in roles
        for target, info in _members(_signed(files[role]), "targets")
        for path in _stored(target, info)
    ]
    await _add(source, files, targets)
    return files


async def _add(source: Source, files: dict[str, bytes], names: list[str]) -> None:
    found = await asyncio.gather(*(source.directory_file(name) for name in names))
    for name, data in zip(names, found, strict=True):
        if data is None:
            raise Error("The broker does not serve every file of this directory version.", problem="directory")
        files[name] = data


def _signed(data: bytes) -> dict[str, Json]:
    signed = strict_json.parse_object(data, limit=LIMIT).get("signed")
    if not isinstance(signed, dict):
        raise MalformedError("A file of the directory is not TUF metadata.")
    return signed


def _members(signed: dict[str, Json], name: str) -> Iterator[tuple[str, dict[str, Json]]]:
    members = signed.get(name)
    for key, value in members.items() if isinstance(members, dict) else ():
        if isinstance(value, dict):
            yield key, value


def _integer(value: dict[str, Json], name: str) -> int:
    number = value.get(name)
    if not isinstance(number, int):
        raise MalformedError("A file of the directory is not TUF metadata.")
    return number


def _stored(path: str, info: dict[str, Json]) -> Iterator[str]:
    hashes = info.get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    folder, _, name = path.rpartition("/")
    if isinstance(digest, str):
        yield f"targets/{folder}/{digest}.{name}"
