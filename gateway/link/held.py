"""The file that one line writes: two lines never write one file.

Who receives a file holds it from its first ``truncate`` until it lets go of it, on its own account or because another
line took the transfer over.  Where a file begins, and what letting go brings about, is each receiver's own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from gateway.errors import Trouble
from gateway.pesit import diagnostics


@contextmanager
def on_disk() -> Iterator[None]:
    """What the disk refuses, as the diagnostic that tells a partner: 2.219 no room, 2.213 anything else."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise diagnostics.trouble("2.219" if full else "2.213", error.strerror or "") from error


class Held:
    """A receiver's hold of its file."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._over = False

    def _still_ours(self) -> None:
        """Trouble 2.207 once the receiver has let go for good."""
        if self._over:
            raise _taken_over()

    def _own(self) -> IO[bytes]:
        """The file, to be written; Trouble 2.207 for who does not hold it."""
        if self._file is None:
            raise _taken_over()
        return self._file

    def _force(self) -> int:
        """Have on disk what was written; the place in the file, in bytes."""
        file = self._own()
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _taken_over() -> Trouble:
    return diagnostics.trouble("2.207", "transfert repris sur une autre liaison")
