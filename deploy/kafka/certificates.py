"""Certificates for development: an authority and the names that it signs, as PEM files, by the `openssl` command."""

import dataclasses
import ipaddress
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.kafka.processes import MissingError, run

_OPENSSL: Final = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def missing() -> str | None:
    """Return in one line that this machine lacks openssl, and how to get it; None if it has it."""
    if shutil.which("openssl") is None:
        return "There is no openssl here, which makes the certificates: `apt-get install openssl`."
    return None


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """PEM files: its authority's certificate, its own, its key, and the last two in one file as Kafka wants them."""

    authority: Path
    certificate: Path
    key: Path
    both: Path


class Authority:
    """A certificate authority in a folder, made by the `openssl` command (3 or newer): ECDSA P-256, good for a year."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "ca.crt"

    def create(self) -> None:
        """Make the authority's key and certificate; raise `KafkaError`."""
        self._folder.mkdir(mode=0o700, parents=True)
        (self._folder / "openssl.cnf").write_text(_OPENSSL, encoding="utf-8")
        self._make("ca", "Valise development", ["-extensions", "authority"])

    def identity(self, file: str, *, name: str | None = None, hosts: Sequence[str] = ()) -> Identity:
        """Return the files of an identity, made if they are not there; raise `KafkaError`.

        `name` is what Kafka knows it by (Common Name; without it the file's name), `hosts` where it may be reached.
        """
        identity = Identity(self.certificate, *(self._folder / f"{file}.{kind}" for kind in ("crt", "key", "pem")))
        if not identity.both.exists():
            options = ["-extensions", "leaf", "-CA", str(self.certificate), "-CAkey", str(self._folder / "ca.key")]
            if hosts:
                options += ["-addext", "subjectAltName=" + ",".join(map(_alternative, hosts))]
            self._make(file, name or file, options)
            identity.both.touch(mode=0o600)
            identity.both.write_bytes(identity.key.read_bytes() + identity.certificate.read_bytes())
        return identity

    def _make(self, file: str, name: str, options: Sequence[str]) -> None:
        program = shutil.which("openssl")
        if program is None:
            raise MissingError("There is no openssl here, which makes the certificates: `apt-get install openssl`.")
        make = [
            program,
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "365",
        ]
        files = ["-keyout", str(self._folder / f"{file}.key"), "-out", str(self._folder / f"{file}.crt")]
        config = ["-config", str(self._folder / "openssl.cnf")]
        run([*make, *config, *files, "-subj", f"/CN={name}", *options], "openssl could not make a certificate")


def _alternative(host: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"
