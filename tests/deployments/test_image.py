"""The image is built by its own steps; its programs bill an invoice, read-only and not as root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from deployments.local.waiting import eventually
from tests.deployments import image, production
from tests.deployments.production import PATIENCE_SECONDS
from tests.deployments.production_work import ProductionUsers

MISSING = f"{image.missing_packages()} {production.missing_packages()}".strip()

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: apt-get install {MISSING}"),
    pytest.mark.skipif(os.getuid() != 0, reason="steps of an image are run as root"),
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that other users may pass through."""
    with TemporaryDirectory(prefix="image-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def built(folder: Path) -> Iterator[image.Image]:
    """The image, and a container of it."""
    made = image.Image(folder)
    yield made
    made.remove()


def test_nothing_is_written_and_nobody_is_root(built: image.Image) -> None:
    """Beside the volume and `/tmp`; and there is nothing of development."""
    script = (
        "import os, pathlib, sys\n"
        "assert os.getuid() == 1001\n"
        "assert '0000000000000000' in next(l for l in open('/proc/self/status') if 'CapBnd' in l)\n"
        "for place in ('/var/lib/invoicing', '/tmp'): (pathlib.Path(place) / 'x').write_text('')\n"
        "try: pathlib.Path('/opt/invoicing/x').write_text('')\n"
        "except OSError as error: print(error.strerror)\n"
        "try: import pytest\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        built.inside(["python", "-c", script]),
        env=built.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "Read-only file system\nNo module named 'pytest'\n", done.stderr


def test_an_invoice_is_billed_by_what_is_in_the_image(built: image.Image, folder: Path) -> None:
    """Server, deploying, worker, receiver and listener are the image's; the button is pressed."""
    state = folder / "state"
    state.mkdir()
    state.chmod(0o755)  # whatever the umask is: importing the product closes files to others
    with production.production(state, built) as world:
        people = ProductionUsers(world)
        names = [people.bill(), people.bill()]  # one with the button in Salesforce
        eventually(lambda: not people.unpaid(), PATIENCE_SECONDS)
        assert len(people.mails()) == len(names)
        assert httpx.get(f"{world.url('worker-1')}/health").is_success
        world.check()
