"""The routes: HTTP in, the desk's answers out. Errors are problem documents with a stable code and words.

Who may ask is decided in front of this: on the Unix socket by the file's permissions. A network listener adds
authentication before the same routes.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from grodtd.domain.errors import ConfigError, DataError, GrodtdError, NotSent, OutcomeUnknown, Refused
from grodtd.service.desk import Desk, NotDurable
from grodtd.service.models import (
    Bracket,
    Brackets,
    Compared,
    Entries,
    OpenRequest,
    PaperOrder,
    PaperOrderRequest,
    Problem,
    ProtectRequest,
    ReleaseRequest,
    Status,
    Story,
    WhyRequest,
)

Data = dict[str, Any]
PROBLEM = "application/problem+json"
STATUS_OF_CODE = {
    "unknown_bracket": 404,
    "unknown_symbol": 404,
    "unknown_strategy": 404,
    "unknown_order": 404,
    "forgotten": 404,
    "bad_id": 422,
    "bad_quantity": 422,
    "bad_levels": 422,
    "no_price": 422,
    "bad_stop": 422,
    "bad_target": 422,
    "stopping": 503,
    "no_journal": 503,
    "fenced": 503,
}
"""Refusals that have a fitting status of their own; any other is a conflict with how things stand (409)."""

NO_BODY = WhyRequest()


def create_app(desk: Desk, *, version: str, on_fault: Callable[[str, BaseException], None]) -> FastAPI:
    """Return the application for one desk. `on_fault` hears of errors that are none of the caller's."""
    app = FastAPI(
        title="grodtd",
        version=version,
        summary="Looks after trades from their entry fill to their exit.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses={"default": {"model": Problem, "description": "What went wrong, and what to do."}},
    )
    _add_errors(app, on_fault)
    _add_views(app, desk)
    _add_commands(app, desk)
    return app


