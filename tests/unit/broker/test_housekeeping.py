"""Housekeeping: boundaries, erasures, days, the directory's own renewal, and what a crash between two steps leaves."""

from contextlib import contextmanager
from dataclasses import replace

import orjson
import pytest

from broker.deliver import may_receive
from broker.housekeeping import EVERY_MS, TIMESTAMP_EVERY_S, Housekeeping, directory_files, directory_object
from broker.ledger.fsck import fsck
from broker.ledger.port import Append, Decision, Entry, LedgerUnavailableError
from broker.ledger.sqlite import SqliteLedger
from broker.publish import Accepted, publish
from broker.view.held import Held
from broker.view.store import View
from keys.directory import edit
from schemas.encoding import b64decode, from_seconds
from schemas.errors import Error
from schemas.event import Event
from schemas.ids import Code
from schemas.leaf import LeafType
from schemas.statement import RevocationBody
from tests.carrying import root, sha
from tests.world import ORIGIN, make_world, put_law

MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point")
SENDER, OTHER = "kz/customs", "uz/focal-point"
DAY = 86400


def condition(name, begins=None, ends=None, kind="seizure"):
    validity = "".join(
        f'{member} = "{from_seconds(at)}"\n' for member, at in (("valid_from", begins), ("valid_to", ends)) if at
    )
    return f"""
[[condition]]
id = "{name}"
instrument = "Illustration"
article = "1"
effect = "deny"
{validity}applies_to = {{ direction = "receive", kinds = ["{kind}"] }}
[condition.explanation]
en = "Not now."
"""


