"""The frame of every page: one base template, one style sheet, figures printed one way."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, select_autoescape
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent


def environment(folder: Path) -> Environment:
    """Return a Jinja environment for a sandbox's own templates over the shared ones."""
    loader = ChoiceLoader([FileSystemLoader(folder), FileSystemLoader(HERE / "templates")])
    env = Environment(loader=loader, autoescape=select_autoescape(), trim_blocks=True)
    env.filters["day"] = day
    env.filters["moment"] = moment
    return env


def static() -> Mount:
    """Return the mount of the shared style sheet."""
    return Mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def day(timestamp: float | None) -> str:
    """Print seconds since the epoch as a UTC date, such as 7 November 2026."""
    if timestamp is None:
        return "-"
    instant = datetime.fromtimestamp(timestamp, UTC)
    return f"{instant.day} {instant:%B %Y}"


def moment(timestamp: float | None) -> str:
    """Print seconds since the epoch as a UTC date and time."""
    if timestamp is None:
        return "-"
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S}"
