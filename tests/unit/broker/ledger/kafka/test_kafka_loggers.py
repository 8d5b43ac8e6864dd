"""What the library's loggers say is bounded, each by itself."""

import logging

from structlog.testing import capture_logs

from broker.ledger.kafka.loggers import LineBound, bound_loggers


def line(name):
    return logging.LogRecord(name, logging.ERROR, __file__, 1, "Unable to connect", (), None)


def test_a_logger_says_so_many_lines_a_minute_and_then_how_many_it_withheld():
    now = [100.0]
    bound = LineBound(3, lambda: now[0])
    with capture_logs() as said:
        assert [bound.filter(line("aiokafka.conn")) for _ in range(10_000)] == [True] * 3 + [False] * 9_997
        now[0] += 59.9
        assert not bound.filter(line("aiokafka.conn"))
        assert said == []
        now[0] += 0.2
        assert bound.filter(line("aiokafka.conn"))
        assert bound.filter(line("aiokafka.conn"))
    assert said == [{"event": "library.withheld", "library": "aiokafka.conn", "lines": 9_998, "log_level": "warning"}]
    now[0] += 3600
    with capture_logs() as said:
        assert bound.filter(line("aiokafka.conn"))
    assert said == []


def test_every_logger_of_the_library_is_bounded_once():
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "aiokafka"]
    before = {name: list(logging.getLogger(name).filters) for name in names}
    try:
        bound_loggers(2)
        bound_loggers(2)
        for name in names:
            assert [type(one) for one in logging.getLogger(name).filters].count(LineBound) == 1
        assert {"aiokafka", "aiokafka.conn", "aiokafka.producer.sender", "aiokafka.admin.client"} <= set(names)
        assert logging.getLogger("asyncio").filters == []
        assert logging.getLogger("broker").filters == []
    finally:
        for name, filters in before.items():
            logging.getLogger(name).filters[:] = filters