class Desk:
    """Ledger, view and housekeeping in one thread: this one."""

    def __init__(self, world, folder):
        self.world = world
        self.ledger = SqliteLedger(folder / "ledger.sqlite", ORIGIN)
        self.view = View(folder / "view.sqlite", ORIGIN)
        self.view.catch_up(self.ledger)
        files = directory_files(self.ledger)
        if not files:
            files = dict(world.repository.files)
            self.ledger.append(Append(objects={directory_object(name): data for name, data in files.items()}))
        self.repository = replace(world.repository, files=files)
        self.now_ms = max(world.now * 1000, self.view.state.newest)
        self.house = None

    def begin(self):
        self.house = Housekeeping(ORIGIN, self.ledger, self.view, self.repository, now_ms=self.now_ms)
        return self

    def publish(self, signed):
        """Publish a letter and do what the ledger thread does after it."""
        outcome = publish(
            signed.envelope,
            signed.statement.notice_id,
            ORIGIN,
            self.house.trust(),
            Looking(self.view),
            now_ms=self.now_ms,
        )
        assert isinstance(outcome, Accepted), outcome
        day = from_seconds(self.now_ms // 1000)[:10]
        entry = Entry(outcome.record, outcome.body)
        position = self.ledger.append(Append((entry,), decisions=(Decision(day, outcome.decision),)))[0]
        self.view.apply([(position, outcome.record, outcome.body)])
        self.house.follow(self.now_ms)
        return signed.statement

    def events(self, kind):
        return [Event.parse(self.view.record(index).document).what for index in self.view.events(kind)]

    def erased(self, statement):
        found = self.view.erasure(statement.notice_id)
        return None if found is None else found[1]

    def body(self, statement):
        return self.ledger.body(self.view.body_digest(statement.notice_id))

    def close(self):
        self.view.close()
        self.ledger.close()


class Looking:
    """The view as publishing reads it."""

    def __init__(self, view):
        self._view = view
        self.next_index = view.size

    def __getattr__(self, name):
        return getattr(self._view, name)


@contextmanager
def desk(world, folder):
    one = Desk(world, folder)
    try:
        yield one.begin()
        assert fsck(one.ledger, now_ms=one.now_ms, view=one.view).findings == ()
    finally:
        one.close()


@pytest.fixture(scope="module")
def founded():
    return make_world(MEMBERS)


@pytest.fixture
def world(founded):
    return replace(founded)


# The beginning


def test_a_new_ledger_begins_with_the_directory_versions_that_the_ceremony_made(world, tmp_path):
    with desk(world, tmp_path) as one:
        said = one.events(LeafType.DIRECTORY)
        assert [what.version for what in said] == list(range(1, world.directory.version + 1))
        for what in said:
            assert b64decode(what.snapshot) == sha(world.repository.files[f"{what.version}.snapshot.json"])
        assert one.view.size == world.directory.version
        assert one.house.trust().version == (world.directory.version, None)
    with desk(world, tmp_path) as one:
        assert one.view.size == world.directory.version


def test_files_of_the_directory_are_kept_by_their_names(world, tmp_path):
    with desk(world, tmp_path) as one:
        assert directory_files(one.ledger) == dict(world.repository.files)
        assert directory_object("3.snapshot.json") == "metadata/3.snapshot.json"
        assert directory_object("targets/ab.law.json") == "targets/ab.law.json"


def test_trust_is_the_same_object_until_something_moves_it(world, tmp_path):
    with desk(world, tmp_path) as one:
        first = one.house.trust()
        one.publish(world.envelope(SENDER, [OTHER]))
        assert one.house.trust() is first
        body = RevocationBody(OTHER, tuple(sorted(world.people[OTHER].signing.kids)), Code("theft"))
        one.publish(world.open_envelope(OTHER, "revoke_key", body))
        second = one.house.trust()
        assert second is not first
        assert set(second.revoked) == set(world.people[OTHER].signing.kids)
        assert second.rules is first.rules  # the same law: it is not compiled again


# Rounds


def test_a_round_is_due_each_second_and_when_the_clock_was_set_back(world, tmp_path):
    with desk(world, tmp_path) as one:
        now = one.now_ms
        assert one.house.due(now)
        one.house.run(now)
        assert not one.house.due(now)
        assert not one.house.due(now + EVERY_MS - 1)
        assert one.house.due(now + EVERY_MS)
        assert one.house.due(now - 1)


def test_a_boundary_moves_the_rules_and_what_is_held_with_them(tmp_path):
    now = 1_800_000_000
    terms = condition("first", begins=now + 10, ends=now + 20) + condition("second", begins=now + 30, kind="route")
    world = make_world(MEMBERS, now=now, laws={"uz": terms})
    with desk(world, tmp_path) as one:
        statement = one.publish(world.envelope(SENDER, [OTHER]))
        assert not one.house.run(one.now_ms)
        assert one.events(LeafType.BOUNDARY) == []
        assert may_receive(statement, OTHER, one.house.trust()) is None

        one.now_ms = (now + 10) * 1000
        assert one.house.run(one.now_ms)
        one.house.follow(one.now_ms)
        assert [what.at for what in one.events(LeafType.BOUNDARY)] == [from_seconds(now + 10)]
        trust = one.house.trust()
        assert trust.version == (world.directory.version, from_seconds(now + 10))
        denial = may_receive(statement, OTHER, trust)
        assert denial.condition == "first"
        index = one.view.by_notice(statement.notice_id).index
        one.view.hold([Held(OTHER, index, one.view.size, denial)])
        assert len(one.view.held(OTHER)) == 1

        one.now_ms = (now + 19) * 1000 + 999
        assert not one.house.run(one.now_ms)
        one.now_ms = (now + 20) * 1000
        assert one.house.run(one.now_ms)
        one.house.follow(one.now_ms)
        assert one.view.held(OTHER) == []
        assert one.view.settled == one.view.latest_event(LeafType.BOUNDARY)[0]
        # Of several that passed while nobody looked, the latest is enough.
        one.now_ms = (now + 999) * 1000
        assert one.house.run(one.now_ms)
        assert [what.at for what in one.events(LeafType.BOUNDARY)][-1] == from_seconds(now + 30)
        assert not one.house.run(one.now_ms)


def test_a_boundary_that_passed_before_the_start_comes_first(tmp_path):
    now = 1_800_000_000
    world = make_world(MEMBERS, now=now, laws={"uz": condition("old", begins=now - 5)})
    with desk(world, tmp_path) as one:
        assert one.house.trust().boundary == from_seconds(now - 5)
        assert one.house.trust() is one.house.trust()


def test_what_is_held_stays_held_where_the_new_rules_say_so_too(world, tmp_path):
    with desk(world, tmp_path) as one:
        statement = one.publish(world.envelope(SENDER, [OTHER, "tj/focal-point"]))
        index = one.view.by_notice(statement.notice_id).index

        def upload(role, terms):
            put_law(world, role, data := world.law(role, terms))
            version = world.repository.version_of(f"{role}-law")
            metadata = world.repository.files[f"{version}.{role}-law.json"]
            one.house.upload_role(
                f"{role}-law", metadata, {f"{role}/law.json": data}, if_match=version - 1, now_ms=one.now_ms
            )
            one.house.follow(one.now_ms)

        upload("uz", condition("uz-1"))
        denial = may_receive(statement, OTHER, one.house.trust())
        one.view.hold([Held(OTHER, index, one.view.size, denial), Held("tj/focal-point", index, one.view.size, denial)])
        upload("tj", "")
        assert [item.held.participant for item in one.view.held()] == [OTHER]
        upload("uz", "")
        assert one.view.held() == []


def test_a_view_that_was_lost_settles_what_is_held_again(world, tmp_path):
    with desk(world, tmp_path) as one:
        statement = one.publish(world.envelope(SENDER, [OTHER]))
        index = one.view.by_notice(statement.notice_id).index
        denied = condition("uz-1")
        trust = one.house.trust()
        other = make_world(MEMBERS, laws={"uz": denied})
        why = may_receive(statement, OTHER, replace(trust, rules=other.trust().rules))
        one.view.hold([Held(OTHER, index, one.view.size, why)])
    for file in tmp_path.glob("view*"):
        file.unlink()
    with desk(world, tmp_path) as one:
        # The rules of now allow it: a rebuilt view has settled nothing, so it is decided on again at once.
        assert one.view.held() == []
        assert one.view.settled >= 0


def test_a_notice_whose_sender_left_the_directory_stays_held(world, tmp_path):
    """Its State's role has expired: housekeeping goes on, and lets nothing out."""
    with desk(world, tmp_path) as one:
        statement = one.publish(world.envelope(SENDER, [OTHER]))
        index = one.view.by_notice(statement.notice_id).index
        trust = one.house.trust()
        gone = replace(trust.directory, roles={role: s for role, s in trust.directory.roles.items() if role != "kz"})
        denial = may_receive(statement, OTHER, replace(trust, directory=gone))
        one.view.hold([Held(OTHER, index, one.view.size, denial)])
        one.house._directory = gone
        one.view.settle(-1)
        one.house.follow(one.now_ms)
        assert [item.held.why.condition for item in one.view.held()] == ["unevaluable"]


# Erasure


def test_a_recall_takes_all_corrections_along_and_no_reply(world, tmp_path):
    with desk(world, tmp_path) as one:

        def about(statement):
            return {"ref": statement.notice_id, "thread": statement.thread}

        first = one.publish(world.envelope(SENDER, [OTHER]))
        correction = one.publish(world.envelope(SENDER, [OTHER], "correct", **about(first)))
        again = one.publish(world.envelope(SENDER, [OTHER], "correct", **about(correction)))
        beside = one.publish(world.envelope(SENDER, [OTHER], "correct", **about(first)))
        reply = one.publish(world.envelope(OTHER, [SENDER], **about(first)))
        of_reply = one.publish(world.envelope(OTHER, [SENDER], "correct", **about(reply)))
        # One of the corrections is gone already, and what corrects it is not.
        one.house._erase([correction.notice_id], Code("expired"), one.now_ms)
        recall = one.publish(world.envelope(SENDER, [OTHER], "recall", **about(first)))
        assert [one.erased(each) for each in (first, correction, again, beside)] == [
            "recall",
            "expired",
            "recall",
            "recall",
        ]
        assert [one.erased(each) for each in (reply, of_reply, recall)] == [None] * 3
        for each in (first, correction, again, beside):
            assert one.body(each) is None
        for each in (reply, of_reply, recall):
            assert one.body(each) is not None
        # Nothing is erased twice.
        size = one.view.size
        one.house.follow(one.now_ms)
        assert one.view.size == size


def test_a_recall_of_a_correction_leaves_what_it_corrected(world, tmp_path):
    with desk(world, tmp_path) as one:
        first = one.publish(world.envelope(SENDER, [OTHER]))
        thread = {"thread": first.thread}
        correction = one.publish(world.envelope(SENDER, [OTHER], "correct", ref=first.notice_id, **thread))
        one.publish(world.envelope(SENDER, [OTHER], "recall", ref=correction.notice_id, **thread))
        assert [one.erased(each) for each in (first, correction)] == [None, "recall"]


def test_bodies_go_when_they_expire(world, tmp_path):
    with desk(world, tmp_path) as one:
        soon = one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 60)))
        later = one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 600)))
        one.now_ms += 60_000
        one.house.run(one.now_ms)
        assert one.erased(soon) is None
        one.now_ms += 1000
        one.house.run(one.now_ms)
        assert (one.erased(soon), one.erased(later)) == ("expired", None)
        assert one.body(soon) is None
        assert one.body(later) is not None


