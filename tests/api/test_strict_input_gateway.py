"""The strict-input table on every route of the gateway that reads a body: a declared problem each time, and soon.

The routes come from the OpenAPI document: one without a genuine body here fails. The gateway is the real one, over a real
broker in this process; what only a connection can do wrong is in `test_strict_wire`.
"""

import bz2
import gzip
import zlib

import pytest

from adapters.formats.unodc import COLUMNS
from schemas.limits import LIMITS
from tests.api import strict_bodies as table
from tests.api.conformance import GATEWAY
from tests.api.genuine_gateway import MEMBERS, OPTIONAL, PEOPLE, SENDER, TABLE, Life, asker
from tests.api.live import AUTHORITY, live_gateway
from tests.api.spoiling import compact
from tests.world import make_world

READING = {
    operation["operationId"]: operation
    for item in GATEWAY["paths"].values()
    for operation in item.values()
    if "requestBody" in operation
}
IMPORT = "importTable"
FORMS = sorted(READING.keys() - {IMPORT})
JSON = {"Content-Type": "application/json"}
CSV, GZIP = {"Content-Type": "text/csv"}, {"Content-Type": "application/gzip"}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with live_gateway(make_world(MEMBERS), tmp_path_factory.mktemp("gateway"), *PEOPLE) as live:
        yield live


@pytest.fixture(scope="module")
def life(live):
    return Life(live)


