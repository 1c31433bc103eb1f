"""What every service shares with systemd: readiness, watchdog, inherited sockets, an orderly stop.

A service is a coroutine ``run(runtime)``.  It takes its listening sockets from ``runtime.listener``, says
``ready`` when it serves, calls ``alive`` from its main loop after its own invariants held (never from a
thread or a timer of its own), and returns soon after ``stop`` is set.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from systemd.daemon import listen_fds_with_names, notify

from gateway.disk import DiskFull, room
from gateway.errors import Trouble

STDOUT_PRIORITY = {"error": 3, "warning": 4, "info": 6}
"""syslog levels as the journal reads them at the start of a line."""

FULL_PAUSE_S = 5.0
"""Between two tries on a full disk."""

FULL_SAID_S = 3600.0
"""Between two lines that say so."""


class Runtime:
    """One running service and its place under systemd."""

    def __init__(self, name: str, sockets: Mapping[str, socket.socket] | None = None) -> None:
        """``sockets`` are those given by ``--socket NAME=FD``; those that systemd passed are added by name."""
        self.name = name
        self.stop = asyncio.Event()
        self._sockets = {**inherited_sockets(), **(sockets or {})}
        self._full_said = -FULL_SAID_S

    def listener(self, name: str, path: Path | None = None, mode: int = 0o600) -> socket.socket:
        """The inherited socket of that name, or else a Unix socket made at ``path`` (development)."""
        if name in self._sockets:
            return self._sockets[name]
        if path is None:
            raise LookupError(f"no socket {name} was passed to {self.name}")
        return unix_listener(path, mode)

    def inherited(self, name: str) -> socket.socket | None:
        """The inherited socket of that name, if there is one."""
        return self._sockets.get(name)

    def ready(self) -> None:
        """Tell systemd that the service serves now."""
        notify("READY=1")

    def tell(self, text: str) -> None:
        """One line of state, shown by ``systemctl status``; no health data, no secret."""
        notify(f"STATUS={text}")

    def alive(self) -> None:
        """Feed the watchdog; only from the main loop, only when all is well."""
        notify("WATCHDOG=1")

    def log(self, level: str, text: str) -> None:
        """One line for the journal; no health data, no secret, no PIN."""
        with suppress(BrokenPipeError):
            os.write(1, f"<{STDOUT_PRIORITY[level]}>{self.name}: {text}\n".encode())

    def log_full(self, full: DiskFull) -> None:
        """One line for the journal about a full disk, and no other for an hour."""
        if time.monotonic() >= self._full_said + FULL_SAID_S:
            self._full_said = time.monotonic()
            self.log("error", f"{full.code} {full.text}")

    @asynccontextmanager
    async def outlast(
        self, tell: Callable[[DiskFull], None] = lambda full: None, full: type[DiskFull] = DiskFull
    ) -> AsyncIterator[None]:
        """A turn of a loop that a full disk may cut short: it is told, and waited for; the next turn tries again.

        ``full`` is as for ``room``."""
        try:
            with room(full):
                yield
        except DiskFull as met:
            self.log_full(met)
            tell(met)
            self.alive()
            await self.pause(FULL_PAUSE_S)

    async def pause(self, seconds: float) -> None:
        """Sleep, but wake at once when the service is to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)


def inherited_sockets() -> dict[str, socket.socket]:
    """The sockets of LISTEN_FDS by their FileDescriptorName; the variables are consumed."""
    names: dict[int, str] = listen_fds_with_names(unset_environment=True) or {}
    return {name: socket.socket(fileno=descriptor) for descriptor, name in names.items()}


def unix_listener(path: Path, mode: int) -> socket.socket:
    """A listening Unix socket in place of a stale one of the same name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(16)
    return listener


Service = Callable[[Runtime], Awaitable[None]]


async def serve(*services: tuple[Runtime, Service]) -> None:
    """Run services until SIGTERM or SIGINT; what one of them does not expect ends them all and the process.

    Trouble where that alone ended them: what a service lacks to begin with is a sentence and no bug."""

    def stop() -> None:
        for runtime, _ in services:
            runtime.stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with asyncio.TaskGroup() as group:
            for runtime, service in services:
                group.create_task(_run(runtime, service), name=runtime.name)
    except ExceptionGroup as failed:
        _, others = failed.split(Trouble)
        if others:
            raise
        raise next(_leaves(failed)) from None
    notify("STOPPING=1")


def _leaves(failed: ExceptionGroup[Exception]) -> Iterator[Exception]:
    """The failures themselves, of tasks inside tasks."""
    for one in failed.exceptions:
        yield from _leaves(one) if isinstance(one, ExceptionGroup) else (one,)


async def _run(runtime: Runtime, service: Service) -> None:
    await service(runtime)
