"""What `keys` refuses: signatures, digests and proofs that do not hold, and keys that may not be used."""

from schemas.errors import Error


class VerificationError(Error):
    """The envelope is not what its statement says. Nothing of it may be used."""

    problem = "unverified"


class UnknownKeyError(Error):
    """No directory record answers to the key id."""

    problem = "unknown-key"


class RevokedKeyError(Error):
    """The key is closed or revoked at the time in question."""

    problem = "revoked-key"


class CheckpointError(VerificationError):
    """The note is not a checkpoint of this log under both of its keys."""

    problem = "unverified"
