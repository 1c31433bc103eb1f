"""What comes in one line over the keeper's sockets: which fichier is meant, why, and who asks.

On ``admin.sock`` who asks is the Unix user at the other end, as the kernel says; on ``status.sock`` it is the account
that status names: its word, which is why nothing but a bounded number of reveals follows from it.
"""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.errors import Refused
from gateway.formats.masking import without_nir
from gateway.formats.words import printable
from gateway.services.keeper.desk import Desk

Ask = dict[str, Any]
Answer = dict[str, Any]
Act = Callable[[Desk, Ask], Answer | Awaitable[Answer]]

_CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


def user_of(connection: Any) -> str:
    """The name of the Unix user at the other end (SO_PEERCRED), or the number of one without a name."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(told)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def fichier_of(desk: Desk, ask: Ask) -> str:
    """The one fichier whose id starts with what was typed."""
    prefix = str(ask.get("id", ""))
    rows = desk.book.connection.execute(
        "SELECT id FROM fichiers WHERE substr(id, 1, ?) = ?", (len(prefix), prefix)
    ).fetchall()
    if not prefix or len(rows) != 1:
        raise Refused("CMD-001", f"« {prefix} » désigne {len(rows)} fichiers : il en faut un seul.")
    return str(rows[0]["id"])


def why_of(ask: Ask) -> str:
    """The reason that was given, in characters that a terminal may show; a NIR in it is masked."""
    why = printable(str(ask.get("why", "")).strip())
    if not why:
        raise Refused("CMD-002", "Il faut dire pourquoi.")
    return without_nir(why)
