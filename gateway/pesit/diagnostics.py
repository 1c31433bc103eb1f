"""The diagnostics of PeSIT E (PI 2) as a table: what each means, in French, and what it stops.

Rules: a code is written ``class.reason`` ("2.204"), as in the standard; the code of the trouble is "PES-"
and that. One row says whether the attempt may be made again (``Deferred``) and whose trouble it is.
A code without a row takes the row of its class (1.100, 2.299 or 3.399). It does not decide when to retry.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Deferred, Refused, Scope, Trouble

SUCCESS = "0.000"


@dataclass(frozen=True)
class Diagnostic:
    """One row; ``forgotten``: on a restart it means that the peer has no context and a new transfer is due."""

    code: str
    french: str
    english: str
    kind: type[Refused] | type[Deferred]
    scope: Scope
    forgotten: bool = False


_FICHIER, _ROUTE = Scope.FICHIER, Scope.ROUTE

_ROWS = (
    Diagnostic("1.100", "erreur de transmission", "transmission error", Deferred, _ROUTE),
    Diagnostic("2.200", "caractéristiques du fichier insuffisantes", "file attributes insufficient", Refused, _ROUTE),
    Diagnostic("2.201", "ressources système insuffisantes pour le moment", "system resources short", Deferred, _ROUTE),
    Diagnostic(
        "2.202", "ressources utilisateur insuffisantes pour le moment", "user resources short", Deferred, _ROUTE
    ),
    Diagnostic("2.203", "transfert non prioritaire pour le moment", "priority too low now", Deferred, _ROUTE),
    Diagnostic("2.204", "fichier déjà existant", "file exists already", Refused, _FICHIER, True),
    Diagnostic("2.205", "fichier inexistant", "file not found", Refused, _FICHIER, True),
    Diagnostic("2.206", "quota de disque dépassé", "disk quota exceeded", Refused, _FICHIER),
    Diagnostic("2.207", "fichier occupé", "file in use", Deferred, _FICHIER),
    Diagnostic("2.208", "fichier trop récent ou trop ancien", "file too recent or too old", Refused, _FICHIER),
    Diagnostic("2.209", "type de message non accepté", "message type not accepted", Refused, _FICHIER),
    Diagnostic("2.210", "échec de négociation de la compression", "compression not agreed", Refused, _ROUTE),
    Diagnostic("2.211", "ouverture du fichier impossible", "cannot open file", Deferred, _FICHIER),
    Diagnostic("2.212", "fermeture normale du fichier impossible", "cannot close file", Deferred, _FICHIER),
    Diagnostic("2.213", "erreur d'entrée-sortie bloquante", "fatal I/O error", Deferred, _ROUTE),
    Diagnostic(
        "2.214", "échec de négociation du point de relance", "restart point not agreed", Deferred, _FICHIER, True
    ),
    Diagnostic("2.215", "erreur propre au système", "system-specific error", Deferred, _FICHIER),
    Diagnostic("2.216", "arrêt prématuré volontaire", "deliberate premature stop", Deferred, _FICHIER),
    Diagnostic(
        "2.217",
        "trop de points de synchronisation sans acquittement",
        "too many unacknowledged points",
        Deferred,
        _FICHIER,
    ),
    Diagnostic("2.218", "resynchronisation impossible", "resynchronisation impossible", Deferred, _FICHIER, True),
    Diagnostic("2.219", "espace fichier épuisé", "file space used up", Deferred, _ROUTE),
    Diagnostic("2.220", "article plus long qu'annoncé", "article longer than announced", Refused, _FICHIER),
    Diagnostic("2.221", "délai de fin de transmission écoulé", "end-of-transmission timer ran out", Deferred, _ROUTE),
    Diagnostic(
        "2.222", "trop de données sans point de synchronisation", "too much data without a sync point", Deferred, _ROUTE
    ),
    Diagnostic("2.223", "fin de transfert anormale", "abnormal end of transfer", Deferred, _FICHIER),
    Diagnostic("2.224", "fichier plus grand qu'annoncé", "file larger than announced", Refused, _FICHIER),
    Diagnostic(
        "2.225", "fichier reçu mais application saturée", "received but application congested", Deferred, _ROUTE
    ),
    Diagnostic("2.226", "refus du transfert", "transfer refused", Refused, _FICHIER),
    Diagnostic("2.227", "transfert non relançable", "not restartable", Deferred, _FICHIER, True),
    Diagnostic("2.228", "point de relance inconnu", "unknown restart point", Deferred, _FICHIER, True),
    Diagnostic("2.229", "fichier modifié depuis le premier essai", "file changed", Deferred, _FICHIER, True),
    Diagnostic("2.230", "relance trop tardive", "too late to restart", Deferred, _FICHIER, True),
    Diagnostic("2.231", "numéro de transfert déjà employé", "transfer number not unique", Deferred, _FICHIER),
    Diagnostic("2.232", "codage incompatible avec le type de fichier", "coding against file type", Refused, _ROUTE),
    Diagnostic("2.233", "aucun contexte de relance", "no restart context", Deferred, _FICHIER, True),
    Diagnostic("2.234", "taille d'entité incompatible avec l'article", "entity size against record", Refused, _ROUTE),
    Diagnostic("2.235", "format d'article refusé", "record format refused", Refused, _ROUTE),
    Diagnostic("2.236", "longueur d'article refusée", "record length refused", Refused, _ROUTE),
    *(
        Diagnostic(
            f"2.{reason}", "correspondant non autorisé pour ce fichier", "partner not authorised", Refused, _ROUTE
        )
        for reason in range(237, 242)
    ),
    Diagnostic("2.242", "mot de passe erroné", "wrong password", Refused, _ROUTE),
    Diagnostic("2.243", "nouveau mot de passe refusé", "new password refused", Refused, _ROUTE),
    Diagnostic("2.245", "longueur erronée", "length error", Refused, _FICHIER),
    Diagnostic("2.246", "aucun fichier de ce nom", "no such file", Refused, _FICHIER),
    Diagnostic("2.247", "aucun fichier de ce type", "no such file", Refused, _FICHIER),
    Diagnostic("2.248", "identification erronée", "identification error", Refused, _ROUTE),
    Diagnostic("2.249", "identification erronée", "identification error", Refused, _ROUTE),
    Diagnostic("2.250", "fichier déjà transféré", "already transferred", Refused, _FICHIER),
    Diagnostic("2.251", "identification erronée", "identification error", Refused, _ROUTE),
    Diagnostic("2.252", "date erronée", "date error", Refused, _FICHIER),
    Diagnostic("2.253", "date erronée", "date error", Refused, _FICHIER),
    Diagnostic("2.254", "service fermé", "service closed", Deferred, _ROUTE),
    Diagnostic("2.299", "autre motif de transfert", "other", Deferred, _FICHIER),
    Diagnostic("3.300", "engorgement local des communications", "local congestion", Deferred, _ROUTE),
    Diagnostic("3.301", "identification inconnue", "identification unknown", Refused, _ROUTE),
    Diagnostic(
        "3.302", "correspondant non rattaché à son point d'accès", "not attached to its access point", Deferred, _ROUTE
    ),
    Diagnostic("3.303", "engorgement distant, trop de connexions", "remote congestion", Deferred, _ROUTE),
    Diagnostic("3.304", "demandeur non autorisé", "caller not authorised", Refused, _ROUTE),
    Diagnostic("3.305", "échec de négociation du type d'accès", "access type not agreed", Refused, _ROUTE),
    Diagnostic("3.306", "échec de négociation de la resynchronisation", "resync not agreed", Refused, _ROUTE),
    Diagnostic("3.307", "échec de négociation de la synchronisation", "sync not agreed", Refused, _ROUTE),
    Diagnostic("3.308", "version non acceptée", "version not supported", Refused, _ROUTE),
    Diagnostic("3.309", "trop de connexions pour ce correspondant", "too many connections", Deferred, _ROUTE),
    Diagnostic("3.310", "incident de réseau", "network incident", Deferred, _ROUTE),
    Diagnostic("3.311", "erreur de protocole", "protocol error", Deferred, _ROUTE),
    Diagnostic("3.312", "service fermé par l'utilisateur", "closed by the user", Deferred, _ROUTE),
    Diagnostic("3.313", "connexion inactive trop longtemps", "idle timer", Deferred, _ROUTE),
    Diagnostic("3.314", "connexion inactive rompue pour faire place", "idle link cut to make room", Deferred, _ROUTE),
    Diagnostic("3.315", "échec de négociation", "negotiation failure", Deferred, _ROUTE),
    Diagnostic("3.316", "commande d'opérateur", "operator command", Deferred, _ROUTE),
    Diagnostic("3.317", "délai écoulé", "timer ran out", Deferred, _ROUTE),
    Diagnostic("3.318", "paramètre absent ou erroné", "PI absent or illegal", Refused, _ROUTE),
    Diagnostic("3.319", "nombre d'octets ou d'articles erroné", "byte or article count wrong", Deferred, _ROUTE),
    Diagnostic("3.320", "trop de resynchronisations", "too many resynchronisations", Deferred, _ROUTE),
    Diagnostic("3.321", "appeler le numéro de secours", "call the emergency number", Deferred, _ROUTE),
    Diagnostic("3.322", "rappeler plus tard", "call back later", Deferred, _ROUTE),
    Diagnostic("3.323", "CRC incompatible avec la connexion", "CRC against connection", Refused, _ROUTE),
    Diagnostic("3.324", "identifiant du demandeur erroné", "requester id wrong", Refused, _ROUTE),
    Diagnostic("3.325", "mot de passe erroné", "wrong password", Refused, _ROUTE),
    Diagnostic("3.326", "nouveau mot de passe refusé", "new password refused", Refused, _ROUTE),
    *(
        Diagnostic(f"3.{reason}", "accès en émission ou en réception fermé", "access closed", Deferred, _ROUTE)
        for reason in range(327, 331)
    ),
    Diagnostic("3.331", "délai de surveillance trop long", "timer too long", Refused, _ROUTE),
    Diagnostic("3.332", "écriture non négociée", "write not negotiated", Refused, _ROUTE),
    Diagnostic("3.333", "lecture non négociée", "read not negotiated", Refused, _ROUTE),
    Diagnostic("3.334", "taxation de l'appel refusée", "call charging", Refused, _ROUTE),
    Diagnostic("3.335", "numéro d'appel refusé", "call number", Refused, _ROUTE),
    Diagnostic("3.336", "date refusée", "date refused", Refused, _ROUTE),
    Diagnostic("3.399", "autre motif de connexion", "other", Deferred, _ROUTE),
)

DIAGNOSTICS = {row.code: row for row in _ROWS}
"""Code to its row (facts, section 9; 2.231 and up are the extended list of CFT)."""

_OTHER = {"1": "1.100", "2": "2.299"}


class Violation(Deferred):
    """The peer broke the protocol: it is answered by ABORT with ``diagnostic`` (3.311, 3.318 ...)."""

    def __init__(self, diagnostic: str, text: str) -> None:
        super().__init__(f"PES-{diagnostic}", text, Scope.ROUTE)
        self.diagnostic = diagnostic


def row_of(code: str) -> Diagnostic:
    """The row of a code, or that of its class."""
    return DIAGNOSTICS.get(code) or DIAGNOSTICS[_OTHER.get(code[0], "3.399")]


def encode(code: str) -> bytes:
    """PI 2 of a code: class byte, reason in two bytes."""
    kind, _, reason = code.partition(".")
    return bytes([int(kind)]) + int(reason).to_bytes(2, "big")


def decode(value: bytes) -> str:
    """The code of a PI 2 of three bytes."""
    return f"{value[0]}.{int.from_bytes(value[1:], 'big'):03d}"


def trouble(code: str, complement: str = "") -> Trouble:
    """The ``Refused`` or ``Deferred`` that stands for a diagnostic; ``complement`` is the peer's own text."""
    row = row_of(code)
    if complement.startswith(f"PeSIT {code} : "):  # the sentence below, from a peer that runs this too
        complement = complement.partition("(")[2].rpartition(")")[0]
    more = f" ({complement})" if complement else ""
    return row.kind(f"PES-{code}", f"PeSIT {code} : {row.french}{more}.", row.scope)


def code_of(cause: Trouble, otherwise: str) -> str:
    """The diagnostic that tells a peer of a trouble of ours; ``otherwise`` for one that is not PeSIT's."""
    code = cause.code.removeprefix("PES-")
    return code if code in DIAGNOSTICS else otherwise
