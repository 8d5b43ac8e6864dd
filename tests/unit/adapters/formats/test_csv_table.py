"""CSV tables: every row comes out, whatever is wrong with it or with the one before."""

import csv
import gzip
import hashlib
import io
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.formats import csv_table
from adapters.formats.csv_table import Record, Refused, TableError, quote_cell, read_csv
from schemas.errors import Error, TooLargeError
from schemas.limits import LIMITS

COLUMNS = ("A", "B", "C")


def rows(text: str, columns: tuple[str, ...] = COLUMNS) -> list[Record | Refused]:
    return list(read_csv(text.encode(), "x.csv", columns))


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@given(
    st.lists(st.tuples(cells, cells, cells), max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans()
)
def test_what_others_write_is_read_cell_by_cell(
    table: list[tuple[str, str, str]], line_end: str, all_quoted: bool, marked: bool
) -> None:
    file = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(file, delimiter=";", lineterminator=line_end, quoting=quoting)
    writer.writerow(COLUMNS)
    # Python's writer leaves a lone carriage return at a row's end bare, where it would read as the line's end.
    kept = [row for row in table if not any("\r" in cell for cell in row)]
    writer.writerows(kept)
    text = ("\ufeff" if marked else "") + file.getvalue()
    found = rows(text)
    assert [row.cells for row in found if isinstance(row, Record)] == kept
    assert [row.number for row in found] == list(range(1, len(kept) + 1))


@settings(max_examples=400)
@given(st.lists(st.sampled_from(['"', '""', ";", "a", "\n", "\r\n", "b;c;d\n", '"x";'])).map("".join))
def test_rows_agree_with_the_standard_reader_and_none_is_lost(body: str) -> None:
    lines = body.split("\n")
    found = rows(f"A;B;C\n{body}")
    assert [row.number for row in found] == list(range(1, len(found) + 1))
    starts = [row.line for row in found]
    assert starts == sorted(set(starts))
    ends = [*starts[1:], len(lines) + 2][: len(starts)]
    for row, after in zip(found, ends, strict=True):
        own = "\n".join(lines[row.line - 2 : after - 2])
        if isinstance(row, Record):
            assert next(csv.reader(io.StringIO(own, newline=""), delimiter=";", strict=True)) == list(row.cells)
        else:
            # A broken row is its first line alone; what follows is read as rows of its own.
            assert row.reason
            assert row.cell
    covered = {number for start, end in zip(starts, ends, strict=True) for number in range(start, end)}
    assert all(not line.strip("\r") for number, line in enumerate(lines, start=2) if number not in covered)


@given(st.binary(max_size=200), st.sampled_from(["x.csv", "x.csv.gz", "X.CSV"]))
def test_arbitrary_files_raise_only_our_errors(data: bytes, name: str) -> None:
    for content in (data, b"A;B;C\n" + data):
        try:
            list(read_csv(content, name, COLUMNS))
        except Error as error:
            assert error.code in ("import", "too-large")


@given(st.text())
def test_quoted_cells_are_short_printable_and_no_formula(cell: str) -> None:
    shown = quote_cell(cell)
    assert len(shown) <= LIMITS.quoted_cell
    assert shown.isprintable()
    assert not shown.lstrip().startswith(("=", "+", "-", "@"))


def test_quoting_says_what_was_there() -> None:
    assert quote_cell("plain") == "plain"
    assert quote_cell('=HYPERLINK("x")') == '\'=HYPERLINK("x")'
    assert quote_cell(" +1") == "' +1"
    assert quote_cell("a\nb\\\x1b\u202e") == r"a\nb\\\x1b\u202e"
    assert quote_cell("x" * 80) == "x" * 80
    assert quote_cell("x" * 81) == "x" * 79 + "…"


def test_rows_know_their_number_and_line() -> None:
    found = rows('A;B;C\n1;2;3\n\n4;"5\n5";6\n\r\n7;8;9')
    assert [(row.number, row.line) for row in found] == [(1, 2), (2, 4), (3, 7)]
    assert found[1] == Record(2, 4, ("4", "5\n5", "6"))


def test_columns_may_be_quoted_elsewhere_and_more() -> None:
    table = read_csv(b'\xef\xbb\xbf"C"; A;more ;B\r\n1;2;3;4\r\n', "x.csv", COLUMNS)
    assert table.header == ("C", "A", "more", "B")
    assert list(table) == [Record(1, 2, ("1", "2", "3", "4"))]


def test_the_digest_is_of_the_unpacked_bytes() -> None:
    data = b"A;B;C\n1;2;3\n"
    plain, packed = read_csv(data, "x.csv", COLUMNS), read_csv(gzip.compress(data), "x.csv.gz", COLUMNS)
    assert plain.digest == packed.digest == hashlib.sha256(data).hexdigest()
    assert list(plain) == list(packed) == list(plain)
    assert plain.lines >= len(list(plain))


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("1;2", None, "2 cells instead of 3"),
        ("1;2;3;4", None, "4 cells instead of 3"),
        ("1;2;3;4;5", None, "5 cells instead of 3"),
        ('1;"2";3;4;5', None, "more than 3 cells"),
        ('1;"2;3', "B", "a quote is opened and never closed"),
        ('1;2;"3"4', "C", "text follows a closing quote"),
        ('1;2;3;"4', None, "a quote is opened and never closed"),
        (f'1;2;"{"x" * (LIMITS.import_cell + 1)}"', "C", "a cell of more than 65536 bytes"),
        (f"1;{'é' * (LIMITS.import_cell // 2 + 1)};3", "B", "a cell of more than 65536 bytes"),
    ],
)
def test_a_broken_row_takes_no_other_with_it(line: str, column: str | None, reason: str) -> None:
    before, broken, after = rows(f"A;B;C\na;b;c\n{line}\nd;e;f\n")
    assert before == Record(1, 2, ("a", "b", "c"))
    assert isinstance(broken, Refused)
    assert (broken.number, broken.line, broken.column, broken.reason) == (2, 3, column, reason)
    assert len(broken.cell) <= LIMITS.quoted_cell
    assert after == Record(3, 4, ("d", "e", "f"))


