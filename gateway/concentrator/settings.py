"""What the receiving end is told: who may come, with which keys it opens and signs, how the payer answers.

Every field has its French documentation, from which the sample configuration is written.  Passwords stand
here only as salted scrypt hashes, made by ``link.partners.password_hash``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import setting
from gateway.errors import Refused, Scope
from gateway.formats.mandates import RULES, Mandate

KEYS, STATE = Path("/etc/gateway/concentrator"), Path("/var/lib/gateway-concentrator")


@dataclass(frozen=True)
class PartnerAccess:
    """One box that may send its fichiers here and fetch its returns."""

    identifier: str = field(metadata={"doc": "identifiant PeSIT du boîtier (PI 3)"})
    password_hash: str = field(metadata={"doc": "empreinte scrypt de son mot de passe : scrypt$sel$empreinte"})
    box_seal: Path = field(metadata={"doc": "certificat auquel ses retours sont scellés"})
    client_name: str = setting("", "CN de son certificat TLS ; exigé si client_certificate, un par boîtier")
    mandates: tuple[Mandate, ...] = setting((), "qui signe pour quel numéro : holder, emitter, role, since, until")
    landing: str = setting("", "son répertoire de dépôt SFTP (voie de secours) ; vide : aucun")
    box_sign: Path = setting(Path(), "certificats qui signent son journal ; vide : journal non vérifié")
    tls12: bool = setting(False, "peut venir en TLS 1.2, s'il n'a pas mieux ; sinon TLS 1.3 est exigé")


@dataclass(frozen=True)
class FormerSeal:
    """A certificate to which fichiers were sealed before another took its place, and its key."""

    certificate: Path = field(metadata={"doc": "un certificat auquel les fichiers étaient scellés"})
    key: Path = field(metadata={"doc": "sa clé privée, gardée tant que des fichiers ou des retours l'attendent"})


@dataclass(frozen=True)
class PayerSettings:
    """How the payer's stand-in answers."""

    name: str = setting("CAISSE TEST", "nom du payeur, tel qu'il figure dans les ARL et les virements")
    reject: tuple[str, ...] = setting((), "factures rejetées : numéro entier de facture, ou fin du NIR avec sa clé")
    reject_code: str = setting("9999", "code de ces rejets (4 caractères)")
    reject_label: str = setting("DROITS NON OUVERTS A LA DATE DES SOINS", "libellé de ces rejets")
    amc_no: str = setting("98532005", "organisme complémentaire nommé dans les retours qui en paient la part")
    negative_arl: tuple[str, ...] = setting((), "numéros de lots qui reçoivent un ARL négatif")
    delay_s: float = setting(0.0, "délai des ARL et des retours après l'intégration, en secondes")


@dataclass(frozen=True)
class FormerAuthority:
    """An authority that certified boxes before another took its place: its list goes on as long as they last."""

    certificate: Path = field(metadata={"doc": "certificat d'une autorité des boîtiers d'avant"})
    key: Path = field(metadata={"doc": "sa clé privée"})
    crl: Path = field(metadata={"doc": "sa liste de révocation, publiée ici tant que ses certificats servent"})


@dataclass(frozen=True)
class EnrolmentSettings:
    """The section [concentrator.enrolment]: whether boxes are enrolled here, and the authority that certifies them."""

    enabled: bool = setting(False, "enrôler des boîtiers et publier la liste de révocation de leur autorité")
    host: str = setting("127.0.0.1", "adresse d'écoute des enrôlements (HTTPS)")
    port: int = setting(5143, "port ; 0 : un port libre, écrit dans le fichier enrolment-port du répertoire")
    authority_certificate: Path = setting(KEYS / "boxes.pem", "certificat de l'autorité des boîtiers")
    authority_key: Path = setting(KEYS / "boxes.key", "sa clé privée")
    crl: Path = setting(STATE / "boxes.crl", "sa liste de révocation, publiée ici, lue avec les autres")
    former: tuple[FormerAuthority, ...] = setting((), "les autorités des boîtiers d'avant, dont la liste continue")
    crl_days: int = setting(30, "durée de vie d'une liste, refaite à la moitié, en jours")
    days: int = setting(730, "durée des certificats, en jours ; 730 au plus")
    code_hours: int = setting(72, "durée d'un code d'enrôlement, en heures")


