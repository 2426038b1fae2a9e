"""The documentation site is whole, and needs nothing from elsewhere."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from deployments import site

FETCHED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"?((?:https?:)?//[^\s\">]+)"
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build in a folder of the test's own."""
    monkeypatch.setattr(site, "OUT", tmp_path)


@pytest.mark.parametrize("builder", ["mkdocs", pytest.param("zensical", marks=pytest.mark.long)])
def test_the_site_is_whole(builder: str) -> None:
    """Each link and anchor leads somewhere, and no page fetches anything from another server."""
    folder = site.build(builder)
    pages = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.html")}
    assert folder / "tutorial.html" in pages
    ids = {path: set(re.findall(r"\bid=\"?([^\s\">]+)", text)) for path, text in pages.items()}
    for path, text in pages.items():
        if path.name == "404.html":
            continue
        assert FETCHED.findall(text) == [], path.name
        for link in re.findall(r"<a\b[^>]*?\bhref=\"?([^\s\">]*)", text):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            assert there.exists(), f"{path.name}: {link}"
            anchor = unquote(parts.fragment)
            assert not anchor or anchor.startswith("__") or anchor in ids[there], link


def test_a_link_that_leads_nowhere_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A heading that was renamed is noticed."""
    whole = site._for_site
    monkeypatch.setattr(site, "_for_site", lambda page: whole(page).replace("#send)", "#gone)"))
    with pytest.raises(subprocess.CalledProcessError):
        site.build("mkdocs")
    assert "#gone" in capfd.readouterr().err