@pytest.fixture(params=FORMS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def refused(live, life):
    """Send a body that is refused; return the problem's code and the seconds that it took."""

    def sending(name, body, headers=(), *, target=None):
        method, address = ("POST", "/v1/imports") if name == IMPORT else life.bodies[name][:2]
        fields = {"Authorization": f"Bearer {live.tokens[SENDER if name == IMPORT else asker(name, address)]}"}
        pairs = [("Host", AUTHORITY), *fields.items(), *{**(CSV if name == IMPORT else JSON), **dict(headers)}.items()]
        answer, seconds = live.timed(method, target or address, most=table.SECONDS, body=body, headers=pairs)
        return table.declared(answer, READING[name]), seconds

    return sending


def test_every_route_that_reads_a_body_is_here(life):
    assert life.bodies.keys() == set(FORMS)


@pytest.mark.parametrize("kind", [table.wrong_values, table.wrong_members, table.wrong_wholes])
def test_what_is_no_strict_json(refused, life, name, kind):
    wrong = {}
    for fault, bodies in kind(life.bodies[name][2]):
        for body in bodies:
            code, seconds = refused(name, body)
            if code not in table.CODES.get(fault, ("malformed",)) or seconds > table.bar(body):
                wrong[fault] = (code, seconds, body[:200])
    assert not wrong


def test_nothing_at_all(refused, live, life, name):
    for body in (b"", [], [b"", b""]):
        for headers in ({}, {"Content-Length": "0"}):
            if name in OPTIONAL:
                method, address, _ = life.bodies[name]
                answer = live.by(asker(name, address), method, address, body, {**JSON, **headers})
                assert answer.status in (200, 202, 409)
            else:
                assert refused(name, body, headers)[0] == "malformed"


def test_one_byte_too_many(refused, life, name):
    for fault, parts, headers in table.too_large(life.bodies[name][2]):
        code, seconds = refused(name, parts, headers)
        assert (fault, code) == (fault, "too-large")
        assert seconds < table.SECONDS


def test_as_many_bytes_as_may_be(live, life, name):
    method, address, body = life.bodies[name]
    text = compact(body)
    answer = live.by(asker(name, address), method, address, text + b" " * (LIMITS.body - len(text)), JSON)
    assert answer.status in (200, 202, 409), answer.body


def test_endless_chunks(refused, name):
    def endless():
        while True:
            yield b" " * 65536

    assert refused(name, endless())[0] == "too-large"


def test_compressed_bodies(refused, life, name):
    for fault, body, headers in table.codings(life.bodies[name][2]):
        code, seconds = refused(name, body, headers)
        assert (fault, code) == (fault, "unsupported-media-type")
        assert seconds < table.SECONDS


def test_other_types(refused, live, life, name):
    method, address, body = life.bodies[name]
    for kind in table.TYPES:
        assert (kind, refused(name, compact(body), {"Content-Type": kind})[0]) == (kind, "unsupported-media-type")
    token = ("Authorization", f"Bearer {live.tokens[SENDER]}")
    for kinds in ([], ["application/json", "application/json"], ["application/json", "text/plain"]):
        pairs = [token, *(("Content-Type", kind) for kind in kinds)]
        answer = live.ask(method, address, compact(body), pairs)
        assert (kinds, table.declared(answer, READING[name])) == (kinds, "unsupported-media-type")


def test_nothing_of_the_input_is_in_an_answer(refused, live, life, name):
    method, address, genuine = life.bodies[name]
    mark = table.MARKER.encode()
    bodies = [mark, b'{"%b":1}' % mark, b'{"%b":NaN}' % mark, compact({**genuine, table.MARKER: table.MARKER})]
    for at in table.places_of(genuine, lambda _: True):
        bodies += [table.with_value(genuine, at, raw.replace(b"M", mark)) for raw in table.HOLDING]
        if isinstance(at[-1], str):
            bodies.append(table.with_member(genuine, at, lambda _, text: b'"%b":%b' % (mark, text)))
    for body in bodies:
        answer = live.by(asker(name, address), method, address, body, JSON)
        if answer.status >= 300:  # a text of a notice may be anything
            table.declared(answer, READING[name])
    text = compact(genuine)
    for headers in (
        {"Content-Type": table.MARKER},
        {"Content-Encoding": table.MARKER},
        {"Content-Length": table.MARKER},
        {"Authorization": table.MARKER},
        {"Authorization": f"Bearer {table.MARKER}"},
        {"Authorization": f"Basic {table.MARKER}"},
    ):
        refused(name, text, headers)
    # What one does not have can be asked for, whether it is there or not: that tells nothing.
    if name != "askAccess" and "{id}" in next(
        path for path, item in GATEWAY["paths"].items() if READING[name] in item.values()
    ):
        other = address.replace(address.split("/")[3], "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11")
        assert refused(name, text, target=other)[0] in ("not-found", "not-recallable", "not-grantable")
    for target in (f"{address}?{table.MARKER}={table.MARKER}", f"{address}?%22={table.MARKER}"):
        answer = live.by(
            SENDER, method, target, text, {**JSON, "Idempotency-Key": f"{table.MARKER} x", "Prefer": table.MARKER}
        )
        if answer.status >= 300:
            table.declared(answer, READING[name])


# Tables


def test_tables_of_another_type(refused):
    for kind in (*table.TYPES, "application/json", "text/csv; charset=utf-16", "application/vnd.ms-excel", "text/csvx"):
        if kind != "text/csv":
            assert (kind, refused(IMPORT, TABLE, {"Content-Type": kind})[0]) == (kind, "unsupported-media-type")


def test_tables_that_are_compressed_in_transit(refused):
    for coding in ("gzip", "br", "identity", ""):
        for headers in (CSV, GZIP):
            code, _ = refused(IMPORT, gzip.compress(TABLE), {**headers, "Content-Encoding": coding})
            assert code == "unsupported-media-type"


WHOLE = gzip.compress(TABLE, mtime=0)


@pytest.mark.parametrize(
    ("body", "headers", "codes"),
    [
        (b"", CSV, ["import"]),
        (b"", GZIP, ["import"]),
        (b"\n\n\n", CSV, ["import"]),
        (TABLE.decode().encode("utf-16"), CSV, ["import"]),
        (TABLE.replace(b"Almaty", b"\xff"), CSV, ["import"]),
        (TABLE.replace(b"Almaty", b"\xed\xa0\x80"), CSV, ["import"]),
        (TABLE.replace(b";", b","), CSV, ["import"]),
        (TABLE.replace(b"COUNTRY;", b"LAND;"), CSV, ["import"]),
        (TABLE.replace(b"REGION;SUBREGION", b"REGION;REGION"), CSV, ["import"]),
        (b"{" * 1_000_000, CSV, ["import", "too-large"]),
        (b'"' * 1_000_001, CSV, ["import", "too-large"]),
        (b";" * 1_000_000, CSV, ["import", "too-large"]),
        (WHOLE[:-1], GZIP, ["import"]),
        (WHOLE[:20], GZIP, ["import"]),
        (WHOLE[:-8] + bytes(8), GZIP, ["import"]),
        (TABLE, GZIP, ["import"]),
        (WHOLE, CSV, ["import"]),
        (zlib.compress(TABLE), GZIP, ["import"]),
        (bz2.compress(TABLE), GZIP, ["import"]),
        (gzip.compress(b";" * (LIMITS.import_file + 1), 1), GZIP, ["import", "too-large"]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_tables_that_cannot_be_read(refused, body, headers, codes):
    code, seconds = refused(IMPORT, body, headers)
    assert code in codes
    if len(body) < 10_000:
        assert seconds < table.SECONDS


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "9" * 100_000,
            "NaN",
            "Infinity",
            "-1",
            "1e400",
            "1,5",
            "0x10",
            "x" * (LIMITS.import_cell + 1),
            "\0",
            "\ud7ff" * 50,
        ),
        *("=cmd|x", table.MARKER),
    ],
    ids=lambda value: value[:10],
)
def test_rows_that_cannot_be_read_are_named(live, cell):
    row = dict.fromkeys(COLUMNS, "")
    row |= {"COUNTRY": "Kazakhstan", "SEIZURE_DATE": "2014-03-02", "DRUG_NAME": "Heroin", "AMOUNT": cell}
    body = TABLE + ";".join(row.values()).encode() + b"\n"
    answer = live.by(SENDER, "POST", "/v1/imports?dry_run=true", body, CSV)
    report = answer.json()
    assert (answer.status, report["rows_read"], report["rows_refused"]) == (200, 4, 1)
    assert (report["refused"][0]["row"], len(report["refused"][0]["cell"]) <= 80) == (4, True)


def test_more_than_a_table_may_have(refused):
    whole = TABLE + b"\n" * (LIMITS.import_file + 1 - len(TABLE))
    assert refused(IMPORT, [whole[at : at + 1_000_000] for at in range(0, len(whole), 1_000_000)])[0] == "too-large"
    for length in (LIMITS.import_file + 1, "9" * 400, -1, "x"):
        code, seconds = refused(IMPORT, TABLE, {"Content-Length": str(length)})
        assert (code, seconds < table.SECONDS) == ("too-large", True)


def test_parameters_of_an_import(refused):
    for query in (
        "dry_run=1",
        "dry_run=True",
        "dry_run=true&dry_run=false",
        f"{table.MARKER}=1",
        f"dry_run={table.MARKER}",
        "routes=",
    ):
        assert refused(IMPORT, TABLE, target=f"/v1/imports?{query}")[0] == "invalid-form"
    assert refused(IMPORT, TABLE, target=f"/v1/imports?name={table.MARKER * 100}")[0] == "invalid-form"
    # What a body claims to be is one thing, said twice.
    assert refused(IMPORT, TABLE, GZIP, target="/v1/imports?name=t.csv")[0] == "invalid-form"
    assert refused(IMPORT, WHOLE, CSV, target="/v1/imports?name=t.csv.gz")[0] == "invalid-form"


def test_nothing_of_a_table_is_in_a_problem(refused):
    mark = table.MARKER.encode()
    for body in (mark, TABLE.replace(b"REGION", mark, 1), mark + b"\xff", TABLE.replace(b";", mark), b'"%b' % mark):
        refused(IMPORT, body)
        refused(IMPORT, gzip.compress(body), GZIP)
    for headers in ({"Content-Type": table.MARKER}, {"Content-Disposition": table.MARKER, "Content-Type": "x"}):
        refused(IMPORT, TABLE, headers)
