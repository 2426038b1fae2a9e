"""The documentation site, built from the pages of `docs` and those at the root of the checkout.

Nothing is fetched while it is built or read. Sources: https://www.mkdocs.org/user-guide/cli/ and
https://zensical.org/docs/setup/basics/, which read the same `mkdocs.yml`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FRONT = ROOT / "README.md"
BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages at the root that the site has, too."""

OUT = ROOT / ".cache/site"
BUILDERS = ("mkdocs", "zensical")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")


def lay_out(folder: Path) -> None:
    """Copy all pages there as the builders want them.

    A link to a file that is not on the site becomes the file's name: the site has no address of
    a repository to point to.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "docs", folder)
    for page in [FRONT, *(ROOT / name for name in BESIDE), *(ROOT / "docs").rglob("*.md")]:
        _place(folder, page).write_text(_for_site(page), encoding="utf-8")


def build(builder: str) -> Path:
    """Build the site; a link or an anchor that leads nowhere ends it.

    Returns:
        The folder of the site.

    Raises:
        CalledProcessError: The builder found something wrong, and has said what.
    """
    lay_out(OUT / "docs")
    shutil.copy(ROOT / "mkdocs.yml", OUT)
    command = [str(Path(sys.executable).parent / builder), "build", "--clean", "--strict"]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, cwd=OUT, env=quiet, check=True)  # noqa: S603
    return OUT / "site"


def _place(folder: Path, page: Path) -> Path:
    """Where the site has a page."""
    if page == FRONT:
        return folder / "index.md"
    inside = ROOT / "docs" if page.is_relative_to(ROOT / "docs") else ROOT
    return folder / page.relative_to(inside)


def _for_site(page: Path) -> str:
    """A page's text, its links and lists as the builders read them; pictures lead to themselves."""
    text = re.sub(
        r"(?P<open>\]\()(?P<to>[^)\s]+)\)",
        lambda found: f"{found['open']}{_target(page, found['to'])})",
        page.read_text(encoding="utf-8"),
    )
    text = LINK.sub(lambda found: found[1] if found[2] == "-" else found[0], text)
    return _indented(PICTURE.sub(r"[\g<0>](\1)", text))


def _target(page: Path, to: str) -> str:
    """Where a link of a page leads on the site; `-` for nowhere."""
    name, hash_sign, anchor = to.partition("#")
    if not name or re.match(r"[a-z]+:", to):
        return to
    there = (page.parent / name).resolve()
    in_docs = there.is_relative_to(ROOT / "docs") and there.suffix in (".md", ".png")
    if not in_docs and there not in (FRONT, *(ROOT / beside for beside in BESIDE)):
        return "-"
    here = _place(Path("/"), page).parent
    return os.path.relpath(_place(Path("/"), there), here) + hash_sign + anchor


def _indented(text: str) -> str:
    """What belongs to a point of a list, indented by four: GitHub alone takes three."""
    lines, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        lines.append(f" {line}" if line.startswith("   ") and not fenced else line)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Build it with what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("builder", nargs="?", choices=BUILDERS, default=BUILDERS[0])
    site = build(parser.parse_args().builder)
    folder = site.relative_to(ROOT)
    sys.stdout.write(
        f"The site is in {folder}; open its index.html. Its search needs a server: "
        f"python3 -m http.server --bind 127.0.0.1 --directory {folder}\n"
    )


if __name__ == "__main__":
    main()
