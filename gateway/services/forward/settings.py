"""What forward is told: the section [forward], and in it the reserve channel."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config import setting
from gateway.errors import Refused, Scope


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
    port: int = setting(8790, "port du concentrateur")
    addresses: tuple[str, ...] = setting((), "ses autres adresses, « hôte:port », essayées quand il ne répond pas")
    requester: str = setting("CABINET1", "notre identifiant PeSIT (PI 3)")
    server: str = setting("OCT1", "identifiant PeSIT du concentrateur (PI 4)")
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
    reserve_after_s: float = setting(3600.0, "secondes sans liaison PeSIT avant la voie de secours ; 0 : jamais")
    reserve: ReserveSettings = setting(ReserveSettings(), "la voie de secours, par SFTP")

    @property
    def every_address(self) -> list[tuple[str, int]]:
        """(host, port) of the OCT, the usual one first; Refused FWD-001 (scope box) for what is none."""
        return [(self.host, self.port), *(_address(text) for text in self.addresses)]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit():
        raise Refused("FWD-001", f"[forward] addresses : « {text} » n'est pas de la forme hôte:port.", Scope.BOX)
    return host.strip("[]"), int(port)
