"""Links to an invoice's page and PDF: which are the same, though each reading gives another.

Stripe makes a new token whenever an invoice is read, out of the account, the page, the second of
the reading and a signature, in Base64. The payloads in the tests of transport-nantes/tn_web and
of empirical-core show it. Links expire, and those that were just read are good for ten days:
https://docs.stripe.com/invoicing/hosted-invoice-page
"""

import re
from base64 import b64decode

_TOKEN = re.compile(r"/(?:live|test)_([A-Za-z0-9]+)(/pdf)?")


def page_of(link: str) -> str:
    """What a link leads to: the same for all links to a page; a link of another form is itself."""
    found = _TOKEN.search(link)
    if found is None:
        return link
    token, pdf = found.groups()
    parts = b64decode(token[: len(token) // 4 * 4]).split(b",")
    if len(parts) < 3 or not parts[0].startswith(b"acct_"):
        return link
    return f"{parts[0].decode()} {parts[1].decode()}{pdf or ''}"
