"""``gateway enrol``: the technician puts a box in force at its concentrator, with the practitioner's card.

All keys are made here; the recovery key leaves at once, under a passphrase, and is never written to the box.  What is
about to be signed is shown first.  Killed or cut off at any instant, the same command takes up where it was: a request
that was signed is sent again as it is, and is answered as it was.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from gateway.commands.card import add_card_options, sign_content
from gateway.commands.sections import SECTIONS, add_config
from gateway.commands.terminal import ask_secret
from gateway.config import Paths, read_document, read_section
from gateway.disk import sync_directory
from gateway.envelope.algorithms import PrivateKey, PublicKey, public_key
from gateway.envelope.requests import is_local, mark
from gateway.errors import Refused, Scope, Trouble, os_words
from gateway.formats.codes import proof_key, read_code
from gateway.formats.enrolment import fingerprint, fingerprint_words, read_fingerprint
from gateway.process.enrolment import Accepted, accept, pem, prepare
from gateway.process.https import Declined, Place, fetch_roots, post_request, read_place
from gateway.process.identity import Identity
from gateway.services.forward.settings import ForwardSettings

SHORTEST_PASSPHRASE, LONGEST_PASSPHRASE = 12, 1023
"""Bytes; the longest that OpenSSL takes."""

PRINTED = """
Clé de recours du cabinet (marque {mark}). Imprimez ces lignes et gardez-les en lieu sûr, loin de la
passerelle, la phrase secrète ailleurs. Pour ouvrir une copie : openssl cms -decrypt -inform DER -in COPIE
-inkey CE_FICHIER. Elle n'est gardée nulle part ailleurs.

