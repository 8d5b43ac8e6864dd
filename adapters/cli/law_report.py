"""The report of a simulated change of law, for people in their language: on a terminal and as one HTML page that loads nothing.

What stands in a report came from labels and laws; all of it is escaped, and no script is in the page.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from adapters.cli.law_words import said
from adapters.cli.terminal import Column, Terminal, clean
from adapters.cli.words import article, language, reason
from schemas.codes import code_list
from schemas.ids import Code
from schemas.rules.simulate import Outcome, Report

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}caption{text-align:left;font-weight:600}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "thead th{border-bottom:2px solid #777}.n{text-align:right;font-variant-numeric:tabular-nums}"
    "div{overflow-x:auto}th[scope=row]{width:40%}th[scope=row]+td{text-align:left;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}th,td{border-color:#444}}"
)
MOST_ROWS: Final = 100
MOST_ON_PAGE: Final = 1000
Row = Sequence[object]


def tables(report: Report) -> list[tuple[str, tuple[str, ...], list[Row]]]:
    """Return the report's tables in English words: heading, columns, rows; those without rows are left out."""
    made: list[tuple[str, tuple[str, ...], list[Row]]] = [
        ("Who gains", ("State", "Notices more"), [(state_name(s), n) for s, n in report.gains().items()]),
        ("Who loses", ("State", "Notices fewer"), [(state_name(s), n) for s, n in report.loses().items()]),
        ("May publish less", ("State", "Notices"), [(state_name(s), n) for s, n in report.silenced.items()]),
        (
            "Pairs of States in conflict",
            ("From", "To", "Lost", "Gained", "Nothing passes any more"),
            [
                (state_name(a), state_name(b), pair.lost, pair.gained, said("yes" if pair.shut else "no"))
                for a, b, pair in report.conflicts()
            ],
        ),
        (
            "By which conditions",
            ("Condition", "Article", "Reason", "Denials"),
            [
                (why.condition, article(why.to_json()), reason(dict(why.reason)), count)
                for why, count in report.conditions.most_common()
            ],
        ),
        ("Would have been refused", _OUTCOME, _outcomes(report.refused)),
        ("Would have been allowed", _OUTCOME, _outcomes(report.allowed)),
        ("Not yet fetched, would be withheld", _OUTCOME, _outcomes(report.withheld)),
        ("Withheld so far, would be offered", _OUTCOME, _outcomes(report.released)),
    ]
    return [table for table in made if table[2]]


_OUTCOME: Final = ("Notice", "Sender", "Topic", "Kind", "Concerns", "Why")


def _outcomes(found: Iterable[Outcome]) -> list[Row]:
    rows: list[Row] = []
    for one in found:
        why = "" if one.why is None else f"{one.why.condition}: {article(one.why.to_json())}"
        past = one.past
        rows.append((past.notice_id, past.sender.id, past.topic, past.label.kind, ", ".join(one.denied), why))
    return rows


def state_name(role: str) -> str:
    """Return a State with its name in the reader's language: `it (Italy)`."""
    entry = code_list("states").entries.get(Code(role))
    return role if entry is None else f"{role} ({entry.name(language())})"


def summary(report: Report, digest: str) -> dict[str, object]:
    """Return what a report comes to."""
    return {
        "changed": [state_name(state) for state in report.changed],
        "notices": report.notices,
        "in_full": report.in_full,
        "states": report.states,
        "refused": _count(report, report.refused, report.addressed),
        "allowed": _count(report, report.allowed, report.addressed),
        "withheld": _count(report, report.withheld, report.tracked),
        "released": _count(report, report.released, report.tracked),
        "pairs_in_conflict": len(report.conflicts()),
        "sha256": digest,
    }


def _count(report: Report, found: Sequence[Outcome], known: int) -> object:
    """Return how many notices were found; the log does not say who got a notice, and of nobody known is not none."""
    if not known and report.notices:
        return "not known (no recipients in what was read)"
    return len(found) if known == report.notices else f"{len(found)} (recipients known of {known} of {report.notices})"


SHOWN: Final = (
    ("Law of", "changed"),
    ("Past notices", "notices"),
    ("Of which opened", "in_full"),
    ("States asked", "states"),
    ("Would have been refused", "refused"),
    ("Would have been allowed", "allowed"),
    ("Not yet fetched, would be withheld", "withheld"),
    ("Withheld so far, would be offered", "released"),
    ("Pairs of States in conflict", "pairs_in_conflict"),
    ("SHA-256 of the report", "sha256"),
)


def show(report: Report, digest: str, where: Terminal) -> None:
    """Print a report."""
    if where.as_json:
        where.json({**report.to_json(), "sha256": digest})
        return
    where.record(summary(report, digest), shown=[(said(heading), member) for heading, member in SHOWN])
    for heading, columns, rows in tables(report):
        where.say(f"\n{said(heading)}")
        members = [
            Column(said(name), name, whole=number == 0, right=name in _NUMBERS) for number, name in enumerate(columns)
        ]
        where.listing(heading, [dict(zip(columns, row, strict=True)) for row in rows[:MOST_ROWS]], members)
        if len(rows) > MOST_ROWS:
            where.say(said("… and {count} more; --out FILE has them.").format(count=len(rows) - MOST_ROWS))


_NUMBERS: Final = ("Notices", "Notices more", "Notices fewer", "Lost", "Gained", "Denials")


def html(report: Report, digest: str) -> bytes:
    """Return a report as one page of HTML."""
    figures = summary(report, digest)
    title = escape(said("Simulated change of law"))
    about = said("What the change would have done to past notices. It says what the rules decide, not what the law is.")
    parts = [
        f'<!doctype html><html lang="{language()}"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><p>{escape(about)}</p>",
        _table("In short", (), [(said(heading), figures[member]) for heading, member in SHOWN], heads=True),
        *(_table(heading, columns, rows[:MOST_ON_PAGE]) for heading, columns, rows in tables(report)),
        "</body></html>\n",
    ]
    return "".join(parts).encode()


def _table(heading: str, columns: Sequence[str], rows: Iterable[Row], *, heads: bool = False) -> str:
    """Return a table; with `heads`, each row's first cell names it."""
    head = "".join(f'<th scope="col"{_RIGHT if name in _NUMBERS else ""}>{escape(said(name))}</th>' for name in columns)
    body = "".join(f"<tr>{_cells(row, heads=heads)}</tr>" for row in rows)
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<div><table><caption>{escape(said(heading))}</caption>{head}<tbody>{body}</tbody></table></div>"


_RIGHT: Final = ' class="n"'


def _cells(row: Row, *, heads: bool) -> str:
    first = f'<th scope="row">{escape(clean(row[0]))}</th>' if heads else _cell(row[0])
    return first + "".join(map(_cell, row[1:]))


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"<td{_RIGHT}>{value}</td>"
    return f"<td>{escape(clean(value))}</td>"
