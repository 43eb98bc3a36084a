"""Serves the application on a Unix socket that only its owner can open, in the loop that is running already."""

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from grodtd.domain.errors import ConfigError, GrodtdError

LONGEST_PATH = 107
"""Bytes a Unix socket's path may have, on every system we run on 103 to 107."""
FINISH_WITHIN_S = 3


class SocketTaken(GrodtdError):
    """The operator acts: another daemon answers on the socket. Nothing was changed."""


class SocketServer:
    """Owns the socket's path: `bind` makes it, `close` removes it. `run` serves until `stop`."""

    def __init__(self, app: FastAPI, path: Path) -> None:
        """Serve `app` on `path`."""
        self.path = path
        self._socket: socket.socket | None = None
        self._inode = 0
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=FINISH_WITHIN_S,
            )
        )

    def bind(self) -> None:
        """Make the socket, mode 0600 from its first moment on.

        Raises: SocketTaken - somebody answers there; ConfigError - the path cannot be one.
        """
        if len(os.fsencode(self.path)) > LONGEST_PATH:
            long = (
                f"{self.path}: is too long for a socket (over {LONGEST_PATH} bytes): name a shorter one with --socket"
            )
            raise ConfigError([long])
        _clear(self.path)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            server.bind(str(self.path))
        except OSError as error:
            server.close()
            raise ConfigError([f"{self.path}: no socket can be made there: {error.strerror or error}"]) from None
        finally:
            os.umask(before)
        self.path.chmod(0o600)
        server.listen(64)
        server.setblocking(False)
        self._socket, self._inode = server, self.path.stat().st_ino

    async def run(self) -> None:
        """Serve until `stop`."""
        assert self._socket is not None, "bind comes first"
        await self._server.serve(sockets=[self._socket])

    async def stop(self) -> None:
        """Answer what was asked, for a bounded time, then end."""
        self._server.should_exit = True
        for _ in range(20 * (FINISH_WITHIN_S + 1)):
            if not self._server.running:
                return
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """Remove the socket, if it is still ours."""
        if self._socket is not None:
            self._socket.close()
            with suppress(OSError):
                if self.path.stat().st_ino == self._inode:
                    self.path.unlink()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the supervisor decides when to end."""

    running = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.running = True
        try:
            await super().serve(sockets)
        finally:
            self.running = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _clear(path: Path) -> None:
    """Remove what a killed daemon left behind; refuse where one lives, or where something else lies."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError([f"{path}: is there and no socket: remove it, or name another path with --socket"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError([f"{path}: cannot be looked at: {error.strerror or error}"]) from None
        else:
            raise SocketTaken(f"{path}: another daemon answers here: stop it first, or name another path with --socket")
