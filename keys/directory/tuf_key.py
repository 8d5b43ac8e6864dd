"""Keys of TUF roles: ML-DSA-65, as python-tuf signs and checks them (TAP 21, key type `ml-dsa`, scheme `ml-dsa-65/1`).

A private half is a seed of 32 bytes for custody; a public half travels as a JWK (RFC 9964) from its holder to the
ceremony. A key's TUF id is the one that `securesystemslib` computes from its public half.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from keys.directory.tuf_api import CryptoSigner, SSlibKey
from keys.jwk import akp_jwk, read_mldsa65
from schemas import encoding


@dataclass(frozen=True, slots=True)
class TufPublic:
    """The public half of a TUF key."""

    key: SSlibKey
    jwk: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, public: MLDSA65PublicKey) -> "TufPublic":
        """Wrap a public key."""
        jwk = akp_jwk("ML-DSA-65", public.public_bytes_raw())
        return cls(SSlibKey.from_crypto(public), tuple(jwk.items()))

    @property
    def keyid(self) -> str:
        """Return the key's TUF id, 64 hexadecimal digits."""
        return self.key.keyid

    def encode(self) -> bytes:
        """Return the key as a JWK in the one encoding."""
        return encoding.encode(dict(self.jwk))

    @classmethod
    def parse(cls, data: bytes) -> "TufPublic":
        """Read what `encode` wrote; raise `MalformedError` or `FormError`."""
        _, public = read_mldsa65(encoding.parse(data), "")
        return cls.of(public)


class TufKey:
    """The private half of a TUF key. Keep `to_bytes()` in custody and nowhere else."""

    __slots__ = ("_private", "public")

    def __init__(self, private: MLDSA65PrivateKey) -> None:
        self._private = private
        self.public = TufPublic.of(private.public_key())

    @classmethod
    def generate(cls) -> "TufKey":
        """Make a new key."""
        return cls(MLDSA65PrivateKey.generate())

    @classmethod
    def from_bytes(cls, seed: bytes) -> "TufKey":
        """Read FIPS 204's seed of 32 bytes."""
        return cls(MLDSA65PrivateKey.from_seed_bytes(seed))

    def to_bytes(self) -> bytes:
        """Return the seed, for custody only."""
        return self._private.private_bytes_raw()

    @property
    def keyid(self) -> str:
        """Return the key's TUF id, 64 hexadecimal digits."""
        return self.public.keyid

    def signer(self) -> CryptoSigner:
        """Return the key as python-tuf signs with it."""
        return CryptoSigner(self._private, self.public.key)
