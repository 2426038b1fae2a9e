"""The settings by themselves."""

import stat

from invoicing.doctor.checks import Check, Wrong
from invoicing.settings import file, settings

SETTINGS = "settings"


def settings_checks() -> list[Check]:
    """Complete, known by name, and nobody else's to read."""
    return [
        Check(
            "Settings", SETTINGS, _complete, "Correct these variables; docs/settings.md has all."
        ),
        Check("Settings", "file of settings", _private, f"chmod 600 {file()}"),
        Check(
            "Settings",
            "time zone",
            lambda: f"Days begin in {settings().business.time_zone}.",
            "Set INVOICING_BUSINESS__TIME_ZONE.",
            after=SETTINGS,
        ),
    ]


def _complete() -> str:
    settings()
    return f"Each one is known and well-formed, from the environment and {file()}."


def _private() -> str:
    if not file().is_file():
        return f"There is no {file()}; what is set is in the environment."
    if file().stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Wrong(f"{file()} holds secrets, and others than its owner may read it.")
    return f"Only its owner reads {file()}."
