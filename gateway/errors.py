"""The two ways in which something can fail that a user or a peer can cause.

``Refused`` is final for its scope; ``Deferred`` means: try again later, nothing has moved.  Only scope
``fichier`` may refuse a fichier; the other scopes stop a route, the card or the whole box and use up no
attempt of any fichier.  Anything that is neither of the two is a bug or a broken disk: nobody catches it,
the process ends, and nothing has moved.  A full disk is Deferred by ``gateway.disk.room``.  What the operating
system says is told in French by ``os_words``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def naming(what: object) -> Iterator[None]:
    """A refusal inside, of bytes that do not know whose they are, begins with what they are: a file, an option."""
    try:
        yield
    except Refused as refusal:
        raise Refused(refusal.code, f"{what} : {refusal.text}", refusal.scope) from None


_SYSTEM_WORDS = {
    errno.ENOENT: "fichier ou dossier introuvable",
    errno.EACCES: "accès refusé",
    errno.EPERM: "opération interdite",
    errno.EISDIR: "c'est un dossier",
    errno.ENOTDIR: "un nom du chemin n'est pas celui d'un dossier",
    errno.EEXIST: "ce nom est déjà pris",
    errno.ENAMETOOLONG: "nom trop long",
    errno.ENOSPC: "plus de place",
    errno.EDQUOT: "plus de place",
    errno.EROFS: "support protégé en écriture",
    errno.EIO: "le support ne se lit ou ne s'écrit plus",
    errno.ENXIO: "rien n'est au bout",
    errno.EADDRINUSE: "un autre programme y écoute déjà",
    errno.EADDRNOTAVAIL: "cette adresse n'est pas celle de la machine",
    errno.ECONNREFUSED: "connexion refusée",
    errno.ECONNRESET: "connexion coupée",
    errno.EPIPE: "connexion coupée",
    errno.ETIMEDOUT: "pas de réponse",
    errno.EHOSTUNREACH: "machine injoignable",
    errno.ENETUNREACH: "réseau injoignable",
    -2: "nom de machine inconnu",
    -3: "le nom de la machine ne peut pas être cherché",
}
"""What errno means to a user; -2 and -3 are those of a name that is looked up (EAI_NONAME, EAI_AGAIN)."""


def os_words(error: OSError) -> str:
    """Why the operating system did not do it, in French where it is one of the usual reasons."""
    told = error.strerror or str(error)
    tls = hasattr(error, "library")  # an SSLError, whose numbers are its own
    return told if tls else _SYSTEM_WORDS.get(error.errno or 0, told)