def test_cells_up_to_the_limit_are_taken() -> None:
    longest = "x" * LIMITS.import_cell
    assert rows(f"A;B;C\n{longest};{longest};3\n") == [Record(1, 2, (longest, longest, "3"))]


def test_a_row_that_no_notice_could_hold_is_refused() -> None:
    columns = tuple("ABCDE")
    longest = "x" * LIMITS.import_cell
    (broken,) = rows(f"A;B;C;D;E\n{';'.join([longest] * 5)}\n", columns)
    assert isinstance(broken, Refused)
    assert broken.reason == f"a row of more than {4 * LIMITS.import_cell} characters"


def test_a_last_line_may_end_anyhow() -> None:
    for end in ("", "\n", "\r\n", "\r"):
        assert rows(f'A;B;C\n1;2;"3"{end}') == [Record(1, 2, ("1", "2", "3"))]
        assert rows(f"A;B;C\n1;2;3{end}") == [Record(1, 2, ("1", "2", "3"))]
        assert rows(f'A;B;C\n1;"2";3{end}') == [Record(1, 2, ("1", "2", "3"))]


@pytest.mark.timeout(30)
def test_many_broken_quotes_are_read_in_linear_time() -> None:
    for line in ('x";"y;;', ';"', '"";"a', '"""'):
        found = rows("A;B;C\n" + f"{line}\n" * 20_000)
        assert all(isinstance(row, Refused) for row in found) or len(found) > 100


@pytest.mark.parametrize(
    ("data", "name", "line", "sentence"),
    [
        (b"A,B,C\n1,2,3\n", "x.csv", 1, "The delimiter is a comma, not ';'."),
        (b'"A"\t"B"\t"C"\n', "x.csv", 1, "The delimiter is a tab, not ';'."),
        (b"A;C\n1;2\n", "x.csv", 1, "Columns are missing: B."),
        (b"a;b;c\n", "x.csv", 1, "Columns are missing: A, B, C."),
        (b"A;B;C;A\n", "x.csv", 1, "A column stands in the header twice."),
        (b"", "x.csv", 1, "The file has no header line."),
        (b"\xef\xbb\xbf \r\n", "x.csv", 1, "The file has no header line."),
        (b'A;"B;C\n', "x.csv", 1, "The header cannot be read: a quote is opened and never closed."),
        (b"A;B;C\n1;2;3\n1;caf\xe9;3\n", "x.csv", 3, "The file is not UTF-8."),
        ("A;B;C\n1;2;3\n".encode("utf-16"), "x.csv", 1, "The file is not UTF-8."),
        (b"A;B;C\n", "x.csv.gz", None, "The file is not whole gzip data."),
        (gzip.compress(b"A;B;C\n1;2;3\n")[:-9], "x.csv.gz", None, "The file is not whole gzip data."),
        (
            gzip.compress(b"A;B;C\n")[:10] + zlib.compress(b"A;B;C\n"),
            "x.csv.gz",
            None,
            "The file is not whole gzip data.",
        ),
        (gzip.compress(b"A;B;C\n"), "x.csv", 1, "The file is not UTF-8."),
        (b"A;B;C\n", "x.xlsx", None, "The file's name does not end with .csv or .csv.gz."),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(data: bytes, name: str, line: int | None, sentence: str) -> None:
    with pytest.raises(TableError) as caught:
        read_csv(data, name, COLUMNS)
    assert (caught.value.code, caught.value.status) == ("import", 422)
    assert (caught.value.offset, caught.value.detail) == (line, sentence)


def test_a_bomb_is_unpacked_only_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        import_file = 1000
        import_cell = LIMITS.import_cell
        quoted_cell = LIMITS.quoted_cell

    monkeypatch.setattr(csv_table, "LIMITS", Small)
    header = b"A;B;C\n"
    assert list(read_csv(header.ljust(1000, b"\n"), "x.csv", COLUMNS)) == []
    for data, name in ((header.ljust(1001), "x.csv"), (gzip.compress(header.ljust(10_000_000)), "x.csv.gz")):
        with pytest.raises(TooLargeError):
            read_csv(data, name, COLUMNS)
