"""Dashboard and alerts against what the programs really show: every metric in both directions."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from adapters.gateway import settings as gateway_settings
from adapters.gateway.status import WAITING
from broker import settings as broker_settings
from broker.ledger.fold import Reason
from broker.ledger.port import Condition
from broker.serving import _alarms_of
from tests.deploy.command_lines import DEPLOY

FOLDER = DEPLOY / "grafana"
OMITTED: dict[str, str] = {}
"""Metrics of ours that the dashboard leaves out, each with the reason."""

FOREIGN = {"up", "node_filesystem_avail_bytes"}
"""What the alerts ask of others: Prometheus itself, and the exporter of the machine."""

UNSOUND = {Reason.FORM, Reason.DIGEST, Reason.ORIGIN}
FUNCTIONS = re.compile(
    r"\b(sum|max|min|abs|rate|increase|delta|histogram_quantile|predict_linear|max_over_time|by|and|or|le|unless|offset)\b"
)


def expressions_of(board):
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def metrics_in(expression):
    """Return the metrics that an expression of Prometheus names, without its strings, labels, ranges and functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", re.sub(r'"[^"]*"', '""', expression))
    bare = re.sub(r"\bby \([^)]*\)|\boffset \w+", " ", bare)
    return set(re.findall(r"[a-z_][a-z0-9_]*", FUNCTIONS.sub(" ", bare)))


@pytest.fixture(scope="module")
def board():
    return json.loads((FOLDER / "valise.json").read_text())


@pytest.fixture(scope="module")
def rules():
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_names_are_found_in_expressions():
    expression = 'histogram_quantile(0.5, sum by (le) (rate(a_bucket{x=~"b|c",y="d}e"}[5m]))) > 1 and abs(f_g) < 2'
    assert metrics_in(expression) == {"a_bucket", "f_g"}


def test_the_dashboard_names_what_there_is(board, shown):
    for expression in expressions_of(board):
        assert metrics_in(expression)
        assert metrics_in(expression) <= shown, expression


def test_what_there_is_is_on_the_dashboard(board, shown):
    named = set().union(*map(metrics_in, expressions_of(board)))
    assert shown - named == set(OMITTED)


def test_the_alerts_name_what_there_is(rules, shown):
    for rule in rules:
        assert metrics_in(rule["expr"])
        assert metrics_in(rule["expr"]) <= shown | FOREIGN, rule["alert"]


def test_what_is_collected_is_what_is_asked_for(board, rules):
    readme = (FOLDER / "README.md").read_text()
    (block,) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", readme)
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in yaml.safe_load(block)["scrape_configs"]}
    served = {
        "valise-broker": [broker_settings.Settings.model_fields["metrics"].default],
        "valise-gateway": [gateway_settings.Settings.model_fields["metrics"].default],
    }
    assert jobs == served
    assert {one["current"]["value"] for one in board["templating"]["list"] if one["type"] == "query"} == set(jobs)
    assert {job for rule in rules for job in re.findall(r'job="([^"]+)"', rule["expr"])} == set(jobs)


def test_every_metric_of_the_page_is_shown(shown):
    named = re.findall(r"`(valise_[a-z_]+)(…?)`", (FOLDER / "README.md").read_text())
    assert len(named) > 10
    for name, more in named:
        assert any(one.startswith(name) for one in shown) if more else name in shown, name


def test_panels_are_told_apart(board):
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in board["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


def test_the_dashboard_takes_its_data_from_where_it_is_told(board):
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "broker", "gateway"]
    text = json.dumps(board)
    assert set(re.findall(r'"uid": "([^"]+)"', text)) == {"valise", "${datasource}"}
    assert "http" not in text


def test_every_alert_says_what_to_do(rules):
    names = [rule["alert"] for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert (DEPLOY / "runbooks" / rule["annotations"]["runbook"]).is_file(), rule["alert"]


def test_the_reasons_that_raise_no_alarm_are_the_fold_s_own(rules):
    (rule,) = (rule for rule in rules if rule["alert"] == "ValiseForeignRecords")
    (harmless,) = set(re.findall(r'reason!~"([^"]+)"', rule["expr"]))
    assert set(harmless.split("|")) == {reason.value for reason in set(Reason) - UNSOUND}


def test_the_kinds_that_count_are_told_from_those_that_last(rules):
    """What counts stays above 0 until the process ends: only that it rises is news."""
    (rule,) = (rule for rule in rules if rule["alert"] == "ValiseAlarm")
    (counting,) = set(re.findall(r'kind(?:!|=)~"([^"]+)"', rule["expr"]))
    condition = Condition(0, 0, 1, signer=False, replacements=0, skipped={"unverified": 2}, absent=1, unsafe=1)
    assert {"fork", *_alarms_of(condition)} == {*counting.split("|"), "unsafe-store"}


def test_the_states_that_wait_are_the_gateway_s_own(board, rules):
    for expression in [*expressions_of(board), *(rule["expr"] for rule in rules)]:
        for states in re.findall(r'state(?:=~|!~)"([^"]+)"', expression):
            assert set(states.split("|")) == {state.value for state in WAITING}


def test_prometheus_takes_the_rules():
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        ["promtool", "check", "rules", str(FOLDER / "alerts.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
