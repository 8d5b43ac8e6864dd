"""How a call to the broker can fail: it is away and the call may be repeated unchanged, or it has refused."""

from schemas.errors import Error
from schemas.problems import PROBLEMS
from schemas.strict_json import Json


class BrokerAwayError(Error):
    """No definite answer: the connection failed, the broker is overloaded, or what answered is no broker.

    Whether the call had an effect is unknown; repeating it unchanged is right. `retry_after` is what the broker asked
    for, in seconds; `remote` its problem code, where it gave one.
    """

    problem = "broker-away"

    def __init__(self, detail: str, *, retry_after: float | None = None, remote: str | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.remote = remote


class RefusedError(Error):
    """The broker's problem document: it will answer the same call the same way.

    `remote` is its code as given; `denied` lists who is denied and why; `refusal` is the signed refusal (compact JWS),
    not verified here. Without a refusal nothing proves that the statement was not published.
    """

    def __init__(
        self,
        remote: str,
        detail: str,
        *,
        pointer: str | None = None,
        hint: str | None = None,
        denied: tuple[dict[str, Json], ...] = (),
        refusal: str | None = None,
    ) -> None:
        known = remote if remote in PROBLEMS else "internal"
        super().__init__(detail, problem=known, pointer=pointer, hint=hint)
        self.remote = remote
        self.denied = denied
        self.refusal = refusal


class AnswerError(Error):
    """What the broker answered is not of the form that the call has, or proves something else than it must."""

    problem = "unverified"


class NoBatchesError(Error):
    """The broker does not take batches: it is an older one. Nothing was published; envelopes go one by one."""

    problem = "not-found"


class NoStreamError(Error):
    """The broker has no stream of feeds: its long poll does the same."""

    problem = "not-found"
