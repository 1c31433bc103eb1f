"""Codes, passphrases and passwords that a person types.

They are asked on the terminal, which does not show them; where there is none, they are a line of standard input.
Nothing here keeps or prints what was typed, and no message repeats it.
"""

from __future__ import annotations

import getpass
import os
import sys

from gateway.errors import Refused, Scope


def ask_secret(asked: str, code: str = "CMD-014") -> str:
    """What is typed when ``asked``; Refused with that ``code`` (scope box) where nothing comes or it is no text."""
    typed = ""
    try:
        typed = getpass.getpass(f"{asked} : ") if _has_terminal() else sys.stdin.readline().rstrip("\n")
        typed.encode()
    except EOFError:
        pass
    except UnicodeError:  # its own text repeats some of what was typed
        raise Refused(code, f"{asked} : ce qui a été tapé n'est pas du texte.", Scope.BOX) from None
    if not typed:
        raise Refused(code, f"{asked} : rien n'a été tapé.", Scope.BOX)
    return typed


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
