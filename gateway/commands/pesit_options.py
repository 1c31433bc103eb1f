"""What the words of ``gateway pesit`` mean: an address, a file's form, TLS.

Rules: an option that is not given is that of the profile. A password comes from the address or from a file; a
process list shows the address, so the file is the better place. What cannot be read is ``Refused`` by name.
It connects to nobody.
"""

from __future__ import annotations

import argparse
import codecs
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gateway.errors import Refused, Scope, os_words
from gateway.link.client import Partner
from gateway.link.line import Timers
from gateway.link.partners import Addresses
from gateway.link.tls import harden
from gateway.pesit.compression import Compression
from gateway.pesit.framing import Framing
from gateway.pesit.profiles import PROFILES, Alphabet, Profile
from gateway.pesit.records import Form

CALLING = ("pesit", "pesits")
LARGEST_ID = 0xFFFFFF
"""Of a transfer, PI 13."""


@dataclass(frozen=True)
class Where:
    """One ``pesit://ID:PASSWORD@HOST:PORT/SERVER``; ``secured`` is ``pesits``."""

    secured: bool
    identifier: str
    password: str
    host: str
    port: int
    server: str


def where(text: str) -> Where:
    """The address that was typed; special characters of a password are written %XX."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"adresse illisible : {error}") from None
    server = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in CALLING or not (parts.username and parts.hostname and port and server):
        raise argparse.ArgumentTypeError("pesit://IDENTIFIANT:MOT_DE_PASSE@HÔTE:PORT/SERVEUR attendu")
    password = unquote(parts.password or "")
    return Where(parts.scheme == "pesits", unquote(parts.username), password, parts.hostname, port, server)


def number(least: int, most: int) -> Callable[[str], int]:
    """The type of a number between two bounds."""

    def checked(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"un nombre de {least} à {most} est attendu")
        return int(text)

    return checked


def code_page(text: str) -> str:
    """A page that Python knows and that is EBCDIC."""
    try:
        codecs.lookup(text)
        if "A1 ".encode(text) == b"\xc1\xf1\x40":
            return text
    except (LookupError, UnicodeError):
        pass
    raise argparse.ArgumentTypeError("une page EBCDIC est attendue : cp037, cp500, cp1140...")


def pad(text: str) -> bytes:
    """One byte in hexadecimal."""
    if len(text) != 2 or not set(text.lower()) <= set("0123456789abcdef"):
        raise argparse.ArgumentTypeError("un octet en hexadécimal est attendu : 00, 40...")
    return bytes.fromhex(text)


# --- adding options --------------------------------------------------------------------------------------------------


def add_calling(parser: argparse.ArgumentParser, name: str) -> None:
    """Whom to call and how; ``name`` is ``--to`` or ``--from``, which may come several times."""
    add = parser.add_argument
    add(name, dest="calls", type=where, action="append", required=True, metavar="URL",
        help="pesit://ID:MOT_DE_PASSE@HÔTE:PORT/SERVEUR, ou pesits:// ; répété : adresses de secours")  # fmt: skip
    add("--profile", choices=list(PROFILES), default="standard", help="ce qu'attend le produit d'en face")
    add("--framing", type=Framing, choices=[Framing.PREFIXED, Framing.RAW], help="préfixe de longueur, ou rien")
    add("--pre-connection", choices=["ebcdic", "ascii", "none"], nargs="?", const="ebcdic",
        help="pré-connexion de 24 octets (EBCDIC si rien n'est dit)")  # fmt: skip
    add("--sync", type=number(0, 65535), metavar="KO", help="intervalle des points de synchronisation, 0 : aucun")
    add("--window", type=number(0, 255), metavar="N", help="points sans acquittement, 0 : jamais d'acquittement")
    add("--password-file", type=Path, metavar="FICHIER", help="mot de passe, sur la première ligne")
    add("--server-password", default="", metavar="MOT", help="mot de passe que le serveur doit donner")
    add("--crc", action="store_true", help="deux octets de contrôle derrière chaque message")
    add("--compress", choices=[kind.name.lower() for kind in Compression], default="none", help="compression proposée")
    add_tls(parser)
    add_common(parser)


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Certificates."""
    for name, meaning in (
        ("--tls-ca", "autorités dont dépend l'autre (PEM)"),
        ("--tls-certificate", "notre certificat (PEM)"),
        ("--tls-key", "sa clé privée (PEM)"),
    ):
        parser.add_argument(name, type=Path, metavar="FICHIER", help=meaning)
    parser.add_argument("--older-tls", action="store_true", help="admettre TLS 1.2, pour qui n'a pas mieux")


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every verb takes."""
    parser.add_argument("--timeout", type=number(1, 3600), default=30, metavar="S", help="délai de réponse (Tp)")
    parser.add_argument("--trace", type=Path, metavar="FICHIER", help="tout ce qui passe, mots de passe masqués")
    parser.add_argument("--json", action="store_true", help="pour un programme")


def add_form(parser: argparse.ArgumentParser) -> None:
    """How a file that leaves is cut."""
    add = parser.add_argument
    add("--article", type=number(1, 65535), metavar="N", help="longueur des articles, en octets")
    add("--fixed", action="store_true", help="articles de longueur fixe")
    add("--pad", type=pad, default=b"", metavar="HH", help="octet qui complète le dernier article fixe binaire")
    add("--text", action="store_true", help="un article par ligne")
    add("--ebcdic", action="store_true", help="un article par ligne, traduit en EBCDIC")
    add("--code-page", type=code_page, metavar="PAGE", help="page EBCDIC, cp500 si rien n'est dit")
    add("--local-coding", default="utf-8", metavar="CODAGE", help="codage local d'un texte à traduire")


# --- reading them ----------------------------------------------------------------------------------------------------


def profile_of(arguments: argparse.Namespace) -> Profile:
    """The row of the profile with what was said otherwise."""
    names = ("framing", "sync", "window", "entity", "article", "code_page")
    said = {name: getattr(arguments, name, None) for name in names}
    row = PROFILES[arguments.profile]
    if said["framing"]:
        row = replace(row, framing=said["framing"], framing_tls=said["framing"])
    if arguments.pre_connection:
        row = replace(row, pre_connection=Alphabet(arguments.pre_connection))
    changes = {"sync_kb": said["sync"], **{name: said[name] for name in ("window", "entity", "article", "code_page")}}
    return replace(row, **{name: value for name, value in changes.items() if value is not None})


def form_of_options(arguments: argparse.Namespace, profile: Profile) -> Form:
    """How the file is cut; ``Refused`` where that does not go together."""
    if profile.sync_kb and profile.sync_kb * 1024 < profile.article:
        text = f"Un intervalle de {profile.sync_kb} Ko ne contient pas un article de {profile.article} octets."
        raise Refused("PES-OPTION", text, Scope.BOX)
    return Form(
        profile.article,
        fixed=arguments.fixed,
        text=arguments.text or arguments.ebcdic,
        code_page=profile.code_page if arguments.ebcdic else "",
        local=arguments.local_coding,
        pad=arguments.pad,
    )


def partner_of(arguments: argparse.Namespace) -> tuple[Partner, Addresses, ssl.SSLContext | None]:
    """Whom to call, where, and through which TLS."""
    calls: Sequence[Where] = arguments.calls
    first = calls[0]
    if {(call.secured, call.identifier, call.server) for call in calls} != {
        (first.secured, first.identifier, first.server)
    }:
        raise Refused("PES-OPTION", "Les adresses de secours doivent être celles du même correspondant.", Scope.BOX)
    password = first.password
    if arguments.password_file:
        password = read_text(arguments.password_file).partition("\n")[0].rstrip("\r")
    partner = Partner(
        first.host,
        first.port,
        first.identifier,
        first.server,
        password,
        arguments.server_password,
        compression=Compression[arguments.compress.upper()],
        crc=arguments.crc,
        timers=timers_of(arguments),
    ).like(profile_of(arguments), secured=first.secured)
    addresses = Addresses([(call.host, call.port) for call in calls])
    if not first.secured:
        _refuse_tls(arguments, "ne va qu'avec une adresse pesits://")
        return partner, addresses, None
    return partner, addresses, calling_context(arguments)


def timers_of(arguments: argparse.Namespace) -> Timers:
    """Tp as it was said; the other timers are the usual ones."""
    return Timers(answer=arguments.timeout, connect=arguments.timeout)


def read_text(path: Path) -> str:
    """A small file of settings; ``Refused`` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused("PES-FILE", f"{path} ne peut être lu : {os_words(error)}.", Scope.BOX) from None
    except UnicodeDecodeError:
        raise Refused("PES-FILE", f"{path} n'est pas un texte (UTF-8).", Scope.BOX) from None


