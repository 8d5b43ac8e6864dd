"""What a simulation cannot know it does not count as none: the log names no recipients."""

from dataclasses import replace

from adapters.cli.law_report import summary
from schemas.ids import Role
from schemas.rules.simulate import Past, Report, simulate
from tests.unit.schemas.rules.test_simulate import PURPOSE, STATES, issue, three

COUNTS = ("refused", "allowed", "withheld", "released")


def run(*past: Past) -> Report:
    return simulate(past, STATES, three(None), three(PURPOSE, version=2))


def counts(report: Report) -> dict[str, object]:
    found = report.to_json()
    return {name: found[name]["notices"] for name in COUNTS}  # type: ignore[index, call-overload]


def logged() -> Past:
    return replace(issue(sender=STATES[Role("fr")]), recipients=None, waiting=None, named=frozenset())


def sent() -> Past:
    kz = STATES[Role("kz")]
    return replace(logged(), recipients=(kz,), named=frozenset((kz.id,)), waiting=(kz,))


def test_of_labels_alone_neither_question_is_answered() -> None:
    report = run(logged(), logged())
    assert report.loses()
    assert counts(report) == dict.fromkeys(COUNTS)
    assert all(str(summary(report, "x")[name]).startswith("not known") for name in COUNTS)


def test_where_recipients_are_known_it_is() -> None:
    report = run(sent())
    assert counts(report) == {"refused": 1, "allowed": 0, "withheld": 1, "released": 0}
    assert summary(report, "x")["refused"] == 1


def test_where_some_are_known_it_is_said_of_how_many() -> None:
    report = run(sent(), logged(), logged())
    assert counts(report)["refused"] == 1
    assert summary(report, "x")["refused"] == "1 (recipients known of 1 of 3)"
    assert (report.addressed, report.tracked) == (1, 1)


def test_nobody_waiting_is_known_where_it_is_said() -> None:
    assert counts(run(replace(sent(), waiting=())))["withheld"] == 0
    assert counts(run(replace(logged(), recipients=())))["withheld"] is None


def test_of_no_notices_none_would_have_been_refused() -> None:
    assert counts(run()) == dict.fromkeys(COUNTS, 0)
