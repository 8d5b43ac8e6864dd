"""Records of the right form for tests: real statements and events, made-up proofs and seals (nothing here is signed).

Also for the fault tests' processes and the bench.
"""

import base64
import hashlib
import random
from dataclasses import replace

import orjson

from broker.ledger.port import Entry
from keys import digests
from schemas.encoding import Time, b64encode, from_seconds
from schemas.event import Boundary, Day, DirectoryVersion, Erasure, Event, LogKey
from schemas.label import Label
from schemas.leaf import Leaf, LeafType
from schemas.record import Record
from schemas.statement import RevocationBody, SealedDigests, SeenCheckpoint, Statement, SubscriptionBody

ORIGIN = "test.invalid/ledger"
START = 1_790_000_000_000
LABEL = Label("seizure", ("h0",), "amber", "amber", None, "routine", "crime", "treaty", False, False, None, ())


def kid_of(participant, number=0):
    """Return a participant's made-up key id."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{participant}:{number}".encode()).digest()).decode().rstrip("=")


class Maker:
    """Makes entries one after the other, each a second later, under the rules that its own events put in force."""

    def __init__(self, seed=0, origin=ORIGIN):
        self.random = random.Random(seed)
        self.origin = origin
        self.now = START
        self.directory = 0
        self.boundary = None
        self.keys = 0

    def notice_id(self):
        value = (self.now & (1 << 48) - 1) << 80 | 7 << 76 | self.random.getrandbits(12) << 64
        value |= 2 << 62 | self.random.getrandbits(62)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def statement(self, act="issue", sender="fr/customs", **members):
        """Return a statement of an act; members may be replaced."""
        open_act = act in ("subscribe", "unsubscribe", "revoke_key", "delegate")
        about_notice = not open_act and act != "acknowledge"
        notice_id = members.pop("notice_id", None) or self.notice_id()
        statement = Statement(
            origin=self.origin,
            notice_id=notice_id,
            sender=sender,
            act=act,
            ref=None,
            thread=notice_id if about_notice else None,
            topic="central-asia.opiates" if about_notice else None,
            label=LABEL if about_notice else None,
            expires_at=None if open_act else from_seconds(self.now // 1000 + 86400),
            issued_at=from_seconds(self.now // 1000),
            nonce=b64encode(self.random.randbytes(16)),
            body=None,
            sealed=None if open_act else SealedDigests(b64encode(bytes(32)), 64, b64encode(bytes(32)), 2),
            attachments=(),
            checkpoint=SeenCheckpoint(0, b64encode(hashlib.sha256().digest())),
        )
        return replace(statement, **members)

    def body(self, recipients=("fr/customs", "de/police"), filler=64):
        """Return a sealed body with a stanza for each participant's key."""
        stanzas = [
            {
                "header": {"alg": "HPKE-9-KE", "kid": kid, "ek": b64encode(self.random.randbytes(1120))},
                "encrypted_key": b64encode(self.random.randbytes(48)),
            }
            for kid in sorted(kid_of(who) for who in recipients)
        ]
        return orjson.dumps(
            {
                "protected": b64encode(self.random.randbytes(40)),
                "recipients": stanzas,
                "iv": b64encode(self.random.randbytes(12)),
                "ciphertext": b64encode(self.random.randbytes(filler)),
                "tag": b64encode(self.random.randbytes(16)),
            }
        )

    def entry_of(self, statement, body=None, proof=None):
        """Return the entry of a statement as an instance would append it now."""
        document = statement.encode()
        proof = proof or b'{"made":"up %d"}' % self.random.getrandbits(50)
        kind = LeafType.OPEN if statement.form.open else LeafType.SEALED
        leaf = Leaf(kind, self.now, digests.statement_leaf(document, proof))
        self.now += 1000
        digest = None if body is None else digests.sha256(body)
        return Entry(Record(leaf, document, proof, digest, self.directory, self.boundary), body)

    def notice(self, act="issue", sender="fr/customs", recipients=None, filler=64, **members):
        """Return the entry of a sealed statement; the sender is among the recipients."""
        who = {sender, *(recipients or ("de/police",))}
        return self.entry_of(self.statement(act, sender, **members), self.body(tuple(who), filler))

    def subscribe(self, participant, *patterns, act="subscribe", sender=None):
        body = SubscriptionBody(participant, tuple(sorted(patterns)))
        return self.entry_of(self.statement(act, sender or participant, body=body))

    def revoke(self, participant, *kids):
        body = RevocationBody(participant, tuple(sorted(kids)), "lost")
        return self.entry_of(self.statement("revoke_key", participant, body=body))

    def event(self, what):
        """Return the entry of an event, whatever it says."""
        event = Event(self.origin, b64encode(self.random.randbytes(16)), what)
        document = event.encode()
        leaf = Leaf(event.leaf_type, self.now, digests.event_leaf(document))
        self.now += 1000
        return Entry(Record(leaf, document, None, None, self.directory, self.boundary), None)

    def next_directory(self, snapshot=b"{}"):
        """Return the event of the next directory version, which is in force from here."""
        self.directory += 1
        return self.event(DirectoryVersion(self.directory, b64encode(digests.sha256(snapshot))))

    def next_boundary(self, at=None):
        self.boundary = Time(at or from_seconds(self.now // 1000))
        return self.event(Boundary(self.boundary))

    def next_key(self):
        self.keys += 1
        return self.event(LogKey(self.keys, self.origin, b64encode(b"\x01" + bytes(32)), "added"))

    def erasure(self, notice_id, reason="expired"):
        return self.event(Erasure(notice_id, reason))

    def day(self, day, count=0, root=None):
        return self.event(Day(day, count, b64encode(root or hashlib.sha256().digest())))


def random_entry(maker, made):
    """Return the next entry of a ledger in which everything counts, and keep in `made` the ids of sealed notices."""
    notices, gone = made.setdefault("notices", []), made.setdefault("erased", set())
    choice = maker.random.randrange(12)
    left = [notice for notice in notices if notice not in gone]
    if choice == 0 or maker.directory == 0:
        return maker.next_directory(b"snapshot %d" % (maker.directory + 1))
    if choice == 1:
        return maker.next_boundary()
    if choice == 2:
        return maker.next_key()
    if choice == 3 and left:
        gone.add(notice := maker.random.choice(left))
        return maker.erasure(notice)
    if choice == 4:
        made["days"] = made.get("days", 0) + 1
        return maker.day(from_seconds(86400 * made["days"])[:10])
    if choice == 5:
        return maker.subscribe("de/police", maker.random.choice(("*.opiates", "europe.*", "*.*")))
    if choice == 6:
        return maker.subscribe("de/police", maker.random.choice(("*.opiates", "europe.*", "*.*")), act="unsubscribe")
    if choice == 7:
        return maker.revoke("de/police", kid_of("de/police", maker.random.randrange(3)))
    if choice == 8 and notices:
        ref = maker.random.choice(notices)
        act = maker.random.choice(("recall", "correct"))
        entry = maker.notice(act, ref=ref, thread=ref)
    else:
        people = ("de/police", "it/customs", "int/unodc/desk", "kz/border")
        sender, *recipients = maker.random.sample(people, maker.random.randrange(2, 5))
        entry = maker.notice(sender=sender, recipients=recipients)
    notices.append(Statement.parse(entry.record.document).notice_id)
    return entry


def random_entries(maker, count):
    """Return `count` entries that all count, in this order."""
    made = {}
    return [random_entry(maker, made) for _ in range(count)]