@dataclass(frozen=True)
class ConcentratorSettings:
    """The receiving end: where it listens, what it keeps, whom it trusts."""

    directory: Path = setting(STATE, "base, fichiers reçus et boîtes des retours")
    host: str = setting("127.0.0.1", "adresse d'écoute")
    port: int = setting(5100, "port d'écoute ; 0 : un port libre, écrit dans le fichier port du répertoire")
    name: str = setting("OCT", "identifiant PeSIT du concentrateur (PI 4)")
    partners: tuple[PartnerAccess, ...] = setting((), "boîtiers admis")
    seal_certificate: Path = setting(KEYS / "oct-seal.pem", "certificat auquel les fichiers sont scellés")
    seal_key: Path = setting(KEYS / "oct-seal.key", "sa clé privée")
    former_seals: tuple[FormerSeal, ...] = setting((), "les certificats de scellement d'avant, gardés 90 jours")
    sign_certificate: Path = setting(KEYS / "oct-sign.pem", "certificat qui signe les retours")
    sign_key: Path = setting(KEYS / "oct-sign.key", "sa clé privée")
    transport_certificate: Path = setting(KEYS / "oct-transport.pem", "certificat du serveur TLS")
    transport_key: Path = setting(KEYS / "oct-transport.key", "sa clé privée")
    root: Path = setting(KEYS / "root.pem", "racine de confiance des signatures et des boîtiers")
    chain: tuple[Path, ...] = setting((), "certificats intermédiaires")
    crls: tuple[Path, ...] = setting((), "listes de révocation, relues à chaque contrôle")
    client_certificate: bool = setting(True, "exiger un certificat TLS du boîtier, sous la même racine")
    profile: str = setting("b2-cp", "profil des contrôles de contenu")
    mandate_rule: str = setting("required", "required : le signataire doit avoir un mandat ; open : non vérifié")
    payer: PayerSettings = setting(PayerSettings(), "le payeur simulé")
    enrolment: EnrolmentSettings = setting(EnrolmentSettings(), "l'enrôlement des boîtiers")
    sync_kb: int = setting(1024, "intervalle des points de synchronisation accordé au plus, en Ko")
    window: int = setting(16, "points sans acquittement accordés au plus")
    connections: int = setting(64, "liaisons simultanées")
    answer_s: float = setting(30.0, "délai de réponse du correspondant (Tp), en secondes")
    idle_s: float = setting(300.0, "durée d'inactivité entre deux fichiers (Td), en secondes")
    limit: int = setting(1 << 30, "taille maximale d'un fichier, en octets")
    retry_s: float = setting(60.0, "délai avant un nouvel essai de ce qui a été différé, en secondes")
    landing_days: int = setting(7, "durée de garde de ce qui est resté inachevé dans un dépôt SFTP, en jours")
    keep_days: int = setting(90, "durée de garde des fichiers réglés et des retours remis, en jours")

    def __post_init__(self) -> None:
        if self.mandate_rule not in RULES:
            text = f"[concentrator] mandate_rule : « {self.mandate_rule} » n'est ni {' ni '.join(RULES)}."
            raise Refused("CFG-008", text, Scope.BOX)
        self._check_names()

    def _check_names(self) -> None:
        """Refused CFG-012 where one box could come as another: without a name of its own, or with another's."""
        seen: set[str] = set()
        for one in self.partners if self.client_certificate else ():
            if not one.client_name or one.client_name in seen:
                text = f"[concentrator] {one.identifier} : client_name doit être le CN de son seul certificat TLS."
                raise Refused("CFG-012", text, Scope.BOX)
            seen.add(one.client_name)

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.directory / "concentrator.db"

    @property
    def spool(self) -> Path:
        """Files on their way in, named by the number of their transfer."""
        return self.directory / "spool"

    @property
    def received(self) -> Path:
        """Complete files as they came, sealed, named by their SHA-256."""
        return self.directory / "received"

    @property
    def returns(self) -> Path:
        """Returns, signed and sealed, named by their SHA-256."""
        return self.directory / "returns"
