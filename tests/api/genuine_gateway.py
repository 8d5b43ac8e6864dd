"""Genuine bodies for the gateway, and a gateway whose two participants have exchanged notices already."""

import json

from adapters.formats.unodc import COLUMNS
from adapters.gateway.http.examples import EXAMPLES
from adapters.gateway.status import State
from schemas.notice import examples
from tests.gateway_world import until

SENDER, READER = "kz/customs", "uz/focal-point"
PEOPLE = (SENDER, READER)
MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point")
REQUEST = {"topic": "central-asia.seizures", "notice": examples("seizure"), "to": ["uz/focal-point"]}
TABLE = f"""{";".join(COLUMNS)}
Asia;;Kazakhstan;;Almaty;2014-03-02;Heroin;1.5;Kilogram;Luggage;Road;Car;Afghanistan;;Uzbekistan;
Asia;;Kazakhstan;;Merke;2014-04-02;Opium;2;Kilogram;;;;;;;
Asia;;Uzbekistan;;"Ташкент; ""city"" (Tashkent)";2014-05-02;Cannabis herb (marijuana);.25;Kilogram;;;;;;;
""".encode()


class Life:
    """A gateway with a notice that can be corrected, one that can be recalled, and both of them in an inbox."""

    def __init__(self, live):
        self.live = live
        self.put("/v1/subscriptions", {"patterns": ["*.*"]}, READER)
        self.corrected, self.recalled = (self.published() for _ in range(2))
        live.loop.run(until(self._both_arrived))
        self.bodies = {
            "sendNotice": ("POST", "/v1/notices", {**REQUEST, "label": EXAMPLES["NoticeRequest"]["label"]}),
            "previewNotice": ("POST", "/v1/notices/preview", REQUEST),
            "correctNotice": ("POST", f"/v1/notices/{self.corrected}/correct", {"notice": examples("seizure")}),
            "recallNotice": ("POST", f"/v1/notices/{self.recalled}/recall", EXAMPLES["RecallRequest"]),
            "acknowledgeNotices": ("POST", "/v1/inbox/acknowledge", {"notices": [self.corrected]}),
            "setSubscriptions": ("PUT", "/v1/subscriptions", EXAMPLES["PatternsRequest"]),
        }
        """What each operation that reads JSON takes: method, address, body."""

    async def _both_arrived(self):
        items, _ = await self.live.gateway.inbox(READER)
        return len(items) >= 2

    def put(self, target, value, who):
        answer = self.live.by(who, "PUT", target, json.dumps(value).encode(), {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body

    def published(self) -> str:
        fields = {"Content-Type": "application/json", "Prefer": "wait=20"}
        answer = self.live.by(SENDER, "POST", "/v1/notices", json.dumps(REQUEST).encode(), fields)
        assert (answer.status, answer.json()["status"]) == (201, State.PUBLISHED), answer.body
        return answer.json()["id"]
