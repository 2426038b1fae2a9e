"""A check, what comes of it, and all of them in a row."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import requests

from invoicing.domain.model.markdown import table
from invoicing.domain.model.wording import counted
from invoicing.errors import EnvironmentMismatch, InvoicingError, Rejected

TIMEOUT_SECONDS = 10

Verdict = Literal["pass", "fail", "unknown"]


class Wrong(Exception):
    """Something is not as it must be."""

    def __init__(self, said: str, remedy: str = "") -> None:
        """Say what is wrong; the remedy is the check's own unless given here."""
        super().__init__(said)
        self.remedy = remedy


class Untold(Wrong):
    """Something cannot be found out."""


@contextmanager
def found_as(
    finding: type[Wrong], *errors: type[InvoicingError], remedy: str = ""
) -> Iterator[None]:
    """Let errors be a finding, with their own words."""
    try:
        yield
    except errors as error:
        raise finding(str(error), remedy) from error


def ask(url: str, path: str, auth: tuple[str, str] | None = None) -> requests.Response:
    """The answer of a server that has to be there, whatever it is.

    Raises:
        Wrong: nothing answers, or nothing that can be trusted.
    """
    try:
        return requests.get(f"{url.rstrip('/')}/{path}", auth=auth, timeout=TIMEOUT_SECONDS)
    except requests.exceptions.SSLError as error:
        raise Wrong(
            f"What answers at {url} shows no certificate that is accepted: {_innermost(error)}.",
            "Renew the certificate of the proxy in front of it, for that name and with its chain.",
        ) from error
    except requests.RequestException as error:
        raise Wrong(f"Nothing answers at {url} ({type(error).__name__}).") from error


def _innermost(error: Exception) -> str:
    """What an error of a connection says in the end, without what it went through."""
    around = (getattr(error, "reason", None), *error.args[:1])
    inner = next((each for each in around if isinstance(each, Exception)), None)
    return _innermost(inner) if inner else getattr(error, "verify_message", "") or str(error)


@dataclass(frozen=True)
class Check:
    """One precondition.

    Attributes:
        group: The service or part that it belongs to.
        name: What is checked; no two checks have the same.
        look: Says what is so, in words. :class:`Wrong`, or an error that no time heals: it
            fails. Any other exception: it is unknown.
        remedy: What to do where it fails, in one line.
        after: The check that has to pass before this one can tell anything.
    """

    group: str
    name: str
    look: Callable[[], str]
    remedy: str
    after: str = ""


@dataclass(frozen=True)
class Finding:
    """What came of a check; what passed needs no remedy.

    ``waits`` says that it could not be made before another one passes.
    """

    group: str
    name: str
    verdict: Verdict
    said: str
    remedy: str = ""
    waits: bool = False


def examine(checks: Iterable[Check]) -> list[Finding]:
    """Make checks one after the other. Whatever one of them raises is a finding."""
    findings: list[Finding] = []
    passed: set[str] = {""}
    for check in checks:
        if check.after in passed:
            findings.append(_finding(check))
        else:
            said = f"It cannot be told before {check.after!r} is right."
            findings.append(Finding(check.group, check.name, "unknown", said, waits=True))
        if findings[-1].verdict == "pass":
            passed.add(check.name)
    return findings


def _finding(check: Check) -> Finding:
    try:
        return Finding(check.group, check.name, "pass", check.look())
    except Wrong as wrong:
        verdict: Verdict = "unknown" if isinstance(wrong, Untold) else "fail"
        return _found(check, verdict, str(wrong), wrong.remedy or check.remedy)
    except (EnvironmentMismatch, Rejected) as error:
        return _found(check, "fail", str(error), check.remedy)
    except InvoicingError as error:
        return _found(check, "unknown", str(error), "Ask again later.")
    except Exception as error:  # a doctor does not fall ill
        said = f"The check itself failed: {type(error).__name__}: {error}"
        return _found(check, "unknown", said, "Report this as a mistake of ours.")


def _found(check: Check, verdict: Verdict, said: str, remedy: str) -> Finding:
    """A finding of one line, whatever lines its words came in."""
    return Finding(check.group, check.name, verdict, " ".join(said.split()), remedy)


def of(findings: Iterable[Finding], verdict: Verdict) -> list[Finding]:
    """Those of one verdict."""
    return [finding for finding in findings if finding.verdict == verdict]


def counts(findings: Sequence[Finding]) -> str:
    """How many checks passed, could not tell and failed."""
    failed, unknown = len(of(findings, "fail")), len(of(findings, "unknown"))
    passed = len(findings) - failed - unknown
    return f"{passed} of {len(findings)} checks passed, {failed} failed, {unknown} could not tell"


def summary(findings: Sequence[Finding]) -> str:
    """All findings in one sentence, with those that failed by name."""
    failed = "; ".join(f"{found.name}: {found.said}" for found in of(findings, "fail"))
    return f"{counts(findings)}: {failed}" if failed else f"{counts(findings)}."


def as_text(findings: Sequence[Finding]) -> str:
    """All findings for a terminal, by group, each remedy below what it is for."""
    lines: list[str] = []
    for group, found in groupby(findings, key=lambda finding: finding.group):
        of_group = list(found)
        lines += ["", group]
        for finding in of_group:
            if not finding.waits:
                lines.append(f"  {finding.verdict:8}{finding.name}: {finding.said}")
                lines += [f"{'':10}→ {finding.remedy}"] if finding.remedy else []
        waiting = len([finding for finding in of_group if finding.waits])
        if waiting:
            lines.append(
                f"  unknown {counted(waiting, 'check')} more, until what is wrong is right"
            )
    return "\n".join([*lines, "", counts(findings) + ".", ""])


def as_page(findings: Sequence[Finding]) -> str:
    """All findings as a page, what failed first."""
    order = {"fail": 0, "unknown": 1, "pass": 2}
    rows = [
        (finding.verdict, finding.group, finding.name, finding.said, finding.remedy)
        for finding in sorted(findings, key=lambda finding: order[finding.verdict])
    ]
    return f"# Doctor\n\n{summary(findings)}\n\n" + table(
        ("", "where", "what", "what is so", "what to do"), rows
    )