def calling_context(arguments: argparse.Namespace) -> ssl.SSLContext:
    """TLS 1.3, or 1.2 where it was asked for, towards a server whose name its certificate must bear."""

    def made() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=arguments.tls_ca)
        if arguments.tls_certificate:
            context.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
        return harden(context, tls12=arguments.older_tls)

    return _loaded(made, arguments)


def answering_context(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    """TLS 1.3, or 1.2 if asked for, for who calls; with an authority, callers must have a certificate of it."""
    if not arguments.tls_certificate:
        if not any(to.secured for _, to in arguments.route):
            _refuse_tls(arguments, "ne va pas sans --tls-certificate : la ligne serait en clair")
        return None

    def made() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
        if arguments.tls_ca:
            context.load_verify_locations(arguments.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return harden(context, tls12=arguments.older_tls)

    return _loaded(made, arguments)


def _refuse_tls(arguments: argparse.Namespace, why: str) -> None:
    """Refused where an option of TLS would count for nothing."""
    for name in ("tls_ca", "tls_certificate", "tls_key", "older_tls"):
        if getattr(arguments, name):
            raise Refused("PES-OPTION", f"--{name.replace('_', '-')} {why}.", Scope.BOX)


def _loaded(made: Callable[[], ssl.SSLContext], arguments: argparse.Namespace) -> ssl.SSLContext:
    try:
        for path in (arguments.tls_ca, arguments.tls_certificate, arguments.tls_key):
            if path:
                path.open("rb").close()  # by its name, which OpenSSL does not tell
        return made()
    except ssl.SSLError as error:
        text = f"Certificat, clé ou autorité TLS : ce n'est pas le PEM attendu ({os_words(error)})."
        raise Refused("PES-TLS", text, Scope.BOX) from None
    except OSError as error:
        raise Refused("PES-TLS", f"{error.filename} ne peut être lu : {os_words(error)}.", Scope.BOX) from None
