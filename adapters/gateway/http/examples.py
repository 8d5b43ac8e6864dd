"""One example for each body of the interface, made up and of the right form (a test holds them against the models)."""

from typing import Any, Final

from schemas.notice import examples


def _without(member: str, of: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in of.items() if name != member}


_ID: Final = "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11"
_OTHER: Final = "019ac0df-0a2b-7d55-8c31-7f6e2d1c0b9a"
_LABEL: Final[dict[str, Any]] = {
    "kind": "seizure",
    "handling": ["h2"],
    "tlp": "amber",
    "pap": "amber",
    "classification": None,
    "urgency": "informative",
    "purpose": "prevention",
    "legal_basis": "osce-decision-1048",
    "nominal": False,
    "exercise": False,
    "reply_due": None,
    "conditions": [],
}
_DENIAL: Final[dict[str, Any]] = {
    "participant": "tj/customs",
    "condition": "nominal-needs-agreement",
    "layer": "law",
    "state": "kz",
    "instrument": "Illustration: law on personal data",
    "article": "16",
    "reason": {"en": "Personal data may go abroad only under an agreement on their protection."},
    "evaluated_by": "sender-gateway",
}
_TROUBLE: Final[dict[str, Any]] = {
    "code": "denied",
    "title": "The rules deny the sender or some recipients",
    "detail": "A recipient that was named may not receive this notice.",
    "hint": "Seal without the denied recipients, or change the label.",
    "pointer": None,
    "denied": [_DENIAL],
}
_RECEIPT: Final = "eyJhbGciOiJFZDI1NTE5In0.eyJ0eXAiOiJ2YWxpc2UtcmVjZWlwdC8xIn0.c2lnbmF0dXJl"
_NOTICE: Final[dict[str, Any]] = {
    "id": _ID,
    "status": "published",
    "notice_id": _ID,
    "aliases": [],
    "act": "issue",
    "kind": "seizure",
    "topic": "central-asia.seizures",
    "label": _LABEL,
    "ref": None,
    "thread": _ID,
    "expires_at": "2027-11-24T12:00:00Z",
    "accepted_at": "2026-11-24T12:00:00Z",
    "sealed_at": "2026-11-24T12:00:01Z",
    "published_at": "2026-11-24T12:00:01Z",
    "attempts": 1,
    "index": 4711,
    "receipt": _RECEIPT,
    "recipients": [
        {"participant": "kz/customs", "via": "sender", "acknowledged_at": None},
        {"participant": "uz/police", "via": "subscription", "acknowledged_at": "2026-11-24T12:05:00Z"},
    ],
    "left_out": [
        {
            "participant": "tj/customs",
            "via": "subscription",
            "detail": "The rules deny it.",
            "denied": _DENIAL,
        }
    ],
    "problem": None,
    "refusal": None,
    "corrected_by": None,
    "recalled_by": None,
    "reply_due": None,
    "answered_by": [],
    "certified_by": [],
    "history": [
        {
            "id": _OTHER,
            "act": "ask_access",
            "participant": "tj/customs",
            "at": "2026-11-24T13:00:00Z",
            "ref": _ID,
            "status": "opened",
            "own": False,
            "to": [],
            "said": {},
            "text": "The same courier was stopped in Khujand.",
        }
    ],
    "notice": {
        "kind": "seizure",
        "when": "2026-11-20",
        "where": {"country": "KZ"},
        "substances": [{"code": "heroin", "quantity": "12.5", "unit": "kg"}],
    },
    "text": "full",
    "sanitised": {
        "id": _OTHER,
        "status": "published",
        "recipients": [
            {"participant": "kz/customs", "via": "sender", "acknowledged_at": None},
            {"participant": "tj/police", "via": "named", "acknowledged_at": None},
        ],
        "left_out": [],
        "problem": None,
    },
    "sanitised_of": None,
}
_DUTY: Final[dict[str, Any]] = {
    "notice_id": _OTHER,
    "code": "reply",
    "state": "open",
    "due": "2026-11-24T20:10:00Z",
    "escalates": "2026-11-24T20:10:00Z",
    "deputy_at": "2026-11-24T22:10:00Z",
    "met_at": None,
    "met_by": None,
    "permitted_until": None,
    "why": {
        "obligation": "reply",
        "reason": {"en": "The sender asks for an answer within this time."},
        "parameters": {"urgency": "8h", "reply_due": ""},
    },
}
_VERDICT: Final[dict[str, Any]] = {
    "permitted": True,
    "determining": [
        {
            "condition": "states-exchange",
            "layer": "network",
            "state": None,
            "effect": "permit",
            "instrument": "OSCE Permanent Council Decision No. 1048 (2012)",
            "article": "paragraphs 15, 19 and 20",
            "reason": {"en": "Agencies of participating States exchange information at all levels."},
            "evaluated_by": "sender-gateway",
            "obligation": None,
            "parameters": {},
        }
    ],
    "obligations": [],
    "directory": 12,
    "boundary": None,
    "unseen": [],
}
_REFUSED: Final[dict[str, Any]] = {
    **_VERDICT,
    "permitted": False,
    "determining": [
        {
            **_without("participant", _DENIAL),
            "effect": "deny",
            "obligation": None,
            "parameters": {},
        }
    ],
}
_ITEM: Final[dict[str, Any]] = {
    "id": _OTHER,
    "status": "opened",
    "seq": 17,
    "act": "issue",
    "sender": "uz/police",
    "topic": "central-asia.seizures",
    "thread": _OTHER,
    "ref": None,
    "label": _LABEL,
    "notice": examples("seizure"),
    "reason": None,
    "verdict": {
        **_VERDICT,
        "determining": [{**_VERDICT["determining"][0], "evaluated_by": "recipient-gateway"}],
    },
    "obligations": [],
    "index": 4712,
    "published_at": "2026-11-24T12:10:00Z",
    "arrived_at": "2026-11-24T12:10:01Z",
    "expires_at": "2027-11-24T12:10:00Z",
    "statement_digest": "9WnEJ0Wl0bYcPjYqfKZg2v0v9oYtq0jv4N3u1w1b2bY",
    "superseded_by": None,
    "recalled_by": None,
    "acknowledged_at": None,
    "granted_by": None,
    "deleted_at": None,
    "certificate": None,
    "duties": [_DUTY],
    "history": [],
}
_REPORT: Final[dict[str, Any]] = {
    "rows_read": 3,
    "rows_imported": 1,
    "rows_refused": 1,
    "already_known": 1,
    "notices": [_ID],
    "refused": [{"row": 3, "column": "SEIZURE_DATE", "reason": "There is no date.", "cell": ""}],
    "dry_run": False,
}

