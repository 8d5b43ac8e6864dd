"""What the directory refuses. Each error is a problem of its own, so that a client can tell an attack from an expiry."""

from schemas.errors import Error


class DirectoryError(Error):
    """The directory, or an upload to it, is not acceptable. Nothing of it may be used."""

    problem = "directory"


class DirectorySignatureError(DirectoryError):
    """Metadata is not signed by as many of its role's keys as it must be."""

    problem = "unverified"


class DirectoryRollbackError(DirectoryError):
    """Something is older than what is known already."""

    problem = "directory-rollback"


class DirectoryFrozenError(DirectoryError):
    """Something that must be fresh has expired: time stands still, or somebody makes it."""

    problem = "directory-frozen"


class DirectoryAppendOnlyError(DirectoryError):
    """A role, a participant or a key record was removed, or a record altered."""

    problem = "directory-append-only"


class DirectoryScopeError(DirectoryError):
    """A role names something outside its paths, or delegates what it may not."""

    problem = "directory-scope"


class DirectoryAwayError(DirectoryError):
    """The directory cannot be fetched now. What is known stays good until it expires."""

    problem = "broker-away"
