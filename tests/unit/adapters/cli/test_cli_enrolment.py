"""From nothing to an enrolled gateway on the command line: ceremony, invitation, eight words, signatures, upload, law."""

import json
import shutil
import time
from pathlib import Path
from typing import Self

import pytest

from adapters.cli import broker_access, enrolling
from adapters.client.answers import Uploaded
from adapters.client.errors import RefusedError
from adapters.gateway.folder import Folder
from adapters.gateway.rotation import next_sealing_key
from adapters.gateway.service import Gateway, GatewayOptions
from broker.command import read_ceremony
from broker.init import BrokerKeys, repository_of
from keys.custody.file import FileCustody
from keys.directory.directory import Directory
from keys.directory.repository import Repository
from schemas.errors import Error
from schemas.ids import LedgerIndex

ORIGIN = "test.invalid/enrolment"
ADDRESS = "http://127.0.0.1:9"
LAW = """
form = "law/0"
state = "fr"
version = "1"
illustration = true
[[condition]]
id = "no-red"
instrument = "Illustration"
article = "3"
effect = "deny"
applies_to = { direction = "send", tlp = ["red"] }
[condition.explanation]
en = "What is red stays."
fr = "Ce qui est rouge reste."
"""


class PaperBroker:
    """A broker that is a repository: it takes uploads and serves the directory, and has no log."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self.uploads = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held."""

    async def directory_file(self, name: str) -> bytes | None:
        return self.repository.files.get(name)

    async def upload_role(self, role: str, metadata: bytes, targets: dict[str, bytes], *, edited: int) -> Uploaded:
        try:
            version = self.repository.accept_role(
                role, metadata, targets, if_match=edited, tree_size=self.uploads, now=int(time.time())
            )
        except Error as error:
            raise RefusedError(error.code, error.detail, pointer=error.pointer) from None
        self.repository = self.repository.after(version)
        self.uploads += 1
        return Uploaded(version.snapshot_version, LedgerIndex(self.uploads))

    def directory(self) -> Directory:
        return self.repository.load(int(time.time()))


