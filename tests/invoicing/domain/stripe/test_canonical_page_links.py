"""Links that were made at different times lead to the same page, or to another."""

import base64

from invoicing.domain.stripe.canonical_page_links import page_of


def link(page: str, second: int, rest: str = "?s=ap") -> str:
    """A link as Stripe makes it when an invoice is read."""
    token = base64.b64encode(f"acct_1M2JTkLkdIwHu7ix,_{page},{second}".encode()).decode()
    return f"https://invoice.stripe.com/i/acct_1M2JTkLkdIwHu7ix/live_{token}0200KQ7jyBzW{rest}"


def test_a_link_is_the_same_whenever_it_was_made() -> None:
    """Only the second of the reading and the signature are others."""
    page = "page" * 7
    assert page_of(link(page, 104059626)) == page_of(link(page, 186447780, "?s=il"))
    assert page_of(link(page, 1)) != page_of(link("other" * 6, 1))
    assert page_of(link(page, 1)) != page_of(link(page, 1, "/pdf?s=ap"))


def test_what_is_no_such_link_is_itself() -> None:
    """Another host, an older form, nothing."""
    for text in ("https://example.com", "https://pay.stripe.com/invoice/acct_1/invst_Jg/pdf", ""):
        assert page_of(text) == text
    assert page_of("https://example.com/live_AAAA") == "https://example.com/live_AAAA"
