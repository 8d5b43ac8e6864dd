"""Grants of notices that a test has published, made as an originator's gateway makes them."""

import json
from collections.abc import Iterable
from dataclasses import replace

from keys.batch import Signed, Unsigned
from keys.envelope import ContentKey, grant_notice
from schemas.envelope import Envelope, SealedNotice
from schemas.ids import ParticipantId
from schemas.statement import Statement
from tests.carrying import Carrier, Object, entry, path
from tests.formed import b64
from tests.world import World


def content_key(world: World, signed: Signed) -> ContentKey:
    """Return an envelope's content key, opened with its sender's own stanza."""
    sealed = Envelope.parse(signed.envelope).sealed
    assert isinstance(sealed, SealedNotice)
    own = world.people[signed.statement.sender].sealing
    stanza = next(one for one in sealed.recipients if one.kid == own.kid)
    return ContentKey(own.open_key(stanza.ek, stanza.encrypted_key))


def unsigned_grant(world: World, signed: Signed, to: Iterable[str], **changes: object) -> Unsigned:
    """Return a grant of a published notice, unsigned; `changes` are to its statement."""
    notice = signed.statement
    assert notice.sealed is not None
    fresh = world.statement(notice.sender, "grant")
    said: Statement = replace(
        fresh,
        ref=notice.notice_id,
        thread=notice.thread,
        topic=notice.topic,
        label=notice.label,
        expires_at=notice.expires_at,
    )
    said = replace(said, **changes)  # type: ignore[arg-type]
    records = [world.directory.sealing(world.people[ParticipantId(who)].sealing.kid) for who in to]
    return grant_notice(said, notice.sealed, content_key(world, signed), records)


def granted(world: World, signed: Signed, to: Iterable[str], **changes: object) -> Signed:
    """Return a signed grant of a published notice."""
    return world.sign([unsigned_grant(world, signed, to, **changes)])[0]


def delivered(carrier: Carrier, signed: Signed, index: int, grant: Signed, at: int, who: str) -> Object:
    """Return what a grant's recipient gets, put together from the specification."""
    value = carrier.delivery(signed, index, signed.statement.sender)
    envelope = json.loads(grant.envelope)
    stanzas = envelope["sealed"]["recipients"]
    kid = carrier.world.people[ParticipantId(who)].sealing.kid
    place = next(number for number, one in enumerate(stanzas) if one["header"]["kid"] == kid)
    entries = [entry(one) for one in stanzas]
    return {
        **value,
        "sealed": {**value["sealed"], **stanzas[place]},
        "recipient": {"index": place, "size": len(entries), "path": [b64(one) for one in path(entries, place)]},
        "grant": {
            "statement": envelope["statement"],
            "proof": envelope["proof"],
            "inclusion": {
                **value["inclusion"],
                "received_at": int.from_bytes(carrier.leaves[at][1:9], "big"),
                "index": at,
                "path": [b64(one) for one in path(carrier.leaves, at)],
            },
        },
    }