def test_a_crash_between_leaf_and_erasure_is_finished_at_the_next_start(world, tmp_path):
    one = Desk(world, tmp_path).begin()
    statement = one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 1)))
    body = one.view.body_digest(statement.notice_id)
    one.ledger.erase = lambda digests: (_ for _ in ()).throw(LedgerUnavailableError("Killed."))
    one.now_ms += 5000
    with pytest.raises(LedgerUnavailableError):
        one.house.run(one.now_ms)
    assert one.erased(statement) == "expired"
    one.close()
    with desk(world, tmp_path) as one:
        assert one.ledger.body(body) is None


@pytest.mark.parametrize("step", ["erase", "apply"])
def test_an_erasure_that_failed_is_finished_by_the_next_round(world, tmp_path, step):
    with desk(world, tmp_path) as one:
        statement = one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 1)))
        target = one.ledger if step == "erase" else one.view

        def broken(*_):
            delattr(target, step)
            raise LedgerUnavailableError("Broken.")

        setattr(target, step, broken)
        one.now_ms += 5000
        with pytest.raises(LedgerUnavailableError):
            one.house.run(one.now_ms)
        assert one.body(statement) is not None
        one.view.catch_up(one.ledger)
        assert one.erased(statement) == "expired"
        one.house.run(one.now_ms)
        assert one.body(statement) is None


