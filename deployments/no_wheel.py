"""The build backend of the product, which is none: whoever would build it is told what to do.

Without one, tools would take setuptools, which sees five packages and asks for other folders.
Source: https://peps.python.org/pep-0517/ ("In-tree build backends")
"""

import sys
from typing import NoReturn

REASON = (
    "salesforce-stripe-invoices is not built or installed as a package: it runs from its checkout, "
    "or from an image that has a copy of it. `make install` puts into .venv what it needs; "
    "docs/running.md says how it is run, docs/production.md how the image is built. "
    "The distributions in packages/ are built each by itself."
)


def build_wheel(*_: object, **__: object) -> NoReturn:
    """Refuse."""
    sys.exit(REASON)


build_sdist = build_editable = build_wheel
