"""Who is called for what is overdue: however much lies there that nobody does, what has just become overdue is named.

Everything is real but the TCP connection and the gateways' clocks.
"""

import asyncio

from adapters.gateway import catching_up, duties, keeping
from adapters.gateway.duties import Late
from adapters.gateway.keeping import DUTY, ESCALATED, OVERDUE
from adapters.gateway.request import LabelRequest
from adapters.gateway.status import DutyState
from tests.gateway_world import a_request, arrived, plant, running, scene, sent, until
from tests.unit.adapters.gateway.test_gateway_duties import keep_at
from tests.unit.adapters.gateway.test_gateway_originator import duty_of
from tests.world import make_world

SENDER, OTHER, POLICE = "kz/customs", "tj/focal-point", "tj/police"
LATER = 9 * 3600


def stale(who, number, code, due):
    """Write duties that nobody does: overdue for long, of notices that are somewhere."""

    def write(tx):
        for place in range(number):
            why = tx.seal(duties.WHY, f"{who}/stale-{place}/{code}", b"{}")
            tx.connection.execute(
                "INSERT INTO duty (participant, notice_id, code, state, due, since, why)"
                " VALUES (?, ?, ?, 'overdue', ?, 0, ?)",
                (who, f"stale-{place}", code, due, why),
            )

    return write


async def details(gateway):
    return {alarm.kind: alarm.detail for alarm in await gateway.alarms()}


def test_what_nobody_does_hides_no_newer_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "AT_ONCE", 2)

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER) as made:
            first = await sent(made, SENDER, a_request(to=(OTHER,), label=LabelRequest(urgency="8h")))
            await arrived(made, OTHER)
            for code, number in ((duties.REPLY, 7), (duties.REPORT, 9)):
                await made[OTHER].store.write(stale(OTHER, number, code, 1))
            await keep_at(made[OTHER], (made.world.now + LATER) * 1000)
            item = await made[OTHER].inbox_item(OTHER, first.id)
            assert duty_of(item, "reply").state is DutyState.OVERDUE
            said = await details(made[OTHER])
            assert f"{OTHER} {first.id}," in said[ESCALATED]
            assert said[ESCALATED].endswith(" and 3 more.")
            assert said[DUTY].endswith(" and 4 more.")
            # Answered ones go, the others stay: one sort's end does not end the other's alarm.
            await made[OTHER].store.write(
                lambda tx: tx.connection.execute("DELETE FROM duty WHERE code = ?", (duties.REPLY,))
            )
            await keep_at(made[OTHER], (made.world.now + LATER) * 1000)
            assert ESCALATED not in await details(made[OTHER])
            assert DUTY in await details(made[OTHER])

    asyncio.run(scenario())


def test_nobody_on_a_gateway_is_hidden_behind_another(tmp_path):
    async def scenario():
        world = make_world((SENDER, "kz/focal-point", OTHER, POLICE, "tj/customs"))
        async with scene(tmp_path, SENDER, world=world) as made:
            place = plant(made.world, tmp_path / "shared", OTHER, POLICE, "tj/customs")
            async with running(place, made.wire) as gateway:
                await until(lambda: gateway.network)
                for who in (POLICE, "tj/customs"):
                    await gateway.store.write(stale(who, 8, duties.REPLY, 1))
                await keep_at(gateway, made.world.now * 1000)
                said = (await details(gateway))[OVERDUE]
                assert POLICE in said
                assert "tj/customs" in said
                assert said.endswith(" and 11 more.")

    asyncio.run(scenario())


def test_a_deputys_time_is_the_same_in_the_store_as_in_the_duty(tmp_path):
    """One is read for the alarm, the other by people."""

    async def scenario():
        async with scene(tmp_path, SENDER, OTHER) as made:
            store = made[OTHER].store

            async def number(which, ms):
                return (await store.read(lambda tx: duties.late(tx, OTHER, which, ms, most=1)))[0]

            for due in (600_001, 4 * 3_600_000, 8 * 3_600_000 + 3, 7 * 86_400_000):
                await store.write(stale(OTHER, 1, duties.REPLY, due))
                deputy = duties.deputy_at(0, due)
                assert [await number(which, due - 1) for which in Late] == [0, 0, 0, 0]
                assert [await number(which, deputy - 1) for which in Late] == [1, 0, 1, 0]
                assert [await number(which, deputy) for which in Late] == [1, 1, 0, 0]
                await store.write(lambda tx: tx.connection.execute("DELETE FROM duty"))

    asyncio.run(scenario())


def test_what_is_looked_at_time_and_again_goes_through_no_table(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            store, network = made[SENDER].store, made[SENDER].network
            queries = []
            store._writer.set_trace_callback(queries.append)

            def work(tx):
                for which in Late:
                    duties.late(tx, SENDER, which, 1, most=1)
                duties.becomes_overdue(tx, 1)
                duties.mark_overdue(tx, 1)
                duties.silent(tx, SENDER, 1)
                duties.take_effect(tx, SENDER, 1)
                catching_up.grant(tx, SENDER, network, after=0, now=1)

            await store.write(work)
            store._writer.set_trace_callback(None)
            queries = [query for query in queries if query.startswith(("SELECT", "UPDATE"))]
            assert len(queries) == 2 * len(Late) + 5

            def plans(tx):
                return [
                    (query, step)
                    for query in queries
                    for *_, step in tx.connection.execute(f"EXPLAIN QUERY PLAN {query}")
                    if step.startswith("SCAN") or "PRIMARY KEY (participant=?)" in step
                ]

            assert await store.read(plans) == []

    asyncio.run(scenario())