{pem}"""


def register(subparsers: Any) -> None:
    """Add ``enrol``; it sets ``act``."""
    parser = subparsers.add_parser("enrol", help="enrôler cette passerelle auprès de son concentrateur")
    parser.add_argument("url", metavar="https://HÔTE:PORT", help="où le concentrateur enrôle")
    code = parser.add_mutually_exclusive_group()
    code.add_argument("--code", default="", metavar="CODE", help="le code d'enrôlement ; sinon il est demandé")
    code.add_argument("--code-file", type=Path, metavar="FICHIER", help="un fichier qui le contient")
    parser.add_argument("--root-fingerprint", required=True, metavar="SHA256", help="empreinte de la racine")
    parser.add_argument("--again", action="store_true", help="refaire l'enrôlement avec de nouvelles clés")
    add_card_options(parser, "pin")
    parser.add_argument(
        "--recovery-to", type=Path, metavar="DOSSIER", help="où écrire la clé de recours (clé USB) ; sinon : à l'écran"
    )
    parser.add_argument("--passphrase-file", type=Path, metavar="FICHIER", help="sa phrase secrète ; sinon demandée")
    parser.add_argument(
        "--lan-name", action="append", default=[], metavar="NOM", help="son nom ou son adresse au cabinet ; se répète"
    )
    add_config(parser)
    parser.set_defaults(act=enrol)


def enrol(arguments: argparse.Namespace) -> int:
    """Enrol, or take up an enrolment that was begun."""
    document = read_document(arguments.config, SECTIONS)
    paths = read_section(Paths, document.get("box", {}), "[box]")
    line = read_section(ForwardSettings, document.get("forward", {}), "[forward]")
    place, expected = read_place(arguments.url), read_fingerprint(arguments.root_fingerprint)
    identity = Identity(paths)
    try:
        pending = identity.pending
        if pending is None:
            pending = _request(arguments, identity, paths.box_id, line.requester)
        else:
            print("Une demande signée attend sa réponse : elle est reprise telle quelle.")
        accepted = _deliver(identity, place, expected, pending)
        _install(arguments, identity, accepted)
    except PermissionError as trouble:
        text = f"{trouble.filename} ne peut pas être écrit : cette commande est à lancer par root."
        raise Refused("ENR-060", text, Scope.BOX) from None
    except FileNotFoundError as trouble:
        text = f"{trouble.filename} n'existe pas : installez d'abord les unités (systemd-tmpfiles, systemd/README.md)."
        raise Refused("ENR-060", text, Scope.BOX) from None
    if accepted.server != line.server:
        print(f"Attention : [forward] server dit « {line.server} », le concentrateur s'appelle « {accepted.server} ».")
    return 0


# -- the request


def _request(arguments: argparse.Namespace, identity: Identity, box: str, partner: str) -> bytes:
    """A new signed request, kept until it is answered; a trouble leaves nothing behind."""
    if identity.enrolled and not arguments.again:
        text = "Cette passerelle est déjà enrôlée : --again refait l'enrôlement avec de nouvelles clés."
        raise Refused("ENR-061", text, Scope.BOX)
    code = proof_key(_code(arguments), partner)
    hosts = ("localhost", "127.0.0.1", *arguments.lan_name)
    for name in arguments.lan_name:
        if not is_local(name):
            raise Refused("ENR-022", f"« {name} » n'est pas un nom du réseau d'un cabinet.", Scope.BOX)
    passphrase = _passphrase(arguments)
    identity.give_up()  # an attempt that was killed
    try:
        prepared = prepare(identity, box, partner, code, hosts, datetime.now(UTC))
        _hand_over(arguments, partner, prepared.recovery, passphrase)
        digest = fingerprint(prepared.content)
        print(f"La carte va signer la demande d'enrôlement du boîtier {box} pour le partenaire {partner} :")
        print(f"  empreinte {fingerprint_words(digest)}", flush=True)
        signed = sign_content(arguments, prepared.content)
    except Trouble:
        identity.give_up()
        raise
    identity.await_answer(signed)
    return signed


def _code(arguments: argparse.Namespace) -> str:
    if arguments.code_file:
        return read_code(_read(arguments.code_file).decode("utf-8", "replace"))
    return read_code(arguments.code or ask_secret("Code d'enrôlement"))


def _passphrase(arguments: argparse.Namespace) -> bytes:
    """The passphrase of the recovery key, asked twice on the terminal."""
    if arguments.passphrase_file:
        typed = _read(arguments.passphrase_file).rstrip(b"\r\n")
    else:
        typed = ask_secret("Phrase secrète de la clé de recours").encode()
        if ask_secret("La même, une seconde fois").encode() != typed:
            raise Refused("ENR-062", "Les deux saisies de la phrase secrète diffèrent.", Scope.BOX)
    if len(typed) < SHORTEST_PASSPHRASE:
        text = f"La phrase secrète de la clé de recours doit avoir {SHORTEST_PASSPHRASE} caractères au moins."
        raise Refused("ENR-062", text, Scope.BOX)
    if len(typed) > LONGEST_PASSPHRASE:
        text = f"La phrase secrète de la clé de recours doit avoir {LONGEST_PASSPHRASE} octets au plus."
        raise Refused("ENR-062", text, Scope.BOX)
    return typed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as trouble:
        raise Refused("ENR-063", f"{path} ne peut pas être lu : {os_words(trouble)}.", Scope.BOX) from None


def _hand_over(arguments: argparse.Namespace, partner: str, key: PrivateKey, passphrase: bytes) -> None:
    """The recovery key to where it will be kept, before anything is asked of the concentrator."""
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    if arguments.recovery_to is None:
        print(PRINTED.format(mark=mark(key.public_key()), pem=text.decode()), flush=True)
        return
    path = _recovery_file(arguments, partner, key.public_key(), "key")
    write_out(path, text)
    print(f"Clé de recours écrite dans {path} : à garder loin de la passerelle, la phrase secrète ailleurs.")


def _recovery_file(arguments: argparse.Namespace, partner: str, key: PublicKey, kind: str) -> Path:
    """Where the recovery key (``key``) and its certificate (``crt``) go."""
    folder: Path = arguments.recovery_to
    return folder / f"recours-{partner}-{mark(key)}.{kind}.pem"


def write_out(path: Path, content: bytes) -> None:
    """A file on the practice's stick, whole or not there; its name is of one key, so what has it already is the same,
    or was torn."""
    made = path.with_name(f".{path.name}.new")
    try:
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        made.replace(path)
        sync_directory(path.parent)
    except OSError as trouble:
        raise Refused("ENR-064", f"{path} ne peut pas être écrit : {os_words(trouble)}.", Scope.BOX) from None


# -- the answer


def _deliver(identity: Identity, place: Place, expected: str, pending: bytes) -> Accepted:
    """Send the request, check the answer; where the concentrator says no, the request and its keys are forgotten."""
    root, *later = fetch_roots(place, expected, datetime.now(UTC))
    try:
        answer, server = post_request(place, (root, *later), pending)
    except Declined:
        identity.give_up()
        raise
    return accept(pending, answer, root, server, datetime.now(UTC))


def _install(arguments: argparse.Namespace, identity: Identity, accepted: Accepted) -> None:
    name = accepted.fingerprint[:16]
    print("Le concentrateur a répondu. Comparez avec lui (gateway concentrator enrolments) :")
    print(f"  empreinte {fingerprint_words(accepted.fingerprint)}")
    identity.install(name, accepted.files, accepted.lists)
    if arguments.recovery_to is not None:
        path = _recovery_file(arguments, accepted.partner, public_key(accepted.recovery), "crt")
        write_out(path, pem(accepted.recovery))
    identity.settle()
    print("Certificats et clés sont en vigueur. Redémarrez les services : systemctl restart gateway.target")
