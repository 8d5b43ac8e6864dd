"""Logs hold ids only, metrics say what the ledger says."""

import io
import json
import logging
import warnings

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from broker import telemetry
from broker.telemetry import WITHHELD, EngineFigures, Figures, Telemetry


@pytest.fixture
def lines():
    """Configure logging for a test and put everything back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    telemetry.configure_logging(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_an_event_with_ids(lines):
    structlog.get_logger("broker").info("notice.published", notice="0190-x", sender="fr/customs", index=7, list=["a/b"])
    (line,) = lines()
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "notice.published",
        "level": "info",
        "notice": "0190-x",
        "sender": "fr/customs",
        "index": 7,
        "list": ["a/b"],
    }


@given(st.text(min_size=1))
def test_free_text_never_gets_through(text):
    event = telemetry.only_ids(
        None, "info", {"event": "a.b", "x": f"{text} and more", "y": [text + " "], "z": object()}
    )
    assert event == {"event": "a.b", "x": WITHHELD, "y": [WITHHELD], "z": WITHHELD}


def test_an_event_without_a_name_is_not_printed(lines):
    structlog.get_logger().warning("Something about <a notice>")
    assert lines()[0]["event"] == "event.unnamed"


def test_debug_is_off_unless_asked_for(lines):
    structlog.get_logger().debug("a.b")
    assert lines() == []


def test_libraries_lose_their_sentences(lines):
    error = ValueError("contents")
    logging.getLogger("lib").error("about %s", "contents", exc_info=(type(error), error, None))
    logging.getLogger("lib").warning("contents")
    logging.getLogger("lib").info("contents")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("contents", UserWarning, stacklevel=1)
    found = lines()
    assert [(line["event"], line["library"], line["error"]) for line in found] == [
        ("library.logged", "lib", "ValueError"),
        ("library.logged", "lib", None),
        ("library.logged", "py.warnings", None),
    ]
    assert "contents" not in json.dumps(found)


def test_metrics_show_the_figures_of_the_moment():
    figures = Figures({"tree_size": 5, "checkpoint_age_seconds": 0.5}, {"leaves": 5, "skipped_records": 1}, {"fork": 2})
    asked = []
    metrics = Telemetry(lambda: asked.append(1) or figures)
    assert not asked, "nothing is read before a scrape"
    metrics.publishes.labels("created").inc()
    metrics.requests.labels("publish", "201").observe(0.004)
    text = generate_latest(metrics.registry).decode()
    for line in (
        "valise_tree_size 5.0",
        "valise_checkpoint_age_seconds 0.5",
        "valise_leaves_total 5.0",
        "valise_skipped_records_total 1.0",
        'valise_alarms_total{kind="fork"} 2.0',
        'valise_publishes_total{outcome="created"} 1.0',
        'valise_request_seconds_bucket{le="0.005",operation="publish",status="201"} 1.0',
    ):
        assert f"\n{line}\n" in f"\n{text}"


def text_of(figures):
    return generate_latest(Telemetry(lambda: figures).registry).decode()


def test_what_does_not_count_is_counted_by_reason():
    text = text_of(Figures(skipped={"late": 2, "frame": 1}))
    assert '\nvalise_records_skipped_total{reason="frame"} 1.0\n' in text
    assert '\nvalise_records_skipped_total{reason="late"} 2.0\n' in text


def test_an_embedded_ledger_says_nothing_of_a_cluster():
    assert "valise_ledger_lag_records" not in text_of(Figures())


def test_a_shared_ledger_says_how_it_is():
    engine = EngineFigures(
        7,
        heartbeat_age=0.5,
        clock_offset=-1.5,
        instances=2,
        signer=True,
        replacements=3,
    )
    text = text_of(Figures(engine=engine))
    for line in (
        "valise_ledger_lag_records 7.0",
        "valise_heartbeat_age_seconds 0.5",
        "valise_clock_offset_seconds -1.5",
        "valise_instances 2.0",
        "valise_signer 1.0",
        "valise_producer_replacements_total 3.0",
    ):
        assert f"\n{line}\n" in text


def test_a_heartbeat_that_was_never_confirmed_is_infinitely_old():
    assert "\nvalise_heartbeat_age_seconds +Inf\n" in text_of(Figures(engine=EngineFigures()))