# Days


def test_a_day_is_open_for_as_long_as_the_clock_may_be_set_back(world, tmp_path):
    with desk(world, tmp_path) as one:
        one.publish(world.envelope(SENDER, [OTHER]))
        midnight = (one.now_ms // 1000 // DAY + 1) * DAY * 1000
        one.now_ms = midnight + 30_000
        one.house.run(one.now_ms)
        one.now_ms = midnight - 20_000
        one.house.record_access("audit/court", "statements", after=0, count=1, now_ms=one.now_ms)
        one.now_ms = midnight + 60_000
        one.house.run(one.now_ms)
        (what,) = one.events(LeafType.DAY)
        assert what.count == len(one.ledger.decisions(what.day)) == 2


def test_a_day_is_closed_once_with_the_root_of_what_was_decided(world, tmp_path):
    with desk(world, tmp_path) as one:
        for _ in range(3):
            one.publish(world.envelope(SENDER, [OTHER]))
        one.house.record_access("audit/court", "statements", after=0, count=3, now_ms=one.now_ms)
        one.house.run(one.now_ms)
        assert one.events(LeafType.DAY) == []
        day = from_seconds(one.now_ms // 1000)[:10]
        kept = one.ledger.decisions(day)
        assert [orjson.loads(item)["typ"] for item in kept] == ["decision"] * 3 + ["access"]
        assert orjson.loads(kept[3]) == {
            "typ": "access",
            "at": from_seconds(one.now_ms // 1000),
            "auditor": "audit/court",
            "what": "statements",
            "after": 0,
            "count": 3,
        }
        for _ in range(2):
            one.now_ms += DAY * 1000
            one.house.run(one.now_ms)
        (what,) = one.events(LeafType.DAY)
        assert (what.day, what.count, b64decode(what.root)) == (day, 4, root(kept))


# The directory's own renewal


def test_the_timestamp_is_renewed_each_hour_without_a_leaf(world, tmp_path):
    with desk(world, tmp_path) as one:
        one.house.run(one.now_ms)
        first, size = directory_files(one.ledger)["timestamp.json"], one.view.size
        one.now_ms += TIMESTAMP_EVERY_S * 1000 - 1000
        assert not one.house.run(one.now_ms)
        assert directory_files(one.ledger)["timestamp.json"] == first
        one.now_ms += 1000
        assert not one.house.run(one.now_ms)
        assert directory_files(one.ledger)["timestamp.json"] != first
        assert one.view.size == size


def test_the_snapshot_is_renewed_at_half_its_life_as_a_version_of_its_own(world, tmp_path):
    with desk(world, tmp_path) as one:
        version = one.house.trust().directory.version
        for hours in range(85):
            one.now_ms = (world.now + hours * 3600) * 1000
            moved = one.house.run(one.now_ms)
            assert moved is (hours == 84)
        assert one.house.trust().directory.version == version + 1
        assert one.view.state.directory == version + 1
        what = one.events(LeafType.DIRECTORY)[-1]
        assert b64decode(what.snapshot) == sha(directory_files(one.ledger)[f"{version + 1}.snapshot.json"])
        # What is published from now on says so.
        statement = one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 10 * DAY)))
        record = one.view.record(one.view.by_notice(statement.notice_id).index)
        assert record.directory == version + 1
        assert one.house.trust().directory.valid_until > one.now_ms // 1000


def test_an_upload_that_is_refused_changes_nothing(world, tmp_path):
    with desk(world, tmp_path) as one:
        length = one.ledger.length()
        files = directory_files(one.ledger)
        metadata = edit.new_role({"uz/law.json": b"{}"}, now=world.now)
        with pytest.raises(Error):
            one.house.upload_role("uz-law", metadata, {"uz/law.json": b"{}"}, if_match=0, now_ms=one.now_ms)
        assert one.ledger.length() == length
        assert directory_files(one.ledger) == files


def test_an_event_that_does_not_count_is_said(world, tmp_path):
    """Whoever calls this while the clock lies a minute back gets an error, and the next start repairs nothing wrong."""
    one = Desk(world, tmp_path).begin()
    one.publish(world.envelope(SENDER, [OTHER], expires_at=from_seconds(world.now + 1)))
    with pytest.raises(Error) as caught:
        one.house._erase([one.view.by_index(one.view.size - 1).notice_id], Code("expired"), one.now_ms - 60_001)
    assert (caught.value.code, caught.value.detail) == ("unavailable", "An event does not count: late.")
    assert one.view.skipped == {"late": 1}
    one.close()
