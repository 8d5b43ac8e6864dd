"""Make the example bodies of the broker's OpenAPI document, with real keys: `python -m tests.api.make_examples`.

Writes broker/http/examples.json. The keys are thrown away. Run it again when a wire format changes; a unit test parses
every example with the readers of `schemas`.
"""

import json
from dataclasses import replace
from pathlib import Path

from broker.resolve import Question, resolve
from keys import digests
from keys.batch import sign_batch
from keys.directory.records import Life, SealingRecord
from keys.envelope import open_act, seal_notice
from keys.log import merkle
from keys.log.note import LogSigner, sign_checkpoint
from keys.log.proof import Proof, encode
from keys.seal import SealingKey
from keys.sign import Ed25519Signer, SigningKeys
from schemas.delivery import Inclusion, RecipientPath, SealedShare, delivery_bytes
from schemas.encoding import Time, b64encode, from_seconds
from schemas.envelope import Envelope, SealedNotice
from schemas.ids import Code, LedgerIndex, NoticeId, Origin, ParticipantId, Pattern, Topic
from schemas.label import Label
from schemas.leaf import Leaf, LeafType
from schemas.receipt import Receipt
from schemas.statement import SeenCheckpoint, Statement, SubscriptionBody
from tests.world import make_world

ORIGIN = Origin("valise.example/log")
NOTICE = NoticeId("01935f2e-8c00-7a3b-9c4d-5e6f70819203")
SENDER, RECIPIENT = ParticipantId("fr/customs"), ParticipantId("kz/drug-control")
AT = 1_790_000_000
NOW = from_seconds(AT)
NONCE = b64encode(bytes(range(16)))
SEEN = SeenCheckpoint(0, b64encode(digests.sha256(b"")))
LABEL = Label(
    kind=Code("seizure"),
    handling=(Code("h1"),),
    tlp=Code("amber"),
    pap=Code("amber"),
    classification=None,
    urgency=None,
    purpose=Code("investigation"),
    legal_basis=Code("un-convention-1988"),
    nominal=False,
    exercise=True,
    reply_due=None,
    conditions=(),
)


def _sealing(owner: ParticipantId) -> SealingRecord:
    key = SealingKey.generate()
    return SealingRecord(owner, Life(Time("2026-01-01T00:00:00Z")), key.kid, key.public_key(), key.jwk["pub"])


def _statement(act: str, **changes):
    values = {
        "origin": ORIGIN,
        "notice_id": NOTICE,
        "sender": SENDER,
        "act": act,
        "ref": None,
        "thread": NOTICE,
        "topic": Topic("central-asia.precursors"),
        "label": LABEL,
        "expires_at": from_seconds(AT + 90 * 24 * 3600),
        "issued_at": NOW,
        "nonce": NONCE,
        "body": None,
        "sealed": None,
        "attachments": (),
        "checkpoint": SEEN,
    }
    return Statement(**{**values, **changes})


def make():
    """Return every example by name."""
    signing, log, receipts = SigningKeys.generate(), LogSigner.generate(ORIGIN), Ed25519Signer.generate()
    recipients = [_sealing(SENDER), _sealing(RECIPIENT)]
    issue = seal_notice(_statement("issue"), {"kind": "seizure"}, recipients)
    body = SubscriptionBody(RECIPIENT, (Pattern("central-asia.*"),))
    nothing = {"thread": None, "topic": None, "label": None, "expires_at": None}
    subscribe = open_act(_statement("subscribe", sender=RECIPIENT, body=body, **nothing))
    (sent,) = sign_batch([issue], signing, origin=ORIGIN, signer=SENDER, at=NOW)
    (opened,) = sign_batch([subscribe], signing, origin=ORIGIN, signer=RECIPIENT, at=NOW)

    digest = digests.statement_leaf(sent.statement_bytes, sent.proof_bytes)
    leaf = Leaf(LeafType.SEALED, AT * 1000, digest)
    others = [Leaf(LeafType.SEALED, AT * 1000, bytes([n] * 32)).encode() for n in range(3)]
    entries = [*others, leaf.encode()]
    hashes = [merkle.leaf_hash(entry) for entry in entries]
    note = sign_checkpoint(log, len(entries), merkle.root_of(entries), at=AT)
    path = tuple(merkle.inclusion_path(hashes, 3))
    inclusion = Inclusion(AT * 1000, 3, len(entries), path, note)
    sealed = Envelope.parse(sent.envelope).sealed
    assert isinstance(sealed, SealedNotice)
    stanzas = [merkle.leaf_hash(stanza.entry()) for stanza in sealed.recipients]
    own = next(n for n, stanza in enumerate(sealed.recipients) if stanza.kid == recipients[1].kid)
    share = SealedShare(sealed.header, sealed.recipients[own], sealed.iv, sealed.ciphertext, sealed.tag)
    recipient = RecipientPath(own, len(stanzas), tuple(merkle.inclusion_path(stanzas, own)))
    delivery = delivery_bytes(sent.statement_bytes, sent.proof_bytes, share, recipient, inclusion)
    receipt = Receipt(
        origin=ORIGIN,
        index=LedgerIndex(3),
        leaf=leaf,
        statement=b64encode(digests.sha256(sent.statement_bytes)),
        proof=b64encode(digests.sha256(sent.proof_bytes)),
        directory=12,
        boundary=None,
        due=from_seconds(AT + 24 * 3600),
    )
    why = {
        "condition": "no-precursors-abroad",
        "layer": "law",
        "state": "kz",
        "instrument": "An illustration, not a law",
        "article": "Article 1",
        "reason": {"en": "Notices about precursors are not received."},
    }
    return {
        "envelope": json.loads(sent.envelope),
        "delivery": json.loads(delivery),
        "receipt": {"receipt": receipts.receipt(receipt)},
        "proof": encode(Proof(3, path, note)).decode(),
        "checkpoint": note.decode(),
        "denied": {"participant": RECIPIENT, **why, "evaluated_by": "broker"},
        "held": {
            "notice_id": NOTICE,
            "index": 3,
            "sender": SENDER,
            "topic": "central-asia.precursors",
            "since": NOW,
            **why,
        },
        "subscription": {
            "participant": RECIPIENT,
            "pattern": "central-asia.*",
            "index": 7,
            "statement": b64encode(opened.statement_bytes),
            "proof": json.loads(opened.proof_bytes),
        },
        "audited": {
            "index": 3,
            "leaf": b64encode(leaf.encode()),
            "statement": b64encode(sent.statement_bytes),
            "proof": json.loads(sent.proof_bytes),
            "body_digest": b64encode(digests.sha256(issue.sealed_bytes or b"")),
            "erased": False,
        },
    }


PURPOSES = """
[[condition]]
id = "purposes"
type = "purpose"
instrument = "An illustration, not a law"
article = "3"
parameters = { purposes = ["investigation"] }
"""


def resolved():
    """Return a question to the rules and its answer: one State's law asks for another purpose."""
    trust = make_world([SENDER, RECIPIENT], now=AT, laws={"kz": PURPOSES}).trust()
    question = {
        "topic": "central-asia.seizures",
        "label": replace(LABEL, purpose=Code("prevention")).to_json(),
        "recipients": [RECIPIENT],
        "states": False,
        "expires_at": None,
    }
    asked = Question.parse(json.dumps(question).encode())
    return {"question": question, "resolved": resolve(asked, SENDER, trust, NOW)}


if __name__ == "__main__":
    target = Path(__file__).parents[2] / "broker/http/examples.json"
    target.write_text(json.dumps({**make(), **resolved()}, indent=1) + "\n", encoding="utf-8")
