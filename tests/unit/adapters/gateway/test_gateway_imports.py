"""A table becomes notices, row by row: nothing lost, nothing invented, nothing twice."""

import asyncio
from pathlib import Path

import pytest

from adapters.formats.csv_table import TableError
from adapters.gateway.status import State
from tests.gateway_world import arrived, scene, subscribed, until

SENDER, READER = "kz/customs", "uz/focal-point"
TABLE = (Path(__file__).parents[4] / "adapters" / "demo" / "sample.csv").read_bytes().splitlines()


def table(*rows: int, spoil=()) -> bytes:
    lines = [TABLE[0], *(TABLE[row] for row in rows)]
    for at in spoil:
        cells = lines[at].split(b";")
        cells[5] = b"=soon()"
        lines[at] = b";".join(cells)
    return b"\n".join(lines) + b"\n"


def test_rows_travel_in_series_and_the_file_again_is_nothing_new(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            data = table(*range(1, 21), spoil=(3, 7))
            dry = await made[SENDER].import_table(SENDER, data, "t.csv", dry_run=True)
            assert (dry.rows_read, dry.rows_imported, dry.rows_refused, dry.notices) == (20, 18, 2, ())
            assert dry.dry_run
            assert (await made[SENDER].statuses(SENDER))[0] == []
            report = await made[SENDER].import_table(SENDER, data, "t.csv")
            assert (report.rows_read, report.rows_imported, report.already_known) == (20, 18, 0)
            assert [(row.row, row.column) for row in report.refused] == [(3, "SEIZURE_DATE"), (7, "SEIZURE_DATE")]
            assert report.refused[0].cell == "'=soon()"
            assert len(report.notices) == 18
            items = await arrived(made, READER, 18)
            assert {item.notice_id for item in items} == set(report.notices)
            again = await made[SENDER].import_table(SENDER, data, "t.csv")
            assert (again.rows_imported, again.already_known, again.rows_refused) == (0, 18, 2)
            dry = await made[SENDER].import_table(SENDER, data, "renamed.csv", dry_run=True)
            assert (dry.rows_imported, dry.already_known) == (0, 18)

    asyncio.run(scenario())


def test_routes_are_further_notices_of_the_same_rows(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            data = table(*range(1, 120))
            plain = await made[SENDER].import_table(SENDER, data, "t.csv")
            both = await made[SENDER].import_table(SENDER, data, "t.csv", routes=True)
            assert plain.rows_imported == 119
            assert 0 < both.rows_imported < 119
            assert both.rows_imported + both.already_known == 119
            await until(lambda: settled(made[SENDER]))
            found, _ = await made[SENDER].statuses(SENDER, limit=1000)
            assert {item.kind for item in found} == {"seizure", "route"}
            # Nobody subscribes: each of them goes back to its drafter, and the next one goes on.
            assert {item.state for item in found} == {State.RETURNED}

    asyncio.run(scenario())


async def settled(gateway):
    stats = await gateway.stats()
    return stats.outbox.get((SENDER, State.KEPT), 0) == 0


def test_a_file_that_is_none_is_refused_as_a_whole(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            for data, name in (
                (b"a;b\n1;2\n", "t.csv"),
                (b"\xff\xfe", "t.csv"),
                (table(1), "t.xlsx"),
                (b"x", "t.csv.gz"),
            ):
                with pytest.raises(TableError):
                    await made[SENDER].import_table(SENDER, data, name)
            assert (await made[SENDER].statuses(SENDER))[0] == []

    asyncio.run(scenario())
