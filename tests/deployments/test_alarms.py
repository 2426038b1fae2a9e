"""Alarms of Prometheus begin when they should, and ask for what there is."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from invoicing.ledger import run_durations, staging, sync_history
from invoicing.ledger.run_durations import EndedRun
from invoicing.receiver.metrics import Metrics
from tasks.installation import alert_automations

FOLDER = Path(__file__).parents[2] / "deployments/prometheus"
PAGE = Path(__file__).parents[2] / "docs/alarms.md"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "invoicing.rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]


@pytest.mark.long
def test_alarms_begin_when_they_should_and_not_before() -> None:
    """Prometheus's own tool checks the rules and plays the stories beside them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool on this machine: install the package prometheus")
    for what, file in (("check", "invoicing.rules.yaml"), ("test", "invoicing.test.yaml")):
        done = subprocess.run(
            [promtool, what, "rules", file], cwd=FOLDER, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    stories = yaml.safe_load((FOLDER / "invoicing.test.yaml").read_text())["tests"]
    begun = {
        alarm["alertname"]
        for story in stories
        for alarm in story["alert_rule_test"]
        if alarm.get("exp_alerts")
    }
    assert begun == {rule["alert"] for rule in RULES}


def test_each_alarm_asks_for_a_metric_that_is_there(environment: None) -> None:
    """A metric or a label that was renamed would never raise an alarm."""
    staging.begin("night", dry_run=False)
    sync_history.record_totals("night", in_stripe=1, in_salesforce=1)
    staging.finish("night")
    run_durations.count([EndedRun("send-invoice", "completed", 2)], [], None, datetime.now(UTC))
    there = {sample.name for sample in samples()} | {"up"}
    for rule in RULES:
        asked = set(re.findall(r"\binvoicing_\w+|\bup\b", rule["expr"]))
        assert asked
        assert asked <= there, rule["alert"]


def test_what_alarms_wait_for_is_zero_before_it_happens(environment: None) -> None:
    """Prometheus sees no growth of a series that begins with one, and none of one that is away."""
    run_durations.count([], ["send-invoice"], None, datetime.now(UTC))
    there = {(each.name, *label) for each in samples() for label in each.labels.items()}
    for rule in RULES:
        chosen = re.findall(r'\b(invoicing_\w+)\{(\w+)=~?"([^"]+)"\}', rule["expr"])
        for metric, label, values in chosen:
            if metric != "invoicing_full_sync_invoices":  # there with the first full sync
                assert {(metric, label, value) for value in values.split("|")} <= there


def samples() -> list[Sample]:
    """What a receiver says that has just begun."""
    families = text_string_to_metric_families(Metrics().exposition().decode())
    return [sample for family in families for sample in family.samples]


def test_each_alarm_says_what_to_do() -> None:
    """On the page of alarms, under its name."""
    page = PAGE.read_text(encoding="utf-8")
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in page] == []
    told = alert_automations.notifications(alert_automations.Notifications(url=None), [], uuid4())
    messages = [each.name.partition("tell when ")[2] for each in told]
    assert [message for message in messages if f"| {message} |" not in page] == []


def test_whatever_a_schedule_begins_is_told_when_it_fails() -> None:
    """Nobody looks at a run that nobody started."""
    declared = yaml.safe_load((FOLDER.parents[1] / "prefect.yaml").read_text())["deployments"]
    scheduled = {each["name"] for each in declared if each.get("schedules")}
    told = {*alert_automations.SENDINGS, *alert_automations.BY_THEMSELVES}
    assert scheduled
    assert scheduled - told == set()
