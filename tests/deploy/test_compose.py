"""The compose file against the programs in it: settings, secrets, folders, times, rights, and what it must not have."""

import os
import re
import shlex
from itertools import chain
from pathlib import Path

import pytest
import yaml

from adapters.gateway import settings as gateway_settings
from broker import settings as broker_settings
from broker.ledger.kafka.topics import NODE_SETTINGS
from deploy.kafka.protocol import read_acls, read_properties
from tests.deploy.command_lines import DEPLOY, fault
from tests.deploy.test_systemd_units import one as of_unit

FOLDER = DEPLOY / "compose"
ROOT = DEPLOY.parent
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
BROKERS = [name for name in SERVICES if name.startswith("broker-")]
NODES = [name for name in SERVICES if name.startswith("kafka-")]
OURS = [*BROKERS, "gateway"]
SETTINGS = {"broker": broker_settings, "gateway": gateway_settings}
README = (FOLDER / "README.md").read_text()
SECRETS = "/run/secrets/"
FORBIDDEN = {
    "privileged",
    "network_mode",
    "pid",
    "ipc",
    "cap_add",
    "devices",
    "userns_mode",
    "env_file",
    "container_name",
}


def everywhere(name):
    """Return all words of a service: environment, commands, health check."""
    service = SERVICES[name]
    check = service.get("healthcheck", {}).get("test", [])
    return [*service.get("environment", {}).values(), *service.get("command", []), *check]


def noun(name):
    return SERVICES[name]["command"][0]


