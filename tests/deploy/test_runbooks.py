"""The runbooks against the programs: every command can be given so, every word that they explain is one that is said."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml

from adapters.gateway import follow
from broker.ledger.port import Condition
from broker.serving import _alarms_of
from schemas.problems import PROBLEMS
from tests.deploy.command_lines import DEPLOY, fault

FOLDER = DEPLOY / "runbooks"
ROOT = DEPLOY.parent
BOOKS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PAGES = [*BOOKS, FOLDER / "README.md", DEPLOY / "systemd" / "README.md"]
PARTS = ["How you notice", "What it means", "What to do", "How you see that it is over", "What not to do"]
UNITS = {path.stem for path in (DEPLOY / "systemd").glob("*.service")}
MACHINE_S = {"cat", "chown", "cp", "curl", "df", "du", "install", "journalctl", "ln", "mv", "rm", "sqlite3"}
KAFKA_S = {"kafka-acls.sh", "kafka-configs.sh", "kafka-topics.sh"}
OTHERS = {*MACHINE_S, *KAFKA_S, "systemctl", "systemd-creds", "systemd-sysusers"}


def fenced(path):
    """Return the command lines of a page, without `sudo -u`."""
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", path.read_text())
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(re.sub(r"^sudo -u \S+ ", "", line)) for line in lines]


def said_in(path):
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```\n.*?^```$", "", path.read_text()))


def literals(folder, name):
    """Return the first literals that are given to what is called `name` in a folder's modules."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == name and node.args:
                found |= _strings(node.args[0])
    return found


def _strings(node):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        return {str(node.values[0].value)}
    return set()


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_five_parts(path):
    text = path.read_text()
    assert re.findall(r"(?m)^## (.+)$", text)[:3] == PARTS[:3]
    assert [part for part in re.findall(r"(?m)^## (.+)$", text) if part in PARTS] == PARTS
    assert text.startswith("# ")
    assert text.count("\n# ") == 0


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_command_can_be_given_so(path):
    for program, *words in fenced(path):
        if program == "valise":
            assert fault(words) is None, words
            continue
        assert program in OTHERS, program
        if program == "systemctl":
            (unit,) = [word for word in words if not word.startswith("-")][1:]
            assert unit in UNITS
        if program == "journalctl" and "-u" in words:
            assert words[words.index("-u") + 1] in UNITS


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_command_in_the_text_exists(path):
    for said in said_in(path):
        if said.startswith("valise "):
            wrong = fault(said.split()[1:])
            assert wrong is None or wrong.startswith("lacks"), said


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_page_that_is_named_is_there(path):
    links = re.findall(r"\]\(([^)]+)\)", path.read_text())
    assert all((path.parent / link).is_file() for link in links)
    for named in re.findall(r"`(deploy/[^`]+)`", path.read_text()):
        assert (ROOT / named).exists(), named


def test_the_index_names_every_runbook():
    links = set(re.findall(r"\]\(([^)]+)\)", (FOLDER / "README.md").read_text().partition("## All of them")[2]))
    assert links == {path.name for path in BOOKS}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_metric_is_one_that_is_shown(path, shown):
    named = {name for said in said_in(path) for name in re.findall(r"\bvalise_[a-z_]+", said)}
    assert named <= shown


def test_every_alert_is_explained_where_it_points():
    groups = yaml.safe_load((DEPLOY / "grafana" / "alerts.yaml").read_text())["groups"]
    rules = {rule["alert"]: rule["annotations"]["runbook"] for group in groups for rule in group["rules"]}
    named = {path.name: set(re.findall(r"\bValise[A-Z]\w+", path.read_text())) for path in BOOKS}
    assert set().union(*named.values()) <= set(rules)
    assert [alert for alert, book in rules.items() if book != "README.md" and alert not in named[book]] == []


def first_column(page, heading):
    part = (FOLDER / page).read_text().partition(f"## {heading}")[2].partition("\n## ")[0]
    return [row.split("|")[1] for row in part.splitlines() if row.startswith("| `")]


def appended(function):
    """Return the literals that functions of the broker's append to what they return."""
    trees = (ast.parse(path.read_text()) for path in (ROOT / "broker").rglob("*.py"))
    found = [node for tree in trees for node in ast.walk(tree) if getattr(node, "name", "") == function]
    calls = [node for one in found for node in ast.walk(one) if isinstance(node, ast.Call)]
    return set().union(*(_strings(node.args[0]) for node in calls if ast.unparse(node.func).endswith(".append")))


def test_every_reason_of_readyz_is_explained():
    reasons = appended("readiness") | appended("troubles")
    assert len(reasons) > 4
    explained = " ".join(first_column("README.md", "What `/readyz` says"))
    assert [reason for reason in reasons if f"`{reason.rstrip(': ')}" not in explained] == []


def test_every_alarm_of_a_broker_is_explained():
    kinds = literals("broker", "SignerError")
    assert len(kinds) > 3
    explained = " ".join(first_column("README.md", "Alarms of a broker"))
    condition = Condition(0, 0, 1, signer=False, replacements=0, skipped={"unverified": 2}, absent=1, unsafe=1)
    kinds |= {"fork", "clock-ran-back", *_alarms_of(condition)}
    assert [kind for kind in kinds if f"`{kind}`" not in explained] == []


@pytest.mark.parametrize("path", [*BOOKS, FOLDER / "README.md"], ids=lambda path: path.stem)
def test_every_event_is_one_that_is_logged(path):
    """A word such as `noun.verb` is an event's name where it is no file's and no topic's."""
    events = {
        said for said in said_in(path) if re.fullmatch(r"[a-z]+\.[a-z_]+", said) and not said.startswith("valise.")
    }
    events = {said for said in events if said.rpartition(".")[2] not in {"sqlite", "service", "properties", "md"}}
    source = "".join(path.read_text() for path in (ROOT / "broker").rglob("*.py"))
    assert {event for event in events if f'"{event}"' not in source} == set()


def test_every_problem_code_is_one():
    codes = re.findall(r"`([a-z-]+)`", " ".join(first_column("README.md", "Problem codes")))
    assert len(codes) > 4
    assert set(codes) <= set(PROBLEMS)


def test_every_alarm_of_a_gateway_is_explained():
    started = {kind for kind in literals("adapters/gateway", "start") if re.fullmatch(r"[a-z-]+", kind)}
    kinds = started | set(follow._DIRECTORY_ALARMS)
    assert len(kinds) > 10
    explained = " ".join(first_column("gateway.md", "What it means"))
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in explained] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_folders_and_files_are_those_of_the_units(path):
    """Every path below /var/lib, /etc/valise and /etc/kafka begins with one that the units or their README name."""
    known = (DEPLOY / "systemd" / "README.md").read_text()
    for name in re.findall(r"/(?:var/lib|etc/valise|etc/kafka)/[a-z.-]+", path.read_text()):
        stem = str(Path(name)).removesuffix(".kept").removesuffix(".before")
        assert stem in known or stem in {"/etc/kafka/admin.properties", "/etc/valise/broker-kafka.toml"}, name


def test_that_kafka_acknowledges_from_memory_is_said():
    assert "page cache" in (FOLDER / "node-loss.md").read_text()