def _add_views(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/status", response_model=Status, tags=["look"])
    async def status() -> Data:
        """How things stand: protected, exposed or unknown first."""
        return desk.status()

    @app.get("/v1/health", tags=["look"], responses={503: {"description": "something is exposed or unknown"}})
    async def health(response: Response) -> dict[str, str]:
        """For probes: 200 while nothing is exposed or unknown, 503 otherwise."""
        found = desk.status()
        response.status_code = 503 if found["level"] == "alarm" else 200
        return {"level": found["level"], "verdict": found["verdict"]}

    @app.get("/v1/brackets", response_model=Brackets, tags=["look"])
    async def brackets(ended: bool = False) -> Data:
        """Open brackets, oldest first; with `ended` those that are over, too."""
        return desk.brackets(ended=ended)

    @app.get("/v1/brackets/{bracket_id}", response_model=Bracket, tags=["look"])
    async def bracket(bracket_id: str) -> Data:
        """One bracket."""
        return desk.bracket(bracket_id)

    @app.get("/v1/brackets/{bracket_id}/story", response_model=Story, tags=["look"])
    async def story(bracket_id: str) -> Data:
        """One bracket's life in words, out of the journal."""
        return await desk.story(bracket_id)

    @app.get("/v1/entries", response_model=Entries, tags=["look"])
    async def entries() -> Data:
        """Whether new brackets are taken."""
        return desk.entries()


def _add_commands(app: FastAPI, desk: Desk) -> None:
    @app.post("/v1/brackets", response_model=Brackets, status_code=201, tags=["act"])
    async def protect(asked: ProtectRequest) -> Data:
        """Look after a position that is held, or an entry order's to come."""
        return await desk.protect(asked)

    @app.post("/v1/brackets/{bracket_id}/flatten", response_model=Brackets, tags=["act"])
    async def flatten(bracket_id: str, asked: WhyRequest = NO_BODY) -> Data:
        """Get out of one bracket now."""
        return await desk.flatten(bracket_id, asked.reason)

    @app.post("/v1/brackets/{bracket_id}/exit", response_model=Brackets, tags=["act"])
    async def exit_now(bracket_id: str, asked: WhyRequest = NO_BODY) -> Data:
        """Get out of one bracket now because a strategy says so: its exit's reason is `signal`."""
        return await desk.exit_now(bracket_id, asked.reason)

    @app.post("/v1/entries", response_model=Brackets, status_code=201, tags=["act"])
    async def open_bracket(asked: OpenRequest) -> Data:
        """Open a trade: sized, held to the account's limits, its entry sent, its fills protected from the first one."""
        return await desk.open(asked)

    @app.post("/v1/flatten", response_model=Brackets, tags=["act"])
    async def flatten_all(asked: WhyRequest = NO_BODY) -> Data:
        """Get out of every bracket now."""
        return await desk.flatten_all(asked.reason)

    @app.post("/v1/brackets/{bracket_id}/release", response_model=Brackets, tags=["act"])
    async def release(bracket_id: str, asked: ReleaseRequest) -> Data:
        """Stop looking after a bracket; its position stays."""
        return await desk.release(bracket_id, asked.reason, keep_orders=asked.keep_orders)

    @app.post("/v1/entries/pause", response_model=Entries, tags=["act"])
    async def pause(asked: WhyRequest = NO_BODY) -> Data:
        """Take no new brackets for entries to come. Stops keep working."""
        return await desk.pause(asked.reason)

    @app.post("/v1/entries/resume", response_model=Entries, tags=["act"])
    async def resume(asked: WhyRequest = NO_BODY) -> Data:
        """Take new brackets again."""
        return await desk.resume(asked.reason)

    @app.post("/v1/reconcile", response_model=Compared, tags=["act"])
    async def reconcile() -> Data:
        """Compare with the venue now: orders of ours without a bracket, positions nobody looks after."""
        return await desk.reconcile()

    @app.post("/v1/paper/orders", response_model=PaperOrder, status_code=201, tags=["paper"])
    async def paper_order(asked: PaperOrderRequest) -> Data:
        """Trade by hand in a paper account."""
        return await desk.paper_order(asked)


def _add_errors(app: FastAPI, on_fault: Callable[[str, BaseException], None]) -> None:
    @app.exception_handler(GrodtdError)
    async def told(request: Request, error: GrodtdError) -> JSONResponse:
        if isinstance(error, Refused):
            return _problem(STATUS_OF_CODE.get(error.code, 409), "refused", error.code, str(error))
        if isinstance(error, NotDurable):
            return _problem(503, "not written down", "not_durable", str(error))
        if isinstance(error, NotSent | OutcomeUnknown):
            code = "not_sent" if isinstance(error, NotSent) else "outcome_unknown"
            return _problem(504, "the venue did not answer", code, str(error) or code)
        if isinstance(error, DataError | ConfigError):
            return _problem(422, "bad input", "bad_input", str(error))
        on_fault(f"{request.method} {request.url.path}", error)
        return _problem(500, "failed", "failed", f"{type(error).__name__}: {error}")

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        return _problem(422, "bad request", "bad_request", "; ".join(_said(one) for one in error.errors()))

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "no_such_route", 405: "wrong_method"}.get(error.status_code, "http_error")
        words = f"{request.method} {request.url.path}: {error.detail}; /v1/openapi.json lists what there is"
        return _problem(error.status_code, str(error.detail), code, words)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> JSONResponse:
        on_fault(f"{request.method} {request.url.path}", error)
        words = f"a fault in grodtd ({type(error).__name__}); its log has the details. What rests at the venue stays."
        return _problem(500, "internal fault", "internal", words)


def _problem(status: int, title: str, code: str, detail: str) -> JSONResponse:
    problem = Problem(title=title, status=status, code=code, detail=detail)
    return JSONResponse(problem.model_dump(), status, media_type=PROBLEM)


def _said(error: Any) -> str:
    """Put one complaint of the validator into words: the field, and what is wrong with it."""
    field = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    given = error.get("input")
    shown = "" if error["type"] == "missing" or isinstance(given, dict | list) else f" (given: {given!r})"
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {words}{shown}" if field else f"{words}{shown}"