def test_these_are_the_services():
    assert sorted(SERVICES) == ["broker-1", "broker-2", "gateway", "kafka-1", "kafka-2", "kafka-3", "rights"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_little(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", service["user"])
    assert "noexec" in service["tmpfs"][0]
    assert service["mem_limit"] == service["memswap_limit"], "nothing goes to swap"
    assert service["ulimits"]["core"] == 0
    assert service["pids_limit"]
    assert not FORBIDDEN & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_built_here(name):
    build = SERVICES[name]["build"]
    assert SERVICES[name]["image"].endswith(":local")
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.Dockerfile")), ids=lambda path: path.stem)
def test_an_image_is_made_of_what_there_is(path):
    text = path.read_text()
    named = dict(re.findall(r"(?m)^ARG (\w+)=(\S+)$", text))
    assert named
    assert all(re.fullmatch(r"[a-z-]+:[a-z0-9.-]+", image) for image in named.values()), "names, not addresses"
    assert set(re.findall(r"(?m)^FROM (\S+)", text)) <= {f"${{{name}}}" for name in named}
    for line in re.findall(r"(?m)^COPY (?!--from)(.+)$", text):
        *sources, _ = [word for word in line.split() if not word.startswith("--")]
        assert all((ROOT / source).exists() for source in sources), line
    assert "://" not in text
    user = re.findall(r"(?m)^USER (\S+)$", text)
    assert user
    assert {
        SERVICES[name]["user"] for name in SERVICES if SERVICES[name]["build"]["dockerfile"].endswith(path.name)
    } == set(user)
    folder = re.search(r"install -d -m 700 -o (\d+) -g (\d+) (\S+)", text)
    assert folder is not None
    assert f"{folder[1]}:{folder[2]}" == user[0]


@pytest.mark.parametrize("name", OURS)
def test_the_command_is_one_that_the_program_takes(name):
    assert fault(SERVICES[name]["command"]) is None


def variables(name, tmp_path):
    """Return a service's environment, its secrets in a folder of the test's."""
    text = {key: str(value) for key, value in SERVICES[name]["environment"].items()}
    found = {}
    for key, value in text.items():
        filled = re.sub(r"\$\{(\w+):\?[^}]*\}", "valise.example/exchange", value)
        if filled.startswith(SECRETS):
            path = tmp_path / filled.removeprefix(SECRETS)
            path.write_text("x")
            path.chmod(0o600)
            filled = str(path)
        found[key] = filled
    return found


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_and_all_of_them_are_safe(name, tmp_path):
    given = variables(name, tmp_path)
    module = SETTINGS[noun(name)]
    loaded = module.load(None, given)
    assert {row.source for row in loaded.explained} - {"default", "command line"} == set(given)


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_are_files_that_the_service_names(name):
    listed = SERVICES[name]["secrets"]
    words = " ".join(map(str, everywhere(name)))
    named = set(re.findall(rf"{SECRETS}([\w.-]+)", words))
    if name in NODES:
        named |= {f"{name}.pem", "ca.pem"}  # kafka.sh names them
    assert set(listed) == named
    assert len(set(listed)) == len(listed)


def test_every_secret_is_a_file_and_explained():
    used = set(chain.from_iterable(service["secrets"] for service in SERVICES.values()))
    assert used == set(COMPOSE["secrets"])
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert f"`{name}`" in README
    assert not any(
        re.search(r"(?i)password|passphrase(?!_FILE)", key) for name in OURS for key in SERVICES[name]["environment"]
    )


def test_every_state_has_a_volume_of_its_own():
    mounted = {}
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, _, target = volume.partition(":")
            assert source not in mounted
            mounted[source] = (name, target)
    assert set(mounted) == set(COMPOSE["volumes"])
    assert dict(mounted.values()) == {
        **{name: SERVICES[name]["environment"]["VALISE_BROKER_STATE"] for name in BROKERS},
        "gateway": SERVICES["gateway"]["environment"]["VALISE_GATEWAY_FOLDER"],
        **dict.fromkeys(NODES, "/var/lib/kafka"),
    }


@pytest.mark.parametrize("name", OURS)
def test_there_is_time_to_stop_in_order(name):
    assert SERVICES[name]["stop_grace_period"] == f"{of_unit(f'valise-{noun(name)}', 'TimeoutStopSec')}s"
    assert SERVICES[name]["ulimits"]["nofile"] == int(of_unit(f"valise-{noun(name)}", "LimitNOFILE"))


@pytest.mark.parametrize("name", NODES)
def test_a_node_has_time_to_hand_over(name):
    assert SERVICES[name]["stop_grace_period"] == f"{of_unit('valise-kafka', 'TimeoutStopSec')}s"


@pytest.mark.parametrize("name", OURS)
def test_health_is_readiness(name):
    service = SERVICES[name]
    prefix = f"VALISE_{noun(name).upper()}_"
    port = service["environment"][f"{prefix}LISTEN"].rpartition(":")[2]
    program, script, url, authority = service["healthcheck"]["test"][1:]
    assert (program, script) == ("/opt/valise/bin/python", "/opt/valise/tools/ready.py")
    assert url == f"https://{service['hostname']}:{port}/readyz", "it asks itself, not its like"
    assert service["hostname"] == name
    assert f"`{name}`" in README
    assert authority == "/run/secrets/ca.pem"
    assert all(published.startswith("127.0.0.1:") for published in service["ports"])
    assert [published.rpartition(":")[2] for published in service["ports"]] == [port]


def test_one_broker_signs_and_each_has_its_name():
    settings = [SERVICES[name]["environment"] for name in BROKERS]
    assert [one["VALISE_BROKER_KAFKA_SIGNER"] for one in settings].count("true") == 1
    assert [one["VALISE_BROKER_KAFKA_INSTANCE"] for one in settings] == BROKERS
    assert [one["VALISE_BROKER_KAFKA_BOOTSTRAP"] for one in settings] == [
        ",".join(f"{node}:9092" for node in NODES)
    ] * 2


def test_the_cluster_is_by_itself():
    assert COMPOSE["networks"]["cluster"] == {"internal": True}
    inside = {name for name, service in SERVICES.items() if "cluster" in service["networks"]}
    assert inside == {*NODES, *BROKERS, "rights"}
    assert {name for name in inside if "exchange" in SERVICES[name]["networks"]} == set(BROKERS)
    assert all("ports" not in SERVICES[name] for name in [*NODES, "rights"])
    addresses = SERVICES["gateway"]["environment"]["VALISE_GATEWAY_BROKER"].split(",")
    assert addresses == [f"https://{name}:8480" for name in BROKERS]


def test_brokers_start_once_they_have_their_rights():
    for name in BROKERS:
        assert SERVICES[name]["depends_on"] == {"rights": {"condition": "service_completed_successfully"}}
    assert set(SERVICES["rights"]["depends_on"]) == set(NODES)


def test_rights_are_those_of_production():
    host, port, acls, *_ = SERVICES["rights"]["command"]
    assert (host, port) == ("kafka-1", "9092")
    prefix = "/opt/valise/tools/"
    wanted = read_acls(ROOT / acls.removeprefix(prefix))
    assert {acl.principal for acl in wanted} == {"User:valise-broker"}
    assert "common name `valise-broker`" in README
    assert "COPY deploy/kafka /opt/valise/tools/deploy/kafka" in (FOLDER / "valise.Dockerfile").read_text()


def test_nodes_are_set_as_in_production():
    assert "COPY deploy/kafka/production/server.properties /opt/kafka/" in (FOLDER / "kafka.Dockerfile").read_text()
    found = read_properties(DEPLOY / "kafka" / "production" / "server.properties")
    assert all(setting.holds(found.get(setting.name, "")) for setting in NODE_SETTINGS)
    assert found["super.users"] == "User:valise-kafka;User:admin"
    assert "common name `valise-kafka`" in README
    assert "common name `admin`" in README
    said = (FOLDER / "kafka.sh").read_text()
    ports = {address.partition("://")[0]: address.rpartition(":")[2] for address in found["listeners"].split(",")}
    own = re.findall(r"(\w+)://kafka-\$NODE:(\d+)", said)
    assert dict(own) == ports
    assert f"=kafka-1:{ports['CONTROLLER']},kafka-2:{ports['CONTROLLER']},kafka-3:{ports['CONTROLLER']}" in said
    assert f"1@kafka-1:{ports['CONTROLLER']}:ID" in README
    assert [SERVICES[name]["environment"]["NODE"] for name in NODES] == ["1", "2", "3"]


def test_jars_are_taken_from_where_maven_puts_them():
    (output,) = re.findall(r"<outputDirectory>(.+)</outputDirectory>", (DEPLOY / "kafka" / "pom.xml").read_text())
    text = (FOLDER / "kafka.Dockerfile").read_text()
    (work,) = re.findall(r"(?m)^WORKDIR (\S+)$", text)
    assert f"COPY --from=made {os.path.normpath(output.replace('${project.basedir}', work))} " in text


def test_what_the_readme_says_can_be_typed():
    lines = [line for block in re.findall(r"(?ms)^```\n(.*?)^```$", README) for line in block.splitlines()]
    assert lines
    for line in lines:
        docker, compose, verb, *words = shlex.split(line)
        assert (docker, compose) == ("docker", "compose")
        assert verb in {"build", "up", "ps", "logs", "stop", "run"}
        if verb == "run":
            (at,) = [n for n, word in enumerate(words) if word in SERVICES and words[n - 1] != "--volume"][:1]
            assert fault(words[at + 1 :]) is None, line
    assert set(re.findall(r"(?m)^\| `([A-Z]+)` \|", README)) == set(
        re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text())
    )


def test_nothing_is_fetched_from_an_address():
    for path in [*FOLDER.glob("*.Dockerfile"), FOLDER / "kafka.sh"]:
        assert "http" not in Path(path).read_text()
