"""Run a command as one of several installations of this checkout.

    python -m deployments.run_with_env live.env prefect worker start --pool invoices

Everything comes from the file: what this process has of other installations is taken away. It is
needed for Prefect's own programs, which read no settings of ours; our own take the file's name from
``INVOICING_ENV_FILE`` alone.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from invoicing.settings import FILE, PREFIX, Settings

API = "PREFECT_API_URL"
OURS = (PREFIX, "PREFECT_API_")
BESIDES = Path(".env")
"""What Prefect's programs read besides, from the folder that they are started in.

Source: ``prefect.settings.base`` (``env_file``)
"""


def environment(file: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of an installation's programs.

    Args:
        file: Its settings.
        inherited: The environment of whoever starts them.
    """
    kept = {name: value for name, value in inherited.items() if not name.startswith(OURS)}
    given = {name: value for name, value in dotenv_values(file).items() if value is not None}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    default = {API: str(Settings.model_fields["prefect_api_url"].default), "PATH": programs}
    return kept | default | given | {FILE: str(file.resolve())}


def main() -> None:
    """Become the command."""
    if len(sys.argv) < 3:
        sys.exit("Give a file of settings and a command: live.env prefect worker start ...")
    file, *command = Path(sys.argv[1]), *sys.argv[2:]
    if not file.is_file():
        sys.exit(f"There is no file {file}.")
    if BESIDES.is_file() and not BESIDES.samefile(file):
        sys.exit(f"Prefect would read {BESIDES} here as well as {file}: give it another name.")
    variables = environment(file, os.environ)
    try:
        os.execvpe(command[0], command, variables)  # noqa: S606  what was asked for
    except FileNotFoundError:
        sys.exit(f"There is no command {command[0]!r}.")


if __name__ == "__main__":
    main()
