"""What programs do, as the examples do it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local.stack import Stack

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture
def api(shared_stack: Stack) -> str:
    """Prefect's API, everything behind it at work."""
    return shared_stack.urls.prefect_api


def run(api: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run an example as its page says."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=EXAMPLES,
        env=os.environ | {"PREFECT_API_URL": api},
        capture_output=True,
        text=True,
        check=False,
    )


def test_programs_raise_send_and_ask_what_failed(api: str) -> None:
    """Twice the same is once; what is refused says why, then and afterwards."""
    said = []
    for _ in range(2):
        sent = run(api, "raise_and_send.py", "Globex", "ORDER-1")
        assert sent.returncode == 0, sent.stderr
        said.append(sent.stdout)
    assert said[0] == said[1]
    assert re.search(r"(INV-\d+) is a draft for Globex[\s\S]+\1 over 300.00 USD was sent", said[0])
    raised = run(api, "raise_from_csv.py", "drafts.csv")
    assert raised.stdout.startswith("2 drafts raised over "), raised.stderr
    refused = run(api, "raise_and_send.py", "Nobody", "ORDER-2")
    assert refused.returncode == 1
    assert refused.stderr == "There is no Account 'Nobody' in Salesforce.\n"
    failed = run(api, "what_failed.py").stdout
    assert "raise an invoice for Nobody: There is no Account 'Nobody' in Salesforce." in failed
    assert failed.count("There is no Account 'Nobody'") == 1


def test_the_tutorial_goes_as_it_says(api: str) -> None:
    """Whoever types its commands, after `make demo`, sees each of them do what the page says."""
    page = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    start, *rest = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    assert start == "make demo\n"
    typed = [line for block in rest for line in block.splitlines() if not line.startswith("export")]
    said = [
        subprocess.run(
            ["bash", "-ec", line],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout
        for line in typed
    ]
    raised, repeated, table, refused, failed, synced = said
    assert repeated == raised
    assert "2 drafts raised over " in table
    assert "There is no Account 'Nobody' in Salesforce." in refused
    assert "There is no Account 'Nobody' in Salesforce." in failed
    assert "finished successfully" in synced
    assert re.search(r"\d+ invoices? compared, \d+\s+differed", synced)


def test_the_recipes_of_the_readme_go_as_they_say(api: str) -> None:
    """A command sends an invoice and says so; lines of curl do, once however often it is asked."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    part = page.partition("\n## Trigger one\n")[2].partition("\n## ")[0]
    command, recipe = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    [queue] = re.findall(r"`(\"work_queue_name\": \"(?:\w+)\")`", part)

    def type_in(lines: str, invoice: str) -> str:
        assert "INV-0042" in lines
        own = lines.replace("http://127.0.0.1:4200/api", api).replace("INV-0042", invoice)
        return subprocess.run(
            ["bash", "-ec", own],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first, second = (draft(api, f"recipe-{number}") for number in (1, 2))
    assert f"{first} over 300.00 USD was sent" in " ".join(type_in(command, first).split())
    started, repeated = (json.loads(type_in(recipe, second)) for _ in range(2))
    assert started["id"] == repeated["id"]
    assert f"{second} over 300.00 USD was sent" in outcome(api, started["id"])
    one_of_many = recipe.replace("-d '{", f"-d '{{{queue}, ").replace('-1"}', '-2"}')
    assert json.loads(type_in(one_of_many, second))["work_queue_name"] == "bulk"


def draft(api: str, key: str) -> str:
    """A draft over 300 dollars, raised as the examples do it; its name."""
    form = {
        "account": "Globex",
        "description": "Work",
        "lines": [{"product": "Consulting", "quantity": "2"}],
        "options": {"payment_terms": "Net 30"},
    }
    raise_it = f"from prefect_api import start; print(start('raise-invoice', {form!r}, {key!r}))"
    said = outcome(api, run(api, "-c", raise_it).stdout.strip())
    return str(re.findall(r"INV-\d+", said)[0])


def outcome(api: str, started: str) -> str:
    """The sentence of a run, when it has ended."""
    return run(api, "-c", f"from prefect_api import outcome; print(outcome({started!r}))").stdout


def test_the_command_line_says_what_came_of_a_run(api: str) -> None:
    """Whoever watches a run reads its sentence before Prefect's own words for its end."""
    command = ("-m", "prefect", "deployment", "run", "void-invoice/void-invoice")
    watched = run(api, *command, "--param", "invoice=INV-9999", "--watch")
    said = " ".join((watched.stdout + watched.stderr).split())
    assert watched.returncode == 1
    assert "There is no invoice 'INV-9999'" in said.partition("finished in state 'Failed'")[0]
    misnamed = run(api, *command, "--param", "invioce=INV-9999", "--watch")
    assert misnamed.returncode == 1
    assert "not found on the deployment: 'invioce'" in " ".join(misnamed.stdout.split())
