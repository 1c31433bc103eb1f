"""What forward is told: the section [forward], and in it the reserve channel."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.config import setting
from gateway.errors import Refused, Scope

HIDDEN = "(adresse masquée)"

_GROUPS = r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*"
_V4, _V6 = r"\d{1,3}(?:\.\d{1,3}){3}", rf"(?:{_GROUPS})?::(?:{_GROUPS})?|[0-9A-Fa-f]{{1,4}}(?::[0-9A-Fa-f]{{1,4}}){{7}}"
_IP = re.compile(rf"(?<![\w.:])(?:(?:{_V4})(?::\d+)?|\[(?:{_V6})\](?::\d+)?|(?:{_V6}))(?![\w.:])")


@dataclass(frozen=True)
class ReserveSettings:
    """The section [forward.reserve]; our private key for it is ``keys/forward/reserve.key``."""

    host: str = setting("", "serveur SFTP de secours du concentrateur ; vide : pas de voie de secours")
    port: int = setting(22, "son port")
    user: str = setting("", "notre compte sur ce serveur")
    host_key: str = setting("", "la clé publique de ce serveur, seule admise : « type base64 », comme dans known_hosts")
    directory: str = setting("", "répertoire qui contient depot/ et retours/ ; vide : celui où le compte arrive")
    patience_s: float = setting(30.0, "silence au bout duquel la voie de secours est abandonnée, en secondes")


@dataclass(frozen=True)
class ForwardSettings:
    """The section [forward]."""

    host: str = setting("127.0.0.1", "adresse du concentrateur (OCT)")
    port: int = setting(5100, "port du concentrateur")
    addresses: tuple[str, ...] = setting((), "ses autres adresses, « hôte:port », essayées quand il ne répond pas")
    requester: str = setting("CABINET1", "notre identifiant PeSIT (PI 3)")
    server: str = setting("OCT", "identifiant PeSIT du concentrateur (PI 4)")
    flow: str = setting("FICHIERS", "nom PeSIT (PI 12) des fichiers envoyés")
    tls: bool = setting(True, "TLS 1.3 avec certificat client")
    tls12: bool = setting(False, "admettre TLS 1.2, pour un concentrateur qui n'a pas mieux")
    server_name: str = setting("", "nom que doit porter le certificat du concentrateur ; vide : celui de son adresse")
    sync_kb: int = setting(128, "intervalle des points de synchronisation, en Kio")
    window: int = setting(4, "points de synchronisation non acquittés au plus")
    article: int = setting(61440, "longueur d'article, en octets")
    retry_s: float = setting(5.0, "premier délai après une coupure, en secondes")
    retry_max_s: float = setting(300.0, "délai maximal entre deux essais, en secondes")
    refused_s: float = setting(3600.0, "délai après un refus (mot de passe, certificat, clé), en secondes")
    pull_s: float = setting(300.0, "secondes entre deux relèves des retours")
    pull_soon_s: float = setting(10.0, "secondes entre deux relèves dans les minutes qui suivent un envoi")
    lists_s: float = setting(21600.0, "secondes entre deux relèves des listes de révocation")
    lists_soon_s: float = setting(600.0, "les mêmes, quand celles d'ici ne suffisent plus")
    poll_s: float = setting(0.5, "secondes entre deux regards sur la porte")
    tsa_url: str = setting("", "serveur d'horodatage (RFC 3161), http(s) ; vide : aucun (docs/journal.md)")
    reserve_after_s: float = setting(3600.0, "secondes sans liaison PeSIT avant la voie de secours ; 0 : jamais")
    reserve: ReserveSettings = setting(ReserveSettings(), "la voie de secours, par SFTP")

    @property
    def every_address(self) -> list[tuple[str, int]]:
        """(host, port) of the OCT, the usual one first; Refused FWD-001 (scope box) for what is none."""
        return [(self.host, self.port), *(_address(n, text) for n, text in enumerate(self.addresses, start=1))]

    def hidden(self, text: str) -> str:
        """``text`` without the addresses of the OCT, which are confidential (requirement 210): ours by name, and
        whatever is written like an IP address."""
        for host in sorted({host for host, _ in self.every_address} | {self.reserve.host}, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])(?::\d+)?", HIDDEN, text) if host else text
        return _IP.sub(HIDDEN, text)


def _address(number: int, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise Refused(
            "FWD-001", f"[forward] addresses : la valeur n° {number} n'est pas de la forme hôte:port.", Scope.BOX
        )
    return host.strip("[]"), int(port)
