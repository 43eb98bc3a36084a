"""The client of a running daemon: one method a request, answers as plain data, errors as exceptions with words."""

import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from grodtd.domain.errors import GrodtdError

Data = dict[str, Any]
PATIENCE_S = 15.0


class NoDaemon(GrodtdError):
    """The caller acts: nothing listens on the socket. The message says where it was looked for."""


class Problem(GrodtdError):
    """The daemon answered with an error: `status` and `code` are stable, the message is for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        """Keep what the problem document said."""
        super().__init__(detail)
        self.status, self.code = status, code


class Client:
    """Speaks to the daemon behind a Unix socket. Use it as a context manager."""

    def __init__(self, path: Path, *, patience_s: float = PATIENCE_S) -> None:
        """Nothing is sent yet; `patience_s` bounds each request."""
        self.path = path
        self._patience_s, self._reached = patience_s, False
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), base_url="http://daemon", timeout=patience_s, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    # ---------------------------------------------------------------- looking

    def status(self) -> Data:
        """How things stand."""
        return self._ask("GET", "/v1/status")

    def brackets(self, *, ended: bool = False) -> Data:
        """Open brackets, with `ended` the others, too."""
        return self._ask("GET", "/v1/brackets", params={"ended": ended})

    def bracket(self, bracket_id: str) -> Data:
        """One bracket."""
        return self._ask("GET", f"/v1/brackets/{_segment(bracket_id)}")

    def story(self, bracket_id: str) -> Data:
        """One bracket's life in words."""
        return self._ask("GET", f"/v1/brackets/{_segment(bracket_id)}/story")

    # ---------------------------------------------------------------- acting

    def protect(self, **asked: object) -> Data:
        """Look after a position; the fields are those of `models.ProtectRequest`."""
        return self._ask("POST", "/v1/brackets", asked)

    def open(self, **asked: object) -> Data:
        """Open a trade; the fields are those of `models.OpenRequest`."""
        return self._ask("POST", "/v1/entries", asked)

    def exit_now(self, bracket_id: str, reason: str) -> Data:
        """Get out of one bracket now because a strategy says so."""
        return self._ask("POST", f"/v1/brackets/{_segment(bracket_id)}/exit", {"reason": reason})

    def flatten(self, bracket_id: str, reason: str = "") -> Data:
        """Get out of one bracket now."""
        return self._ask("POST", f"/v1/brackets/{_segment(bracket_id)}/flatten", {"reason": reason})

    def flatten_all(self, reason: str = "") -> Data:
        """Get out of every bracket now."""
        return self._ask("POST", "/v1/flatten", {"reason": reason})

    def release(self, bracket_id: str, reason: str, *, keep_orders: bool = False) -> Data:
        """Stop looking after a bracket."""
        asked = {"reason": reason, "keep_orders": keep_orders}
        return self._ask("POST", f"/v1/brackets/{_segment(bracket_id)}/release", asked)

    def pause(self, reason: str = "") -> Data:
        """Take no new brackets for entries to come."""
        return self._ask("POST", "/v1/entries/pause", {"reason": reason})

    def resume(self, reason: str = "") -> Data:
        """Take new brackets again."""
        return self._ask("POST", "/v1/entries/resume", {"reason": reason})

    def reconcile(self) -> Data:
        """Compare with the venue now."""
        return self._ask("POST", "/v1/reconcile")

    def paper_order(self, **asked: object) -> Data:
        """Trade by hand in a paper account; the fields are those of `models.PaperOrderRequest`."""
        return self._ask("POST", "/v1/paper/orders", asked)

    # ---------------------------------------------------------------- how

    def _ask(self, method: str, path: str, body: Data | None = None, params: Data | None = None) -> Data:
        if not self._reached:
            self._reach()
        sent = None if body is None else {name: value for name, value in body.items() if value is not None}
        try:
            answer = self._http.request(method, path, json=sent, params=params)
        except httpx.TimeoutException:
            raise Problem(
                504, "no_answer", f"the daemon behind {self.path} did not answer in time; it may have acted: see status"
            ) from None
        except httpx.HTTPError as error:
            words = f"the daemon behind {self.path} hung up ({str(error) or type(error).__name__}); it may have acted"
            raise Problem(502, "hung_up", words) from None
        try:
            data = answer.json()
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise Problem(502, "not_grodtd", f"what answers on {self.path} is no grodtd daemon")
        if answer.is_success or (path == "/v1/health" and "level" in data):
            return data
        raise Problem(answer.status_code, str(data.get("code", "unknown")), str(data.get("detail", data)))

    def _reach(self) -> None:
        """See that somebody listens: which way it fails tells what to do. Raises: NoDaemon."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(self._patience_s)
            try:
                probe.connect(str(self.path))
            except PermissionError:
                words = f"{self.path} belongs to another user: ask the daemon as the user it runs as"
                raise NoDaemon(words) from None
            except OSError as error:
                raise NoDaemon(self._nobody(error)) from None
        self._reached = True

    def _nobody(self, error: OSError) -> str:
        if isinstance(error, ConnectionRefusedError):
            found = f"nobody listens on {self.path} (a killed one left it behind)"
        elif isinstance(error, FileNotFoundError):
            found = f"there is no socket {self.path}"
        else:
            found = f"{self.path} cannot be opened ({error.strerror or error})"
        return (
            f"no daemon is running: {found}. Start one with `grodtd run`, or say where it is with --socket or --state"
        )


def _segment(name: str) -> str:
    """Keep a name within its place in the path."""
    return quote(name, safe="") or "-"