EXAMPLES: Final[dict[str, Any]] = {
    "NoticeRequest": {
        "topic": "central-asia.seizures",
        "notice": examples("seizure"),
        "label": {"tlp": "amber", "handling": ["h2"]},
        "to": ["uz/police", "tj/customs"],
        "sanitise": True,
    },
    "CorrectionRequest": {"notice": examples("seizure")},
    "RecallRequest": {"reason": "withdrawn", "text": "The quantity was another case's."},
    "PatternsRequest": {"patterns": ["central-asia.*", "*.precursors"]},
    "AcknowledgeRequest": {"notices": [_ID]},
    "AskAccessRequest": {"sender": "kz/customs", "topic": "central-asia.seizures", "text": "The same courier."},
    "AskUseRequest": {"use": "onward", "for": ["tj/customs"], "text": "They hold the second courier."},
    "GrantRequest": {"to": ["tj/customs"]},
    "PermitRequest": {"until": "2027-06-28T00:00:00Z", "text": "In the case that you name."},
    "ConsentRequest": {"text": "Under constant surveillance."},
    "RefuseRequest": {"reason": "not-permitted", "text": "The source would be at risk."},
    "DeleteRequest": {"reason": "case-closed"},
    "DelegationRequest": {"to": "kz/police", "from": "2026-12-24T00:00:00Z", "until": "2027-01-02T00:00:00Z"},
    "DutiesDocument": {"duties": [_DUTY]},
    "DelegationsDocument": {
        "delegations": [
            {
                "by": "kz/focal-point",
                "to": "kz/police",
                "from": "2026-12-24T00:00:00Z",
                "until": "2027-01-02T00:00:00Z",
                "index": 4713,
            }
        ]
    },
    "AcknowledgedDocument": {"acknowledged": [_ID]},
    "AcceptedDocument": {"id": _ID, "status": "kept", "href": f"/v1/notices/{_ID}"},
    "PublishedDocument": {
        "id": _ID,
        "status": "published",
        "href": f"/v1/notices/{_ID}",
        "receipt": _RECEIPT,
        "index": 4711,
    },
    "NoticeDocument": _NOTICE,
    "NoticesDocument": {"next": 1, "notices": [_NOTICE]},
    "PreviewDocument": {
        "label": _LABEL,
        "publish": _VERDICT,
        "changes": [],
        "complete": True,
        "candidates": [
            {
                "participant": "uz/police",
                "via": "subscription",
                "permitted": True,
                "answer": "yes-if",
                "detail": "",
                "verdict": _VERDICT,
                "changes": [],
                "complete": True,
                "text": "full",
            },
            {
                "participant": "tj/customs",
                "via": "named",
                "permitted": False,
                "answer": "yes-if",
                "detail": "Personal data may go abroad only under an agreement on their protection.",
                "verdict": _REFUSED,
                "changes": [
                    [
                        {
                            "way": "nominal",
                            "value": "no",
                            "says": {"en": "without data on persons", "de": "ohne Daten zu Personen"},
                        }
                    ]
                ],
                "complete": True,
                "text": "sanitised",
            },
        ],
        "would_send": True,
        "problem": None,
        "directory": 12,
        "boundary": None,
        "checked_at": "2026-11-24T12:00:00Z",
        "sanitised": {
            "asked": True,
            "alone": False,
            "recipients": ["tj/customs"],
            "label": _LABEL,
            "notice": _without("nominal", examples("seizure")),
            "left_out": ["/notice/nominal"],
        },
        "topics": [
            {
                "topic": "central-asia.seizures",
                "publish": _VERDICT,
                "changes": [],
                "complete": True,
                "candidates": [],
                "would_send": True,
            }
        ],
    },
    "InboxItemDocument": _ITEM,
    "InboxDocument": {"next": 17, "items": [_ITEM]},
    "SubscriptionsDocument": {
        "subscriptions": [{"pattern": "*.precursors", "index": 18}, {"pattern": "central-asia.*", "index": 18}]
    },
    "ImportDocument": _REPORT,
    "DoctorDocument": {
        "well": True,
        "checks": [{"name": "directory", "state": "ok", "detail": "Version 12, checked 3 s ago.", "hint": None}],
        "alarms": [],
    },
    "HealthDocument": {"ready": True, "reasons": []},
    "TroubleDocument": _TROUBLE,
}
