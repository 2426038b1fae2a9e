"""Operations that only read: one object by its id, a list by its own fields."""

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc


def retrieves(kind: str, path: str, params: str) -> None:
    """Have an object of a kind returned as it is; see :func:`sandbox.stripe.api.operation`."""

    @operation("GET", path, params)
    def retrieve(context: Context, _: Params, object_id: str) -> Doc:
        return context.require(kind, object_id)


def lists(kind: str, path: str, params: str) -> None:
    """Have the objects of a kind listed; see :func:`sandbox.stripe.api.operation`."""

    @operation("GET", path, params)
    def list_them(context: Context, params: Params) -> Listing:
        return listed(context, kind, path, params)
