"""What keeps a code in this process's memory from getting out of it: no core dump, no tracer of the same user.

The unit forbids dumps and swap too; this holds without any unit.  It deliberately does not lock pages: the unit's
``MemorySwapMax=0`` does that for the whole service.
"""

from __future__ import annotations

import ctypes
import resource
import signal
from contextlib import suppress

_SET_PDEATHSIG, _SET_DUMPABLE = 1, 4


def seal() -> None:
    """No core file, whatever kills this process; only root may look into it (prctl(2), PR_SET_DUMPABLE)."""
    with suppress(OSError, ValueError):  # under the unit's filter, whose LimitCORE=0 has done it already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _control(_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Be killed when the parent ends, even by SIGKILL, even in a call to a reader that never answers."""
    _control(_SET_PDEATHSIG, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")
