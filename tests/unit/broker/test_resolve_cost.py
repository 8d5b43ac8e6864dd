"""What a question may cost: a budget of decisions, shared out, and one question of each participant at a time."""

import asyncio
import threading

import pytest

from broker import resolve as module
from broker.resolve import Questions, resolve
from schemas.errors import Error
from schemas.rules import answer as searching
from tests.unit.broker.test_resolve import LAW, NOW, question
from tests.world import make_world


@pytest.fixture(scope="module")
def trust():
    return make_world(("kz/customs", "kz/focal-point", "uz/focal-point", "tj/police"), laws={"uz": LAW}).trust()


def test_a_question_costs_its_answers_and_the_budget_and_no_more(trust, monkeypatch):
    """Broad questions too: each answer is given its share, and one that had not enough says so."""
    cost = []
    decide = searching.decide
    monkeypatch.setattr(searching, "decide", lambda *given, **named: cost.append(1) or decide(*given, **named))
    for budget in (0, 7, 20_000):
        cost.clear()
        monkeypatch.setattr(module, "BUDGET", budget)
        found = resolve(question(topic="*.*"), "kz/customs", trust, NOW)["answers"]
        assert len(cost) <= len(found) + budget
        denied = [item for item in found if not item["verdict"]["permitted"] and item["topic"].endswith(".seizures")]
        kinds = {(item["answer"], item["complete"]) for item in denied}
        if budget == 7:  # there is enough for some
            assert kinds <= {("unknown", False), ("yes-if", False), ("yes-if", True)}
        else:
            assert kinds == ({("unknown", False)} if budget == 0 else {("yes-if", True)})


def test_one_question_at_a_time_of_each_also_of_who_hangs_up(trust, monkeypatch):
    async def scenario():
        go_on = threading.Event()
        begun = threading.Semaphore(0)

        def slow(*given):
            begun.release()
            assert go_on.wait(10)
            return resolve(*given)

        monkeypatch.setattr(module, "resolve", slow)
        questions = Questions()
        first = asyncio.ensure_future(questions.ask(question(), "kz/customs", trust, NOW))
        assert await asyncio.to_thread(begun.acquire, timeout=10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(Error) as refused:
            await questions.ask(question(), "kz/customs", trust, NOW)
        assert (refused.value.code, refused.value.status) == ("rate-limited", 429)
        other = asyncio.ensure_future(questions.ask(question(recipients=["kz/customs"]), "tj/police", trust, NOW))
        go_on.set()
        assert (await other)["sender"] == "tj/police"
        while questions._running:
            await asyncio.wait(questions._running.values())
            await asyncio.sleep(0)
        assert (await questions.ask(question(), "kz/customs", trust, NOW))["sender"] == "kz/customs"

    asyncio.run(scenario())


def test_a_question_that_is_refused_frees_the_place(trust):
    async def scenario():
        questions = Questions()
        for _ in range(2):
            with pytest.raises(Error) as refused:
                await questions.ask(question(recipients=["uz/nobody"]), "kz/customs", trust, NOW)
            assert refused.value.pointer == "/recipients/0"

    asyncio.run(scenario())
