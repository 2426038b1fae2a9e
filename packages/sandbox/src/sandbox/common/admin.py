"""The admin endpoints every sandbox has: clock, faults, request log."""

from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.common.clock import Clock
from sandbox.common.faults import Rule
from sandbox.common.request_middleware import Traffic

Model = TypeVar("Model", bound=BaseModel)

Answer = Coroutine[Any, Any, Response]


class ClockMove(BaseModel):
    """How to move the clock: by seconds, or to an instant."""

    model_config = ConfigDict(extra="forbid")

    advance: float | None = None
    now: datetime | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "ClockMove":
        if (self.advance is None) == (self.now is None):
            raise ValueError("give either advance (seconds) or now (ISO 8601)")
        return self


class FaultOrder(BaseModel):
    """The rules that are to be in force from now on."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    rules: list[Rule] = Field(default_factory=list)


def takes(
    model: type[Model], refused: tuple[type[Exception], ...] = ()
) -> Callable[[Callable[[Model], Answer]], Callable[[Request], Answer]]:
    """Have an endpoint take a JSON body as a model; a 400 says what is wrong with any other.

    Args:
        model: What the body has to be.
        refused: What the endpoint raises where it cannot do what was ordered.
    """

    def decorated(act: Callable[[Model], Answer]) -> Callable[[Request], Answer]:
        async def endpoint(request: Request) -> Response:
            try:
                order = model.model_validate_json(await request.body() or b"{}")
            except ValidationError as error:
                wrong = error.errors(include_url=False, include_context=False)
                return JSONResponse({"errors": wrong}, 400)
            try:
                return await act(order)
            except refused as reason:
                return JSONResponse({"errors": [{"msg": str(reason)}]}, 400)

        return endpoint

    return decorated


def routes(clock: Clock, traffic: Traffic) -> list[Route]:
    """Return the routes under ``/_sandbox/`` for a clock and its traffic."""

    def shown() -> dict[str, Any]:
        return {"now": clock.instant().isoformat(), "timestamp": clock.time()}

    async def get_clock(_: Request) -> Response:
        return JSONResponse(shown())

    @takes(ClockMove)
    async def move_clock(move: ClockMove) -> Response:
        if move.now is not None:
            clock.set(move.now)
        elif move.advance is not None:
            clock.advance(move.advance)
        return JSONResponse(shown())

    async def get_faults(_: Request) -> Response:
        return JSONResponse(traffic.faults.describe())

    @takes(FaultOrder)
    async def order_faults(order: FaultOrder) -> Response:
        traffic.faults.configure(order.rules, order.seed)
        return JSONResponse(traffic.faults.describe())

    async def clear_faults(_: Request) -> Response:
        traffic.faults.configure([])
        return JSONResponse(traffic.faults.describe())

    async def get_requests(request: Request) -> Response:
        wanted = request.query_params
        entries = [
            entry
            for entry in traffic.log
            if all(str(entry.get(field)) == value for field, value in wanted.items())
        ]
        counts = Counter(f"{entry['method']} {entry['path']}" for entry in entries)
        return JSONResponse({"count": len(entries), "by_path": counts, "requests": entries})

    async def clear_requests(_: Request) -> Response:
        traffic.log.clear()
        return JSONResponse({"count": 0})

    return [
        Route("/_sandbox/clock", get_clock, methods=["GET"]),
        Route("/_sandbox/clock", move_clock, methods=["POST"]),
        Route("/_sandbox/faults", get_faults, methods=["GET"]),
        Route("/_sandbox/faults", order_faults, methods=["POST", "PUT"]),
        Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
        Route("/_sandbox/requests", get_requests, methods=["GET"]),
        Route("/_sandbox/requests", clear_requests, methods=["DELETE"]),
    ]
