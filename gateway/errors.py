"""The two ways in which something can fail that a user or a peer can cause.

``Refused`` is final for its scope; ``Deferred`` means: try again later, nothing has moved.  Only scope
``fichier`` may refuse a fichier; the other scopes stop a route, the card or the whole box and use up no
attempt of any fichier.  Anything that is neither of the two is a bug or a broken disk: nobody catches it,
the process ends, and nothing has moved.  A full disk is Deferred by ``gateway.disk.room``.
"""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a failure stops."""

    FICHIER = "fichier"
    ROUTE = "route"
    CARD = "card"
    BOX = "box"


class Trouble(Exception):
    """A failure with a stable code, a French sentence for the user, and its scope."""

    def __init__(self, code: str, text: str, scope: Scope = Scope.FICHIER) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.scope = scope


class Refused(Trouble):
    """No further attempt can succeed."""


class Deferred(Trouble):
    """A later attempt may succeed."""