_once: dict[tuple[str, ...], tuple[Path, Repository]] = {}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what is made once."""
    return tmp_path_factory.mktemp("ceremonies")


@pytest.fixture
def found(valise, monkeypatch, kept):
    """Hold a ceremony, or take the one that was held, and put a broker of paper behind its address."""

    def hold(*roles: str) -> PaperBroker:
        if roles not in _once:
            repository = _hold(valise, roles)
            _once[roles] = (kept / "-".join(roles), repository)
            shutil.copytree(valise.folder, _once[roles][0])
        folder, repository = _once[roles]
        shutil.copytree(folder, valise.folder, dirs_exist_ok=True)
        paper = PaperBroker(repository)
        monkeypatch.setattr(broker_access, "open_broker", lambda address, _: paper if address == ADDRESS else None)
        valise.environment["VALISE_DEPLOYMENT"] = "ceremony/deployment.json"
        return paper

    return hold


def _hold(valise, roles: tuple[str, ...]) -> Repository:
    """Hold the ceremony with commands; return what the operator makes of it."""
    valise("broker", "init", "--state", "broker", "--origin", ORIGIN, "--passphrase-file", valise.secret("broker"))
    for role in roles:
        valise("key", "new", f"{role}-role", "--keys", role, "--passphrase-file", valise.secret(role))
        law = []
        if role != "audit":
            for holder in ("officer", "focal"):
                made = valise("key", "new", holder, "--keys", role, "--passphrase-file", valise.secret(role))
                law += ["--law-public", made["public"]]
        valise("directory", "role", role, "--public", f"{role}/{role}-role.public.json", *law)
    secrets = [word for n in range(5) for word in ("--root-passphrase-file", valise.secret(f"root-{n}"))]
    made = [word for role in roles for word in ("--role", f"{role}.role.json")]
    done = valise(
        *("directory", "init", "--origin", ORIGIN, "--broker", ADDRESS),
        *("--broker-public", "broker/broker-public.json", "--out", "ceremony", *secrets, *made),
    )
    assert done["threshold"] == "3 of 5"
    assert done["roles"] == list(roles)
    keys = BrokerKeys.open(FileCustody(Path("broker/keys"), b"passphrase of broker"))
    files = read_ceremony(Path(done["founding"]))
    empty = repository_of({"1.root.json": files["1.root.json"]}, keys)
    network = {name: data for name, data in files.items() if name.startswith("network/")}
    return empty.after(empty.begin(files["1.targets.json"], network, now=int(time.time())))


def invited(valise, who: str, folder: str, *more: object) -> dict:
    """Make the kit of a participant and set a gateway up with it."""
    kit = valise("directory", "invite", who)
    return valise(
        *("gateway", "init", "--kit", kit["kit"], "--folder", folder),
        *("--passphrase-file", valise.secret(folder), "--no-backup", *more),
    )


def test_from_nothing_to_a_directory_with_an_agency_and_a_law(valise, found):
    paper = found("fr")
    point = invited(valise, "fr/focal-point", "point")
    agency = invited(valise, "fr/customs", "agency")
    assert len(agency["words"].split()) == 8
    assert agency["words"] != point["words"]
    who = ("--kind", "focal-point", "--name", "Point de contact", "--focal-point")
    first = valise("directory", "approve", point["request"], "--words", point["words"], *who)
    assert first["update"] == "fr.update.json"
    # The second request goes on with the update that waits.
    who = ("--kind", "customs", "--name", "Douane", "--role", "sender", "--clearance", "secret")
    valise("directory", "approve", agency["request"], "--words", agency["words"].upper(), *who)
    valise("directory", "sign", "fr.update.json", "--keys", "fr", "--key", "fr-role", "--passphrase-file", "fr.pass")
    done = valise("directory", "upload", "fr.update.json")
    assert done == {"role": "fr", "directory": 2, "index": 1}
    assert not Path("fr.update.json").exists()
    directory = paper.directory()
    assert directory.focal_point("fr").id == "fr/focal-point"
    customs = directory.participant("fr/customs")
    assert (customs.kind, customs.names.de, customs.roles, customs.clearance) == (
        "customs",
        "Douane",
        ("sender",),
        "secret",
    )
    assert directory.roles["fr"].names.de == "Frankreich"
    assert len(customs.keys) == 3

    Path("fr.toml").write_text(LAW)
    assert [row["id"] for row in valise("law", "check", "fr.toml")["conditions"]] == ["no-red"]
    officer = ("--keys", "fr", "--key", "officer", "--passphrase-file", "fr.pass")
    signed = valise("law", "sign", "fr.toml", *officer)
    early = valise.refused("law", "upload", signed["update"])
    assert early["exit_code"] == 1
    valise("law", "sign", signed["update"], "--keys", "fr", "--key", "focal", "--passphrase-file", "fr.pass")
    assert valise("law", "upload", signed["update"])["directory"] == 3
    assert "fr" in paper.directory().laws

    # Another text, and back: the old one, unchanged, under two signatures of its own.
    first = paper.directory().laws["fr"]
    assert valise("law", "show", "fr")["version"] == "1"
    Path("fr.toml").write_text(LAW.replace('version = "1"', 'version = "2"'))
    signed = valise("law", "sign", "fr.toml", *officer)
    valise("law", "sign", signed["update"], "--keys", "fr", "--key", "focal", "--passphrase-file", "fr.pass")
    valise("law", "upload", signed["update"])
    assert paper.directory().laws["fr"] != first
    back = valise("law", "restore", "fr", *officer)
    valise("law", "sign", back["update"], "--keys", "fr", "--key", "focal", "--passphrase-file", "fr.pass")
    assert valise("law", "upload", back["update"])["directory"] == 5
    assert paper.directory().laws["fr"] == first
    assert paper.directory().role_versions["fr-law"] == 3
    assert valise.refused("law", "restore", "fr", "--version", "1", *officer)["exit_code"] == 1
    assert valise.refused("law", "restore", "fr", "--version", "9", *officer)["exit_code"] == 1

    shown = valise("directory", "show")
    assert [one["id"] for one in shown["participants"]] == ["fr/customs", "fr/focal-point"]
    assert {row["use"] for row in valise("directory", "show", "fr/customs")["keys"]} == {
        "signing",
        "sealing",
        "request",
    }
    assert len(valise("directory", "show", "fr")["participants"]) == 2
    assert valise.refused("directory", "show", "de")["exit_code"] == 1
    fingerprint = agency["fingerprint"]
    verified = valise("directory", "verify", "--root-fingerprint", fingerprint.replace(" ", "").upper())
    assert (verified["verified"], verified["version"], verified["laws"]) == (True, 5, ["fr"])
    wrong = valise.run("directory", "verify", "--root-fingerprint", "0" * 64)
    assert wrong.exit_code == 1
    assert "another one" in wrong.stderr


def test_a_second_agency_and_a_next_key(valise, found):
    paper = found("fr")
    key = ("--keys", "fr", "--key", "fr-role", "--passphrase-file", "fr.pass", "--upload")
    for who, folder in (("fr/customs", "customs"), ("fr/police", "police")):
        made = invited(valise, who, folder)
        words = ("--words", made["words"], "--kind", folder, "--name", folder)
        assert valise.run("directory", "approve", made["request"], *words, *key).exit_code == 0
    assert paper.directory().role_versions["fr"] == 2
    passes = ("--folder", "customs", "--passphrase-file", "customs.pass")
    following = valise("gateway", "next-key", *passes)
    assert following["request"] == "fr-customs.next.json"
    done = valise.run("directory", "approve", following["request"], "--words", following["words"], *key)
    assert done.exit_code == 0, done.stderr
    customs = paper.directory().participant("fr/customs")
    assert [record.kids[0] for record in customs.keys][-1] == following["kid"]
    assert len(customs.keys) == 4
    assert (
        valise.refused("gateway", "next-key", "--folder", "none", "--passphrase-file", "customs.pass")["exit_code"] == 1
    )
    with pytest.raises(Error):
        next_sealing_key(Path("none"), b"x", "fr/customs", now_ms=0)


def test_signed_and_uploaded_at_once(valise, found):
    paper = found("audit")
    court = invited(valise, "audit/court", "court")
    words = ("--words", court["words"], "--kind", "auditor", "--name", "Court of auditors")
    key = ("--keys", "audit", "--key", "audit-role", "--passphrase-file", "audit.pass")
    assert valise.refused("directory", "approve", court["request"], *words, "--upload")["exit_code"] == 65
    assert valise.refused("directory", "approve", court["request"], *words, "--key", "x")["exit_code"] == 65
    result = valise.run("directory", "approve", court["request"], *words, *key, "--upload")
    assert result.exit_code == 0, result.stderr
    assert paper.directory().participant("audit/court").kind == "auditor"


def test_words_that_differ_approve_nothing(valise, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    words = agency["words"].split()
    words[7] = "acorn" if words[7] != "acorn" else "actor"
    refused = valise.refused("directory", "approve", agency["request"], "--words", " ".join(words))
    assert refused["type"] == "urn:valise:problem:unverified"
    assert agency["words"] not in str(refused)
    assert not Path("fr.update.json").exists()
    asked = valise
    asked.input = agency["words"] + "\n"
    result = asked.run("directory", "approve", agency["request"], "--kind", "customs", "--name", "Douane")
    assert result.exit_code == 0, result.stderr
    assert agency["words"] in result.stderr


def test_what_the_desk_refuses(valise, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    approve = ("directory", "approve", agency["request"], "--words", agency["words"])
    assert valise.refused(*approve)["type"] == "urn:valise:problem:enrolment"
    assert valise.refused(*approve, "--kind", "customs")["exit_code"] == 65
    assert valise.refused(*approve, "--kind", "Customs", "--name", "x")["exit_code"] == 65
    assert valise.refused(*approve, "--from", "tomorrow", "--kind", "customs", "--name", "x")["exit_code"] == 65
    valise(*approve, "--kind", "customs", "--name", "x")
    # Signed by another role's key: the broker says no, and the update stays where it is.
    valise("directory", "sign", "fr.update.json", "--keys", "fr", "--key", "officer", "--passphrase-file", "fr.pass")
    assert valise.refused("directory", "upload", "fr.update.json")["exit_code"] == 1
    assert Path("fr.update.json").exists()
    Path("changed.json").write_bytes(Path(agency["request"]).read_bytes().replace(b"fr/customs", b"fr/custems"))
    assert valise.refused("directory", "approve", "changed.json", "--words", "x")["exit_code"] in (1, 65)
    assert valise.refused("law", "upload", "fr.update.json")["exit_code"] == 65


def test_an_update_of_an_older_version_is_not_gone_on_with(valise, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    who = ("--kind", "customs", "--name", "x")
    valise("directory", "approve", agency["request"], "--words", agency["words"], *who)
    valise("directory", "sign", "fr.update.json", "--keys", "fr", "--key", "fr-role", "--passphrase-file", "fr.pass")
    kept = Path("fr.update.json").read_bytes()
    valise("directory", "upload", "fr.update.json")
    Path("fr.update.json").write_bytes(kept)
    refused = valise.refused("directory", "approve", agency["request"], "--words", agency["words"])
    assert refused["type"] == "urn:valise:problem:precondition-failed"


def test_keys_that_begin_too_early_are_refused(valise, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    words = ("--words", agency["words"], "--kind", "customs", "--name", "x", "--from", "2020-01-01T00:00:00Z")
    valise("directory", "approve", agency["request"], *words)
    valise("directory", "sign", "fr.update.json", "--keys", "fr", "--key", "fr-role", "--passphrase-file", "fr.pass")
    assert valise.refused("directory", "upload", "fr.update.json")["type"].endswith("directory-append-only")


def test_keys_count_soon_but_not_before_they_are_uploaded(valise, monkeypatch, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    monkeypatch.setattr(enrolling, "now", lambda: 1_900_000_000)
    done = valise(
        "directory", "approve", agency["request"], "--words", agency["words"], "--kind", "customs", "--name", "x"
    )
    assert done["from"] == "2030-03-17T17:56:40Z"  # ten minutes later


def test_a_request_for_another_deployment(valise, found):
    found("fr")
    agency = invited(valise, "fr/customs", "agency")
    other = Path(valise.environment["VALISE_DEPLOYMENT"]).read_bytes().replace(b"/enrolment", b"/elsewhere")
    Path("other.json").write_bytes(other)
    refused = valise.refused(
        "directory", "approve", agency["request"], "--words", agency["words"], "--deployment", "other.json"
    )
    assert refused["type"] == "urn:valise:problem:wrong-origin"
    damaged = other.replace(b'"fingerprint":"', b'"fingerprint":"0')
    Path("damaged.json").write_bytes(damaged)
    assert valise.refused("directory", "invite", "fr/customs", "--deployment", "damaged.json")["exit_code"] == 65


def test_the_ceremony_refuses(valise, found):
    found("fr")
    public = ("--broker-public", "broker/broker-public.json", "--broker", ADDRESS)
    roots = [word for n in range(3) for word in ("--root-passphrase-file", f"root-{n}.pass")]
    other = valise.refused("directory", "init", "--origin", "test.invalid/other", *public, "--out", "o", *roots)
    assert other["pointer"] == "/origin"
    again = valise.refused("directory", "init", "--origin", ORIGIN, *public, "--out", "ceremony", *roots)
    assert again["exit_code"] == 73
    few = valise.refused(
        "directory", "init", "--origin", ORIGIN, *public, "--out", "few", *roots[:2], "--threshold", "2"
    )
    assert few["exit_code"] == 1
    two = valise.refused(
        "directory", "role", "fr", "--public", "fr/fr-role.public.json", "--law-public", "fr/officer.public.json"
    )
    assert two["pointer"] == "/law-public"
    Path("bad.json").write_text("{}")
    assert (
        valise.refused("directory", "init", "--origin", ORIGIN, *public, "--out", "n", *roots, "--network", "bad.json")[
            "exit_code"
        ]
        == 65
    )


def test_keys_are_listed_backed_up_and_restored(valise):
    secret, other = valise.secret("keys"), valise.secret("backup")
    made = valise("key", "new", "fr-role", "--keys", "keys", "--passphrase-file", secret)
    assert valise.refused("key", "new", "fr-role", "--keys", "keys", "--passphrase-file", secret)["exit_code"] == 77
    assert valise("key", "list", "--keys", "keys") == {"keys": [{"name": "fr-role", "keyid": made["keyid"]}]}
    assert valise.refused("key", "new", "x", "--keys", "keys", "--passphrase-file", other)["exit_code"] == 77
    passes = ("--passphrase-file", secret, "--backup-passphrase-file", other)
    assert valise("key", "backup", "keys.backup", "--keys", "keys", *passes)["keys"] == ["fr-role"]
    assert valise.refused("key", "backup", "keys.backup", "--keys", "keys", *passes)["exit_code"] == 73
    assert valise.refused("key", "backup", "b", "--keys", "nowhere", *passes)["exit_code"] == 77
    assert valise("key", "restore", "keys.backup", "--keys", "new", *passes) == {"keys": ["fr-role"]}
    wrong = ("--passphrase-file", secret, "--backup-passphrase-file", secret)
    assert valise.refused("key", "restore", "keys.backup", "--keys", "third", *wrong)["exit_code"] == 77
    assert valise.refused("key", "new", "x", "--keys", "keys")["exit_code"] == 77  # nobody to ask


def test_a_passphrase_file_that_others_can_read_is_warned_about(valise):
    secret = Path(valise.secret("open"))
    secret.chmod(0o644)
    result = valise.run("key", "new", "x", "--keys", "keys", "--passphrase-file", secret)
    assert result.exit_code == 0
    assert "chmod 600" in result.stderr
    assert valise.refused("key", "new", "y", "--keys", "keys", "--passphrase-file", "nowhere")["exit_code"] == 77


def test_a_passphrase_of_the_service_manager(valise, monkeypatch, tmp_path):
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert valise.refused("key", "new", "x", "--keys", "keys")["exit_code"] == 77
    (tmp_path / "credentials" / "valise-passphrase").write_text("from systemd")
    valise("key", "new", "x", "--keys", "keys")
    assert FileCustody(Path("keys"), b"from systemd").names() == ("x",)


@pytest.mark.parametrize(("typed", "code"), [(["a", "a"], 0), (["a", "b"], 77), (["", ""], 77)])
def test_a_passphrase_that_is_typed(valise, monkeypatch, typed, code):
    from adapters.cli import passphrase

    class Person:
        @staticmethod
        def isatty() -> bool:
            return True

    answers = iter(typed)
    monkeypatch.setattr(passphrase.getpass, "getpass", lambda _: next(answers))
    monkeypatch.setattr(passphrase, "sys", type("Sys", (), {"stdin": Person})())
    assert valise.run("key", "new", "x", "--keys", "keys").exit_code == code


def test_a_gateway_is_set_up_with_a_backup_or_without_one_on_purpose(valise, found):
    found("fr")
    kit = valise("directory", "invite", "fr/customs", "--out", "k.json")["kit"]
    init = ("gateway", "init", "--kit", kit, "--folder", "gw", "--passphrase-file", valise.secret("gw"))
    assert valise.refused(*init)["exit_code"] == 78
    assert valise.refused(*init, "--backup", "b", "--no-backup")["exit_code"] == 78
    done = valise(*init, "--backup", "keys.backup", "--backup-passphrase-file", valise.secret("b"), "--out", "r.json")
    assert Path("keys.backup").stat().st_mode & 0o777 == 0o600
    assert Folder(Path("gw")).enrolled().backup
    again = valise(*init, "--no-backup", "--out", "r2.json")
    assert again["fingerprint"] == done["fingerprint"]
    plain = valise.run(*init, "--no-backup", "--out", "r3.json")
    assert "read the eight words out" in plain.stderr


def test_tokens_on_the_command_line(valise, found):
    found("fr")
    assert valise.refused("gateway", "token", "new", "--folder", "gw", "--label", "x")["exit_code"] == 1
    invited(valise, "fr/customs", "gw")
    made = valise("gateway", "token", "new", "--folder", "gw", "--label", "case system")
    assert made["token"].startswith("valise_")
    assert made["participant"] == "fr/customs"
    kept = valise("gateway", "token", "new", "--folder", "gw", "--label", "other", "--out", "token")
    assert "token" not in kept
    assert Path("token").stat().st_mode & 0o777 == 0o600
    assert [one["label"] for one in valise("gateway", "token", "list", "--folder", "gw")["tokens"]] == [
        "case system",
        "other",
    ]
    valise("gateway", "token", "revoke", made["id"], "--folder", "gw")
    assert valise.refused("gateway", "token", "revoke", made["id"], "--folder", "gw")["exit_code"] == 1
    assert (
        valise.refused("gateway", "token", "new", "--folder", "gw", "--label", "x", "--participant", "de/x")[
            "exit_code"
        ]
        == 78
    )
    invited(valise, "fr/police", "gw")
    several = valise.refused("gateway", "token", "new", "--folder", "gw", "--label", "x")
    assert "fr/customs, fr/police" in several["hint"]
    valise("gateway", "token", "new", "--folder", "gw", "--label", "x", "--participant", "fr/police")


def test_a_backup_goes_into_a_new_folder(valise, found):
    found("fr")
    passes = ("--passphrase-file", valise.secret("gw"), "--backup-passphrase-file", valise.secret("b"))
    assert valise.refused("gateway", "backup", "b.zip", "--folder", "gw", *passes)["exit_code"] == 1
    invited(valise, "fr/customs", "gw")
    valise("gateway", "token", "new", "--folder", "gw", "--label", "x")
    valise("gateway", "backup", "b.zip", "--folder", "gw", *passes)
    assert valise.refused("gateway", "restore", "b.zip", "--folder", "gw", *passes)["exit_code"] == 73
    done = valise("gateway", "restore", "b.zip", "--folder", "new", *passes)
    assert (done["origin"], done["gateway"]) == (ORIGIN, "main")
    assert len(valise("gateway", "token", "list", "--folder", "new")["tokens"]) == 1
    old, new = (FileCustody(Path(name, "keys"), b"passphrase of gw") for name in ("gw", "new"))
    assert {name: old.open(name) for name in old.names()} == {name: new.open(name) for name in new.names()}
    for wrong in (b"", b"PK", Path("b.zip").read_bytes()[:-40]):
        Path("wrong").write_bytes(wrong)
        assert valise.refused("gateway", "restore", "wrong", "--folder", "third", *passes)["exit_code"] == 77


def test_the_configuration_is_explained(valise, monkeypatch, tmp_path):
    Path("gw.toml").write_text(f'folder = "{tmp_path}/gw"\nlisten = "unix:{tmp_path}/s"\n')
    valise.environment["VALISE_GATEWAY_METRICS"] = "off"
    rows = {row["name"]: row for row in valise("gateway", "check-config", "--config", "gw.toml")["settings"]}
    assert rows["listen"] == {**rows["listen"], "value": f"unix:{tmp_path}/s", "source": "gw.toml"}
    assert rows["metrics"]["source"] == "VALISE_GATEWAY_METRICS"
    Path("gw.toml").write_text(f'folder = "{tmp_path}/gw"\nlisten = "0.0.0.0:8470"\n')
    assert valise.refused("gateway", "check-config", "--config", "gw.toml")["pointer"] == "/listen"
    assert valise.refused("gateway", "run", "--config", "gw.toml")["exit_code"] == 78


def test_a_baseline_pack_names_no_state(valise):
    pack = Path(__file__).parents[4] / "deploy" / "packs" / "eu.toml"
    assert valise.refused("law", "check", pack)["exit_code"] == 65
    shown = valise("law", "check", pack, "--state", "fr", "--out", "law.json")
    assert shown["state"] == "fr"
    assert Path("law.json").exists()


def test_a_backup_has_the_store_too(valise, found):
    found("fr")
    invited(valise, "fr/customs", "gw")
    passes = ("--passphrase-file", "gw.pass", "--backup-passphrase-file", valise.secret("b"))
    gateway = Gateway.open(GatewayOptions(Path("gw").absolute()), b"passphrase of gw")
    valise("gateway", "backup", "running.zip", "--folder", "gw", *passes)  # while it is in use
    gateway.store.close()
    valise("gateway", "restore", "running.zip", "--folder", "new", *passes)
    again = Gateway.open(GatewayOptions(Path("new").absolute()), b"passphrase of gw")
    assert again.participants == ("fr/customs",)
    again.store.close()


def test_a_secret_that_is_no_role_key(valise):
    from adapters.cli.key import open_key

    FileCustody(Path("keys"), b"x").keep("other", b"short")
    with pytest.raises(Error):
        open_key(Path("keys"), "other", b"x")
    with pytest.raises(Error):
        open_key(Path("nowhere"), "other", b"x")


def test_an_expired_role_whose_file_is_not_at_hand(found, valise):
    from dataclasses import replace

    from adapters.cli import desk
    from keys.directory.enrolment import verify_request

    paper = found("fr")
    agency = invited(valise, "fr/customs", "gw")
    asked = verify_request(Path(agency["request"]).read_bytes())
    directory = paper.directory()
    known = desk.Known(replace(directory, role_versions={**directory.role_versions, "fr": 3}), {})
    with pytest.raises(Error) as caught:
        desk.enter(known, asked, new=None, from_="2030-01-01T00:00:00Z", now=0)
    assert caught.value.code == "directory-frozen"
    assert desk.state_names("int-unodc").fr == "UNODC"


def test_forms_that_are_passed_from_hand_to_hand(valise, found):
    found("fr")
    for name, text in (
        ("r.json", b"{}"),
        ("u.json", b'{"v":1,"typ":"valise-role-update/1","role":"fr","edited":0,"metadata":"AA","targets":[]}'),
    ):
        Path(name).write_bytes(text)
    assert (
        valise.refused(
            "directory", "sign", "u.json", "--keys", "fr", "--key", "fr-role", "--passphrase-file", "fr.pass"
        )["pointer"]
        == "/targets"
    )
    keys = json.loads(Path("fr.role.json").read_text())
    for change in ({"law": keys["law"][:1]}, {"keys": ["x"]}):
        Path("r.json").write_text(json.dumps({**keys, **change}, separators=(",", ":")))
        roots = [word for n in range(3) for word in ("--root-passphrase-file", f"root-{n}.pass")]
        public = ("--broker-public", "broker/broker-public.json", "--broker", ADDRESS, "--origin", ORIGIN)
        assert valise.refused("directory", "init", *public, "--out", "x", *roots, "--role", "r.json")["exit_code"] == 65
    operator = json.loads(Path("broker/broker-public.json").read_text())
    Path("o.json").write_text(json.dumps({**operator, "log": 5}))
    refused = valise.refused(
        "directory", "init", "--broker-public", "o.json", "--broker", ADDRESS, "--origin", ORIGIN, "--out", "x", *roots
    )
    assert refused["pointer"] == "/log"
