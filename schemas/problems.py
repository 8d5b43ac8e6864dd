"""The stable problem types of both services (RFC 9457), each with its status, title and advice.

A code is for ever: clients switch on it. `TYPE_PREFIX + code` is the `type` member of a problem document.
"""

from dataclasses import dataclass

TYPE_PREFIX = "urn:valise:problem:"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem type: HTTP status, title, and what to do about it."""

    status: int
    title: str
    hint: str


def _p(status: int, title: str, hint: str) -> Problem:
    return Problem(status, title, hint)


PROBLEMS: dict[str, Problem] = {
    # form
    "malformed": _p(400, "The body is not strict JSON", "Send UTF-8 JSON without duplicate members, floats or NaN."),
    "invalid-form": _p(
        422, "A member is missing, unknown or of the wrong form", "Correct the member named by `pointer`."
    ),
    "too-large": _p(413, "The body is too large", "See the table of limits in the README."),
    "unsupported-media-type": _p(
        415, "The body's type or coding is not accepted", "Send the type that the address takes, without compression."
    ),
    "not-found": _p(404, "There is nothing here for you", "Check the address; you may lack the right to see it."),
    "method-not-allowed": _p(405, "The method is not served here", "See the OpenAPI document."),
    "request-timeout": _p(408, "The body did not arrive in time", "Send the request again."),
    "headers-too-large": _p(431, "The headers are too large", "Send fewer or shorter header fields."),
    # authentication
    "unauthenticated": _p(
        401, "The request or envelope is not authenticated", "Check the key, the clock and the address."
    ),
    "unknown-key": _p(401, "The key is not in the directory", "Wait for the directory to update, or enrol the key."),
    "revoked-key": _p(403, "The key is closed or revoked", "Sign with a key that is in force."),
    "forbidden": _p(403, "You may not do this", "Ask your focal point which role this needs."),
    # envelope and acts
    "wrong-origin": _p(422, "The statement is for another deployment", "Send it to the log that its origin names."),
    "unverified": _p(
        422, "A signature, digest or proof does not hold", "Seal and sign again; if it recurs, report it."
    ),
    "conflict": _p(409, "The notice id is taken by another statement", "Seal again under a new id."),
    "clock-skew": _p(
        422, "A time is too far from the clock", "Set the clock; statements live 14 days before publication."
    ),
    "expired": _p(422, "The statement has expired", "Give it a later `expires_at`."),
    "fork": _p(422, "The statement's checkpoint contradicts this log", "Keep the evidence and call the auditors."),
    "act-not-served": _p(422, "This act is not served yet", "Use an act that the README lists as served."),
    "act-refused": _p(422, "The act's own rules forbid this", "See `detail` and schemas/spec/acts.md."),
    "recipients": _p(
        422, "The list of recipients is not acceptable", "Seal to each recipient once, under its newest key in force."
    ),
    "denied": _p(
        422, "The rules deny the sender or some recipients", "Seal without the denied recipients, or change the label."
    ),
    "copy-lacking": _p(
        422,
        "A focal point lacks the copy that a law obliges to",
        "Seal to the focal points that are named as well, or publish under the newest law.",
    ),
    "no-profile": _p(
        422, "A State takes part only with a signed law profile", "Ask its legal officer to sign a profile."
    ),
    # law profiles
    "law-scope": _p(
        422, "A law profile speaks for another State", "A profile can only make its own State's rules stricter."
    ),
    "law-unknown-code": _p(422, "A law profile has a code that no list knows", "Use a code of the list named."),
    "law-signatures": _p(
        422, "A law profile lacks a signature", "Both its author and the head of the focal point must sign it."
    ),
    "law-signer": _p(
        422, "A law profile is signed with a key that is not its State's", "Sign with the two keys of the State's law."
    ),
    "law-overlap": _p(
        422, "A condition is in force twice at one time", "End the earlier text where the later one begins."
    ),
    # directory
    "directory": _p(422, "The directory is not acceptable", "Nothing was changed; see `detail`."),
    "directory-rollback": _p(
        422, "The directory is older than the one known", "Keep the last good directory and call the operator."
    ),
    "directory-frozen": _p(
        422, "The directory has expired or does not match the log", "Call the operator of the broker."
    ),
    "directory-append-only": _p(422, "A key record was removed or altered", "Key records may only be closed."),
    "directory-scope": _p(422, "A role names something outside its paths", "A role may speak only for its own paths."),
    "precondition-failed": _p(412, "The role has another version by now", "Fetch the newest version and sign again."),
    "precondition-required": _p(428, "The upload needs If-Match", "Send the version that you edited in If-Match."),
    # custody and stores
    "custody": _p(500, "The keys cannot be opened", "Check the passphrase or the credential file."),
    "newer-store": _p(500, "The store was written by a newer version", "Start the newer version."),
    "wrong-log": _p(
        502, "The log is not the one that was enrolled", "Compare the root fingerprint with your focal point."
    ),
    "configuration": _p(500, "The configuration is unsafe or incomplete", "Run check-config."),
    # service
    "rate-limited": _p(429, "Too many statements", "Wait as long as Retry-After says."),
    "unavailable": _p(503, "The service cannot answer now", "Send the same request again after Retry-After."),
    "storage-full": _p(507, "The storage is full", "Nothing was accepted; send the same request again later."),
    "broker-away": _p(503, "The broker cannot be reached", "Nothing is lost; the gateway goes on trying."),
    "internal": _p(500, "Something failed inside", "Send the request again; report the request id."),
    # gateway
    "idempotency-conflict": _p(
        409, "The Idempotency-Key was used for another request", "Use a new key for a new request."
    ),
    "not-recallable": _p(
        409, "The notice cannot be recalled or corrected", "Only the sender may, and only once it is published."
    ),
    "not-grantable": _p(
        409, "The notice cannot be granted", "Only its sender may, and only as long as its text is there."
    ),
    "not-answerable": _p(
        409,
        "This cannot be answered so",
        "Look at what was asked: a grant answers who asks for access, a permit who asks for a use.",
    ),
    "consent-needed": _p(
        409,
        "The originator has not permitted this",
        "Ask for it with `ask-use`, or leave out those who are not permitted to have it.",
    ),
    "no-recipients": _p(422, "Nobody may receive the notice", "Name recipients, or ask why in the preview."),
    "import": _p(422, "The file cannot be imported", "Check the delimiter, encoding and columns."),
    "enrolment": _p(409, "The enrolment is not complete", "Run `valise doctor`; it names the missing step."),
    # transport
    "bad-request": _p(400, "The request is not valid HTTP", "Send a well-formed HTTP/1.1 request."),
}
