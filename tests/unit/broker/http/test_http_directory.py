"""The directory: its static files, and the uploads of roles."""

import pytest

from broker.http.service import (
    DirectoryLeaf,
)
from tests.unit.broker.http.double import JSON, code


@pytest.mark.parametrize(
    ("target", "name", "immutable"),
    [
        ("metadata/timestamp.json", "metadata/timestamp.json", False),
        ("metadata/1.root.json", "metadata/1.root.json", True),
        ("metadata/12.fr-law.json", "metadata/12.fr-law.json", True),
        (f"targets/fr/{'a' * 64}.directory.json", f"targets/fr/{'a' * 64}.directory.json", True),
        (f"targets/int/unodc/{'0' * 64}.directory.json", f"targets/int/unodc/{'0' * 64}.directory.json", True),
    ],
)
def test_the_directory_is_static(ask, service, target, name, immutable):
    service.answers["directory_file"] = b"{}"
    answer = ask("GET", f"/v1/directory/{target}")
    assert (answer.status, "immutable" in answer.headers["cache-control"]) == (200, immutable)
    assert service.asked == [("directory_file", name)]
    service.answers["directory_file"] = None
    assert ask("GET", f"/v1/directory/{target}").status == 404


@pytest.mark.parametrize(
    "target",
    ["metadata/root.json", "metadata/..", "metadata/0.root.json", "targets/x", "targets/../../etc/passwd", "targets/"]
    + ["metadata/" + "1" * 400 + ".root.json", f"targets/fr/../{'a' * 64}.x", "metadata/timestamp.json%00"],
)
def test_other_names_are_no_files(ask, service, target):
    assert ask("GET", f"/v1/directory/{target}").status == 404
    assert not service.asked


UPLOAD = b'{"metadata":"e30","targets":{"fr/directory.json":"e30"}}'


def test_a_role_is_uploaded(ask, service):
    service.answers["upload_role"] = DirectoryLeaf(12, 4711)
    answer = ask("PUT", "/v1/directory/roles/fr-law", UPLOAD, {**JSON, "If-Match": '"7"'})
    assert (answer.status, answer.json()) == (201, {"version": 12, "index": 4711})
    assert service.asked == [("upload_role", "fr-law", b"{}", {"fr/directory.json": b"{}"}, 7)]


@pytest.mark.parametrize(
    ("if_match", "found"),
    [
        (None, "precondition-required"),
        ("*", "invalid-form"),
        ("7", "invalid-form"),
        ('W/"7"', "invalid-form"),
        ('"7", "8"', "invalid-form"),
        ('"07"', "invalid-form"),
        ('"' + "9" * 5000 + '"', "invalid-form"),
        ('"\xb2"', "invalid-form"),
    ],
)
def test_an_upload_says_what_it_edited(ask, if_match, found):
    headers = {**JSON, **({} if if_match is None else {"If-Match": if_match})}
    answer = ask("PUT", "/v1/directory/roles/fr", UPLOAD, headers)
    assert (code(answer), answer.json()["pointer"]) == (found, "/header/if-match")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"{}", "/metadata"),
        (b"[]", ""),
        (b'{"targets":{},"metadata":"e30"}', ""),
        (b'{"metadata":"e30=","targets":{}}', "/metadata"),
        (b'{"metadata":"e30","targets":[]}', "/targets"),
        (b'{"metadata":"e30","targets":{"secret":"*"}}', "/targets"),
        (b'{"metadata":"e30","targets":{"secret":1}}', "/targets"),
        (b'{"metadata":"e30","targets":{},"more":1}', ""),
    ],
)
def test_an_upload_has_a_form(ask, service, body, pointer):
    answer = ask("PUT", "/v1/directory/roles/fr", body, {**JSON, "If-Match": '"0"'})
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", pointer)
    assert b"secret" not in answer.body
    assert not service.asked


@pytest.mark.parametrize("role", ["FR", "fr_law", "a" * 65, "%00"])
def test_a_role_has_a_name(ask, role):
    answer = ask("PUT", f"/v1/directory/roles/{role}", UPLOAD, {**JSON, "If-Match": '"0"'})
    assert (answer.status, answer.json()["pointer"]) == (422, "/path/role")
