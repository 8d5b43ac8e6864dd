"""The checker of command lines finds what the command would refuse."""

import pytest

from tests.deploy.command_lines import fault, read_unit


@pytest.mark.parametrize(
    "line",
    [
        "broker run --config F",
        "broker run",
        "broker run --help",
        "--version",
        "broker fsck --state D --json",
        "broker install OUT --state D --passphrase-file F",
        "notice send FILE --preview",
        "subscribe *.*",
    ],
)
def test_right_lines_are_right(line):
    assert fault(line.split()) is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "broker",
        "brokers run",
        "broker rum",
        "broker run --confg F",
        "broker run --config",
        "broker run F",
        "broker fsck",
        "broker fsck --state",
        "broker install --state D",
    ],
)
def test_wrong_lines_are_wrong(line):
    assert fault(line.split()) is not None


def test_a_unit_is_sections_of_settings():
    assert read_unit("# a\n[Unit]\nA=b=c\n\n[Service]\nX=\nX=1\n") == {
        "Unit": [("A", "b=c")],
        "Service": [("X", ""), ("X", "1")],
    }
    for wrong in ("A=b", "[Unit]\nno setting", "[Unit]\n A=b"):
        with pytest.raises(ValueError):
            read_unit(wrong)
