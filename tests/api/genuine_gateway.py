"""Genuine bodies for the gateway, and a gateway whose two participants have exchanged notices already."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial

from adapters.formats.unodc import COLUMNS
from adapters.gateway.http.examples import EXAMPLES
from adapters.gateway.status import State
from schemas.notice import examples
from tests.gateway_world import until

SENDER, READER = "kz/customs", "uz/focal-point"
PEOPLE = (SENDER, READER)
UNKNOWN = "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11"
MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "uz/police")
OPTIONAL = frozenset(
    ("recallNotice", "grantAsked", "permitUse", "refuseAsked", "consentTo", "withdrawConsent", "deleteText")
)
"""Operations whose body may be left out."""
REQUEST = {"topic": "central-asia.seizures", "notice": examples("seizure"), "to": ["uz/focal-point"]}
TABLE = f"""{";".join(COLUMNS)}
Asia;;Kazakhstan;;Almaty;2014-03-02;Heroin;1.5;Kilogram;Luggage;Road;Car;Afghanistan;;Uzbekistan;
Asia;;Kazakhstan;;Merke;2014-04-02;Opium;2;Kilogram;;;;;;;
Asia;;Uzbekistan;;"Ташкент; ""city"" (Tashkent)";2014-05-02;Cannabis herb (marijuana);.25;Kilogram;;;;;;;
""".encode()


def next_month() -> str:
    """Return a time that lies ahead, and whose day every month has: the document's pattern knows no others."""
    ahead = datetime.now(UTC) + timedelta(days=32)
    return f"{ahead:%Y-%m}-01T00:00:00Z"


def asker(name, address):
    """Return whose token an operation is for that reads JSON."""
    return READER if "inbox" in address or name == "delegate" else SENDER


class Life:
    """A gateway with a notice that can be corrected, one that can be recalled, and both of them in an inbox."""

    def __init__(self, live):
        self.live = live
        self.put("/v1/subscriptions", {"patterns": ["*.*"]}, READER)
        self.corrected, self.recalled = (self.published() for _ in range(2))
        live.loop.run(until(self._both_arrived))
        self.deleted = self.published()
        self.asked = self.question()
        self.bodies = {
            "sendNotice": ("POST", "/v1/notices", {**REQUEST, "label": EXAMPLES["NoticeRequest"]["label"]}),
            "previewNotice": ("POST", "/v1/notices/preview", REQUEST),
            "correctNotice": ("POST", f"/v1/notices/{self.corrected}/correct", {"notice": examples("seizure")}),
            "recallNotice": ("POST", f"/v1/notices/{self.recalled}/recall", EXAMPLES["RecallRequest"]),
            "acknowledgeNotices": ("POST", "/v1/inbox/acknowledge", {"notices": [self.corrected]}),
            "setSubscriptions": ("PUT", "/v1/subscriptions", EXAMPLES["PatternsRequest"]),
            "askAccess": (
                "POST",
                f"/v1/notices/{UNKNOWN}/ask-access",
                {"sender": READER, "topic": "central-asia.seizures"},
            ),
            "grantNotice": ("POST", f"/v1/notices/{self.corrected}/grant", EXAMPLES["GrantRequest"]),
            **{
                name: ("POST", f"/v1/inbox/{notice}/{path}", EXAMPLES[form])
                for name, notice, path, form in (
                    ("askUse", self.corrected, "ask-use", "AskUseRequest"),
                    ("grantAsked", self.asked, "grant", "GrantRequest"),
                    ("permitUse", self.asked, "permit", "PermitRequest"),
                    ("refuseAsked", self.asked, "refuse", "RefuseRequest"),
                    ("consentTo", self.corrected, "consent", "ConsentRequest"),
                    ("withdrawConsent", self.corrected, "withdraw", "RefuseRequest"),
                    ("deleteText", self.deleted, "delete", "DeleteRequest"),
                )
            },
            "delegate": (
                "POST",
                "/v1/delegations",
                {"to": "uz/police", "from": "2026-01-01T00:00:00Z", "until": next_month()},
            ),
        }
        """What each operation that reads JSON takes: method, address, body."""

    async def _both_arrived(self):
        items, _ = await self.live.gateway.inbox(READER)
        return len(items) >= 2

    def put(self, target, value, who):
        answer = self.live.by(who, "PUT", target, json.dumps(value).encode(), {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body

    def published(self) -> str:
        return self.posted(SENDER, "/v1/notices", REQUEST)

    def posted(self, who, target, value) -> str:
        fields = {"Content-Type": "application/json", "Prefer": "wait=20"}
        answer = self.live.by(who, "POST", target, json.dumps(value).encode(), fields)
        assert (answer.status, answer.json()["status"]) == (201, State.PUBLISHED), answer.body
        return answer.json()["id"]

    def question(self) -> str:
        """Have the reader asked for a use of a notice of its own; return the question's id."""
        notice = self.posted(READER, "/v1/notices", {**REQUEST, "to": [SENDER]})
        self.live.loop.run(until(partial(self._has, SENDER, notice)))
        asked = self.posted(SENDER, f"/v1/inbox/{notice}/ask-use", EXAMPLES["AskUseRequest"])
        self.live.loop.run(until(partial(self._has, READER, asked)))
        self.live.loop.run(until(partial(self._has, READER, self.deleted)))
        return asked

    async def _has(self, who, notice):
        return await self.live.gateway.inbox_item(who, notice)
